/* act.h — activations: in x [N]; out [N]. SPDX-License-Identifier: MIT */
#ifndef MR_ACT_H
#define MR_ACT_H
#include "ops.h"
MR_C_BEGIN

typedef struct act_attr {
  mr_act_kind kind;
} act_attr;

extern const mr_op mr_act_op;
MR_KERNELS(act);
MR_C_END
#endif
