/* adamw.c — squared norm of the gradients and the AdamW update, on the CPU.
 * SPDX-License-Identifier: MIT */
#include "adamw.h"
#include <math.h>

/* Eight sums side by side: fixed order of additions, and room for the vector unit. */
static double square_sum(const mr_real *g, int64_t n)
{
  double lane[8] = {0};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; j++) lane[j] += (double)g[i + j] * (double)g[i + j];
  for (; i < n; i++) lane[i & 7] += (double)g[i] * (double)g[i];
  return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

double mr_adamw_square_sum_cpu(mr_backend *be, const mr_pieces *all, double *part)
{
  double sum = 0;
  (void)be;
  MR_PARALLEL_FOR(be, MR_WORTH(all->n_reals))
  for (int64_t i = 0; i < all->n; i++) part[i] = square_sum(all->piece[i].grad, all->piece[i].n);
  for (int64_t i = 0; i < all->n; i++) sum += part[i];
  return sum;
}

static mr_real root(mr_real x)
{
  return sizeof x == sizeof(float) ? (mr_real)sqrtf((float)x) : (mr_real)sqrt((double)x);
}

static void update(const mr_piece *q, const mr_adamw *a)
{
  mr_real *restrict p = q->value, *restrict m = q->m, *restrict v = q->v;
  const mr_real *restrict grad = q->grad;
  const mr_real b1 = (mr_real)a->beta1, b2 = (mr_real)a->beta2;
  const mr_real c1 = (mr_real)(1 - a->beta1), c2 = (mr_real)(1 - a->beta2);
  const mr_real scale = (mr_real)a->scale, eps = (mr_real)a->eps;
  const mr_real rate = (mr_real)(a->lr * a->unbias1), unbias2 = (mr_real)a->unbias2;
  const mr_real shrink = (mr_real)(a->lr * q->decay);
  for (int64_t i = 0; i < q->n; i++) {
    mr_real g = scale * grad[i];
    m[i] = b1 * m[i] + c1 * g;
    v[i] = b2 * v[i] + c2 * g * g;
    p[i] -= shrink * p[i] + rate * m[i] / (root(unbias2 * v[i]) + eps);
  }
}

void mr_adamw_step_cpu(mr_backend *be, const mr_pieces *all, const mr_adamw *a)
{
  (void)be;
  MR_PARALLEL_FOR(be, MR_WORTH(all->n_reals))
  for (int64_t i = 0; i < all->n; i++) update(&all->piece[i], a);
}
