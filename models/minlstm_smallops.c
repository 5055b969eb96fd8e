/* minlstm_smallops.c — minLSTM by the published log-space formula (appendix B), one op at a time, as
 * frameworks run it. Parameters and result are those of minlstm. SPDX-License-Identifier: MIT */
#include "log_scan.h"
#include "minlstm_parts.h"

static const mr_opt opts[] = {MR_MINLSTM_OPTS};

static mr_val mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  const bool normalise = mr_option_is(c, "minlstm_smallops", "normalise", "1");
  mr_val pre = mr_minlstm_gates(t, d, x, mr_option_num(c, "minlstm_smallops", "forget_bias"));
  mr_val v = mr_slice_last(t, pre, 0, d.H);
  mr_val kf = mr_slice_last(t, pre, d.H, d.H), ki = mr_slice_last(t, pre, 2 * d.H, d.H);
  mr_val log_f, log_i;
  if (normalise) {
    mr_val diff = mr_sub(t, mr_act(t, mr_scale(t, kf, -1), MR_SOFTPLUS),
                         mr_act(t, mr_scale(t, ki, -1), MR_SOFTPLUS));
    log_f = mr_neg_softplus(t, diff);
    log_i = mr_neg_softplus(t, mr_scale(t, diff, -1));
  } else {
    log_f = mr_neg_softplus(t, mr_scale(t, kf, -1));
    log_i = mr_neg_softplus(t, mr_scale(t, ki, -1));
  }
  mr_val log_b = mr_add(t, log_i, mr_act(t, v, MR_LOG_G));
  mr_val h0 = mr_carry(st, 0, mr_initial_state(t, c, d, "h0", true));
  mr_val h = mr_log_scan(t, log_f, log_b, h0);
  mr_carry_last(t, st, 0, h);
  return mr_linear(t, h, "out", d.D);
}

MR_MODEL(minlstm_smallops) = {
    "minlstm_smallops", "minLSTM, published log-space formula, unfused", opts, 2, mixer,
    mr_state_h};
