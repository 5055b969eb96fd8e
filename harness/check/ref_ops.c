/* ref_ops.c — references of the ops that work position by position. SPDX-License-Identifier: MIT */
#include <math.h>
#include "ref_ops.h"
#include "act.h"
#include "add.h"
#include "dropout.h"
#include "philox.h"
#include "repeat_batch.h"
#include "rng.h"
#include "slice_last.h"
#include "slice_time.h"

static const double *real(const mr_ref *r, int i)
{
  return i < r->n_in && r->in[i].shape.rank >= 0 ? r->in[i].data : NULL;
}

void mr_ref_linear(const mr_ref *r)
{
  const double *x = real(r, 0), *w = real(r, 1), *bias = real(r, 2);
  int64_t N = mr_rows(&r->in[0].shape), K = mr_cols(&r->in[0].shape), M = r->in[1].shape.dim[0];
  for (int64_t n = 0; n < N; n++)
    for (int64_t m = 0; m < M; m++) {
      double y = bias ? bias[m] : 0;
      for (int64_t k = 0; k < K; k++) y += x[n * K + k] * w[m * K + k];
      r->out[0][n * M + m] = y;
    }
}

void mr_ref_embed(const mr_ref *r)
{
  const int32_t *token = r->in[0].data;
  const double *w = real(r, 1);
  int64_t N = mr_count(&r->in[0].shape), V = r->in[1].shape.dim[0], D = r->in[1].shape.dim[1];
  for (int64_t n = 0; n < N; n++)
    for (int64_t d = 0; d < D; d++)
      r->out[0][n * D + d] = token[n] >= 0 && token[n] < V ? w[token[n] * D + d] : 0;
}

void mr_ref_rmsnorm(const mr_ref *r)
{
  const double *x = real(r, 0), *gain = real(r, 1);
  int64_t N = mr_rows(&r->in[0].shape), D = mr_cols(&r->in[0].shape);
  for (int64_t n = 0; n < N; n++) {
    double square = 0;
    for (int64_t d = 0; d < D; d++) square += x[n * D + d] * x[n * D + d] / (double)D;
    for (int64_t d = 0; d < D; d++)
      r->out[0][n * D + d] = x[n * D + d] / sqrt(square + 1e-6) * gain[d];
  }
}

void mr_ref_layernorm(const mr_ref *r)
{
  const double *x = real(r, 0), *gain = real(r, 1), *bias = real(r, 2);
  int64_t N = mr_rows(&r->in[0].shape), D = mr_cols(&r->in[0].shape);
  for (int64_t n = 0; n < N; n++) {
    double mean = 0, var = 0;
    for (int64_t d = 0; d < D; d++) mean += x[n * D + d] / (double)D;
    for (int64_t d = 0; d < D; d++)
      var += (x[n * D + d] - mean) * (x[n * D + d] - mean) / (double)D;
    for (int64_t d = 0; d < D; d++)
      r->out[0][n * D + d] = (x[n * D + d] - mean) / sqrt(var + 1e-5) * gain[d] + bias[d];
  }
}

void mr_ref_add(const mr_ref *r)
{
  for (int64_t i = 0; i < mr_count(&r->in[0].shape); i++)
    r->out[0][i] = real(r, 0)[i] + real(r, 1)[i];
}

void mr_ref_sub(const mr_ref *r)
{
  for (int64_t i = 0; i < mr_count(&r->in[0].shape); i++)
    r->out[0][i] = real(r, 0)[i] - real(r, 1)[i];
}

void mr_ref_mul(const mr_ref *r)
{
  for (int64_t i = 0; i < mr_count(&r->in[0].shape); i++)
    r->out[0][i] = real(r, 0)[i] * real(r, 1)[i];
}

void mr_ref_scale(const mr_ref *r)
{
  const scale_attr *attr = r->attr;
  for (int64_t i = 0; i < mr_count(&r->in[0].shape); i++) r->out[0][i] = attr->s * real(r, 0)[i];
}

static double sigmoid(double x)
{
  return 1 / (1 + exp(-x));
}

static double gelu(double x)
{
  return x * 0.5 * erfc(-x / sqrt(2));
}

static double act(mr_act_kind kind, double x)
{
  switch (kind) {
  case MR_SIGMOID:
    return sigmoid(x);
  case MR_TANH:
    return tanh(x);
  case MR_RELU:
    return x > 0 ? x : 0;
  case MR_EXP:
    return exp(x);
  case MR_GELU:
    return gelu(x);
  case MR_SILU:
    return x * sigmoid(x);
  case MR_SOFTPLUS:
    return fmax(x, 0) + log1p(exp(-fabs(x)));
  case MR_G:
    return x >= 0 ? x + 0.5 : sigmoid(x);
  case MR_LOG_G:
    return x >= 0 ? log(x + 0.5) : -(fmax(-x, 0) + log1p(exp(-fabs(x))));
  case MR_LOG:
    return log(x);
  case MR_N_ACTS:
    break;
  }
  return NAN;
}

