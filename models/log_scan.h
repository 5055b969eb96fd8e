/* log_scan.h — the scan in log space from cumulative sums (Heinsen 2023; paper, appendix B).
 * SPDX-License-Identifier: MIT */
#ifndef MR_LOG_SCAN_H
#define MR_LOG_SCAN_H
#include "model.h"

/* -log(1 + exp x) = log sigmoid(-x), [N] -> [N]. */
static inline mr_val mr_neg_softplus(mr_tape *t, mr_val x)
{
  return mr_scale(t, mr_act(t, x, MR_SOFTPLUS), -1);
}

/* h_t = a_t h_{t-1} + b_t from log a, log b [B,T,H] and h0 [B,1,H] >= 0 or none -> h [B,T,H]:
 *   A = cumsum(log a);  h = exp(A + logcumsumexp([log h0, log b - A])), step 0 dropped. */
static inline mr_val mr_log_scan(mr_tape *t, mr_val log_a, mr_val log_b, mr_val h0)
{
  const mr_shape s = mr_shape_of(t, log_b);
  mr_val sum = mr_cumsum_time(t, log_a);
  mr_val x = mr_sub(t, log_b, sum);
  if (h0.id != 0) {
    const mr_val both[] = {mr_act(t, h0, MR_LOG), x};
    x = mr_slice_time(t, mr_logcumsumexp_time(t, mr_concat_time(t, both, 2)), 1, s.dim[1]);
  } else {
    x = mr_logcumsumexp_time(t, x);
  }
  return mr_act(t, mr_add(t, sum, x), MR_EXP);
}
#endif
