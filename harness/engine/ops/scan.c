/* scan.c — h_t = a_t h_{t-1} + b_t on the CPU. SPDX-License-Identifier: MIT */
#include "scan.h"
#include <string.h>
#include "op_util.h"
#include "ops.h"
#include "sweep.h"

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  const bool started = mr_rule_given(in, n_in, 2);
  (void)attr;
  MR_CHECK(mr_rule_rank("scan", "a", &in[0], MR_REAL, 3));
  MR_CHECK(mr_rule_shape("scan", "b", &in[1], MR_REAL, &in[0].shape));
  const mr_shape h0 = mr_shape3(in[0].shape.dim[0], 1, in[0].shape.dim[2]);
  if (started) MR_CHECK(mr_rule_shape("scan", "h0", &in[2], MR_REAL, &h0));
  mr_rule_map(need, &in[0].shape, 2, 3, 2);
  need->flops_din[0] = need->flops / 2;
  if (started) need->bytes += (double)mr_bytes(&h0, MR_REAL);
  need->reads_in = started ? 5 : 1;
  need->reads_out = 1;
  need->overwrites = 1;
  mr_sweep_need(site, &in[0].shape, need);
  return MR_OK;
}

/* n channels of one sequence of width d; h0 NULL: zeros. */
static void sweep_forward(int64_t T, int64_t d, int64_t n, const mr_real *restrict a,
                          const mr_real *restrict b, const mr_real *h0, mr_real *restrict h)
{
  mr_real carry[MR_TILE];
  memset(carry, 0, sizeof carry);
  if (h0 != NULL) memcpy(carry, h0, (size_t)n * sizeof *h0);
  for (int64_t t = 0; t < T; t++) {
    MR_SIMD
    for (int64_t i = 0; i < n; i++) {
      carry[i] = a[t * d + i] * carry[i] + b[t * d + i];
      h[t * d + i] = carry[i];
    }
  }
}

/* The gradients of one tile; NULL: not wanted. */
typedef struct gradients {
  mr_real *a, *b, *h0;
  mr_real beta_a, beta_b, beta_h0;
} gradients;

/* g_t = dh_t + a_{t+1} g_{t+1};  da_t = g_t h_{t-1};  db_t = g_t;  dh0 = a_0 g_0. da may be a. */
static void sweep_backward(int64_t T, int64_t d, int64_t n, const mr_real *a, const mr_real *h0,
                           const mr_real *h, const mr_real *dh, const gradients *q)
{
  mr_real g[MR_TILE], carry[MR_TILE], zero[MR_TILE]; /* carry: a_{t+1} g_{t+1} */
  memset(carry, 0, sizeof carry);
  memset(zero, 0, sizeof zero);
  for (int64_t t = T - 1; t >= 0; t--) {
    const mr_real *at = a + t * d, *dht = dh + t * d;
    const mr_real *before = t > 0 ? h + (t - 1) * d : h0 != NULL ? h0 : zero;
    MR_SIMD
    for (int64_t i = 0; i < n; i++) {
      g[i] = dht[i] + carry[i];
      carry[i] = at[i] * g[i];
    }
    if (q->a != NULL) {
      mr_real *da = q->a + t * d;
      MR_SIMD
      for (int64_t i = 0; i < n; i++) da[i] = mr_plus(q->beta_a, da[i], g[i] * before[i]);
    }
    if (q->b != NULL) mr_sum_parts(q->b + t * d, q->beta_b, g, 0, 1, n);
  }
  if (q->h0 != NULL) mr_sum_parts(q->h0, q->beta_h0, carry, 0, 1, n);
}

mr_status scan_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const mr_shape *s = &c->out[0].shape;
  const int64_t T = s->dim[1], H = s->dim[2], lanes = s->dim[0] * H;
  (void)be;
  MR_PARALLEL(be, MR_WORTH(lanes * T))
  {
    int64_t from, to, n;
    mr_share(lanes, 16, mr_tid(), mr_team(), &from, &to);
    for (int64_t k = from; k < to; k += n) {
      const int64_t at = k / H * T * H + k % H;
      n = mr_tile(k, to, H);
      sweep_forward(T, H, n, MR_IN(c, 0) + at, MR_IN(c, 1) + at,
                    MR_GIVEN(c, 2) ? MR_IN(c, 2) + k : NULL, MR_OUT(c, 0) + at);
    }
  }
  return MR_OK;
}

mr_status scan_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const mr_shape *s = &c->dout[0].shape;
  const int64_t T = s->dim[1], H = s->dim[2], lanes = s->dim[0] * H;
  const bool started = MR_GIVEN(c, 2);
  const gradients all = {MR_DIN(c, 0), MR_DIN(c, 1), started ? MR_DIN(c, 2) : NULL,
                         c->beta[0],   c->beta[1],   started ? c->beta[2] : 0};
  (void)be;
  MR_PARALLEL(be, MR_WORTH(lanes * T))
  {
    int64_t from, to, n;
    mr_share(lanes, 16, mr_tid(), mr_team(), &from, &to);
    for (int64_t k = from; k < to; k += n) {
      const int64_t at = k / H * T * H + k % H;
      gradients q = all;
      if (q.a != NULL) q.a += at;
      if (q.b != NULL) q.b += at;
      if (q.h0 != NULL) q.h0 += k;
      n = mr_tile(k, to, H);
      sweep_backward(T, H, n, MR_IN(c, 0) + at, started ? MR_IN(c, 2) + k : NULL, MR_OUT(c, 0) + at,
                     MR_DOUT(c, 0) + at, &q);
    }
  }
  return MR_OK;
}

const mr_op mr_scan_op = {"scan", 3, 1, 0, infer, MR_TWIN(scan, fwd), MR_TWIN(scan, bwd)};

mr_val mr_scan(mr_tape *t, mr_val a, mr_val b, mr_val h0)
{
  mr_val in[] = {a, b, h0};
  return mr_apply(t, &mr_scan_op, NULL, in, 3);
}
