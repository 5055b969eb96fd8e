/* mse.h — weighted mean of squares: in y [N,D], target [N,D], w [N]; out scalar.
 * SPDX-License-Identifier: MIT */
#ifndef MR_MSE_H
#define MR_MSE_H
#include "op.h"
MR_C_BEGIN

extern const mr_op mr_mse_op;
MR_KERNELS(mse);
MR_C_END
#endif
