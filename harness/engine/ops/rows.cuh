/* rows.cuh — loops over rows and columns. SPDX-License-Identifier: MIT
 *
 * Threads lie side by side along a row and, where rows are short, over several rows; no division
 * finds an element. */
#ifndef MR_ROWS_CUH
#define MR_ROWS_CUH
#include "cuda_util.cuh"

enum { MR_ROWS_BLOCK = 256 };

/* Blocks and threads for MR_ROWS_FOR over rows x cols. */
typedef struct mr_rows_launch {
  dim3 grid, block;
} mr_rows_launch;

static inline mr_rows_launch mr_rows_over(int64_t rows, int64_t cols)
{
  int64_t wide = MR_WARP;
  while (wide < MR_ROWS_BLOCK && wide < cols) wide *= 2;
  const int64_t high = MR_ROWS_BLOCK / wide;
  const int64_t down = mr_min<int64_t>(mr_ceil_div(rows, high), MR_GRID_YZ_MAX);
  return {dim3((unsigned)mr_ceil_div(cols, wide), (unsigned)down),
          dim3((unsigned)wide, (unsigned)high)};
}

/* for (each row r, and each column i of it, that are this thread's). */
#define MR_ROWS_FOR(r, rows, i, cols)                                                              \
  for (int64_t r = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; r < (rows);                     \
       r += (int64_t)gridDim.y * blockDim.y)                                                       \
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < (cols);                   \
         i += (int64_t)gridDim.x * blockDim.x)

/* The sum of two reals, or of two groups of four. */
static __device__ __forceinline__ mr_real mr_sum_of(mr_real a, mr_real b)
{
  return a + b;
}

static __device__ __forceinline__ mr_vec4 mr_sum_of(mr_vec4 a, mr_vec4 b)
{
  return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
}
#endif
