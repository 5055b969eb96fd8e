/* mingru_seq.c — the fused minGRU sweep on the CPU. SPDX-License-Identifier: MIT
 *
 *   z = sigmoid(k);  h_t = h_{t-1} + z_t (g(c_t) - h_{t-1})
 * Three passes over memory forward, six backward; gates are recomputed in backward, so nothing is
 * saved. Vector lanes run over channels. */
#include "mingru_seq.h"
#include "ops.h"
#include "scalar.h"
#include "sweep.h"

static mr_status mingru_seq_infer(const void *attr, const mr_view *in, int32_t n_in,
                                  const mr_site *site, mr_need *need)
{
  (void)attr;
  return mr_sweep_infer("mingru_seq", in, n_in, 2, site, need);
}

static void linear_space(const mr_sweep *s)
{
  mr_real state[MR_SWEEP_TILE];
  for (int64_t j = 0; j < s->n; j++) state[j] = s->h0 != NULL ? s->h0[j] : 0;
  for (int64_t t = 0; t < s->T; t++) {
    const mr_real *v = s->pre + t * 2 * s->H, *k = v + s->H;
    mr_real *h = s->h + t * s->H;
    mr_sweep_fetch(s, t + MR_SWEEP_AHEAD, false);
    MR_SIMD
    for (int64_t j = 0; j < s->n; j++)
      h[j] = state[j] += mr_sigmoid1(k[j]) * (mr_g1(v[j]) - state[j]);
  }
}

/* log h_t = logaddexp(log(1-z) + log h_{t-1}, log z + log g(c)) (paper, appendix B). */
static void log_space(const mr_sweep *s)
{
  mr_real state[MR_SWEEP_TILE];
  for (int64_t j = 0; j < s->n; j++) state[j] = mr_log1(s->h0 != NULL ? s->h0[j] : 0);
  for (int64_t t = 0; t < s->T; t++) {
    const mr_real *v = s->pre + t * 2 * s->H, *k = v + s->H;
    mr_real *h = s->h + t * s->H;
    mr_sweep_fetch(s, t + MR_SWEEP_AHEAD, false);
    MR_SIMD
    for (int64_t j = 0; j < s->n; j++) {
      state[j] =
          mr_logaddexp1(state[j] - mr_softplus1(k[j]), mr_log_g1(v[j]) - mr_softplus1(-k[j]));
      h[j] = mr_exp1(state[j]);
    }
  }
}

/* One step back: d is the gradient of h_t, returned as that of h_{t-1}. */
MR_INLINE void step_back(mr_real v, mr_real k, mr_real before, mr_real *d, mr_real *dv, mr_real *dk)
{
  const mr_real z = mr_sigmoid1(k), sv = mr_sigmoid1(v);
  const mr_real g = v >= 0 ? v + (mr_real)0.5 : sv, dg = v >= 0 ? 1 : sv * (1 - sv);
  const mr_real dz = *d * z;
  *dv = dz * dg;
  *dk = dz * (1 - z) * (g - before);
  *d -= dz;
}

static void backward(const mr_sweep *s)
{
  mr_real d[MR_SWEEP_TILE], first[MR_SWEEP_TILE], grad[2 * MR_SWEEP_TILE];
  mr_real *dv = grad, *dk = grad + MR_SWEEP_TILE;
  for (int64_t j = 0; j < s->n; j++) d[j] = 0, first[j] = s->h0 != NULL ? s->h0[j] : 0;
  for (int64_t t = s->T - 1; t >= 0; t--) {
    const mr_real *v = s->pre + t * 2 * s->H, *k = v + s->H, *dh = s->dh + t * s->H;
    const mr_real *before = t > 0 ? s->h + (t - 1) * s->H : first;
    mr_sweep_fetch(s, t - MR_SWEEP_AHEAD, true);
    MR_SIMD
    for (int64_t j = 0; j < s->n; j++) {
      d[j] += dh[j];
      step_back(v[j], k[j], before[j], &d[j], &dv[j], &dk[j]);
    }
    mr_sweep_store(s, t, grad);
  }
  for (int64_t j = 0; s->dh0 != NULL && j < s->n; j++)
    s->dh0[j] = d[j] + (s->beta_h0 == 0 ? 0 : s->dh0[j]);
}

mr_status mingru_seq_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const mingru_seq_attr *a = c->attr;
  mr_sweep_all(be, c, 2, a->form == MR_FORM_LOG ? log_space : linear_space);
  return MR_OK;
}

mr_status mingru_seq_bwd_cpu(mr_backend *be, const mr_call *c)
{
  mr_sweep_all(be, c, 2, backward);
  return MR_OK;
}

const mr_op mr_mingru_seq_op = {"mingru_seq",
                                2,
                                1,
                                sizeof(mingru_seq_attr),
                                mingru_seq_infer,
                                MR_TWIN(mingru_seq, fwd),
                                MR_TWIN(mingru_seq, bwd)};

mr_val mr_mingru_seq(mr_tape *t, mr_val pre, mr_val h0, mr_scan_form form)
{
  const mingru_seq_attr a = {(int32_t)form};
  const mr_val in[] = {pre, h0};
  return mr_apply(t, &mr_mingru_seq_op, &a, in, 2);
}
