/* geglu.h — gated GELU: in x = [a, b] [N,2F]; out a * gelu(b) [N,F].
 * SPDX-License-Identifier: MIT */
#ifndef MR_GEGLU_H
#define MR_GEGLU_H
#include "op.h"
MR_C_BEGIN

extern const mr_op mr_geglu_op;
MR_KERNELS(geglu);
MR_C_END
#endif
