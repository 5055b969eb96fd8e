/* mingru_smallops.c — minGRU by the published log-space formula (appendix B), one op at a time, as
 * frameworks run it. Parameters and result are those of mingru. SPDX-License-Identifier: MIT */
#include "log_scan.h"

static mr_val mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  mr_val pre = mr_linear(t, x, "in", 2 * d.H);
  mr_val v = mr_slice_last(t, pre, 0, d.H), k = mr_slice_last(t, pre, d.H, d.H);
  mr_val log_z = mr_neg_softplus(t, mr_scale(t, k, -1)); /* log sigmoid(k)       */
  mr_val log_keep = mr_neg_softplus(t, k);               /* log (1 - sigmoid(k)) */
  mr_val log_b = mr_add(t, log_z, mr_act(t, v, MR_LOG_G));
  mr_val h0 = mr_carry(st, 0, mr_initial_state(t, c, d, "h0", true));
  mr_val h = mr_log_scan(t, log_keep, log_b, h0);
  mr_carry_last(t, st, 0, h);
  return mr_linear(t, h, "out", d.D);
}

MR_MODEL(mingru_smallops) = {
    "mingru_smallops", "minGRU, published log-space formula, unfused", NULL, 0, mixer, mr_state_h};
