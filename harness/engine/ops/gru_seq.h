/* gru_seq.h — GRU over whole sequences. SPDX-License-Identifier: MIT */
#ifndef MR_OP_GRU_SEQ_H
#define MR_OP_GRU_SEQ_H
#include "op.h"
MR_C_BEGIN
typedef struct gru_seq_attr {
  int32_t reset; /* mr_gru_reset */
} gru_seq_attr;
/* Inputs xw [B,T,3H], u [3H,H], b [3H], h0 [B,1,H] (optional); output h [B,T,H].
 * Saved: [B,T,S,H], S = 4 (r, z, n, U_n h + b_n) reset after, 3 (r, z, n) before. */
extern const mr_op mr_gru_seq_op;
MR_KERNELS(gru_seq);
MR_C_END
#endif
