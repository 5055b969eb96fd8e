/* gru_vendor.c — GRU by oneDNN (CPU) or cuDNN (CUDA), that is gru with reset after.
 * SPDX-License-Identifier: MIT
 *
 * Parameters and result are those of gru: in.weight [3H,D], in.bias [3H]; u.weight [3H,H],
 * u.bias [3H], in the order r, z, n; out.weight [D,H], out.bias [D]; h0 [H]. */
#include <math.h>
#include "model.h"
#include "rnn_vendor.h"

static const mr_opt opts[] = {
    {"algo", "auto", MR_VENDOR_ALGOS, 0, 0,
     "algorithm of cuDNN; auto: the first that works of small_h, dynamic, standard"},
};

static mr_val mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  const mr_init in = mr_init_uniform(1 / sqrt((double)d.D)),
                rec = mr_init_uniform(1 / sqrt((double)d.H));
  mr_val w = mr_param(t, "in.weight", mr_shape2(3 * d.H, d.D), in);
  mr_val wb = mr_param(t, "in.bias", mr_shape1(3 * d.H), in);
  mr_val u = mr_param(t, "u.weight", mr_shape2(3 * d.H, d.H), rec);
  mr_val ub = mr_param(t, "u.bias", mr_shape1(3 * d.H), rec);
  mr_val h0 = mr_carry(st, 0, mr_initial_state(t, c, d, "h0", false));
  mr_val h = mr_gru_vendor(t, x, w, wb, u, ub, h0, mr_option_text(c, "gru_vendor", "algo"));
  mr_carry_last(t, st, 0, h);
  return mr_linear(t, h, "out", d.D); /* [B,T,D] */
}

MR_MODEL(gru_vendor) = {.name = "gru_vendor",
                        .summary = "GRU of oneDNN (CPU) or cuDNN (CUDA)",
                        .opts = opts,
                        .n_opts = 1,
                        .mixer = mixer,
                        .state = mr_state_h,
                        .twin = "gru"};
