/* shift.c — x + s on the CPU. SPDX-License-Identifier: MIT */
#include "shift.h"
#include "op_util.h"
#include "ops.h"

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  (void)attr, (void)n_in, (void)site;
  MR_CHECK(mr_rule_rank("shift", "x", &in[0], MR_REAL, -1));
  mr_rule_map(need, &in[0].shape, 1, 2, 0);
  need->passes = 1;
  return MR_OK;
}

mr_status shift_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const mr_real *x = MR_IN(c, 0), s = (mr_real)((const shift_attr *)c->attr)->s;
  mr_real *y = MR_OUT(c, 0);
  const int64_t n = mr_count(&c->out[0].shape);
  (void)be;
  MR_PARALLEL(be, MR_WORTH(n))
  {
    int64_t from, to;
    mr_share(n, 64, mr_tid(), mr_team(), &from, &to);
    MR_SIMD
    for (int64_t i = from; i < to; i++) y[i] = x[i] + s;
  }
  return MR_OK;
}

mr_status shift_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const mr_real *dy = MR_DOUT(c, 0);
  mr_real *dx = MR_DIN(c, 0);
  const int64_t n = mr_count(&c->dout[0].shape);
  (void)be;
  if (dx == NULL || (dx == dy && c->beta[0] == 0)) return MR_OK;
  MR_PARALLEL(be, MR_WORTH(n))
  {
    int64_t from, to;
    mr_share(n, 64, mr_tid(), mr_team(), &from, &to);
    mr_sum_parts(dx + from, c->beta[0], dy + from, 0, 1, to - from);
  }
  return MR_OK;
}

const mr_op mr_shift_op = {
    "shift", 1, 1, sizeof(shift_attr), infer, MR_TWIN(shift, fwd), MR_TWIN(shift, bwd)};

mr_val mr_shift(mr_tape *t, mr_val x, double s)
{
  const shift_attr a = {s};
  return mr_apply(t, &mr_shift_op, &a, &x, 1);
}
