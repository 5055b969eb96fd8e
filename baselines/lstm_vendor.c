/* lstm_vendor.c — LSTM by oneDNN (CPU) or cuDNN (CUDA). SPDX-License-Identifier: MIT
 *
 * Parameters and result are those of lstm: in.weight [4H,D], in.bias [4H]; u.weight [4H,H], in the
 * order i, f, g, o; out.weight [D,H], out.bias [D]; h0, c0 [H]. */
#include <math.h>
#include "model.h"
#include "rnn_vendor.h"

static const mr_opt opts[] = {
    {"algo", "auto", MR_VENDOR_ALGOS, 0, 0,
     "algorithm of cuDNN; auto: the first that works of small_h, static, dynamic, standard"},
};

static mr_val mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  const mr_init in = mr_init_uniform(1 / sqrt((double)d.D)),
                rec = mr_init_uniform(1 / sqrt((double)d.H));
  mr_val w = mr_param(t, "in.weight", mr_shape2(4 * d.H, d.D), in);
  mr_val wb = mr_param(t, "in.bias", mr_shape1(4 * d.H), in);
  mr_val u = mr_param(t, "u.weight", mr_shape2(4 * d.H, d.H), rec);
  mr_val h0 = mr_carry(st, 0, mr_initial_state(t, c, d, "h0", false));
  mr_val c0 = mr_carry(st, 1, mr_initial_state(t, c, d, "c0", false));
  mr_val h = mr_lstm_vendor(t, x, w, wb, u, h0, c0, mr_option_text(c, "lstm_vendor", "algo"));
  mr_carry_last(t, st, 0, h);
  if (st != NULL) st->out[1] = mr_output(t, h, 1);
  return mr_linear(t, h, "out", d.D); /* [B,T,D] */
}

MR_MODEL(lstm_vendor) = {.name = "lstm_vendor",
                         .summary = "LSTM of oneDNN (CPU) or cuDNN (CUDA)",
                         .opts = opts,
                         .n_opts = 1,
                         .mixer = mixer,
                         .state = mr_state_hc,
                         .twin = "lstm"};
