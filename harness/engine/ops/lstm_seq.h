/* lstm_seq.h — LSTM over whole sequences. SPDX-License-Identifier: MIT */
#ifndef MR_OP_LSTM_SEQ_H
#define MR_OP_LSTM_SEQ_H
#include "op.h"
MR_C_BEGIN
/* Inputs xw [B,T,4H], u [4H,H], h0 and c0 [B,1,H] (optional); outputs h, c [B,T,H].
 * Saved: [B,T,4H], the gates i, f, g, o. No attributes. */
extern const mr_op mr_lstm_seq_op;
MR_KERNELS(lstm_seq);
MR_C_END
#endif
