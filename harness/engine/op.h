/* op.h — what an op is: a const struct with a shape rule and kernels per device.
 * SPDX-License-Identifier: MIT */
#ifndef MR_OP_H
#define MR_OP_H
#include "backend.h"
MR_C_BEGIN

enum { MR_MAX_OUT = 2, MR_MAX_SAVE = 4, MR_VARIADIC = -1 };

/* What changes from step to step, in device memory so that a replayed graph sees it. */
typedef struct mr_tick {
  uint64_t seed;    /* of the run                                     */
  uint64_t step;    /* micro-batch count so far; salts dropout masks  */
  int32_t training; /* 0: dropout is the identity                     */
} mr_tick;

/* What the planner knows when it asks. */
typedef struct mr_site {
  mr_device device;
  int threads;
  mr_math math;
  int sm_count, shared_limit; /* as in mr_backend */
} mr_site;

/* What the op tells the planner, computed from input shapes alone. Zeroed before infer. */
typedef struct mr_need {
  mr_shape out[MR_MAX_OUT];
  mr_shape save[MR_MAX_SAVE]; /* reals written by forward, read by backward               */
  int32_t n_save;
  size_t work_fwd, work_bwd; /* bytes, alive only inside the one call                     */
  uint32_t reads_in;         /* bit i: backward reads input i (i >= 31 share bit 31)      */
  uint32_t reads_out;        /* bit i: backward reads output i                            */
  uint32_t passes;           /* bit i: din[i] equals dout[0]; one memory where it is safe */
  uint32_t overwrites;       /* bit i: din[i] may be written over in[i], element by element */
  uint32_t part;             /* bit i: adding to din[i] touches no more than dout[0] is   */
  double flops, bytes;       /* of one forward call, least possible; for the roofline     */
  double flops_bwd;          /* of one backward call, least, whatever gradients are wanted */
  double flops_din[3];       /* more where the gradient of input i is wanted              */
  bool hides_products;       /* it multiplies matrices by no mr_gemm that others could see */
  const char *variant;       /* which kernel the shape gets, static; NULL: there is one   */
} mr_need;

/* What a kernel gets. Every view is live during exactly this call; views that the op did not declare
 * (see mr_need) have data == NULL in backward. */
typedef struct mr_call {
  const void *attr;
  int32_t n_in, n_out;
  const mr_view *in;   /* [n_in]; shape.rank < 0: optional input not given                  */
  const mr_view *out;  /* [n_out]                                                           */
  const mr_view *save; /* [n_save]                                                          */
  const mr_view *dout; /* [n_out]; dout[0] always given, later ones NULL data = zero        */
  const mr_view *din;  /* [n_in]; data == NULL: nobody wants this gradient                  */
  const mr_real *beta; /* [n_in]; din = beta*din + ...; 0 (memory undefined) or 1           */
  void *work;
  const mr_tick *tick; /* device memory                                                     */
  uint32_t node;       /* number of the node on the tape; salts dropout                     */
} mr_call;

typedef mr_status (*mr_kernel)(mr_backend *be, const mr_call *c);

typedef struct mr_op {
  const char *name;  /* "gru_seq"; appears in tests, dumps and HDF5                        */
  int32_t n_in;      /* inputs, or MR_VARIADIC. Inputs beyond the given ones are not given */
  int32_t n_out;     /* outputs                                                            */
  size_t attr_bytes; /* attributes are copied by the tape                                  */
  /* Checks shapes (MR_ERR_SHAPE with a sentence naming the op) and fills need. */
  mr_status (*infer)(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                     mr_need *need);
  mr_kernel fwd[MR_N_DEVICES]; /* NULL: refused when recorded on that device                */
  mr_kernel bwd[MR_N_DEVICES]; /* NULL: refused when planned for training                   */
} mr_op;

/* True where input i was given. */
#define MR_GIVEN(c, i) ((i) < (c)->n_in && (c)->in[i].shape.rank >= 0)
/* Typed access for kernels. */
#define MR_IN(c, i)   ((const mr_real *)(c)->in[i].data)
#define MR_OUT(c, i)  ((mr_real *)(c)->out[i].data)
#define MR_SAVE(c, i) ((mr_real *)(c)->save[i].data)
#define MR_DOUT(c, i) ((const mr_real *)(c)->dout[i].data)
#define MR_DIN(c, i)  ((mr_real *)(c)->din[i].data)

/* In a CUDA build a missing twin is a link error; in a CPU build it is NULL and therefore a clear
 * status. It is never a function that does nothing. */
#ifdef MR_WITH_CUDA
#define MR_TWIN(stem, dir)                                                                         \
  {                                                                                                \
    stem##_##dir##_cpu, stem##_##dir##_cuda                                                        \
  }
#else
#define MR_TWIN(stem, dir)                                                                         \
  {                                                                                                \
    stem##_##dir##_cpu, NULL                                                                       \
  }
#endif
/* The prototypes of one op's kernels, for its header. */
#define MR_KERNELS(stem)                                                                           \
  mr_status stem##_fwd_cpu(mr_backend *be, const mr_call *c);                                      \
  mr_status stem##_bwd_cpu(mr_backend *be, const mr_call *c);                                      \
  mr_status stem##_fwd_cuda(mr_backend *be, const mr_call *c);                                     \
  mr_status stem##_bwd_cuda(mr_backend *be, const mr_call *c)
MR_C_END
#endif
