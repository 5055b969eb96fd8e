/* cumsum_time.c — running sum over steps, on the CPU. SPDX-License-Identifier: MIT */
#include "cumsum_time.h"
#include <string.h>
#include "op_util.h"
#include "ops.h"
#include "sweep.h"

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  (void)attr, (void)n_in;
  MR_CHECK(mr_rule_rank("cumsum_time", "x", &in[0], MR_REAL, 3));
  mr_rule_map(need, &in[0].shape, 1, 2, 1);
  mr_sweep_need(site, &in[0].shape, need);
  return MR_OK;
}

/* y_t = beta y_t + the sum of x up to t, over n channels of one sequence of width d, from the first
 * step on or from the last back. */
static void sweep(int64_t T, int64_t d, int64_t n, bool forward, const mr_real *restrict x,
                  mr_real beta, mr_real *restrict y)
{
  mr_real sum[MR_TILE];
  memset(sum, 0, sizeof sum);
  for (int64_t t = 0; t < T; t++) {
    const int64_t at = (forward ? t : T - 1 - t) * d;
    MR_SIMD
    for (int64_t i = 0; i < n; i++) {
      sum[i] += x[at + i];
      y[at + i] = mr_plus(beta, y[at + i], sum[i]);
    }
  }
}

static void sweep_all(mr_backend *be, const mr_shape *s, bool forward, const mr_real *x,
                      mr_real beta, mr_real *y)
{
  const int64_t T = s->dim[1], D = s->dim[2], lanes = s->dim[0] * D;
  (void)be;
  MR_PARALLEL(be, MR_WORTH(lanes * T))
  {
    int64_t from, to, n;
    mr_share(lanes, 16, mr_tid(), mr_team(), &from, &to);
    for (int64_t k = from; k < to; k += n) {
      const int64_t at = k / D * T * D + k % D;
      n = mr_tile(k, to, D);
      sweep(T, D, n, forward, x + at, beta, y + at);
    }
  }
}

mr_status cumsum_time_fwd_cpu(mr_backend *be, const mr_call *c)
{
  sweep_all(be, &c->out[0].shape, true, MR_IN(c, 0), 0, MR_OUT(c, 0));
  return MR_OK;
}

mr_status cumsum_time_bwd_cpu(mr_backend *be, const mr_call *c)
{
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  sweep_all(be, &c->dout[0].shape, false, MR_DOUT(c, 0), c->beta[0], MR_DIN(c, 0));
  return MR_OK;
}

const mr_op mr_cumsum_time_op = {
    "cumsum_time", 1, 1, 0, infer, MR_TWIN(cumsum_time, fwd), MR_TWIN(cumsum_time, bwd)};

mr_val mr_cumsum_time(mr_tape *t, mr_val x)
{
  return mr_apply(t, &mr_cumsum_time_op, NULL, &x, 1);
}
