/* lstm.c — LSTM (Hochreiter & Schmidhuber 1997) over whole sequences, gates in the order i, f, g, o.
 * SPDX-License-Identifier: MIT
 *
 * Parameters: in.weight [4H,D], in.bias [4H]; u.weight [4H,H]; out.weight [D,H], out.bias [D];
 * h0, c0 [H]. */
#include <math.h>
#include "model.h"

static mr_val mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  mr_val xw = mr_linear(t, x, "in", 4 * d.H); /* [B,T,4H], one product for all T */
  mr_val u =
      mr_param(t, "u.weight", mr_shape2(4 * d.H, d.H), mr_init_uniform(1 / sqrt((double)d.H)));
  mr_val h0 = mr_carry(st, 0, mr_initial_state(t, c, d, "h0", false));
  mr_val c0 = mr_carry(st, 1, mr_initial_state(t, c, d, "c0", false));
  mr_val h = mr_lstm_seq(t, xw, u, h0, c0);
  mr_carry_last(t, st, 0, h);
  mr_carry_last(t, st, 1, mr_output(t, h, 1));
  return mr_linear(t, h, "out", d.D); /* [B,T,D] */
}

MR_MODEL(lstm) = {"lstm", "LSTM, whole-sequence fused cell", NULL, 0, mixer, mr_state_hc};
