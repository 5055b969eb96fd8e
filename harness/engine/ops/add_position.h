/* add_position.h — x plus the rows of a table by step. SPDX-License-Identifier: MIT */
#ifndef MR_OP_ADD_POSITION_H
#define MR_OP_ADD_POSITION_H
#include "op.h"
MR_C_BEGIN
/* Inputs x [B,T,D], table [P,D], optional seen [B,1,1] (steps so far, NaN as 0); output [B,T,D]. */
extern const mr_op mr_add_position_op;
MR_KERNELS(add_position);
MR_C_END
#endif
