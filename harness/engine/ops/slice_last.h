/* slice_last.h — channels from .. from + n - 1: in x [N,D]; out [N,n].
 * SPDX-License-Identifier: MIT */
#ifndef MR_SLICE_LAST_H
#define MR_SLICE_LAST_H
#include "op.h"
MR_C_BEGIN

typedef struct slice_last_attr {
  int64_t from, n;
} slice_last_attr;

extern const mr_op mr_slice_last_op;
MR_KERNELS(slice_last);
MR_C_END
#endif
