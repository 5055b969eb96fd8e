/* linear.h — y = x W^T + b over rows. SPDX-License-Identifier: MIT */
#ifndef MR_OP_LINEAR_H
#define MR_OP_LINEAR_H
#include "op.h"
MR_C_BEGIN
/* Inputs x [N,K], weight [M,K], bias [M] (optional); output [N,M]. No attributes. */
extern const mr_op mr_linear_op;
MR_KERNELS(linear);
MR_C_END
#endif
