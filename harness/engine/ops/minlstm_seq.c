/* minlstm_seq.c — the fused minLSTM sweep on the CPU. SPDX-License-Identifier: MIT
 *
 *   f = sigmoid(k_f), i = sigmoid(k_i), normalised: f/(f+i), i/(f+i);  h_t = f h_{t-1} + i g(c)
 * Four passes over memory forward, eight backward; gates are recomputed, nothing is saved. */
#include "minlstm_seq.h"
#include "ops.h"
#include "scalar.h"
#include "sweep.h"

static mr_status minlstm_seq_infer(const void *attr, const mr_view *in, int32_t n_in,
                                   const mr_site *site, mr_need *need)
{
  (void)attr;
  MR_CHECK(mr_sweep_infer("minlstm_seq", in, n_in, 3, site, need));
  need->flops *= 1.5;
  need->flops_bwd *= 1.5;
  return MR_OK;
}

/* e^-k; past 80 neither gate nor ratio of gates changes any more. */
MR_INLINE mr_real exp_minus(mr_real k)
{
  return mr_exp1(k < -80 ? (mr_real)80 : -k);
}

/* With F = 1/(1 + ef), I = 1/(1 + ei): F/(F+I) and I/(F+I), or F and I themselves. */
MR_INLINE void gates(mr_real ef, mr_real ei, bool normalise, mr_real *f, mr_real *i)
{
  const mr_real r = 1 / (2 + ef + ei);
  *f = normalise ? (1 + ei) * r : 1 / (1 + ef);
  *i = normalise ? (1 + ef) * r : 1 / (1 + ei);
}

MR_INLINE void log_gates(mr_real kf, mr_real ki, bool normalise, mr_real *f, mr_real *i)
{
  const mr_real a = mr_softplus1(-kf), b = mr_softplus1(-ki);
  *f = normalise ? -mr_softplus1(a - b) : -a;
  *i = normalise ? -mr_softplus1(b - a) : -b;
}

static void linear_space(const mr_sweep *s)
{
  const minlstm_seq_attr *attr = s->attr;
  mr_real state[MR_SWEEP_TILE], f, i;
  for (int64_t j = 0; j < s->n; j++) state[j] = s->h0 != NULL ? s->h0[j] : 0;
  for (int64_t t = 0; t < s->T; t++) {
    const mr_real *v = s->pre + t * 3 * s->H, *kf = v + s->H, *ki = kf + s->H;
    mr_real *h = s->h + t * s->H;
    mr_sweep_fetch(s, t + MR_SWEEP_AHEAD, false);
    MR_PRAGMA(omp simd private(f, i))
    for (int64_t j = 0; j < s->n; j++) {
      gates(exp_minus(kf[j]), exp_minus(ki[j]), attr->normalise != 0, &f, &i);
      h[j] = state[j] = f * state[j] + i * mr_g1(v[j]);
    }
  }
}

/* log h_t = logaddexp(log f + log h_{t-1}, log i + log g(c)) (paper, appendix B). */
static void log_space(const mr_sweep *s)
{
  const minlstm_seq_attr *attr = s->attr;
  mr_real state[MR_SWEEP_TILE], f, i;
  for (int64_t j = 0; j < s->n; j++) state[j] = mr_log1(s->h0 != NULL ? s->h0[j] : 0);
  for (int64_t t = 0; t < s->T; t++) {
    const mr_real *v = s->pre + t * 3 * s->H, *kf = v + s->H, *ki = kf + s->H;
    mr_real *h = s->h + t * s->H;
    mr_sweep_fetch(s, t + MR_SWEEP_AHEAD, false);
    MR_PRAGMA(omp simd private(f, i))
    for (int64_t j = 0; j < s->n; j++) {
      log_gates(kf[j], ki[j], attr->normalise != 0, &f, &i);
      state[j] = mr_logaddexp1(state[j] + f, mr_log_g1(v[j]) + i);
      h[j] = mr_exp1(state[j]);
    }
  }
}

/* One step back: d is the gradient of h_t, returned as that of h_{t-1}. */
MR_INLINE void step_back(mr_real v, mr_real kf, mr_real ki, mr_real before, bool normalise,
                         mr_real *d, mr_real *dv, mr_real *dkf, mr_real *dki)
{
  const mr_real ef = exp_minus(kf), ei = exp_minus(ki), sv = mr_sigmoid1(v);
  const mr_real g = v >= 0 ? v + (mr_real)0.5 : sv, dg = v >= 0 ? 1 : sv * (1 - sv);
  mr_real f, i;
  gates(ef, ei, normalise, &f, &i);
  const mr_real df = normalise ? *d * (before - g) * f * i : *d * before * f;
  const mr_real di = normalise ? -df : *d * g * i;
  /* d log sigmoid(k) / dk = e^-k / (1 + e^-k) */
  *dv = *d * i * dg;
  *dkf = df * (ef / (1 + ef));
  *dki = di * (ei / (1 + ei));
  *d *= f;
}

static void backward(const mr_sweep *s)
{
  const minlstm_seq_attr *attr = s->attr;
  mr_real d[MR_SWEEP_TILE], first[MR_SWEEP_TILE], grad[3 * MR_SWEEP_TILE];
  const bool normalise = attr->normalise != 0;
  mr_real *dv = grad, *df = dv + MR_SWEEP_TILE, *di = df + MR_SWEEP_TILE;
  for (int64_t j = 0; j < s->n; j++) d[j] = 0, first[j] = s->h0 != NULL ? s->h0[j] : 0;
  for (int64_t t = s->T - 1; t >= 0; t--) {
    const mr_real *v = s->pre + t * 3 * s->H, *kf = v + s->H, *ki = kf + s->H,
                  *dh = s->dh + t * s->H;
    const mr_real *before = t > 0 ? s->h + (t - 1) * s->H : first;
    mr_sweep_fetch(s, t - MR_SWEEP_AHEAD, true);
    MR_SIMD
    for (int64_t j = 0; j < s->n; j++) {
      d[j] += dh[j];
      step_back(v[j], kf[j], ki[j], before[j], normalise, &d[j], &dv[j], &df[j], &di[j]);
    }
    mr_sweep_store(s, t, grad);
  }
  for (int64_t j = 0; s->dh0 != NULL && j < s->n; j++)
    s->dh0[j] = d[j] + (s->beta_h0 == 0 ? 0 : s->dh0[j]);
}

mr_status minlstm_seq_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const minlstm_seq_attr *a = c->attr;
  mr_sweep_all(be, c, 3, a->form == MR_FORM_LOG ? log_space : linear_space);
  return MR_OK;
}

mr_status minlstm_seq_bwd_cpu(mr_backend *be, const mr_call *c)
{
  mr_sweep_all(be, c, 3, backward);
  return MR_OK;
}

const mr_op mr_minlstm_seq_op = {"minlstm_seq",
                                 2,
                                 1,
                                 sizeof(minlstm_seq_attr),
                                 minlstm_seq_infer,
                                 MR_TWIN(minlstm_seq, fwd),
                                 MR_TWIN(minlstm_seq, bwd)};

mr_val mr_minlstm_seq(mr_tape *t, mr_val pre, mr_val h0, bool normalise, mr_scan_form form)
{
  const minlstm_seq_attr a = {normalise, (int32_t)form};
  const mr_val in[] = {pre, h0};
  return mr_apply(t, &mr_minlstm_seq_op, &a, in, 2);
}
