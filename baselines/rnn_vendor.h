/* rnn_vendor.h — whole recurrent layers by oneDNN (CPU) and cuDNN (CUDA), input products included.
 * SPDX-License-Identifier: MIT
 *
 * Equations, gate order and weights are those of mr_gru_seq (reset after) and mr_lstm_seq in ops.h,
 * the weights being brought into the vendor's order and format in every call. On the CPU in single
 * precision, where the program was built with oneDNN (Debian's libdnnl-dev); on CUDA where cuDNN 9 is
 * found at run time. Otherwise the tape fails with MR_ERR_UNSUPPORTED and a sentence that names what
 * is missing. algo: cuDNN's algorithm (MR_VENDOR_ALGOS); of no effect on the CPU. */
#ifndef MR_RNN_VENDOR_H
#define MR_RNN_VENDOR_H
#include "tape.h"

#define MR_VENDOR_ALGOS "auto|standard|persist_static|persist_static_small_h|persist_dynamic"

/* x [B,T,D], w [3H,D], wb [3H], u [3H,H], ub [3H], h0 [B,1,H] or none -> h [B,T,H].  Reads all of
 * them.  Keeps what oneDNN calls workspace and cuDNN reserve. */
mr_val mr_gru_vendor(mr_tape *t, mr_val x, mr_val w, mr_val wb, mr_val u, mr_val ub, mr_val h0,
                     const char *algo);
/* x [B,T,D], w [4H,D], wb [4H], u [4H,H], h0 and c0 [B,1,H] or neither -> h [B,T,H];
 * mr_output(t, h, 1) is the last c [B,1,H].  Reads all of them.  Keeps the same. */
mr_val mr_lstm_vendor(mr_tape *t, mr_val x, mr_val w, mr_val wb, mr_val u, mr_val h0, mr_val c0,
                      const char *algo);
#endif
