/* ref_seq.c — references of the ops along time. SPDX-License-Identifier: MIT */
#include <math.h>
#include "ref_ops.h"
#include "gru_seq.h"
#include "mingru_seq.h"
#include "minlstm_seq.h"
#include "ops.h"

static const double *real(const mr_ref *r, int i)
{
  return i < r->n_in && r->in[i].shape.rank >= 0 ? r->in[i].data : NULL;
}

static double sigmoid(double x)
{
  return 1 / (1 + exp(-x));
}

static double g(double x)
{
  return x >= 0 ? x + 0.5 : sigmoid(x);
}

/* State i of sequence b: step t of h [B,T,H], or the start h0 [B,1,H] (NULL: zero) for t < 0. */
static double state(const double *h, const double *h0, int64_t T, int64_t H, int64_t b, int64_t t,
                    int64_t i)
{
  if (t >= 0) return h[(b * T + t) * H + i];
  return h0 ? h0[b * H + i] : 0;
}

void mr_ref_conv1d(const mr_ref *r)
{
  const double *x = real(r, 0), *tail = real(r, 1), *w = real(r, 2), *bias = real(r, 3);
  int64_t B = r->in[0].shape.dim[0], T = r->in[0].shape.dim[1], D = r->in[0].shape.dim[2];
  int64_t K = r->in[2].shape.dim[1];
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++)
      for (int64_t d = 0; d < D; d++) {
        double y = bias[d];
        for (int64_t k = 0; k < K; k++) {
          int64_t s = t - K + 1 + k;
          if (s >= 0)
            y += w[d * K + k] * x[(b * T + s) * D + d];
          else if (tail)
            y += w[d * K + k] * tail[(b * (K - 1) + s + K - 1) * D + d];
        }
        r->out[0][(b * T + t) * D + d] = y;
      }
}

void mr_ref_cumsum_time(const mr_ref *r)
{
  const double *x = real(r, 0);
  int64_t B = r->in[0].shape.dim[0], T = r->in[0].shape.dim[1], D = r->in[0].shape.dim[2];
  for (int64_t b = 0; b < B; b++)
    for (int64_t d = 0; d < D; d++) {
      double sum = 0;
      for (int64_t t = 0; t < T; t++) {
        sum += x[(b * T + t) * D + d];
        r->out[0][(b * T + t) * D + d] = sum;
      }
    }
}

void mr_ref_logcumsumexp_time(const mr_ref *r)
{
  const double *x = real(r, 0);
  int64_t B = r->in[0].shape.dim[0], T = r->in[0].shape.dim[1], D = r->in[0].shape.dim[2];
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++)
      for (int64_t d = 0; d < D; d++) {
        double top = -INFINITY, sum = 0;
        for (int64_t s = 0; s <= t; s++) top = fmax(top, x[(b * T + s) * D + d]);
        for (int64_t s = 0; s <= t; s++) sum += exp(x[(b * T + s) * D + d] - top);
        r->out[0][(b * T + t) * D + d] = top + log(sum);
      }
}

void mr_ref_scan(const mr_ref *r)
{
  const double *a = real(r, 0), *b_in = real(r, 1), *h0 = real(r, 2);
  double *h = r->out[0];
  int64_t B = r->in[0].shape.dim[0], T = r->in[0].shape.dim[1], H = r->in[0].shape.dim[2];
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++)
      for (int64_t i = 0; i < H; i++) {
        int64_t at = (b * T + t) * H + i;
        h[at] = a[at] * state(h, h0, T, H, b, t - 1, i) + b_in[at];
      }
}

void mr_ref_mingru_seq(const mr_ref *r)
{
  const double *pre = real(r, 0), *h0 = real(r, 1);
  double *h = r->out[0];
  int64_t B = r->in[0].shape.dim[0], T = r->in[0].shape.dim[1], H = r->in[0].shape.dim[2] / 2;
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++)
      for (int64_t i = 0; i < H; i++) {
        const double *p = pre + (b * T + t) * 2 * H;
        double z = sigmoid(p[H + i]);
        h[(b * T + t) * H + i] = (1 - z) * state(h, h0, T, H, b, t - 1, i) + z * g(p[i]);
      }
}

