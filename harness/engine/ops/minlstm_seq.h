/* minlstm_seq.h — the fused minLSTM sweep. SPDX-License-Identifier: MIT */
#ifndef MR_OP_MINLSTM_SEQ_H
#define MR_OP_MINLSTM_SEQ_H
#include "op.h"
MR_C_BEGIN
typedef struct minlstm_seq_attr {
  int32_t normalise, form; /* 0 or 1; mr_scan_form */
} minlstm_seq_attr;
/* Inputs pre [B,T,3H] = [c, k_f, k_i], h0 [B,1,H] (optional); output h [B,T,H]. */
extern const mr_op mr_minlstm_seq_op;
MR_KERNELS(minlstm_seq);
MR_C_END
#endif
