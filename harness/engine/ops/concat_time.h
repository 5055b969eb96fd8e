/* concat_time.h — sequences one after the other: in any number of [B,T_i,D]; out [B,sum T_i,D].
 * SPDX-License-Identifier: MIT */
#ifndef MR_CONCAT_TIME_H
#define MR_CONCAT_TIME_H
#include "op.h"
MR_C_BEGIN

extern const mr_op mr_concat_time_op;
MR_KERNELS(concat_time);
MR_C_END
#endif
