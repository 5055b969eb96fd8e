/* ref_attention.c — references of attention and of what stands round it. SPDX-License-Identifier: MIT */
#include <math.h>
#include "attention.h"
#include "ref_ops.h"
#include "shift.h"

/* Steps before sequence b of this stretch: input i, at least 0 and at most `most`. */
static int64_t seen(const mr_ref *r, int i, int64_t b, int64_t most)
{
  if (i >= r->n_in || r->in[i].shape.rank < 0) return 0;
  const double n = floor(((const double *)r->in[i].data)[b] + 0.5);
  return n <= 0 ? 0 : n >= (double)most ? most : (int64_t)n;
}

/* The sizes of a call. Key or value row s of sequence b: carried ones have s < 0, -1 the latest. */
typedef struct sizes {
  int64_t T, D, C;
} sizes;

static const double *row(const mr_ref *r, sizes z, int64_t b, int64_t s, int64_t third)
{
  if (s >= 0) return (const double *)r->in[0].data + (b * z.T + s) * 3 * z.D + third * z.D;
  return (const double *)r->in[1].data + (b * z.C + z.C + s) * 2 * z.D + (third - 1) * z.D;
}

/* One head, channels at .. at + d - 1, of step t. */
static void attend(const mr_ref *r, sizes z, int64_t b, int64_t t, int64_t at, int64_t d)
{
  const int64_t first = -seen(r, 2, b, z.C);
  double *y = r->out[0] + (b * z.T + t) * z.D + at;
  double top = -INFINITY, sum = 0;
  for (int64_t i = 0; i < d; i++) y[i] = 0;
  for (int pass = 0; pass < 2; pass++)
    for (int64_t s = first; s <= t; s++) {
      const double *q = row(r, z, b, t, 0), *k = row(r, z, b, s, 1), *v = row(r, z, b, s, 2);
      double score = 0;
      for (int64_t i = at; i < at + d; i++) score += q[i] * k[i] / sqrt((double)d);
      if (pass == 0) {
        top = fmax(top, score);
        continue;
      }
      sum += exp(score - top);
      for (int64_t i = 0; i < d; i++) y[i] += exp(score - top) * v[at + i];
    }
  for (int64_t i = 0; i < d; i++) y[i] /= sum;
}

void mr_ref_attention(const mr_ref *r)
{
  const attention_attr *a = r->attr;
  const mr_shape *s = &r->in[0].shape;
  const int64_t C = r->n_in > 1 && r->in[1].shape.rank >= 0 ? r->in[1].shape.dim[1] : 0;
  const sizes z = {s->dim[1], s->dim[2] / 3, C};
  for (int64_t b = 0; b < s->dim[0]; b++)
    for (int64_t t = 0; t < z.T; t++)
      for (int64_t i = 0; i < a->heads; i++)
        attend(r, z, b, t, i * (z.D / a->heads), z.D / a->heads);
}

void mr_ref_add_position(const mr_ref *r)
{
  const double *x = r->in[0].data, *table = r->in[1].data;
  const mr_shape *s = &r->in[0].shape;
  const int64_t T = s->dim[1], D = s->dim[2], P = r->in[1].shape.dim[0];
  for (int64_t b = 0; b < s->dim[0]; b++)
    for (int64_t t = 0; t < T; t++)
      for (int64_t i = 0; i < D; i++) {
        int64_t p = seen(r, 2, b, P) + t;
        p = p < P ? p : P - 1;
        r->out[0][(b * T + t) * D + i] = x[(b * T + t) * D + i] + table[p * D + i];
      }
}

void mr_ref_shift(const mr_ref *r)
{
  const shift_attr *a = r->attr;
  const double *x = r->in[0].data;
  for (int64_t i = 0; i < mr_count(&r->in[0].shape); i++) r->out[0][i] = x[i] + a->s;
}
