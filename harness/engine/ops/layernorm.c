/* layernorm.c — rows to mean 0 and variance 1, on the CPU. SPDX-License-Identifier: MIT */
#include "layernorm.h"
#include <string.h>
#include "op_util.h"
#include "ops.h"
#include "partial.h"
#include "scalar.h"

/* Rows whose parameter gradients are added up before they join the thread's total: short sums of
 * near equals lose less. */
enum { BLOCK = 64 };

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  (void)attr, (void)n_in;
  MR_CHECK(mr_rule_rank("layernorm", "x", &in[0], MR_REAL, -1));
  const mr_shape row = mr_shape1(mr_cols(&in[0].shape));
  MR_CHECK(mr_rule_shape("layernorm", "gain", &in[1], MR_REAL, &row));
  MR_CHECK(mr_rule_shape("layernorm", "bias", &in[2], MR_REAL, &row));
  mr_rule_map(need, &in[0].shape, 8, 2, 12);
  need->save[0] = need->save[1] = mr_shape1(mr_rows(&in[0].shape));
  need->n_save = 2;
  const size_t both = 2 * mr_bytes(&row, MR_REAL);
  need->work_bwd = site->device == MR_CPU ? (size_t)site->threads * 2 * both
                                          : (size_t)mr_partials(mr_count(need->save)) * both;
  need->reads_in = 3;
  need->overwrites = 1;
  return MR_OK;
}

static void row_forward(int64_t d, const mr_real *restrict x, const mr_real *gain,
                        const mr_real *bias, mr_real *restrict y, mr_real *mean, mr_real *scale)
{
  mr_real sum = 0, squares = 0;
  MR_PRAGMA(omp simd reduction(+ : sum))
  for (int64_t i = 0; i < d; i++) sum += x[i];
  const mr_real m = sum / (mr_real)d;
  MR_PRAGMA(omp simd reduction(+ : squares))
  for (int64_t i = 0; i < d; i++) squares += (x[i] - m) * (x[i] - m);
  const mr_real s = 1 / mr_sqrt1(squares / (mr_real)d + (mr_real)1e-5);
  MR_SIMD
  for (int64_t i = 0; i < d; i++) y[i] = (x[i] - m) * s * gain[i] + bias[i];
  *mean = m, *scale = s;
}

mr_status layernorm_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t rows = mr_rows(&c->out[0].shape), d = mr_cols(&c->out[0].shape);
  (void)be;
  MR_PARALLEL_FOR(be, MR_WORTH(rows * d))
  for (int64_t r = 0; r < rows; r++) {
    row_forward(d, MR_IN(c, 0) + r * d, MR_IN(c, 1), MR_IN(c, 2), MR_OUT(c, 0) + r * d,
                MR_SAVE(c, 0) + r, MR_SAVE(c, 1) + r);
  }
  return MR_OK;
}

/* With n = (x - m) s: dx = s (g dy - mean(g dy) - n mean(g dy n)); dgain += dy n; dbias += dy.
 * dparam holds dgain, then dbias. dx may be x. */
static void row_gradient(int64_t d, const mr_real *x, const mr_real *gain, const mr_real *dy,
                         mr_real m, mr_real s, mr_real beta, mr_real *dx, mr_real *dparam)
{
  mr_real sum = 0, dot = 0;
  MR_PRAGMA(omp simd reduction(+ : sum, dot))
  for (int64_t i = 0; i < d; i++) {
    const mr_real n = (x[i] - m) * s, g = gain[i] * dy[i];
    sum += g;
    dot += g * n;
    dparam[i] += dy[i] * n;
    dparam[d + i] += dy[i];
  }
  if (dx == NULL) return;
  sum /= (mr_real)d, dot /= (mr_real)d;
  MR_SIMD
  for (int64_t i = 0; i < d; i++) {
    const mr_real n = (x[i] - m) * s;
    dx[i] = mr_plus(beta, dx[i], s * (gain[i] * dy[i] - sum - n * dot));
  }
}

mr_status layernorm_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t rows = mr_rows(&c->dout[0].shape), d = mr_cols(&c->dout[0].shape);
  mr_real *dx = MR_DIN(c, 0), *parts = c->work;
  int team = 1;
  (void)be;
  MR_PARALLEL(be, MR_WORTH(rows * d))
  {
    mr_real *total = parts + (int64_t)mr_tid() * 4 * d, *block = total + 2 * d;
    int64_t from, to;
    mr_share(rows, 1, mr_tid(), mr_team(), &from, &to);
    if (mr_tid() == 0) team = mr_team();
    memset(total, 0, 2 * (size_t)d * sizeof *total);
    for (int64_t r = from; r < to; r += BLOCK) {
      memset(block, 0, 2 * (size_t)d * sizeof *block);
      for (int64_t k = r; k < to && k < r + BLOCK; k++) {
        row_gradient(d, MR_IN(c, 0) + k * d, MR_IN(c, 1), MR_DOUT(c, 0) + k * d, MR_SAVE(c, 0)[k],
                     MR_SAVE(c, 1)[k], c->beta[0], dx != NULL ? dx + k * d : NULL, block);
      }
      mr_sum_parts(total, 1, block, 0, 1, 2 * d);
    }
  }
  if (MR_DIN(c, 1) != NULL) mr_sum_parts(MR_DIN(c, 1), c->beta[1], parts, 4 * d, team, d);
  if (MR_DIN(c, 2) != NULL) mr_sum_parts(MR_DIN(c, 2), c->beta[2], parts + d, 4 * d, team, d);
  return MR_OK;
}

const mr_op mr_layernorm_op = {
    "layernorm", 3, 1, 0, infer, MR_TWIN(layernorm, fwd), MR_TWIN(layernorm, bwd)};

mr_val mr_layernorm(mr_tape *t, mr_val x, const char *name)
{
  const mr_shape s = mr_shape_of(t, x);
  const mr_shape row = mr_shape1(mr_cols(&s));
  mr_val gain = mr_part(t, name, "gain", row, mr_init_const(1));
  mr_val bias = mr_part(t, name, "bias", row, mr_init_const(0));
  mr_val in[] = {x, gain, bias};
  return mr_apply(t, &mr_layernorm_op, NULL, in, 3);
}
