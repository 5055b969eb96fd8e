/* mul.h — a * b: in a [N], b [N]; out [N]. SPDX-License-Identifier: MIT */
#ifndef MR_MUL_H
#define MR_MUL_H
#include "op.h"
MR_C_BEGIN

extern const mr_op mr_mul_op;
MR_KERNELS(mul);
MR_C_END
#endif
