/* add.c — a + b, a - b and s * a on the CPU. SPDX-License-Identifier: MIT */
#include "add.h"
#include "op_util.h"
#include "ops.h"

static mr_status infer_two(const char *op, const mr_view *in, mr_need *need)
{
  MR_CHECK(mr_rule_rank(op, "a", &in[0], MR_REAL, -1));
  MR_CHECK(mr_rule_shape(op, "b", &in[1], MR_REAL, &in[0].shape));
  mr_rule_map(need, &in[0].shape, 1, 3, 0);
  return MR_OK;
}

static mr_status infer_add(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                           mr_need *need)
{
  (void)attr, (void)n_in, (void)site;
  need->passes = 3;
  return infer_two("add", in, need);
}

static mr_status infer_sub(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                           mr_need *need)
{
  (void)attr, (void)n_in, (void)site;
  need->passes = 1;
  MR_CHECK(infer_two("sub", in, need));
  need->flops_din[1] = need->flops;
  return MR_OK;
}

static mr_status infer_scale(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                             mr_need *need)
{
  (void)attr, (void)n_in, (void)site;
  MR_CHECK(mr_rule_rank("scale", "x", &in[0], MR_REAL, -1));
  mr_rule_map(need, &in[0].shape, 1, 2, 1);
  return MR_OK;
}

/* y = a + s b. */
static void combine(mr_backend *be, int64_t n, const mr_real *a, mr_real s, const mr_real *b,
                    mr_real *y)
{
  (void)be;
  MR_PARALLEL(be, MR_WORTH(n))
  {
    int64_t from, to;
    mr_share(n, 64, mr_tid(), mr_team(), &from, &to);
    MR_SIMD
    for (int64_t i = from; i < to; i++) y[i] = a[i] + s * b[i];
  }
}

/* dx = beta dx + s dy. */
static void pass_on(mr_backend *be, const mr_call *c, int i, mr_real s)
{
  const mr_real *dy = MR_DOUT(c, 0), beta = c->beta[i];
  mr_real *dx = MR_DIN(c, i);
  const int64_t n = mr_count(&c->din[i].shape);
  (void)be;
  if (dx == NULL || (dx == dy && beta == 0 && s == 1)) return;
  MR_PARALLEL(be, MR_WORTH(n))
  {
    int64_t from, to;
    mr_share(n, 64, mr_tid(), mr_team(), &from, &to);
    MR_SIMD
    for (int64_t k = from; k < to; k++) dx[k] = mr_plus(beta, dx[k], s * dy[k]);
  }
}

mr_status add_fwd_cpu(mr_backend *be, const mr_call *c)
{
  combine(be, mr_count(&c->out[0].shape), MR_IN(c, 0), 1, MR_IN(c, 1), MR_OUT(c, 0));
  return MR_OK;
}

mr_status add_bwd_cpu(mr_backend *be, const mr_call *c)
{
  pass_on(be, c, 0, 1);
  pass_on(be, c, 1, 1);
  return MR_OK;
}

mr_status sub_fwd_cpu(mr_backend *be, const mr_call *c)
{
  combine(be, mr_count(&c->out[0].shape), MR_IN(c, 0), -1, MR_IN(c, 1), MR_OUT(c, 0));
  return MR_OK;
}

mr_status sub_bwd_cpu(mr_backend *be, const mr_call *c)
{
  pass_on(be, c, 0, 1);
  pass_on(be, c, 1, -1);
  return MR_OK;
}

mr_status scale_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const scale_attr *a = c->attr;
  const mr_real *x = MR_IN(c, 0), s = (mr_real)a->s;
  mr_real *y = MR_OUT(c, 0);
  const int64_t n = mr_count(&c->out[0].shape);
  (void)be;
  MR_PARALLEL(be, MR_WORTH(n))
  {
    int64_t from, to;
    mr_share(n, 64, mr_tid(), mr_team(), &from, &to);
    MR_SIMD
    for (int64_t i = from; i < to; i++) y[i] = s * x[i];
  }
  return MR_OK;
}

mr_status scale_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const scale_attr *a = c->attr;
  pass_on(be, c, 0, (mr_real)a->s);
  return MR_OK;
}

const mr_op mr_add_op = {"add", 2, 1, 0, infer_add, MR_TWIN(add, fwd), MR_TWIN(add, bwd)};
const mr_op mr_sub_op = {"sub", 2, 1, 0, infer_sub, MR_TWIN(sub, fwd), MR_TWIN(sub, bwd)};
const mr_op mr_scale_op = {
    "scale", 1, 1, sizeof(scale_attr), infer_scale, MR_TWIN(scale, fwd), MR_TWIN(scale, bwd)};

mr_val mr_add(mr_tape *t, mr_val a, mr_val b)
{
  mr_val in[] = {a, b};
  return mr_apply(t, &mr_add_op, NULL, in, 2);
}

mr_val mr_sub(mr_tape *t, mr_val a, mr_val b)
{
  mr_val in[] = {a, b};
  return mr_apply(t, &mr_sub_op, NULL, in, 2);
}

mr_val mr_scale(mr_tape *t, mr_val x, double s)
{
  const scale_attr a = {s};
  return mr_apply(t, &mr_scale_op, &a, &x, 1);
}
