/* slice_last.c — a stretch of channels, on the CPU. SPDX-License-Identifier: MIT */
#include "slice_last.h"
#include <string.h>
#include "op_util.h"
#include "ops.h"

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  const slice_last_attr *a = attr;
  (void)n_in, (void)site;
  MR_CHECK(mr_rule_rank("slice_last", "x", &in[0], MR_REAL, -1));
  mr_shape out = in[0].shape;
  if (out.rank < 1 || a->from < 0 || a->n < 1 || a->n > mr_cols(&out) - a->from) {
    char text[80];
    return MR_FAIL(MR_ERR_SHAPE, "slice_last: x %s has no %lld channels from channel %lld on",
                   mr_shape_text(&out, text, sizeof text), (long long)a->n, (long long)a->from);
  }
  out.dim[out.rank - 1] = a->n;
  mr_rule_map(need, &out, 0, 2, 0);
  need->part = 1;
  return MR_OK;
}

mr_status slice_last_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const slice_last_attr *a = c->attr;
  const int64_t rows = mr_rows(&c->in[0].shape), d = mr_cols(&c->in[0].shape);
  const size_t bytes = (size_t)a->n * sizeof(mr_real);
  (void)be;
  MR_PARALLEL_FOR(be, MR_WORTH(rows * a->n))
  for (int64_t r = 0; r < rows; r++)
    memcpy(MR_OUT(c, 0) + r * a->n, MR_IN(c, 0) + r * d + a->from, bytes);
  return MR_OK;
}

mr_status slice_last_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const slice_last_attr *a = c->attr;
  const int64_t rows = mr_rows(&c->din[0].shape), d = mr_cols(&c->din[0].shape);
  const int64_t n = a->n, after = d - a->from - n;
  const mr_real beta = c->beta[0];
  (void)be;
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  MR_PARALLEL_FOR(be, MR_WORTH(rows * d))
  for (int64_t r = 0; r < rows; r++) {
    const mr_real *restrict dy = MR_DOUT(c, 0) + r * n;
    mr_real *restrict dx = MR_DIN(c, 0) + r * d;
    if (beta == 0) {
      memset(dx, 0, (size_t)a->from * sizeof *dx);
      memcpy(dx + a->from, dy, (size_t)n * sizeof *dx);
      memset(dx + a->from + n, 0, (size_t)after * sizeof *dx);
    } else {
      for (int64_t i = 0; i < n; i++) dx[a->from + i] += dy[i];
    }
  }
  return MR_OK;
}

const mr_op mr_slice_last_op = {"slice_last",
                                1,
                                1,
                                sizeof(slice_last_attr),
                                infer,
                                MR_TWIN(slice_last, fwd),
                                MR_TWIN(slice_last, bwd)};

mr_val mr_slice_last(mr_tape *t, mr_val x, int64_t from, int64_t n)
{
  const slice_last_attr a = {from, n};
  return mr_apply(t, &mr_slice_last_op, &a, &x, 1);
}
