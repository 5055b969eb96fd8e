/* minlstm.c — minLSTM (Feng et al. 2024, section 3.2), fused scan. SPDX-License-Identifier: MIT
 *
 *   f = sigmoid(W_f x), i = sigmoid(W_i x), normalised to f/(f+i), i/(f+i);  c = g(W_c x);
 *   h_t = f_t h_{t-1} + i_t c_t;  y = W_o h
 * Parameters: in.weight [3H,D] and in.bias [3H] in the order candidate, forget, input; out.weight
 * [D,H], out.bias [D]; h0 [H]. */
#include "minlstm_parts.h"

static const mr_opt opts[] = {
    MR_MINLSTM_OPTS,
    {"form", "linear", "linear|log", 0, 0, "space of the scan: linear, or log as published"},
};

static mr_val mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  const bool normalise = mr_option_is(c, "minlstm", "normalise", "1");
  const bool log_form = mr_option_is(c, "minlstm", "form", "log");
  mr_val pre = mr_minlstm_gates(t, d, x, mr_option_num(c, "minlstm", "forget_bias")); /* [B,T,3H] */
  mr_val h0 = mr_carry(st, 0, mr_initial_state(t, c, d, "h0", true));                 /* [B,1,H]  */
  mr_val h = mr_minlstm_seq(t, pre, h0, normalise, log_form ? MR_FORM_LOG : MR_FORM_LINEAR);
  mr_carry_last(t, st, 0, h);
  return mr_linear(t, h, "out", d.D); /* [B,T,D] */
}

MR_MODEL(minlstm) = {"minlstm", "minLSTM, fused scan", opts, 3, mixer, mr_state_h};
