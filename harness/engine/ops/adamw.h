/* adamw.h — the optimizer's kernels: all parameters in one call, as a list of pieces.
 * SPDX-License-Identifier: MIT */
#ifndef MR_ADAMW_H
#define MR_ADAMW_H
#include "backend.h"
MR_C_BEGIN

/* Elements of a piece, but for the last one of each parameter. */
enum { MR_PIECE = 8192 };

/* A stretch of one parameter. The cut does not depend on the number of threads, so sums over pieces
 * do not either. */
typedef struct mr_piece {
  mr_real *value, *m, *v; /* [n] */
  const mr_real *grad;    /* [n] */
  int64_t n;
  double decay; /* weight decay per unit of learning rate; 0: none */
} mr_piece;

/* All parameters. */
typedef struct mr_pieces {
  mr_piece *piece; /* [n] */
  int64_t n;
  int64_t n_reals; /* elements of all pieces */
} mr_pieces;

/* One step, all numbers resolved. */
typedef struct mr_adamw {
  double lr, beta1, beta2, eps;
  double scale;            /* of the gradients, from the clip */
  double unbias1, unbias2; /* 1 / (1 - beta^t) */
} mr_adamw;

/* part[i] = sum of grad^2 over piece i, in double, part [n]; returns their sum. */
double mr_adamw_square_sum_cpu(mr_backend *be, const mr_pieces *all, double *part);
/* m <- b1 m + (1-b1) g; v <- b2 v + (1-b2) g^2;
 * value <- value - lr (decay value + u1 m / (sqrt(u2 v) + eps)), with g = scale * grad. */
void mr_adamw_step_cpu(mr_backend *be, const mr_pieces *all, const mr_adamw *a);

/* ---- CUDA: the same without the host, which neither reads the norm nor decides on the step ---- */

/* Of the step to come; the host uploads it. */
typedef struct mr_adamw_in {
  mr_adamw a;   /* scale is not read                */
  double clip;  /* bound of the norm; 0: none       */
  int64_t step; /* its number, for mr_adamw_out.bad */
} mr_adamw_in;

/* Of the last step; the device writes it. */
typedef struct mr_adamw_out {
  double norm;  /* of the gradients before the clip                                              */
  double scale; /* min(1, clip / (norm + 1e-6)), or 1 without a clip                             */
  int64_t bad;  /* number of the first step whose norm was not finite; -1: none so far           */
} mr_adamw_out;

/* all->piece, part [all->n], in and out are device memory. Norm and scale into out; bad is set when it
 * is -1 and the norm is not finite. part and the sum over it have a fixed order. */
MR_MUST mr_status mr_adamw_norm_cuda(mr_backend *be, const mr_pieces *all, double *part,
                                     const mr_adamw_in *in, mr_adamw_out *out);
/* The update, unless out->bad >= 0: then parameters and moments stay those of the last good step. */
MR_MUST mr_status mr_adamw_step_cuda(mr_backend *be, const mr_pieces *all, const mr_adamw_in *in,
                                     const mr_adamw_out *out);
MR_C_END
#endif
