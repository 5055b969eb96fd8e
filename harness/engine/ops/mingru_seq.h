/* mingru_seq.h — the fused minGRU sweep. SPDX-License-Identifier: MIT */
#ifndef MR_OP_MINGRU_SEQ_H
#define MR_OP_MINGRU_SEQ_H
#include "op.h"
MR_C_BEGIN
typedef struct mingru_seq_attr {
  int32_t form; /* mr_scan_form */
} mingru_seq_attr;
/* Inputs pre [B,T,2H] = [c, k], h0 [B,1,H] (optional); output h [B,T,H]. */
extern const mr_op mr_mingru_seq_op;
MR_KERNELS(mingru_seq);
MR_C_END
#endif
