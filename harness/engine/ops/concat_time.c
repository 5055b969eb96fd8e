/* concat_time.c — sequences one after the other, on the CPU. SPDX-License-Identifier: MIT */
#include "concat_time.h"
#include <string.h>
#include "op_util.h"
#include "ops.h"

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  (void)attr, (void)site;
  if (n_in < 1) return MR_FAIL(MR_ERR_SHAPE, "concat_time: there is nothing to concatenate");
  MR_CHECK(mr_rule_rank("concat_time", "x[0]", &in[0], MR_REAL, 3));
  mr_shape out = mr_shape3(in[0].shape.dim[0], 0, in[0].shape.dim[2]);
  for (int32_t i = 0; i < n_in; i++) {
    mr_shape want = out;
    want.dim[1] = in[i].shape.rank == 3 ? in[i].shape.dim[1] : 1;
    MR_CHECK(mr_rule_shape("concat_time", i == 0 ? "x[0]" : "a later x", &in[i], MR_REAL, &want));
    out.dim[1] += want.dim[1];
  }
  mr_rule_map(need, &out, 0, 2, 0);
  return MR_OK;
}

mr_status concat_time_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t B = c->out[0].shape.dim[0], row = c->out[0].shape.dim[1] * c->out[0].shape.dim[2];
  (void)be;
  MR_PARALLEL_FOR(be, MR_WORTH(B * row))
  for (int64_t b = 0; b < B; b++) {
    mr_real *y = MR_OUT(c, 0) + b * row;
    for (int32_t i = 0; i < c->n_in; i++) {
      const int64_t n = c->in[i].shape.dim[1] * c->in[i].shape.dim[2];
      memcpy(y, MR_IN(c, i) + b * n, (size_t)n * sizeof *y);
      y += n;
    }
  }
  return MR_OK;
}

mr_status concat_time_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t B = c->dout[0].shape.dim[0];
  const int64_t row = c->dout[0].shape.dim[1] * c->dout[0].shape.dim[2];
  (void)be;
  MR_PARALLEL_FOR(be, MR_WORTH(B * row))
  for (int64_t b = 0; b < B; b++) {
    const mr_real *dy = MR_DOUT(c, 0) + b * row;
    for (int32_t i = 0; i < c->n_in; i++) {
      const int64_t n = c->din[i].shape.dim[1] * c->din[i].shape.dim[2];
      mr_real *dx = MR_DIN(c, i);
      if (dx != NULL) mr_sum_parts(dx + b * n, c->beta[i], dy, 0, 1, n);
      dy += n;
    }
  }
  return MR_OK;
}

const mr_op mr_concat_time_op = {
    "concat_time", MR_VARIADIC, 1, 0, infer, MR_TWIN(concat_time, fwd), MR_TWIN(concat_time, bwd)};

mr_val mr_concat_time(mr_tape *t, const mr_val *x, int n)
{
  return mr_apply(t, &mr_concat_time_op, NULL, x, n);
}
