/* sums.cuh — sums over many rows in two stages, in an order that the shape alone decides.
 * SPDX-License-Identifier: MIT
 *
 * A first kernel leaves partial sums by rows, partial.h says how many; here they are added up, and
 * the sums of plain columns made. Neighbouring threads take neighbouring columns, eight of them
 * one column. */
#ifndef MR_SUMS_CUH
#define MR_SUMS_CUH
#include "cuda_util.cuh"
#include "partial.h"

enum { MR_SUM_HIGH = 8 };

/* Where sums go: dst[n] = beta dst + sums; NULL: nowhere. */
typedef struct mr_sum_to {
  mr_real *dst;
  mr_real beta;
  int64_t n;
} mr_sum_to;

/* Sums over threadIdx.y, handed to the threads with threadIdx.y == 0. */
static __device__ __forceinline__ mr_real mr_sum_high(mr_real x, mr_real (*shared)[MR_WARP])
{
  __syncthreads();
  shared[threadIdx.y][threadIdx.x] = x;
  __syncthreads();
  mr_real sum = shared[0][threadIdx.x];
#pragma unroll
  for (int k = 1; k < MR_SUM_HIGH; k++) sum += shared[k][threadIdx.x];
  return sum;
}

/* The sum of x[r][j] over this thread's rows r, a share of from .. to - 1. */
static __device__ __forceinline__ mr_real mr_sum_rows(const mr_real *x, int64_t from, int64_t to,
                                                      int64_t ld, int64_t j)
{
  mr_real sum[4] = {0, 0, 0, 0};
  int64_t r = from + threadIdx.y;
  for (; r + 3 * MR_SUM_HIGH < to; r += 4 * MR_SUM_HIGH) {
#pragma unroll
    for (int k = 0; k < 4; k++) sum[k] += x[(r + k * MR_SUM_HIGH) * ld + j];
  }
  for (; r < to; r += MR_SUM_HIGH) sum[0] += x[r * ld + j];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Column sums of x [rows,n] by parts of the rows, one per blockIdx.y, into dst[part][n]. */
[[maybe_unused]] static __global__ void __launch_bounds__(MR_WARP *MR_SUM_HIGH)
    mr_column_sums_kernel(const mr_real *x, int64_t rows, int64_t n, mr_real beta, mr_real *dst)
{
  MR_SHARED(mr_real, shared, [MR_SUM_HIGH][MR_WARP]);
  const int64_t j = (int64_t)blockIdx.x * MR_WARP + threadIdx.x, part = blockIdx.y;
  const int64_t from = rows * part / gridDim.y, to = rows * (part + 1) / gridDim.y;
  const mr_real sum = mr_sum_high(j < n ? mr_sum_rows(x, from, to, n, j) : 0, shared);
  if (threadIdx.y != 0 || j >= n) return;
  mr_real *to_j = dst + part * n + j;
  *to_j = mr_plus_at(beta, to_j, sum);
}

/* Sums over parts of part[parts][a.n + b.n]. */
[[maybe_unused]] static __global__ void __launch_bounds__(MR_WARP *MR_SUM_HIGH)
    mr_add_partials_kernel(const mr_real *part, int64_t parts, mr_sum_to a, mr_sum_to b)
{
  MR_SHARED(mr_real, shared, [MR_SUM_HIGH][MR_WARP]);
  const int64_t j = (int64_t)blockIdx.x * MR_WARP + threadIdx.x, n = a.n + b.n;
  const mr_real sum = mr_sum_high(j < n ? mr_sum_rows(part, 0, parts, n, j) : 0, shared);
  if (threadIdx.y != 0 || j >= n) return;
  mr_real *to = j < a.n ? a.dst : b.dst;
  const int64_t i = j < a.n ? j : j - a.n;
  if (to != NULL) to[i] = mr_plus_at(j < a.n ? a.beta : b.beta, to + i, sum);
}

/* a and b from part[parts][a.n + b.n]. */
static inline mr_status mr_add_partials(mr_backend *be, const mr_real *part, int64_t parts,
                                        mr_sum_to a, mr_sum_to b)
{
  return MR_LAUNCH(be, mr_add_partials_kernel, (unsigned)mr_ceil_div(a.n + b.n, MR_WARP),
                   dim3(MR_WARP, MR_SUM_HIGH), 0, part, parts, a, b);
}

/* dst[n] = beta dst + column sums of x [rows,n]. work: mr_partial_bytes(rows, n). */
static inline mr_status mr_column_sums(mr_backend *be, const mr_real *x, int64_t rows, mr_sum_to to,
                                       void *work)
{
  const int64_t parts = mr_partials(rows), n = to.n;
  const dim3 grid((unsigned)mr_ceil_div(n, MR_WARP), (unsigned)parts), block(MR_WARP, MR_SUM_HIGH);
  if (parts == 1)
    return MR_LAUNCH(be, mr_column_sums_kernel, grid, block, 0, x, rows, n, to.beta, to.dst);
  mr_real *part = (mr_real *)work;
  MR_CHECK(MR_LAUNCH(be, mr_column_sums_kernel, grid, block, 0, x, rows, n, 0, part));
  return mr_add_partials(be, part, parts, to, {NULL, 0, 0});
}
#endif
