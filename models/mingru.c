/* mingru.c — minGRU (Feng et al. 2024, section 3.1), fused scan. SPDX-License-Identifier: MIT
 *
 *   z = sigmoid(W_z x);  c = g(W_c x);  h_t = (1 - z_t) h_{t-1} + z_t c_t;  y = W_o h
 * Parameters: in.weight [2H,D] and in.bias [2H] in the order candidate, gate; out.weight [D,H],
 * out.bias [D]; h0 [H]. */
#include "model.h"

static const mr_opt opts[] = {
    {"form", "linear", "linear|log", 0, 0, "space of the scan: linear, or log as published"},
};

static mr_val mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  const bool log_form = mr_option_is(c, "mingru", "form", "log");
  mr_val pre = mr_linear(t, x, "in", 2 * d.H);                        /* [B,T,2H] */
  mr_val h0 = mr_carry(st, 0, mr_initial_state(t, c, d, "h0", true)); /* [B,1,H]  */
  mr_val h = mr_mingru_seq(t, pre, h0, log_form ? MR_FORM_LOG : MR_FORM_LINEAR);
  mr_carry_last(t, st, 0, h);
  return mr_linear(t, h, "out", d.D); /* [B,T,D] */
}

MR_MODEL(mingru) = {"mingru", "minGRU, fused scan", opts, 1, mixer, mr_state_h};
