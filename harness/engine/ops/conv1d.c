/* conv1d.c — causal depthwise convolution on the CPU. SPDX-License-Identifier: MIT */
#include "conv1d.h"
#include <math.h>
#include <string.h>
#include "op_util.h"
#include "ops.h"
#include "partial.h"

/* Steps whose weight gradients are added up before they join the thread's total: short sums of near
 * equals lose less. */
enum { BLOCK = 64 };

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  const bool tail = mr_rule_given(in, n_in, 1);
  (void)attr;
  MR_CHECK(mr_rule_rank("conv1d", "x", &in[0], MR_REAL, 3));
  MR_CHECK(mr_rule_rank("conv1d", "weight", &in[2], MR_REAL, 2));
  const int64_t B = in[0].shape.dim[0], D = in[0].shape.dim[2], K = in[2].shape.dim[1];
  const mr_shape w = mr_shape2(D, K), row = mr_shape1(D), before = mr_shape3(B, K - 1, D);
  MR_CHECK(mr_rule_shape("conv1d", "weight", &in[2], MR_REAL, &w));
  MR_CHECK(mr_rule_shape("conv1d", "bias", &in[3], MR_REAL, &row));
  if (tail) MR_CHECK(mr_rule_shape("conv1d", "tail", &in[1], MR_REAL, &before));
  mr_rule_map(need, &in[0].shape, 2 * (double)K, 2, 0);
  need->flops_din[0] = need->flops_din[2] = need->flops;
  if (tail) need->bytes += (double)mr_bytes(&before, MR_REAL);
  need->bytes += (double)mr_bytes(&w, MR_REAL) + (double)mr_bytes(&row, MR_REAL);
  const size_t sums = mr_bytes(&w, MR_REAL) + mr_bytes(&row, MR_REAL);
  if (site->device == MR_CPU) {
    need->work_fwd = mr_bytes(&w, MR_REAL);
    need->work_bwd = need->work_fwd + (size_t)site->threads * 2 * sums;
  } else {
    need->work_bwd = (size_t)mr_conv_partials(B, in[0].shape.dim[1]) * sums;
  }
  need->reads_in = tail ? 7 : 5;
  return MR_OK;
}

/* The sizes, and one sequence: step s of x, or of the tail when s < 0; NULL: zeros. */
typedef struct conv {
  int64_t T, D, K;
  mr_real *x, *tail;
} conv;

static conv conv_of(const mr_call *c, const mr_view *x, const mr_view *tail)
{
  const mr_view *v = &c->in[0];
  return (conv){v->shape.dim[1], v->shape.dim[2], c->in[2].shape.dim[1], x->data,
                MR_GIVEN(c, 1) ? tail->data : NULL};
}

static mr_real *step(const conv *q, int64_t b, int64_t s)
{
  if (s >= 0) return q->x != NULL ? q->x + (b * q->T + s) * q->D : NULL;
  return q->tail != NULL ? q->tail + (b * (q->K - 1) + s + q->K - 1) * q->D : NULL;
}

/* w [D,K] -> taps [K,D], so that channels are neighbours. */
static void transpose(const mr_real *w, int64_t D, int64_t K, mr_real *taps)
{
  for (int64_t k = 0; k < K; k++)
    for (int64_t d = 0; d < D; d++) taps[k * D + d] = w[d * K + k];
}

static void multiply_add(int64_t n, const mr_real *restrict a, const mr_real *restrict b,
                         mr_real *restrict y)
{
  MR_SIMD
  for (int64_t i = 0; i < n; i++) y[i] += a[i] * b[i];
}

mr_status conv1d_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const conv q = conv_of(c, &c->in[0], &c->in[1]);
  const int64_t lanes = c->in[0].shape.dim[0] * q.D;
  mr_real *taps = c->work;
  (void)be;
  transpose(MR_IN(c, 2), q.D, q.K, taps);
  MR_PARALLEL(be, MR_WORTH(lanes * q.T))
  {
    int64_t from, to, n;
    mr_share(lanes, 16, mr_tid(), mr_team(), &from, &to);
    for (int64_t lane = from; lane < to; lane += n) {
      const int64_t b = lane / q.D, d = lane % q.D;
      n = mr_tile(lane, to, q.D);
      for (int64_t t = 0; t < q.T; t++) {
        mr_real *y = MR_OUT(c, 0) + (b * q.T + t) * q.D + d;
        memcpy(y, MR_IN(c, 3) + d, (size_t)n * sizeof *y);
        for (int64_t k = 0; k < q.K; k++) {
          const mr_real *x = step(&q, b, t - q.K + 1 + k);
          if (x != NULL) multiply_add(n, taps + k * q.D + d, x + d, y);
        }
      }
    }
  }
  return MR_OK;
}

