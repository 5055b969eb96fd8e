/* softmax_xent.h — mean cross entropy: in logits [N,V], label [N]; out scalar.
 * SPDX-License-Identifier: MIT */
#ifndef MR_SOFTMAX_XENT_H
#define MR_SOFTMAX_XENT_H
#include "op.h"
MR_C_BEGIN

extern const mr_op mr_softmax_xent_op;
MR_KERNELS(softmax_xent);
MR_C_END
#endif
