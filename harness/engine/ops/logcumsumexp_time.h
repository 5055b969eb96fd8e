/* logcumsumexp_time.h — log of the running sum of exponentials over steps: in x [B,T,D]; out [B,T,D].
 * SPDX-License-Identifier: MIT */
#ifndef MR_LOGCUMSUMEXP_TIME_H
#define MR_LOGCUMSUMEXP_TIME_H
#include "op.h"
MR_C_BEGIN

extern const mr_op mr_logcumsumexp_time_op;
MR_KERNELS(logcumsumexp_time);
MR_C_END
#endif
