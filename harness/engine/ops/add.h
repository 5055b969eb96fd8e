/* add.h — a + b, a - b and s * a: in a [N], b [N]; out [N]. SPDX-License-Identifier: MIT */
#ifndef MR_ADD_H
#define MR_ADD_H
#include "op.h"
MR_C_BEGIN

typedef struct scale_attr {
  double s;
} scale_attr;

extern const mr_op mr_add_op;
extern const mr_op mr_sub_op;
extern const mr_op mr_scale_op;
MR_KERNELS(add);
MR_KERNELS(sub);
MR_KERNELS(scale);
MR_C_END
#endif
