/* layernorm.h — rows to mean 0 and variance 1: in x [N,D], gain [D], bias [D]; out [N,D]; keeps mean
 * [N], 1/deviation [N]. SPDX-License-Identifier: MIT */
#ifndef MR_LAYERNORM_H
#define MR_LAYERNORM_H
#include "op.h"
MR_C_BEGIN

extern const mr_op mr_layernorm_op;
MR_KERNELS(layernorm);
MR_C_END
#endif