void mr_ref_act(const mr_ref *r)
{
  const act_attr *attr = r->attr;
  for (int64_t i = 0; i < mr_count(&r->in[0].shape); i++)
    r->out[0][i] = act(attr->kind, real(r, 0)[i]);
}

void mr_ref_geglu(const mr_ref *r)
{
  const double *x = real(r, 0);
  int64_t N = mr_rows(&r->in[0].shape), F = mr_cols(&r->in[0].shape) / 2;
  for (int64_t n = 0; n < N; n++)
    for (int64_t f = 0; f < F; f++)
      r->out[0][n * F + f] = x[n * 2 * F + f] * gelu(x[n * 2 * F + F + f]);
}

void mr_ref_dropout(const mr_ref *r)
{
  const dropout_attr *attr = r->attr;
  for (int64_t i = 0; i < mr_count(&r->in[0].shape); i++) {
    philox4x32_ctr_t word = mr_philox(r->tick.seed, (uint32_t)(i / 4), (uint32_t)r->tick.step,
                                      r->node, MR_STREAM_DROPOUT);
    bool keep = word.v[i % 4] * 0x1p-32 >= attr->p;
    double x = real(r, 0)[i];
    r->out[0][i] = !r->tick.training ? x : keep ? x / (1 - attr->p) : 0;
  }
}

void mr_ref_slice_time(const mr_ref *r)
{
  const slice_time_attr *attr = r->attr;
  int64_t B = r->in[0].shape.dim[0], T = r->in[0].shape.dim[1], D = r->in[0].shape.dim[2];
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < attr->n; t++)
      for (int64_t d = 0; d < D; d++)
        r->out[0][(b * attr->n + t) * D + d] = real(r, 0)[(b * T + attr->from + t) * D + d];
}

void mr_ref_slice_last(const mr_ref *r)
{
  const slice_last_attr *attr = r->attr;
  int64_t N = mr_rows(&r->in[0].shape), D = mr_cols(&r->in[0].shape);
  for (int64_t n = 0; n < N; n++)
    for (int64_t d = 0; d < attr->n; d++)
      r->out[0][n * attr->n + d] = real(r, 0)[n * D + attr->from + d];
}

void mr_ref_concat_time(const mr_ref *r)
{
  int64_t B = r->in[0].shape.dim[0], D = r->in[0].shape.dim[2];
  double *y = r->out[0];
  for (int64_t b = 0; b < B; b++)
    for (int i = 0; i < r->n_in; i++) {
      int64_t n = r->in[i].shape.dim[1] * D;
      for (int64_t j = 0; j < n; j++) *y++ = real(r, i)[b * n + j];
    }
}

void mr_ref_repeat_batch(const mr_ref *r)
{
  const repeat_batch_attr *attr = r->attr;
  int64_t D = mr_count(&r->in[0].shape);
  for (int64_t b = 0; b < attr->batch; b++)
    for (int64_t d = 0; d < D; d++) r->out[0][b * D + d] = real(r, 0)[d];
}

void mr_ref_softmax_xent(const mr_ref *r)
{
  const double *logits = real(r, 0);
  const int32_t *label = r->in[1].data;
  int64_t N = mr_rows(&r->in[0].shape), V = mr_cols(&r->in[0].shape), scored = 0;
  double loss = 0;
  for (int64_t n = 0; n < N; n++) {
    const double *x = logits + n * V;
    double top = -INFINITY, sum = 0;
    if (label[n] < 0) continue;
    for (int64_t v = 0; v < V; v++) top = fmax(top, x[v]);
    for (int64_t v = 0; v < V; v++) sum += exp(x[v] - top);
    loss -= x[label[n]] - top - log(sum);
    scored++;
  }
  r->out[0][0] = scored ? loss / (double)scored : 0;
}

void mr_ref_mse(const mr_ref *r)
{
  const double *y = real(r, 0), *target = real(r, 1), *w = real(r, 2);
  int64_t N = mr_rows(&r->in[0].shape), D = mr_cols(&r->in[0].shape);
  double loss = 0, weight = 0;
  for (int64_t n = 0; n < N; n++) {
    weight += w[n];
    for (int64_t d = 0; d < D; d++) {
      double e = y[n * D + d] - target[n * D + d];
      loss += w[n] * e * e;
    }
  }
  r->out[0][0] = weight > 0 ? loss / ((double)D * weight) : 0;
}
