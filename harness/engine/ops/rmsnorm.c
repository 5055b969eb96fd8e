/* rmsnorm.c — scaling of rows by their root mean square, on the CPU. SPDX-License-Identifier: MIT */
#include "rmsnorm.h"
#include <string.h>
#include "op_util.h"
#include "ops.h"
#include "partial.h"
#include "scalar.h"

/* Rows whose gain gradients are added up before they join the thread's total: short sums of near
 * equals lose less. */
enum { BLOCK = 64 };

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  (void)attr, (void)n_in;
  MR_CHECK(mr_rule_rank("rmsnorm", "x", &in[0], MR_REAL, -1));
  const mr_shape row = mr_shape1(mr_cols(&in[0].shape));
  MR_CHECK(mr_rule_shape("rmsnorm", "gain", &in[1], MR_REAL, &row));
  mr_rule_map(need, &in[0].shape, 4, 2, 9);
  need->save[0] = mr_shape1(mr_rows(&in[0].shape));
  need->n_save = 1;
  const size_t each = mr_bytes(&row, MR_REAL);
  need->work_bwd = site->device == MR_CPU ? (size_t)site->threads * 2 * each
                                          : (size_t)mr_partials(mr_count(need->save)) * each;
  need->reads_in = 3;
  need->overwrites = 1;
  return MR_OK;
}

mr_status rmsnorm_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t rows = mr_rows(&c->out[0].shape), d = mr_cols(&c->out[0].shape);
  const mr_real *gain = MR_IN(c, 1);
  (void)be;
  MR_PARALLEL_FOR(be, MR_WORTH(rows * d))
  for (int64_t r = 0; r < rows; r++) {
    const mr_real *restrict x = MR_IN(c, 0) + r * d;
    mr_real *restrict y = MR_OUT(c, 0) + r * d;
    mr_real squares = 0;
    MR_PRAGMA(omp simd reduction(+ : squares))
    for (int64_t i = 0; i < d; i++) squares += x[i] * x[i];
    const mr_real scale = 1 / mr_sqrt1(squares / (mr_real)d + (mr_real)1e-6);
    MR_SAVE(c, 0)[r] = scale;
    MR_SIMD
    for (int64_t i = 0; i < d; i++) y[i] = x[i] * scale * gain[i];
  }
  return MR_OK;
}

/* With s = 1/rms: dx = s g dy - x s^3 mean(g dy x); dgain += dy x s. dx may be x. */
static void row_gradient(int64_t d, const mr_real *x, const mr_real *gain, const mr_real *dy,
                         mr_real s, mr_real beta, mr_real *dx, mr_real *dgain)
{
  mr_real dot = 0;
  MR_PRAGMA(omp simd reduction(+ : dot))
  for (int64_t i = 0; i < d; i++) {
    const mr_real p = dy[i] * x[i];
    dot += gain[i] * p;
    dgain[i] += p * s;
  }
  if (dx == NULL) return;
  dot *= s * s * s / (mr_real)d;
  MR_SIMD
  for (int64_t i = 0; i < d; i++) dx[i] = mr_plus(beta, dx[i], s * gain[i] * dy[i] - dot * x[i]);
}

mr_status rmsnorm_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t rows = mr_rows(&c->dout[0].shape), d = mr_cols(&c->dout[0].shape);
  mr_real *dx = MR_DIN(c, 0), *parts = c->work;
  int team = 1;
  (void)be;
  MR_PARALLEL(be, MR_WORTH(rows * d))
  {
    mr_real *total = parts + (int64_t)mr_tid() * 2 * d, *block = total + d;
    int64_t from, to;
    mr_share(rows, 1, mr_tid(), mr_team(), &from, &to);
    if (mr_tid() == 0) team = mr_team();
    memset(total, 0, (size_t)d * sizeof *total);
    for (int64_t r = from; r < to; r += BLOCK) {
      memset(block, 0, (size_t)d * sizeof *block);
      for (int64_t k = r; k < to && k < r + BLOCK; k++) {
        row_gradient(d, MR_IN(c, 0) + k * d, MR_IN(c, 1), MR_DOUT(c, 0) + k * d, MR_SAVE(c, 0)[k],
                     c->beta[0], dx != NULL ? dx + k * d : NULL, block);
      }
      mr_sum_parts(total, 1, block, d, 1, d);
    }
  }
  if (MR_DIN(c, 1) != NULL) mr_sum_parts(MR_DIN(c, 1), c->beta[1], parts, 2 * d, team, d);
  return MR_OK;
}

const mr_op mr_rmsnorm_op = {
    "rmsnorm", 2, 1, 0, infer, MR_TWIN(rmsnorm, fwd), MR_TWIN(rmsnorm, bwd)};

mr_val mr_rmsnorm(mr_tape *t, mr_val x, const char *name)
{
  const mr_shape s = mr_shape_of(t, x);
  mr_val gain = mr_part(t, name, "gain", mr_shape1(mr_cols(&s)), mr_init_const(1));
  mr_val in[] = {x, gain};
  return mr_apply(t, &mr_rmsnorm_op, NULL, in, 2);
}
