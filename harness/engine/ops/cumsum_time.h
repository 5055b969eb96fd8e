/* cumsum_time.h — running sum over steps: in x [B,T,D]; out [B,T,D].
 * SPDX-License-Identifier: MIT */
#ifndef MR_CUMSUM_TIME_H
#define MR_CUMSUM_TIME_H
#include "op.h"
MR_C_BEGIN

extern const mr_op mr_cumsum_time_op;
MR_KERNELS(cumsum_time);
MR_C_END
#endif
