/* gru.c — GRU (Cho et al. 2014) over whole sequences, gates in the order r, z, n.
 * SPDX-License-Identifier: MIT
 *
 * Parameters: in.weight [3H,D], in.bias [3H]; u.weight [3H,H], u.bias [3H]; out.weight [D,H],
 * out.bias [D]; h0 [H]. */
#include <math.h>
#include "model.h"

static const mr_opt opts[] = {
    {"reset", "after", "after|before", 0, 0,
     "reset gate after (cuDNN, PyTorch) or before (the paper) the recurrent product"},
};

static mr_val mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  const bool before = mr_option_is(c, "gru", "reset", "before");
  const mr_init init = mr_init_uniform(1 / sqrt((double)d.H));
  mr_val xw = mr_linear(t, x, "in", 3 * d.H); /* [B,T,3H], one product for all T */
  mr_val u = mr_param(t, "u.weight", mr_shape2(3 * d.H, d.H), init);
  mr_val b = mr_param(t, "u.bias", mr_shape1(3 * d.H), init);
  mr_val h0 = mr_carry(st, 0, mr_initial_state(t, c, d, "h0", false));
  mr_val h = mr_gru_seq(t, xw, u, b, h0, before ? MR_RESET_BEFORE : MR_RESET_AFTER);
  mr_carry_last(t, st, 0, h);
  return mr_linear(t, h, "out", d.D); /* [B,T,D] */
}

MR_MODEL(gru) = {"gru", "GRU, whole-sequence fused cell", opts, 1, mixer, mr_state_h};
