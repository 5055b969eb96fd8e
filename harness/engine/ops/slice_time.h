/* slice_time.h — steps from .. from + n - 1: in x [B,T,D]; out [B,n,D].
 * SPDX-License-Identifier: MIT */
#ifndef MR_SLICE_TIME_H
#define MR_SLICE_TIME_H
#include "op.h"
MR_C_BEGIN

typedef struct slice_time_attr {
  int64_t from, n;
} slice_time_attr;

extern const mr_op mr_slice_time_op;
MR_KERNELS(slice_time);
MR_C_END
#endif
