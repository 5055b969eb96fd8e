/* rnn_vendor.h — whole recurrent layers by oneDNN (Debian's libdnnl-dev), input products included.
 * SPDX-License-Identifier: MIT
 *
 * Equations, gate order and weights are those of mr_gru_seq (reset after) and mr_lstm_seq in ops.h,
 * the weights being brought into oneDNN's order and format in every call. On the CPU in single
 * precision, and where the program was built with oneDNN; otherwise the tape fails with
 * MR_ERR_UNSUPPORTED and a sentence that names the package. */
#ifndef MR_RNN_VENDOR_H
#define MR_RNN_VENDOR_H
#include "tape.h"

/* x [B,T,D], w [3H,D], wb [3H], u [3H,H], ub [3H], h0 [B,1,H] or none -> h [B,T,H].  Reads all of
 * them.  Keeps what oneDNN calls its workspace. */
mr_val mr_gru_vendor(mr_tape *t, mr_val x, mr_val w, mr_val wb, mr_val u, mr_val ub, mr_val h0);
/* x [B,T,D], w [4H,D], wb [4H], u [4H,H], h0 and c0 [B,1,H] or neither -> h [B,T,H];
 * mr_output(t, h, 1) is the last c [B,1,H].  Reads all of them.  Keeps the workspace. */
mr_val mr_lstm_vendor(mr_tape *t, mr_val x, mr_val w, mr_val wb, mr_val u, mr_val h0, mr_val c0);
#endif
