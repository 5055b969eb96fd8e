/* backend.h — one device, one stream, one BLAS. SPDX-License-Identifier: MIT */
#ifndef MR_BACKEND_H
#define MR_BACKEND_H
#include "shape.h"
MR_C_BEGIN

typedef enum mr_device { MR_CPU, MR_CUDA, MR_N_DEVICES } mr_device;
typedef struct mr_backend mr_backend;

/* What the inputs of matrix products are rounded to; sums are kept in f32. The double build computes
 * in double throughout. */
typedef enum mr_math { MR_MATH_F32, MR_MATH_TF32, MR_MATH_BF16 } mr_math;

/* C[m,n] = beta C + alpha op(A)[m,k] op(B)[k,n], row-major. ld* count elements. */
typedef struct mr_gemm {
  int64_t m, n, k;
  bool trans_a, trans_b;
  mr_real alpha, beta;
  const mr_real *a;
  int64_t lda;
  const mr_real *b;
  int64_t ldb;
  mr_real *c;
  int64_t ldc;
  bool packed; /* CPU, one thread: b holds panels, see panel.h            */
  /* CUDA: [n], added to every row of C; NULL: none. There is no activation: of cuBLASLt's epilogues GELU
   * is the form with tanh, where ours has erf, and no model has a ReLU behind a product. */
  const mr_real *bias;
} mr_gemm;

typedef struct mr_graph mr_graph;

typedef struct mr_device_mem {
  int64_t used_bytes, peak_bytes, total_bytes;
} mr_device_mem;

/* Work is queued in order on one stream. Only download, elapsed and sync wait. Pointers are device
 * memory unless the name says host. */
typedef struct mr_backend_api {
  const char *name;                                             /* "cpu", "cuda" */
  mr_status (*alloc)(mr_backend *be, size_t bytes, void **out); /* 256-byte aligned */
  void (*release)(mr_backend *be, void *p);                     /* NULL is fine     */
  mr_status (*upload)(mr_backend *be, void *dst, const void *host, size_t bytes);
  mr_status (*download)(mr_backend *be, void *host, const void *src, size_t bytes);
  mr_status (*copy)(mr_backend *be, void *dst, const void *src, size_t bytes);
  mr_status (*fill)(mr_backend *be, void *dst, unsigned char byte, size_t bytes);
  mr_status (*gemm)(mr_backend *be, const mr_gemm *g); /* uses all threads of the device */
  mr_status (*mark)(mr_backend *be, int slot);         /* time mark, in stream order, slot 0..15 */
  mr_status (*elapsed)(mr_backend *be, int from, int to, double *ns);
  mr_status (*sync)(mr_backend *be);
  mr_status (*mem)(mr_backend *be, mr_device_mem *out); /* asks the device, not us; CPU: RSS */
  void (*close)(mr_backend *be);
  /* n rows of `bytes` each; dst and src step by their own pitch, in bytes. */
  mr_status (*copy_rows)(mr_backend *be, void *dst, size_t dst_pitch, const void *src,
                         size_t src_pitch, size_t bytes, int64_t n);
  /* Work queued between begin and end is recorded, not done; upload, download, elapsed and sync are
   * refused meanwhile. launch does all of it, any number of times. NULL on the CPU. */
  mr_status (*capture_begin)(mr_backend *be);
  mr_status (*capture_end)(mr_backend *be, mr_graph **out); /* also after a failure in between */
  mr_status (*launch)(mr_backend *be, mr_graph *g);
  void (*free_graph)(mr_backend *be, mr_graph *g); /* NULL is fine */
} mr_backend_api;

/* For the log. */
typedef struct mr_gpu {
  char name[256];
  char capability[16];          /* "9.0" */
  char driver[16], runtime[16]; /* CUDA versions, "13.0" */
  char blas[32];                /* version of cuBLASLt */
} mr_gpu;

