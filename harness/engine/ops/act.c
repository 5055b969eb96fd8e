/* act.c — activations on the CPU. SPDX-License-Identifier: MIT */
#include "act.h"
#include "op_util.h"
#include "scalar.h"

/* Kinds whose derivative is a function of the result come first. */
static bool reads_result(mr_act_kind kind)
{
  return kind <= MR_EXP;
}

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  const act_attr *a = attr;
  (void)n_in, (void)site;
  if ((unsigned)a->kind >= MR_N_ACTS) {
    return MR_FAIL(MR_ERR_ARG, "act: kind is %d but must be 0 .. %d", (int)a->kind, MR_N_ACTS - 1);
  }
  MR_CHECK(mr_rule_rank("act", "x", &in[0], MR_REAL, -1));
  const bool result = reads_result(a->kind);
  mr_rule_map(need, &in[0].shape, a->kind == MR_RELU ? 1 : 16, 2, result ? 3 : 16);
  if (result) {
    need->reads_out = 1;
  } else {
    need->reads_in = 1;
    need->overwrites = 1;
  }
  return MR_OK;
}

#define EACH(formula)                                                                              \
  MR_SIMD                                                                                          \
  for (int64_t i = 0; i < n; i++) y[i] = (formula);                                                \
  break

static void forward(mr_act_kind kind, int64_t n, const mr_real *restrict x, mr_real *restrict y)
{
  switch (kind) {
  case MR_SIGMOID:
    EACH(mr_sigmoid1(x[i]));
  case MR_TANH:
    EACH(mr_tanh1(x[i]));
  case MR_RELU:
    EACH(x[i] < 0 ? 0 : x[i]);
  case MR_EXP:
    EACH(mr_exp1(x[i]));
  case MR_GELU:
    EACH(mr_gelu1(x[i]));
  case MR_SILU:
    EACH(mr_silu1(x[i]));
  case MR_SOFTPLUS:
    EACH(mr_softplus1(x[i]));
  case MR_G:
    EACH(mr_g1(x[i]));
  case MR_LOG_G:
    EACH(mr_log_g1(x[i]));
  case MR_LOG:
    EACH(mr_log1(x[i]));
  default:
    break;
  }
}
#undef EACH

#define EACH(derivative)                                                                           \
  MR_SIMD                                                                                          \
  for (int64_t i = 0; i < n; i++) dx[i] = mr_plus(beta, dx[i], dy[i] * (derivative));              \
  break

/* v is y where the result is read, otherwise x, and may be dx. */
static void backward(mr_act_kind kind, int64_t n, const mr_real *v, const mr_real *dy, mr_real beta,
                     mr_real *dx)
{
  switch (kind) {
  case MR_SIGMOID:
    EACH(v[i] * (1 - v[i]));
  case MR_TANH:
    EACH(1 - v[i] * v[i]);
  case MR_RELU:
    EACH((mr_real)(v[i] > 0));
  case MR_EXP:
    EACH(v[i]);
  case MR_GELU:
    EACH(mr_dgelu1(v[i]));
  case MR_SILU:
    EACH(mr_dsilu1(v[i]));
  case MR_SOFTPLUS:
    EACH(mr_sigmoid1(v[i]));
  case MR_G:
    EACH(mr_dg1(v[i]));
  case MR_LOG_G:
    EACH(mr_dlog_g1(v[i]));
  case MR_LOG:
    EACH(1 / v[i]);
  default:
    break;
  }
}
#undef EACH

mr_status act_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const act_attr *a = c->attr;
  const int64_t n = mr_count(&c->out[0].shape);
  (void)be;
  MR_PARALLEL(be, MR_WORTH(n))
  {
    int64_t from, to;
    mr_share(n, 64, mr_tid(), mr_team(), &from, &to);
    forward(a->kind, to - from, MR_IN(c, 0) + from, MR_OUT(c, 0) + from);
  }
  return MR_OK;
}

mr_status act_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const act_attr *a = c->attr;
  const mr_real *v = reads_result(a->kind) ? MR_OUT(c, 0) : MR_IN(c, 0);
  const int64_t n = mr_count(&c->dout[0].shape);
  (void)be;
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  MR_PARALLEL(be, MR_WORTH(n))
  {
    int64_t from, to;
    mr_share(n, 64, mr_tid(), mr_team(), &from, &to);
    backward(a->kind, to - from, v + from, MR_DOUT(c, 0) + from, c->beta[0], MR_DIN(c, 0) + from);
  }
  return MR_OK;
}

const mr_op mr_act_op = {
    "act", 1, 1, sizeof(act_attr), infer, MR_TWIN(act, fwd), MR_TWIN(act, bwd)};

mr_val mr_act(mr_tape *t, mr_val x, mr_act_kind kind)
{
  const act_attr a = {kind};
  return mr_apply(t, &mr_act_op, &a, &x, 1);
}
