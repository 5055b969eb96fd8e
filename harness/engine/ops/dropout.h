/* dropout.h — random zeroing: in x [N]; out [N]. SPDX-License-Identifier: MIT */
#ifndef MR_DROPOUT_H
#define MR_DROPOUT_H
#include "op.h"
MR_C_BEGIN

typedef struct dropout_attr {
  double p; /* probability of zeroing, 0 <= p < 1 */
} dropout_attr;

extern const mr_op mr_dropout_op;
MR_KERNELS(dropout);
MR_C_END
#endif
