/* mlp.h — perceptrons with two hidden layers of 64 tanh units, on one thread.
 * SPDX-License-Identifier: MIT
 *
 *   y [n,out] = tanh(tanh(x W1 + b1) W2 + b2) W3 + b3,  x [n,in]
 *
 * The parameters, and gradients in the same order, lie one behind the other: W1 [in,64], b1 [64],
 * W2 [64,64], b2 [64], W3 [64,out], b3 [out]. */
#ifndef MR_RL_MLP_H
#define MR_RL_MLP_H
#include "rng.h"
#include "shape.h"
MR_C_BEGIN

enum { MR_MLP_HIDDEN = 64 };

/* Numbers of parameters. */
int64_t mr_mlp_reals(int64_t in, int64_t out);
/* Orthogonal matrices, W1 and W2 times sqrt 2 and W3 times `gain`; biases 0. */
MR_MUST mr_status mr_mlp_init(mr_real *param, int64_t in, int64_t out, double gain, mr_rng *r);

typedef struct mr_mlp mr_mlp;
/* Room to compute with at most `rows` rows at once. */
MR_MUST mr_status mr_mlp_open(mr_mlp **out, int64_t in, int64_t out_dim, int64_t rows);
void mr_mlp_close(mr_mlp *m); /* NULL is fine */
/* Takes the parameters for what follows. */
void mr_mlp_load(mr_mlp *m, const mr_real *param);
/* y [n,out] of x [n,in]; keeps the hidden units for mr_mlp_backward. */
void mr_mlp_forward(mr_mlp *m, int64_t n, const mr_real *x, mr_real *y);
/* grad = derivative by every parameter of sum(dy * y), dy [n,out], at the x [n,in] of the last
 * mr_mlp_forward. */
void mr_mlp_backward(mr_mlp *m, int64_t n, const mr_real *x, const mr_real *dy, mr_real *grad);
MR_C_END
#endif
