/* conv1d.cu — causal depthwise convolution on CUDA. SPDX-License-Identifier: MIT
 *
 * A thread follows one channel over a strip of steps with the last taps in registers (up to four; more
 * are read again from the cache), neighbouring threads neighbouring channels. Forward reads x and
 * writes y once, but for the seams of strips; so does the gradient of x, which is the same sum
 * backwards in time. The gradient of the weights reads dy and x once for every four taps and is
 * summed by parts of the batch, in a fixed order. */
#include "conv1d.h"
#include "sums.cuh"

namespace
{
/* Steps of a strip, steps whose loads are on their way together, taps of one weight gradient. */
enum { STRIP = MR_CONV_STRIP, AHEAD = 8, TAPS = 4, HIGH = MR_SUM_HIGH };

/* A sequence per batch row with what stands before it: step s at x, or for s < 0 at tail; NULL:
 * zeros, or not wanted. */
struct steps {
  mr_real *x, *tail;
};

struct conv {
  int64_t B, T, D;
  int K;
  steps in, out;
  const mr_real *weight, *bias; /* [D,K], [D]; no bias in backward */
  mr_real beta, beta_tail;
};

__device__ __forceinline__ mr_real *place(const conv &q, const steps &s, int64_t b, int64_t t,
                                          int64_t d)
{
  if (t >= q.T || t < 1 - q.K) return NULL;
  if (t >= 0) return s.x != NULL ? s.x + (b * q.T + t) * q.D + d : NULL;
  return s.tail != NULL ? s.tail + (b * (q.K - 1) + t + q.K - 1) * q.D + d : NULL;
}

__device__ __forceinline__ mr_real value(const conv &q, const steps &s, int64_t b, int64_t t,
                                         int64_t d)
{
  const mr_real *p = place(q, s, b, t, d);
  return p != NULL ? *p : 0;
}

/* y_t = bias + sum_k w_k x_{t-K+1+k}, or BACK: dx_t = sum_k w_{K-1-k} dy_{t+k}. In both, v[i + k] is
 * the k-th input of step t + i. TAPS_N 0: any K. */
template <int TAPS_N, bool BACK>
__global__ void __launch_bounds__(MR_WARP *HIGH) convolve(conv q, int64_t first, int64_t strips)
{
  enum { N = TAPS_N > 0 ? TAPS_N : 1 };
  const int64_t d = (int64_t)blockIdx.y * MR_WARP + threadIdx.x;
  const int64_t strip = (int64_t)blockIdx.x * HIGH + threadIdx.y, b = strip / strips;
  const int64_t start = first + strip % strips * STRIP, end = mr_min(start + STRIP, q.T);
  if (d >= q.D || b >= q.B) return;
  const mr_real *w = q.weight + d * q.K, bias = BACK ? 0 : q.bias[d];
  const int64_t shift = BACK ? 0 : 1 - q.K;
  mr_real tap[N], v[N - 1 + AHEAD];
#pragma unroll
  for (int k = 0; k < TAPS_N; k++) tap[k] = w[BACK ? TAPS_N - 1 - k : k];
#pragma unroll
  for (int k = 0; k < N - 1; k++) v[k] = value(q, q.in, b, start + shift + k, d);
  for (int64_t t = start; t < end; t += AHEAD) {
#pragma unroll
    for (int i = 0; i < AHEAD && TAPS_N > 0; i++)
      v[N - 1 + i] = t + i < end ? value(q, q.in, b, t + i + shift + N - 1, d) : 0;
#pragma unroll
    for (int i = 0; i < AHEAD; i++) {
      mr_real sum = bias;
      if (t + i >= end) break;
#pragma unroll
      for (int k = 0; k < TAPS_N; k++) sum += tap[k] * v[i + k];
      for (int k = 0; TAPS_N == 0 && k < q.K; k++)
        sum += w[BACK ? q.K - 1 - k : k] * value(q, q.in, b, t + i + shift + k, d);
      mr_real *to = place(q, q.out, b, t + i, d);
      if (to != NULL) *to = mr_plus_at(t + i < 0 ? q.beta_tail : q.beta, to, sum);
    }
#pragma unroll
    for (int k = 0; k < N - 1; k++) v[k] = v[AHEAD + k];
  }
}

/* part [D,K] and [D] of each blockIdx.y: sums of dy_t x_{t-lag} and of dy over some strips. blockIdx.z:
 * which four lags. in: x; out: dy. */
__global__ void __launch_bounds__(MR_WARP *HIGH) weight_sums(conv q, int64_t strips, mr_real *part)
{
  MR_SHARED(mr_real, shared, [HIGH][MR_WARP]);
  const int64_t d = (int64_t)blockIdx.x * MR_WARP + threadIdx.x, all = q.B * strips;
  const int64_t from = all * blockIdx.y / gridDim.y, to = all * (blockIdx.y + 1) / gridDim.y;
  const int lag = TAPS * (int)blockIdx.z;
  mr_real sum[TAPS + 1] = {}, v[TAPS - 1 + AHEAD], dy[AHEAD];
  for (int64_t strip = from + threadIdx.y; d < q.D && strip < to; strip += HIGH) {
    const int64_t b = strip / strips, start = strip % strips * STRIP;
    const int64_t end = mr_min(start + STRIP, q.T);
#pragma unroll
    for (int k = 0; k < TAPS - 1; k++) v[k] = value(q, q.in, b, start - lag + k - (TAPS - 1), d);
    for (int64_t t = start; t < end; t += AHEAD) {
#pragma unroll
      for (int i = 0; i < AHEAD; i++) {
        const bool there = t + i < end;
        dy[i] = there ? value(q, q.out, b, t + i, d) : 0;
        v[TAPS - 1 + i] = there ? value(q, q.in, b, t + i - lag, d) : 0;
      }
#pragma unroll
      for (int i = 0; i < AHEAD; i++) {
#pragma unroll
        for (int k = 0; k < TAPS; k++) sum[k] += dy[i] * v[TAPS - 1 + i - k];
        sum[TAPS] += dy[i];
      }
#pragma unroll
      for (int k = 0; k < TAPS - 1; k++) v[k] = v[AHEAD + k];
    }
  }
  part += (int64_t)blockIdx.y * q.D * (q.K + 1);
#pragma unroll
  for (int k = 0; k <= TAPS; k++) {
    const mr_real total = mr_sum_high(sum[k], shared);
    if (threadIdx.y != 0 || d >= q.D) continue;
    if (k < TAPS && lag + k < q.K) part[d * q.K + q.K - 1 - lag - k] = total;
    if (k == TAPS && lag == 0) part[q.D * q.K + d] = total;
  }
}

conv conv_of(const mr_call *c)
{
  const mr_shape *x = &c->in[0].shape;
  conv q = {};
  q.B = x->dim[0], q.T = x->dim[1], q.D = x->dim[2], q.K = (int)c->in[2].shape.dim[1];
  q.weight = MR_IN(c, 2);
  return q;
}

steps inputs(const mr_call *c)
{
  return {(mr_real *)c->in[0].data, MR_GIVEN(c, 1) ? (mr_real *)c->in[1].data : NULL};
}

/* Results for steps first .. T-1. */
template <bool BACK> mr_status run(mr_backend *be, const conv &q, int64_t first)
{
  const int64_t strips = mr_ceil_div(q.T - first, STRIP);
  const dim3 grid((unsigned)mr_ceil_div(q.B * strips, HIGH), (unsigned)mr_ceil_div(q.D, MR_WARP));
  const dim3 block(MR_WARP, HIGH);
  switch (q.K) {
  case 1:
    return MR_LAUNCH(be, (convolve<1, BACK>), grid, block, 0, q, first, strips);
  case 2:
    return MR_LAUNCH(be, (convolve<2, BACK>), grid, block, 0, q, first, strips);
  case 3:
    return MR_LAUNCH(be, (convolve<3, BACK>), grid, block, 0, q, first, strips);
  case 4:
    return MR_LAUNCH(be, (convolve<4, BACK>), grid, block, 0, q, first, strips);
  default:
    return MR_LAUNCH(be, (convolve<0, BACK>), grid, block, 0, q, first, strips);
  }
}
} // namespace

