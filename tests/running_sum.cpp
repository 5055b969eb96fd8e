/* running_sum.cpp — running sums on CUDA, one tile after the other. SPDX-License-Identifier: MIT */
#include "running_sum.h"
#include "cuda_util.cuh"

namespace
{

/* Sum over the lanes up to this one. */
__device__ mr_real sum_lanes(mr_real x)
{
  for (int d = 1; d < MR_WARP; d *= 2) {
    const mr_real left = __shfl_up_sync(MR_FULL_WARP, x, d);
    if (mr_lane() >= d) x += left;
  }
  return x;
}

template <running_sum_fault FAULT> __global__ void sum(const mr_real *x, mr_real *y, int64_t n)
{
  MR_SHARED(mr_real, total, [SUM_TILE / MR_WARP]);
  MR_SHARED(mr_real, carry, [2]);
  const int width = FAULT == SUM_SHORT_TILE ? SUM_TILE - 1 : SUM_TILE;
  if (threadIdx.x == 0 && FAULT != SUM_UNSET) carry[0] = 0;
  __syncthreads();
  for (int64_t tile = 0; tile * SUM_TILE < n; tile++) {
    const int64_t i = tile * SUM_TILE + threadIdx.x;
    const bool mine = i < n && (int)threadIdx.x < width;
    mr_real s = mine ? x[i] : 0;
    if (FAULT != SUM_IDLE_LANES || mine) s = sum_lanes(s);
    if (mr_lane() == MR_WARP - 1) total[mr_warp()] = s;
    if (FAULT == SUM_TWO_BARRIERS && mr_warp() == 1)
      __syncthreads();
    else if (FAULT != SUM_NO_BARRIER && (FAULT != SUM_IDLE_LEAVES || mine))
      __syncthreads();
    if (mr_warp() == 1) s += total[0];
    s += carry[tile % 2];
    if (mine) y[i] = s;
    if (threadIdx.x == SUM_TILE - 1)
      carry[(tile + 1) % 2] = FAULT == SUM_OLD_CARRY ? s - total[1] : s;
    if (FAULT != SUM_NO_BARRIER_BEHIND) __syncthreads();
  }
}

} // namespace

mr_status running_sum(mr_backend *be, const mr_real *x, mr_real *y, int64_t n,
                      running_sum_fault fault)
{
#define CASE(FAULT)                                                                                \
  case FAULT:                                                                                      \
    return MR_LAUNCH(be, sum<FAULT>, 1, SUM_TILE, 0, x, y, n)
  switch (fault) {
    CASE(SUM_RIGHT);
    CASE(SUM_NO_BARRIER);
    CASE(SUM_NO_BARRIER_BEHIND);
    CASE(SUM_SHORT_TILE);
    CASE(SUM_OLD_CARRY);
    CASE(SUM_UNSET);
    CASE(SUM_IDLE_LEAVES);
    CASE(SUM_IDLE_LANES);
    CASE(SUM_TWO_BARRIERS);
  default:
    return MR_FAIL(MR_ERR_ARG, "there is no fault %d", (int)fault);
  }
}

mr_status running_sum_launch(mr_backend *be, unsigned grid, unsigned block, size_t shared_bytes)
{
  const mr_real *nothing = nullptr;
  return MR_LAUNCH(be, sum<SUM_RIGHT>, grid, block, shared_bytes, nothing, nullptr, 0);
}