struct mr_backend {
  const mr_backend_api *api;
  mr_device device;
  int threads;             /* CPU threads of products and kernels; 1 on CUDA              */
  int sm_count;            /* CUDA: multiprocessors; 0 on the CPU                         */
  int shared_limit;        /* CUDA: bytes of shared memory a block may ask for            */
  mr_math math;            /* of products                                                 */
  int64_t f32_products;    /* CUDA: kinds of product that had no kernel for `math` so far */
  int64_t workspace_bytes; /* CUDA: what products work in, taken when opened              */
  const char *binding;     /* how threads are tied to cores, for the log                  */
  const mr_gpu *gpu;       /* NULL on the CPU                                             */
};

/* True where this program has kernels for the device, be there one or not. */
bool mr_backend_built(mr_device dev);
/* Opens device `dev` with `threads` CPU threads (0: every core this process may use). Threads are
 * pinned, one per core, when they fill the process's cores. Fails with MR_ERR_UNSUPPORTED where this
 * build or machine lacks the device. On success *out owns the device until mr_backend_close. */
MR_MUST mr_status mr_backend_open(mr_backend **out, mr_device dev, int threads);
void mr_backend_close(mr_backend *be); /* NULL is fine */
/* The math of products from now on; f32 at first, and always on the CPU: MR_ERR_UNSUPPORTED. */
MR_MUST mr_status mr_backend_set_math(mr_backend *be, mr_math math);

/* Records what queue(ctx) queues; *out is NULL after a failure. Only for a backend with capture_begin. */
MR_MUST mr_status mr_backend_capture(mr_backend *be, mr_status (*queue)(void *ctx), void *ctx,
                                     mr_graph **out);

/* ---- CPU only ------------------------------------------------------------------------------- */

/* One product on the calling thread; kernels call it inside their own parallel regions. */
void mr_cpu_gemm(mr_backend *be, const mr_gemm *g);

/* Recording of the products of a piece of work, so that they can be replayed alone: the GEMM floor
 * of a kernel, with the same calls on the same threads and memory. begin() forgets what was
 * recorded; replay() runs the recorded calls of all threads side by side. Recording slows calls a
 * little and must not be on while timing. */
MR_MUST mr_status mr_cpu_trace_begin(mr_backend *be);
MR_MUST mr_status mr_cpu_trace_end(mr_backend *be, int64_t *n_calls, double *flops);
MR_MUST mr_status mr_cpu_trace_replay(mr_backend *be);
/* Exchanges what was recorded with what the caller keeps (*kept NULL: nothing yet), so that several
 * recordings can be replayed in turn. Release with mr_cpu_trace_free, before the backend. */
typedef struct mr_trace mr_trace;
MR_MUST mr_status mr_cpu_trace_swap(mr_backend *be, mr_trace **kept);
void mr_cpu_trace_free(mr_backend *be, mr_trace *kept); /* NULL is fine */

/* The share [*from, *to) of 0..n that thread `tid` of `threads` takes: contiguous, as even as the
 * granule allows (every bound but the last is a multiple of `granule`). */
void mr_share(int64_t n, int64_t granule, int tid, int threads, int64_t *from, int64_t *to);
MR_C_END

/* A parallel region over the backend's threads when `worth` holds; one thread otherwise. Inside,
 * mr_tid() and mr_team() give rank and size. */
#define MR_PRAGMA(x) _Pragma(#x)
#ifdef _OPENMP
#include <omp.h>
#define MR_PARALLEL(be, worth) MR_PRAGMA(omp parallel num_threads((be)->threads) if (worth))
#define MR_PARALLEL_FOR(be, worth)                                                                 \
  MR_PRAGMA(omp parallel for schedule(static) num_threads((be)->threads) if (worth))
#define mr_tid()   omp_get_thread_num()
#define mr_team()  omp_get_num_threads()
#define MR_BARRIER MR_PRAGMA(omp barrier)
#else
#define MR_PARALLEL(be, worth)
#define MR_PARALLEL_FOR(be, worth)
#define mr_tid()  0
#define mr_team() 1
#define MR_BARRIER
#endif
/* Elements below which a second thread costs more than it brings. */
#define MR_WORTH(n) ((n) >= 16384)
#endif