void mr_ref_minlstm_seq(const mr_ref *r)
{
  const minlstm_seq_attr *attr = r->attr;
  const double *pre = real(r, 0), *h0 = real(r, 1);
  double *h = r->out[0];
  int64_t B = r->in[0].shape.dim[0], T = r->in[0].shape.dim[1], H = r->in[0].shape.dim[2] / 3;
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++)
      for (int64_t j = 0; j < H; j++) {
        const double *p = pre + (b * T + t) * 3 * H;
        double f = sigmoid(p[H + j]), i = sigmoid(p[2 * H + j]);
        double sum = attr->normalise ? f + i : 1;
        h[(b * T + t) * H + j] = f / sum * state(h, h0, T, H, b, t - 1, j) + i / sum * g(p[j]);
      }
}

/* (U h)_row for the state before step t, times `factor` element by element when it is given. */
static double recur(const double *u, int64_t row, const double *factor, const double *h,
                    const double *h0, int64_t T, int64_t H, int64_t b, int64_t t)
{
  double sum = 0;
  for (int64_t k = 0; k < H; k++)
    sum += u[row * H + k] * (factor ? factor[k] : 1) * state(h, h0, T, H, b, t - 1, k);
  return sum;
}

void mr_ref_gru_seq(const mr_ref *r)
{
  const gru_seq_attr *attr = r->attr;
  const double *xw = real(r, 0), *u = real(r, 1), *bias = real(r, 2), *h0 = real(r, 3);
  double *h = r->out[0], *reset = r->scratch;
  int64_t B = r->in[0].shape.dim[0], T = r->in[0].shape.dim[1], H = r->in[0].shape.dim[2] / 3;
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++) {
      const double *x = xw + (b * T + t) * 3 * H;
      for (int64_t i = 0; i < H; i++)
        reset[i] = sigmoid(x[i] + recur(u, i, NULL, h, h0, T, H, b, t) + bias[i]);
      for (int64_t i = 0; i < H; i++) {
        double z = sigmoid(x[H + i] + recur(u, H + i, NULL, h, h0, T, H, b, t) + bias[H + i]);
        double n;
        if (attr->reset == MR_RESET_AFTER)
          n = tanh(x[2 * H + i] +
                   reset[i] * (recur(u, 2 * H + i, NULL, h, h0, T, H, b, t) + bias[2 * H + i]));
        else
          n = tanh(x[2 * H + i] + recur(u, 2 * H + i, reset, h, h0, T, H, b, t) + bias[2 * H + i]);
        h[(b * T + t) * H + i] = (1 - z) * n + z * state(h, h0, T, H, b, t - 1, i);
      }
    }
}

void mr_ref_lstm_seq(const mr_ref *r)
{
  const double *xw = real(r, 0), *u = real(r, 1), *h0 = real(r, 2), *c0 = real(r, 3);
  double *h = r->out[0], *c = r->out[1];
  int64_t B = r->in[0].shape.dim[0], T = r->in[0].shape.dim[1], H = r->in[0].shape.dim[2] / 4;
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++)
      for (int64_t j = 0; j < H; j++) {
        double gate[4]; /* i, f, g, o before their functions */
        for (int k = 0; k < 4; k++)
          gate[k] =
              xw[(b * T + t) * 4 * H + k * H + j] + recur(u, k * H + j, NULL, h, h0, T, H, b, t);
        double before = state(c, c0, T, H, b, t - 1, j), now;
        now = sigmoid(gate[1]) * before + sigmoid(gate[0]) * tanh(gate[2]);
        c[(b * T + t) * H + j] = now;
        h[(b * T + t) * H + j] = sigmoid(gate[3]) * tanh(now);
      }
}

void mr_ref_selective_scan(const mr_ref *r)
{
  const double *u = real(r, 0), *raw = real(r, 1), *a_log = real(r, 2), *in = real(r, 3);
  const double *out = real(r, 4), *skip = real(r, 5), *h0 = real(r, 6);
  double *y = r->out[0], *h = r->out[1]; /* the state lives where the last one is wanted */
  int64_t B = r->in[0].shape.dim[0], T = r->in[0].shape.dim[1], E = r->in[0].shape.dim[2];
  int64_t N = r->in[2].shape.dim[1];
  for (int64_t i = 0; i < B * E * N; i++) h[i] = h0 ? h0[i] : 0;
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++)
      for (int64_t e = 0; e < E; e++) {
        int64_t at = (b * T + t) * E + e;
        double delta = (raw[at] > 0 ? raw[at] : 0) + log1p(exp(-fabs(raw[at])));
        y[at] = skip[e] * u[at];
        for (int64_t n = 0; n < N; n++) {
          double *now = &h[(b * E + e) * N + n];
          *now *= exp(-delta * exp(a_log[e * N + n]));
          *now += delta * in[(b * T + t) * N + n] * u[at];
          y[at] += out[(b * T + t) * N + n] * *now;
        }
      }
}