mr_status conv1d_fwd_cuda(mr_backend *be, const mr_call *c)
{
  conv q = conv_of(c);
  q.in = inputs(c);
  q.out.x = MR_OUT(c, 0);
  q.bias = MR_IN(c, 3);
  return run<false>(be, q, 0);
}

mr_status conv1d_bwd_cuda(mr_backend *be, const mr_call *c)
{
  conv q = conv_of(c);
  const int64_t strips = mr_ceil_div(q.T, STRIP), parts = mr_conv_partials(q.B, q.T);
  mr_real *part = (mr_real *)c->work, *dy = (mr_real *)c->dout[0].data;
  q.in.x = dy;
  q.out = {MR_DIN(c, 0), MR_GIVEN(c, 1) ? MR_DIN(c, 1) : NULL};
  q.beta = c->beta[0], q.beta_tail = c->beta[1];
  if (q.out.x != NULL || q.out.tail != NULL)
    MR_CHECK(run<true>(be, q, q.out.tail != NULL ? 1 - q.K : 0));
  if (MR_DIN(c, 2) == NULL && MR_DIN(c, 3) == NULL) return MR_OK;
  q.in = inputs(c);
  q.out = {dy, NULL};
  const dim3 grid((unsigned)mr_ceil_div(q.D, MR_WARP), (unsigned)parts,
                  (unsigned)mr_ceil_div(q.K, TAPS));
  MR_CHECK(MR_LAUNCH(be, weight_sums, grid, dim3(MR_WARP, HIGH), 0, q, strips, part));
  return mr_add_partials(be, part, parts, {MR_DIN(c, 2), c->beta[2], q.D * q.K},
                         {MR_DIN(c, 3), c->beta[3], q.D});
}
