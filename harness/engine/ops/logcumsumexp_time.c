/* logcumsumexp_time.c — log of the running sum of exponentials, on the CPU.
 * SPDX-License-Identifier: MIT */
#include "logcumsumexp_time.h"
#include <string.h>
#include "op_util.h"
#include "ops.h"
#include "scalar.h"
#include "sweep.h"

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  (void)attr, (void)n_in;
  MR_CHECK(mr_rule_rank("logcumsumexp_time", "x", &in[0], MR_REAL, 3));
  mr_rule_map(need, &in[0].shape, 32, 2, 32);
  need->reads_in = 1;
  need->reads_out = 1;
  need->overwrites = 1;
  mr_sweep_need(site, &in[0].shape, need);
  return MR_OK;
}

static void sweep_forward(int64_t T, int64_t d, int64_t n, const mr_real *restrict x,
                          mr_real *restrict y)
{
  memcpy(y, x, (size_t)n * sizeof *y);
  for (int64_t t = 1; t < T; t++) {
    MR_SIMD
    for (int64_t i = 0; i < n; i++) y[t * d + i] = mr_logaddexp1(y[(t - 1) * d + i], x[t * d + i]);
  }
}

/* exp(a - b), where both may be the same infinity. */
static inline mr_real ratio(mr_real a, mr_real b)
{
  return mr_exp1(a == b ? 0 : a - b);
}

/* s_t = dy_t + exp(y_t - y_{t+1}) s_{t+1};  dx_t = exp(x_t - y_t) s_t: no exponent is above 0.
 * dx may be x. */
static void sweep_backward(int64_t T, int64_t d, int64_t n, const mr_real *x, const mr_real *y,
                           const mr_real *dy, mr_real beta, mr_real *dx)
{
  mr_real s[MR_TILE], later[MR_TILE]; /* later: y_{t+1} */
  memset(s, 0, sizeof s);
  memcpy(later, y + (T - 1) * d, (size_t)n * sizeof *y);
  for (int64_t t = T - 1; t >= 0; t--) {
    const mr_real *xt = x + t * d, *yt = y + t * d, *dyt = dy + t * d;
    mr_real *dxt = dx + t * d;
    MR_SIMD
    for (int64_t i = 0; i < n; i++) {
      s[i] = dyt[i] + ratio(yt[i], later[i]) * s[i];
      later[i] = yt[i];
      dxt[i] = mr_plus(beta, dxt[i], ratio(xt[i], yt[i]) * s[i]);
    }
  }
}

mr_status logcumsumexp_time_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const mr_shape *s = &c->out[0].shape;
  const int64_t T = s->dim[1], D = s->dim[2], lanes = s->dim[0] * D;
  (void)be;
  MR_PARALLEL(be, MR_WORTH(lanes * T))
  {
    int64_t from, to, n;
    mr_share(lanes, 16, mr_tid(), mr_team(), &from, &to);
    for (int64_t k = from; k < to; k += n) {
      const int64_t at = k / D * T * D + k % D;
      n = mr_tile(k, to, D);
      sweep_forward(T, D, n, MR_IN(c, 0) + at, MR_OUT(c, 0) + at);
    }
  }
  return MR_OK;
}

mr_status logcumsumexp_time_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const mr_shape *s = &c->dout[0].shape;
  const int64_t T = s->dim[1], D = s->dim[2], lanes = s->dim[0] * D;
  (void)be;
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  MR_PARALLEL(be, MR_WORTH(lanes * T))
  {
    int64_t from, to, n;
    mr_share(lanes, 16, mr_tid(), mr_team(), &from, &to);
    for (int64_t k = from; k < to; k += n) {
      const int64_t at = k / D * T * D + k % D;
      n = mr_tile(k, to, D);
      sweep_backward(T, D, n, MR_IN(c, 0) + at, MR_OUT(c, 0) + at, MR_DOUT(c, 0) + at, c->beta[0],
                     MR_DIN(c, 0) + at);
    }
  }
  return MR_OK;
}

const mr_op mr_logcumsumexp_time_op = {"logcumsumexp_time",
                                       1,
                                       1,
                                       0,
                                       infer,
                                       MR_TWIN(logcumsumexp_time, fwd),
                                       MR_TWIN(logcumsumexp_time, bwd)};

mr_val mr_logcumsumexp_time(mr_tape *t, mr_val x)
{
  return mr_apply(t, &mr_logcumsumexp_time_op, NULL, &x, 1);
}
