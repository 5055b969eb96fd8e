/* mul.c — a * b on the CPU. SPDX-License-Identifier: MIT */
#include "mul.h"
#include "op_util.h"
#include "ops.h"

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  (void)attr, (void)n_in, (void)site;
  MR_CHECK(mr_rule_rank("mul", "a", &in[0], MR_REAL, -1));
  MR_CHECK(mr_rule_shape("mul", "b", &in[1], MR_REAL, &in[0].shape));
  mr_rule_map(need, &in[0].shape, 1, 3, 0);
  need->flops_din[0] = need->flops_din[1] = need->flops;
  need->reads_in = 3;
  return MR_OK;
}

/* y = beta y + a b. */
static void product(mr_backend *be, int64_t n, const mr_real *restrict a, const mr_real *restrict b,
                    mr_real beta, mr_real *restrict y)
{
  (void)be;
  MR_PARALLEL(be, MR_WORTH(n))
  {
    int64_t from, to;
    mr_share(n, 64, mr_tid(), mr_team(), &from, &to);
    MR_SIMD
    for (int64_t i = from; i < to; i++) y[i] = mr_plus(beta, y[i], a[i] * b[i]);
  }
}

mr_status mul_fwd_cpu(mr_backend *be, const mr_call *c)
{
  product(be, mr_count(&c->out[0].shape), MR_IN(c, 0), MR_IN(c, 1), 0, MR_OUT(c, 0));
  return MR_OK;
}

mr_status mul_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t n = mr_count(&c->dout[0].shape);
  for (int i = 0; i < 2; i++) {
    if (MR_DIN(c, i) == NULL) continue;
    product(be, n, MR_DOUT(c, 0), MR_IN(c, 1 - i), c->beta[i], MR_DIN(c, i));
  }
  return MR_OK;
}

const mr_op mr_mul_op = {"mul", 2, 1, 0, infer, MR_TWIN(mul, fwd), MR_TWIN(mul, bwd)};

mr_val mr_mul(mr_tape *t, mr_val a, mr_val b)
{
  mr_val in[] = {a, b};
  return mr_apply(t, &mr_mul_op, NULL, in, 2);
}
