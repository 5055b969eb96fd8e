/* tape.h — record once, plan once, run many times. SPDX-License-Identifier: MIT */
#ifndef MR_TAPE_H
#define MR_TAPE_H
#include "op.h"
MR_C_BEGIN

typedef struct mr_tape mr_tape;
typedef struct mr_val {
  int32_t id; /* 0: no value */
} mr_val;

/* How a parameter starts. */
typedef enum mr_init_kind {
  MR_INIT_CONST,
  MR_INIT_UNIFORM,
  MR_INIT_NORMAL,
  MR_INIT_LOG_INDEX, /* log 1, log 2, .. log scale along each row of `scale` elements           */
  MR_INIT_STEP       /* softplus of it is spread log-uniformly over scale .. 100 scale          */
} mr_init_kind;
typedef struct mr_init {
  mr_init_kind kind;
  double scale; /* constant, bound (+-scale), standard deviation, or as said above */
  double shift; /* added to elements shift_from .. shift_from + shift_n - 1      */
  int64_t shift_from, shift_n;
} mr_init;
mr_init mr_init_const(double value);
mr_init mr_init_uniform(double bound);
mr_init mr_init_normal(double deviation);
mr_init mr_init_log_index(int64_t cols);
mr_init mr_init_step(double least);

typedef struct mr_plan_report { /* bytes unless said otherwise */
  int64_t params, grads;
  int64_t acts_saved; /* live at the turn from forward to backward             */
  int64_t acts_peak;  /* the activation slab                                   */
  int64_t acts_bound; /* most bytes live at one moment: the lower bound        */
  int64_t workspace; /* of products (not of the slab) and of the op that wants most (of the slab) */
  int32_t nodes;     /* recorded ops                                          */
  int32_t launches;  /* kernel calls of one forward and backward              */
  int64_t n_params;  /* trainable numbers                                     */
  double flops;      /* of one forward                                        */
} mr_plan_report;

/* A parameter as optimizer, checkpoint and tests see it: value and gradient have one shape. */
typedef struct mr_slot {
  const char *name; /* "block.0.mixer.in.weight" */
  mr_view value, grad;
  bool decays; /* false after mr_no_decay */
} mr_slot;

MR_MUST mr_status mr_tape_create(mr_tape **out, mr_backend *be, uint64_t seed); /* borrows be */
void mr_tape_destroy(mr_tape *t);                                               /* NULL is fine */
/* From now on parameters come from `owner` by name, same shape, instead of being made: a second tape
 * over one set of weights (another T, recurrent mode). The owner must be allocated before t is and
 * destroyed after it. */
void mr_tape_borrow(mr_tape *t, const mr_tape *owner);

/* ---- Recording. Errors stick: after the first, builders return id 0 and do nothing;
 * mr_tape_plan reports it. Authors need no checks. ------------------------------------------- */
mr_val mr_input(mr_tape *t, const char *name, mr_shape s, mr_dtype d);
mr_val mr_param(mr_tape *t, const char *name, mr_shape s, mr_init init);
/* Applies op to n_in values; id 0 stands for an optional input not given. Returns output 0. */
mr_val mr_apply(mr_tape *t, const mr_op *op, const void *attr, const mr_val *in, int n_in);
/* Output i of the node that made v. */
mr_val mr_output(mr_tape *t, mr_val v, int i);
void mr_no_decay(mr_tape *t, mr_val param);
/* Keeps v readable from the end of forward until backward starts. */
void mr_keep(mr_tape *t, mr_val v);
void mr_scope_push(mr_tape *t, const char *name, int index); /* index < 0: none; "block.3." */
void mr_scope_pop(mr_tape *t);
mr_shape mr_shape_of(const mr_tape *t, mr_val v); /* rank 0 after an error */
/* Lets an author refuse: the sentence sticks like any other error. */
void mr_tape_fail(mr_tape *t, mr_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- Plan. Pure: nothing is allocated on the device. Root is the value whose gradient starts the
 * backward pass: a scalar loss (gradient 1), or any value whose gradient the caller uploads. ---- */
MR_MUST mr_status mr_tape_plan(mr_tape *t, mr_val root, bool train, mr_plan_report *rep);
/* Allocates the slabs and gives parameters their initial values. */
MR_MUST mr_status mr_tape_alloc(mr_tape *t);
/* What node i of the planned step is and holds. */
typedef struct mr_node_info {
  const char *scope, *op;                     /* "block.0.mixer.", "linear"; as long as the tape */
  const char *variant;                        /* which kernel of the op; NULL: there is one */
  int64_t out_bytes, saved_bytes, work_bytes; /* work: of the larger pass    */
  double flops, bytes;                        /* of one forward call         */
} mr_node_info;
MR_MUST mr_status mr_tape_node(const mr_tape *t, int32_t i, mr_node_info *out);
/* The step as a table: node, op, shapes, buffers with live ranges and offsets. */
MR_MUST mr_status mr_tape_dump(const mr_tape *t, const char *path);

/* ---- Running. No allocation, fixed shapes. -------------------------------------------------- */
mr_val mr_tape_find(const mr_tape *t, const char *name); /* input or parameter; id 0: none */
MR_MUST mr_status mr_tape_view(const mr_tape *t, mr_val v, mr_view *out);
/* Gradient memory of the root, to be filled before backward when it is no scalar; and of inputs'
 * consumers in tests. */
MR_MUST mr_status mr_tape_grad_view(const mr_tape *t, mr_val v, mr_view *out);
MR_MUST mr_status mr_tape_slots(const mr_tape *t, const mr_slot **slots, int *n);
/* Sets the counter and mode that the next forward and backward see. */
MR_MUST mr_status mr_tape_tick(mr_tape *t, uint64_t step, bool training);
MR_MUST mr_status mr_tape_forward(mr_tape *t);
/* Parameter gradients = beta * gradients + those of `scale` * root. beta 0 or 1. */
MR_MUST mr_status mr_tape_backward(mr_tape *t, mr_real beta, mr_real scale);
/* Fills every buffer with NaN before it is first written: undeclared reads show. For tests. */
void mr_tape_poison(mr_tape *t, bool on);
/* Time of every kernel call of the next forward / backward, summed by op, by device marks. */
typedef struct mr_op_time {
  const char *op;
  bool backward;
  int64_t calls;
  double ns, flops, bytes;
} mr_op_time;
/* Runs one forward and (if planned for training) one backward with a mark round each call. Fills at
 * most *n rows and sets *n. before(ctx), NULL: nothing, queues other work in front of each call: a
 * device's first mark would else stand before the launch has reached it. */
MR_MUST mr_status mr_tape_profile(mr_tape *t, mr_status (*before)(void *ctx), void *ctx,
                                  mr_op_time *rows, int *n);
MR_C_END
#endif
