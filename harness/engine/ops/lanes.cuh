/* lanes.cuh — sums and maxima over a group of neighbouring lanes that share a row.
 * SPDX-License-Identifier: MIT */
#ifndef MR_LANES_CUH
#define MR_LANES_CUH
#include "cuda_util.cuh"

/* The larger of two reals; a NaN only when both are. */
static __device__ __forceinline__ mr_real mr_top(mr_real a, mr_real b)
{
#ifdef MR_REAL_IS_DOUBLE
  return fmax(a, b);
#else
  return fmaxf(a, b);
#endif
}

/* Over groups of LANES, a power of two up to 32; the same bits in every lane of the group. */
template <int LANES> static __device__ __forceinline__ mr_real mr_sum_lanes(mr_real x)
{
#pragma unroll
  for (int d = LANES / 2; d > 0; d /= 2) x += __shfl_xor_sync(MR_FULL_WARP, x, d);
  return x;
}

template <int LANES> static __device__ __forceinline__ mr_real mr_max_lanes(mr_real x)
{
#pragma unroll
  for (int d = LANES / 2; d > 0; d /= 2) x = mr_top(x, __shfl_xor_sync(MR_FULL_WARP, x, d));
  return x;
}
#endif
