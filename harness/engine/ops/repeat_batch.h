/* repeat_batch.h — one row for every sequence: in v [D]; out [B,1,D].
 * SPDX-License-Identifier: MIT */
#ifndef MR_REPEAT_BATCH_H
#define MR_REPEAT_BATCH_H
#include "op.h"
MR_C_BEGIN

typedef struct repeat_batch_attr {
  int64_t batch;
} repeat_batch_attr;

extern const mr_op mr_repeat_batch_op;
MR_KERNELS(repeat_batch);
MR_C_END
#endif
