/* mse.c — weighted mean of squares on the CPU. SPDX-License-Identifier: MIT */
#include "mse.h"
#include <string.h>
#include "op_util.h"
#include "ops.h"
#include "partial.h"

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  (void)attr, (void)n_in;
  MR_CHECK(mr_rule_rank("mse", "y", &in[0], MR_REAL, -1));
  mr_shape rows = in[0].shape;
  if (rows.rank < 1) return MR_FAIL(MR_ERR_SHAPE, "mse: y has no dimensions");
  rows.rank--;
  MR_CHECK(mr_rule_shape("mse", "target", &in[1], MR_REAL, &in[0].shape));
  MR_CHECK(mr_rule_shape("mse", "w", &in[2], MR_REAL, &rows));
  need->out[0] = mr_shape0();
  if (site->device == MR_CPU) {
    need->work_fwd = (size_t)site->threads * sizeof(double);
  } else {
    need->work_fwd = (size_t)mr_partials(mr_count(&rows)) * 2 * sizeof(double);
    need->save[0] = mr_shape1(1); /* what backward multiplies by instead of counting again */
    need->n_save = 1;
  }
  need->reads_in = 7;
  need->overwrites = 1;
  need->flops = 3 * (double)mr_count(&in[0].shape);
  need->flops_bwd = 2 * (double)mr_count(&in[0].shape);
  need->bytes = 2 * (double)mr_bytes(&in[0].shape, MR_REAL) + (double)mr_bytes(&rows, MR_REAL);
  return MR_OK;
}

/* D sum w. */
static double weight_sum(const mr_call *c)
{
  const int64_t rows = mr_rows(&c->in[0].shape), d = mr_cols(&c->in[0].shape);
  double sum = 0;
  for (int64_t r = 0; r < rows; r++) sum += (double)MR_IN(c, 2)[r];
  return (double)d * sum;
}

mr_status mse_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t rows = mr_rows(&c->in[0].shape), d = mr_cols(&c->in[0].shape);
  const double weight = weight_sum(c);
  double *part = c->work, sum = 0;
  int team = 1;
  (void)be;
  MR_PARALLEL(be, MR_WORTH(rows * d))
  {
    int64_t from, to;
    double mine = 0;
    mr_share(rows, 1, mr_tid(), mr_team(), &from, &to);
    if (mr_tid() == 0) team = mr_team();
    for (int64_t r = from; r < to; r++) {
      const mr_real *y = MR_IN(c, 0) + r * d, *target = MR_IN(c, 1) + r * d, w = MR_IN(c, 2)[r];
      mr_real squares = 0;
      MR_PRAGMA(omp simd reduction(+ : squares))
      for (int64_t i = 0; i < d; i++) squares += (y[i] - target[i]) * (y[i] - target[i]);
      mine += (double)w * (double)squares;
    }
    part[mr_tid()] = mine;
  }
  for (int p = 0; p < team; p++) sum += part[p];
  *MR_OUT(c, 0) = (mr_real)(weight != 0 ? sum / weight : 0);
  return MR_OK;
}

/* dy may be y. */
static void input_gradient(mr_backend *be, const mr_call *c, mr_real scale)
{
  const int64_t rows = mr_rows(&c->in[0].shape), d = mr_cols(&c->in[0].shape);
  const mr_real beta = c->beta[0];
  (void)be;
  MR_PARALLEL_FOR(be, MR_WORTH(rows * d))
  for (int64_t r = 0; r < rows; r++) {
    const mr_real *y = MR_IN(c, 0) + r * d, *target = MR_IN(c, 1) + r * d;
    const mr_real factor = scale * MR_IN(c, 2)[r];
    mr_real *dy = MR_DIN(c, 0) + r * d;
    MR_SIMD
    for (int64_t i = 0; i < d; i++) dy[i] = mr_plus(beta, dy[i], factor * (y[i] - target[i]));
  }
}

mr_status mse_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const double weight = weight_sum(c);
  const mr_real scale = (mr_real)(weight != 0 ? 2 * (double)MR_DOUT(c, 0)[0] / weight : 0);
  if (MR_DIN(c, 0) != NULL) input_gradient(be, c, scale);
  /* Nothing flows to target and weights: zeros where somebody asks. */
  for (int i = 1; i < 3; i++) {
    if (MR_DIN(c, i) != NULL && c->beta[i] == 0)
      memset(MR_DIN(c, i), 0, mr_bytes(&c->din[i].shape, MR_REAL));
  }
  return MR_OK;
}

const mr_op mr_mse_op = {"mse", 3, 1, 0, infer, MR_TWIN(mse, fwd), MR_TWIN(mse, bwd)};

mr_val mr_mse(mr_tape *t, mr_val y, mr_val target, mr_val w)
{
  mr_val in[] = {y, target, w};
  return mr_apply(t, &mr_mse_op, NULL, in, 3);
}
