/* shift.h — x + s: in x [N]; out [N]. SPDX-License-Identifier: MIT */
#ifndef MR_OP_SHIFT_H
#define MR_OP_SHIFT_H
#include "op.h"
MR_C_BEGIN
typedef struct shift_attr {
  double s;
} shift_attr;
extern const mr_op mr_shift_op;
MR_KERNELS(shift);
MR_C_END
#endif
