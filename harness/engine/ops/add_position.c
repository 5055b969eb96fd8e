/* add_position.c — x plus the rows of a table by step, on the CPU. SPDX-License-Identifier: MIT */
#include "add_position.h"
#include <string.h>
#include "op_util.h"
#include "ops.h"

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  const bool carried = mr_rule_given(in, n_in, 2);
  (void)attr, (void)site;
  MR_CHECK(mr_rule_rank("add_position", "x", &in[0], MR_REAL, 3));
  MR_CHECK(mr_rule_rank("add_position", "table", &in[1], MR_REAL, 2));
  const int64_t T = in[0].shape.dim[1], P = in[1].shape.dim[0];
  const mr_shape table = mr_shape2(P, in[0].shape.dim[2]);
  const mr_shape seen = mr_shape3(in[0].shape.dim[0], 1, 1);
  MR_CHECK(mr_rule_shape("add_position", "table", &in[1], MR_REAL, &table));
  if (carried) MR_CHECK(mr_rule_shape("add_position", "seen", &in[2], MR_REAL, &seen));
  if (T > P)
    return MR_FAIL(MR_ERR_SHAPE, "add_position: x has %lld steps but the table %lld positions",
                   (long long)T, (long long)P);
  mr_rule_map(need, &in[0].shape, 1, 2, 0);
  need->flops_din[1] = need->flops;
  need->part = 1u << 1;
  need->bytes += (double)(T * table.dim[1]) * sizeof(mr_real);
  need->reads_in = carried ? 1u << 2 : 0;
  need->passes = 1;
  return MR_OK;
}

/* Row of the table for step t of sequence b. */
static int64_t position(const mr_call *c, int64_t b, int64_t t)
{
  const int64_t last = c->in[1].shape.dim[0] - 1;
  const mr_real n = MR_GIVEN(c, 2) ? MR_IN(c, 2)[b] : 0;
  if (!(n > 0)) return t;
  if (n >= (mr_real)last) return last;
  const int64_t row = (int64_t)(n + (mr_real)0.5) + t;
  return row < last ? row : last;
}

mr_status add_position_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t T = c->out[0].shape.dim[1], D = c->out[0].shape.dim[2];
  const int64_t rows = mr_rows(&c->out[0].shape);
  (void)be;
  MR_PARALLEL_FOR(be, MR_WORTH(rows * D))
  for (int64_t r = 0; r < rows; r++) {
    const mr_real *x = MR_IN(c, 0) + r * D, *p = MR_IN(c, 1) + position(c, r / T, r % T) * D;
    mr_real *y = MR_OUT(c, 0) + r * D;
    MR_SIMD
    for (int64_t i = 0; i < D; i++) y[i] = x[i] + p[i];
  }
  return MR_OK;
}

/* Each thread owns some columns of the table and walks all rows in order. */
mr_status add_position_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t T = c->dout[0].shape.dim[1], D = c->dout[0].shape.dim[2];
  const int64_t rows = mr_rows(&c->dout[0].shape);
  const mr_real *dy = MR_DOUT(c, 0);
  mr_real *dx = MR_DIN(c, 0), *table = MR_DIN(c, 1);
  (void)be;
  if (MR_GIVEN(c, 2) && MR_DIN(c, 2) != NULL && c->beta[2] == 0)
    memset(MR_DIN(c, 2), 0, mr_bytes(&c->din[2].shape, MR_REAL));
  MR_PARALLEL(be, MR_WORTH(rows * D))
  {
    int64_t from, to;
    if (dx != NULL && (dx != dy || c->beta[0] != 0)) {
      mr_share(rows * D, 16, mr_tid(), mr_team(), &from, &to);
      mr_sum_parts(dx + from, c->beta[0], dy + from, 0, 1, to - from);
    }
    mr_share(D, 16, mr_tid(), mr_team(), &from, &to);
    if (table == NULL) to = from;
    for (int64_t p = 0; p < c->in[1].shape.dim[0] && c->beta[1] == 0; p++)
      for (int64_t i = from; i < to; i++) table[p * D + i] = 0;
    for (int64_t r = 0; r < rows && from < to; r++)
      mr_sum_parts(table + position(c, r / T, r % T) * D + from, 1, dy + r * D + from, 0, 1,
                   to - from);
  }
  return MR_OK;
}

const mr_op mr_add_position_op = {
    "add_position", 3, 1, 0, infer, MR_TWIN(add_position, fwd), MR_TWIN(add_position, bwd)};

mr_val mr_add_position(mr_tape *t, mr_val x, const char *name, int64_t positions, mr_val seen)
{
  const mr_shape s = mr_shape_of(t, x);
  mr_val table = mr_part(t, name, "weight", mr_shape2(positions, mr_cols(&s)), mr_init_normal(1));
  const mr_val in[] = {x, table, seen};
  return mr_apply(t, &mr_add_position_op, NULL, in, 3);
}
