/* conv1d.h — causal depthwise convolution: in x [B,T,D], tail [B,K-1,D] or none, weight [D,K], bias
 * [D]; out [B,T,D]. SPDX-License-Identifier: MIT */
#ifndef MR_CONV1D_H
#define MR_CONV1D_H
#include "op.h"
MR_C_BEGIN

extern const mr_op mr_conv1d_op;
MR_KERNELS(conv1d);
MR_C_END
#endif
