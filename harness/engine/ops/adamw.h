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
MR_C_END
#endif
