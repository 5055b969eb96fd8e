/* softmax_xent.c — mean cross entropy on the CPU. SPDX-License-Identifier: MIT */
#include "softmax_xent.h"
#include "op_util.h"
#include "ops.h"
#include "partial.h"
#include "scalar.h"

/* What one thread found in its rows. */
typedef struct part {
  double sum;    /* of the losses                          */
  int64_t count; /* rows with a label                      */
  int64_t bad;   /* first row with a label of V or more; -1 */
} part;

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  (void)attr, (void)n_in;
  MR_CHECK(mr_rule_rank("softmax_xent", "logits", &in[0], MR_REAL, -1));
  mr_shape rows = in[0].shape;
  if (rows.rank < 1) return MR_FAIL(MR_ERR_SHAPE, "softmax_xent: logits has no dimensions");
  rows.rank--;
  MR_CHECK(mr_rule_shape("softmax_xent", "label", &in[1], MR_I32, &rows));
  need->out[0] = mr_shape0();
  if (site->device == MR_CPU) {
    need->work_fwd = (size_t)site->threads * sizeof(part);
  } else {
    need->work_fwd = (size_t)mr_partials(mr_count(&rows)) * 2 * sizeof(double);
    need->save[0] = mr_shape1(1); /* what backward multiplies by instead of counting again */
    need->n_save = 1;
  }
  need->reads_in = 3;
  need->overwrites = 1;
  need->flops = 10 * (double)mr_count(&in[0].shape);
  need->flops_bwd = need->flops; /* the exponentials once more */
  need->bytes = (double)mr_bytes(&in[0].shape, MR_REAL) + (double)mr_bytes(&rows, MR_I32);
  return MR_OK;
}

/* The largest element of a row, by lanes side by side: compilers leave a plain loop in scalar code,
 * for a NaN would depend on the order. */
static mr_real row_max(int64_t v, const mr_real *x)
{
  enum { LANES = 16 };
  mr_real lane[LANES], m = x[0];
  int64_t i = 0;
  for (int j = 0; j < LANES; j++) lane[j] = m;
  for (; i + LANES <= v; i += LANES)
    for (int j = 0; j < LANES; j++) lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
  for (; i < v; i++) m = x[i] > m ? x[i] : m;
  for (int j = 0; j < LANES; j++) m = lane[j] > m ? lane[j] : m;
  return m;
}

/* sum exp(x - max) over a row; *max. */
static mr_real exp_sum(int64_t v, const mr_real *x, mr_real *max)
{
  mr_real m = row_max(v, x), sum = 0;
  MR_PRAGMA(omp simd reduction(+ : sum))
  for (int64_t i = 0; i < v; i++) sum += mr_exp1(x[i] - m);
  *max = m;
  return sum;
}

static part rows_forward(const mr_call *c, int64_t from, int64_t to)
{
  const int32_t *label = c->in[1].data;
  const int64_t v = mr_cols(&c->in[0].shape);
  part p = {0, 0, -1};
  for (int64_t r = from; r < to; r++) {
    const mr_real *x = MR_IN(c, 0) + r * v;
    mr_real max, sum;
    if (label[r] < 0) continue;
    if (label[r] >= v) {
      p.bad = r;
      return p;
    }
    sum = exp_sum(v, x, &max);
    p.sum += (double)mr_log1(sum) + ((double)max - (double)x[label[r]]);
    p.count++;
  }
  return p;
}

mr_status softmax_xent_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const int32_t *label = c->in[1].data;
  const int64_t rows = mr_rows(&c->in[0].shape), v = mr_cols(&c->in[0].shape);
  part *parts = c->work, all = {0, 0, -1};
  int team = 1;
  (void)be;
  MR_PARALLEL(be, MR_WORTH(rows * v))
  {
    int64_t from, to;
    mr_share(rows, 1, mr_tid(), mr_team(), &from, &to);
    if (mr_tid() == 0) team = mr_team();
    parts[mr_tid()] = rows_forward(c, from, to);
  }
  for (int p = 0; p < team; p++) {
    all.sum += parts[p].sum, all.count += parts[p].count;
    if (all.bad < 0) all.bad = parts[p].bad;
  }
  if (all.bad >= 0) {
    return MR_FAIL(MR_ERR_ARG, "softmax_xent: label %d of row %lld must be less than V = %lld",
                   (int)label[all.bad], (long long)all.bad, (long long)v);
  }
  *MR_OUT(c, 0) = (mr_real)(all.count > 0 ? all.sum / (double)all.count : 0);
  return MR_OK;
}

/* dx = beta dx + scale (softmax(x) - onehot(label)). dx may be x. */
static void row_gradient(int64_t v, const mr_real *x, int32_t label, mr_real scale, mr_real beta,
                         mr_real *dx)
{
  mr_real max, sum = exp_sum(v, x, &max), factor = scale / sum;
  MR_SIMD
  for (int64_t i = 0; i < v; i++) dx[i] = mr_plus(beta, dx[i], factor * mr_exp1(x[i] - max));
  dx[label] -= scale;
}

mr_status softmax_xent_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const int32_t *label = c->in[1].data;
  const int64_t rows = mr_rows(&c->in[0].shape), v = mr_cols(&c->in[0].shape);
  const mr_real beta = c->beta[0];
  mr_real *dx = MR_DIN(c, 0);
  int64_t count = 0;
  (void)be;
  if (dx == NULL) return MR_OK;
  for (int64_t r = 0; r < rows; r++) count += label[r] >= 0;
  const mr_real scale = count > 0 ? MR_DOUT(c, 0)[0] / (mr_real)count : 0;
  MR_PARALLEL_FOR(be, MR_WORTH(rows * v))
  for (int64_t r = 0; r < rows; r++) {
    if (label[r] >= 0) row_gradient(v, MR_IN(c, 0) + r * v, label[r], scale, beta, dx + r * v);
    for (int64_t i = 0; label[r] < 0 && beta == 0 && i < v; i++) dx[r * v + i] = 0;
  }
  return MR_OK;
}

const mr_op mr_softmax_xent_op = {
    "softmax_xent", 2, 1, 0, infer, MR_TWIN(softmax_xent, fwd), MR_TWIN(softmax_xent, bwd)};

mr_val mr_softmax_xent(mr_tape *t, mr_val logits, mr_val label)
{
  mr_val in[] = {logits, label};
  return mr_apply(t, &mr_softmax_xent_op, NULL, in, 2);
}
