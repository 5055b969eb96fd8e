/* attention_any.cuh — attention with heads of any width, a warp to a row: simple, not fast.
 * SPDX-License-Identifier: MIT
 *
 * The lanes of a warp share the channels of a query (or a key) and walk the keys (or queries) one by
 * one; sums grow in the result itself. */
#ifndef MR_ATTENTION_ANY_CUH
#define MR_ATTENTION_ANY_CUH
#include "attention_tile.cuh"

enum { MR_ANY_BLOCK = 128, MR_ANY_WARPS = MR_ANY_BLOCK / MR_WARP };

/* a . b over the channels of a head, in every lane. */
static __device__ __forceinline__ mr_real mr_dot(const mr_real *a, const mr_real *b, int d)
{
  mr_real dot = 0;
  for (int c = mr_lane(); c < d; c += MR_WARP) dot += a[c] * b[c];
  return mr_warp_sum(dot);
}

/* y = beta y + x factor; beta 0 does not read y. */
static __device__ __forceinline__ void mr_add_row(mr_real *y, mr_real beta, const mr_real *x,
                                                  mr_real factor, int d)
{
  for (int c = mr_lane(); c < d; c += MR_WARP) y[c] = (beta != 0 ? beta * y[c] : 0) + factor * x[c];
}

/* The head and row of this warp; false: there is none. */
static __device__ __forceinline__ bool mr_any_row(int64_t rows, int64_t lanes, int64_t *lane,
                                                  int64_t *row)
{
  const int64_t at = (int64_t)blockIdx.x * MR_ANY_WARPS + mr_warp();
  *lane = at / rows, *row = at % rows;
  return *lane < lanes;
}

[[maybe_unused]] static __global__ void __launch_bounds__(MR_ANY_BLOCK)
    mr_any_forward(mr_heads h, int64_t lanes)
{
  int64_t lane, t;
  if (!mr_any_row(h.T, lanes, &lane, &t)) return;
  const mr_real *q = h.qkv + mr_query_at(h, lane) + t * 3 * h.D;
  mr_real *out = h.out + mr_out_at(h, lane) + t * h.D, top = 0, sum = 0;
  for (int own = 0; own < 2; own++) {
    const mr_keys p = mr_keys_of(h, lane, own);
    for (int64_t j = 0; j < (own ? t + 1 : p.n); j++) {
      const mr_real s = h.scale * MR_LOG2_E * mr_dot(q, p.k + j * p.ld, h.d);
      const mr_real most = sum > 0 ? mr_max(top, s) : s, w = mr_weight(s - most);
      const mr_real fade = sum > 0 ? mr_weight(top - most) : 0;
      mr_add_row(out, fade, p.k + j * p.ld + h.D, w, h.d);
      sum = sum * fade + w;
      top = most;
    }
  }
  for (int c = mr_lane(); c < h.d; c += MR_WARP) out[c] *= 1 / sum;
  if (mr_lane() == 0) h.lse[lane * h.T + t] = top + mr_log1(sum) * MR_LOG2_E;
}

/* The weight of a query for a key, and the gradient of their score. */
static __device__ __forceinline__ mr_real mr_any_weight(const mr_heads &h, int64_t lane, int64_t t,
                                                        const mr_real *k, const mr_real *v,
                                                        mr_real *ds)
{
  const mr_real *q = h.qkv + mr_query_at(h, lane) + t * 3 * h.D;
  const mr_real *dout = h.dout + mr_out_at(h, lane) + t * h.D;
  const mr_real s = h.scale * MR_LOG2_E * mr_dot(q, k, h.d);
  const mr_real a = mr_weight(s - h.lse[lane * h.T + t]);
  *ds = a * (mr_dot(dout, v, h.d) - h.delta[lane * h.T + t]) * h.scale;
  return a;
}

[[maybe_unused]] static __global__ void __launch_bounds__(MR_ANY_BLOCK)
    mr_any_backward_queries(mr_heads h, int64_t lanes)
{
  int64_t lane, t;
  if (!mr_any_row(h.T, lanes, &lane, &t)) return;
  mr_real *dq = h.dqkv + mr_query_at(h, lane) + t * 3 * h.D, beta = h.beta, ds;
  for (int own = 0; own < 2; own++) {
    const mr_keys p = mr_keys_of(h, lane, own);
    for (int64_t j = 0; j < (own ? t + 1 : p.n); j++, beta = 1) {
      (void)mr_any_weight(h, lane, t, p.k + j * p.ld, p.k + j * p.ld + h.D, &ds);
      mr_add_row(dq, beta, p.k + j * p.ld, ds, h.d);
    }
  }
}

[[maybe_unused]] static __global__ void __launch_bounds__(MR_ANY_BLOCK)
    mr_any_backward_keys(mr_heads h, int64_t lanes, bool own)
{
  int64_t lane, j;
  if (!mr_any_row(own ? h.T : h.C, lanes, &lane, &j)) return;
  const mr_keys p = mr_keys_of(h, lane, own);
  const mr_real *k = p.k + j * p.ld;
  mr_real *dk = (own ? h.dqkv : h.dcache) + mr_key_at(h, lane, own, p.n) + j * p.ld;
  mr_real beta = own ? h.beta : h.beta_cache, ds;
  for (int64_t t = own ? j : 0; t < h.T && j < p.n; t++, beta = 1) {
    const mr_real a = mr_any_weight(h, lane, t, k, k + h.D, &ds);
    mr_add_row(dk, beta, h.qkv + mr_query_at(h, lane) + t * 3 * h.D, ds, h.d);
    mr_add_row(dk + h.D, beta, h.dout + mr_out_at(h, lane) + t * h.D, a, h.d);
  }
}

static inline mr_status mr_attention_any_forward(mr_backend *be, const mr_heads &h, int64_t lanes)
{
  const unsigned grid = (unsigned)mr_ceil_div(lanes * h.T, MR_ANY_WARPS);
  return MR_LAUNCH(be, mr_any_forward, grid, MR_ANY_BLOCK, 0, h, lanes);
}

static inline mr_status mr_attention_any_backward(mr_backend *be, const mr_heads &h, int64_t lanes)
{
  const unsigned grid = (unsigned)mr_ceil_div(lanes * h.T, MR_ANY_WARPS);
  if (h.dqkv != NULL) {
    MR_CHECK(MR_LAUNCH(be, mr_any_backward_queries, grid, MR_ANY_BLOCK, 0, h, lanes));
    MR_CHECK(MR_LAUNCH(be, mr_any_backward_keys, grid, MR_ANY_BLOCK, 0, h, lanes, true));
  }
  if (h.dcache == NULL) return MR_OK;
  return MR_LAUNCH(be, mr_any_backward_keys, (unsigned)mr_ceil_div(lanes * h.C, MR_ANY_WARPS),
                   MR_ANY_BLOCK, 0, h, lanes, false);
}
#endif