/* dx_s = sum_k w_k dy_{s+K-1-k}, for n channels from d on of sequence b and of its tail. */
static void input_gradient(const mr_call *c, const conv *dq, const mr_real *taps, int64_t b,
                           int64_t d, int64_t n)
{
  for (int64_t s = 1 - dq->K; s < dq->T; s++) {
    mr_real *dx = step(dq, b, s);
    if (dx == NULL) continue;
    if (c->beta[s < 0] == 0) memset(dx + d, 0, (size_t)n * sizeof *dx);
    for (int64_t k = 0; k < dq->K; k++) {
      const int64_t t = s + dq->K - 1 - k;
      if (t < 0 || t >= dq->T) continue;
      multiply_add(n, taps + k * dq->D + d, MR_DOUT(c, 0) + (b * dq->T + t) * dq->D + d, dx + d);
    }
  }
}

/* part += [dw_0 .. dw_{K-1}, dbias], each [D], from the same channels. block: as part, for use. */
static void weight_gradient(const mr_call *c, const conv *q, int64_t b, int64_t d, int64_t n,
                            mr_real *part, mr_real *block)
{
  for (int64_t from = 0; from < q->T; from += BLOCK) {
    for (int64_t k = 0; k <= q->K; k++) memset(block + k * q->D + d, 0, (size_t)n * sizeof *block);
    for (int64_t t = from; t < q->T && t < from + BLOCK; t++) {
      const mr_real *dy = MR_DOUT(c, 0) + (b * q->T + t) * q->D + d;
      for (int64_t k = 0; k < q->K; k++) {
        const mr_real *x = step(q, b, t - q->K + 1 + k);
        if (x != NULL) multiply_add(n, dy, x + d, block + k * q->D + d);
      }
      mr_sum_parts(block + q->K * q->D + d, 1, dy, 0, 1, n);
    }
    for (int64_t k = 0; k <= q->K; k++)
      mr_sum_parts(part + k * q->D + d, 1, block + k * q->D + d, 0, 1, n);
  }
}

/* Adds the threads' parts, in order, to the gradients of weight and bias. */
static void add_parts(const mr_call *c, const conv *q, const mr_real *parts, int team)
{
  const int64_t size = (q->K + 1) * q->D;
  mr_real *dw = MR_DIN(c, 2);
  for (int64_t d = 0; dw != NULL && d < q->D; d++) {
    for (int64_t k = 0; k < q->K; k++) {
      mr_real sum = 0;
      for (int p = 0; p < team; p++) sum += parts[(int64_t)p * 2 * size + k * q->D + d];
      dw[d * q->K + k] = mr_plus(c->beta[2], dw[d * q->K + k], sum);
    }
  }
  if (MR_DIN(c, 3) != NULL)
    mr_sum_parts(MR_DIN(c, 3), c->beta[3], parts + q->K * q->D, 2 * size, team, q->D);
}

mr_status conv1d_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const conv q = conv_of(c, &c->in[0], &c->in[1]), dq = conv_of(c, &c->din[0], &c->din[1]);
  const int64_t lanes = c->in[0].shape.dim[0] * q.D, size = (q.K + 1) * q.D;
  mr_real *taps = c->work, *parts = taps + q.K * q.D;
  int team = 1;
  (void)be;
  transpose(MR_IN(c, 2), q.D, q.K, taps);
  MR_PARALLEL(be, MR_WORTH(lanes * q.T))
  {
    mr_real *part = parts + (int64_t)mr_tid() * 2 * size, *block = part + size;
    int64_t from, to, n;
    mr_share(lanes, 16, mr_tid(), mr_team(), &from, &to);
    if (mr_tid() == 0) team = mr_team();
    memset(part, 0, (size_t)size * sizeof *part);
    for (int64_t lane = from; lane < to; lane += n) {
      const int64_t b = lane / q.D, d = lane % q.D;
      n = mr_tile(lane, to, q.D);
      input_gradient(c, &dq, taps, b, d, n);
      weight_gradient(c, &q, b, d, n, part, block);
    }
  }
  add_parts(c, &q, parts, team);
  return MR_OK;
}

const mr_op mr_conv1d_op = {"conv1d", 4, 1, 0, infer, MR_TWIN(conv1d, fwd), MR_TWIN(conv1d, bwd)};

mr_val mr_conv1d(mr_tape *t, mr_val x, mr_val tail, const char *name, int64_t taps)
{
  const mr_shape s = mr_shape_of(t, x);
  const int64_t d = mr_cols(&s);
  if (taps < 1) {
    mr_tape_fail(t, MR_ERR_ARG, "conv1d: taps is %lld but must be at least 1", (long long)taps);
    return (mr_val){0};
  }
  const mr_init init = mr_init_uniform(1 / sqrt((double)taps));
  mr_val w = mr_part(t, name, "weight", mr_shape2(d, taps), init);
  mr_val bias = mr_part(t, name, "bias", mr_shape1(d), init);
  mr_val in[] = {x, tail, w, bias};
  return mr_apply(t, &mr_conv1d_op, NULL, in, 4);
}
