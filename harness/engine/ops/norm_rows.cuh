/* norm_rows.cuh — RMS and layer norm over rows: one kernel each for forward and backward.
 * SPDX-License-Identifier: MIT
 *
 * A row lies in the registers of 16 or 32 lanes, four channels per load, so that each array passes
 * memory once. Backward walks its rows with the sums for gain and bias in registers as well: lanes
 * keep their channels. Rows that do not fit (more than 512 channels, or not whole groups of four)
 * are read again from the cache instead. */
#ifndef MR_NORM_ROWS_CUH
#define MR_NORM_ROWS_CUH
#include "lanes.cuh"
#include "sums.cuh"

enum { MR_NORM_BLOCK = 256, MR_NORM_WARPS = MR_NORM_BLOCK / MR_WARP, MR_NORM_LONG = 128 };

/* What the two norms differ in: x is centred or not. mean, bias and dbias are NULL when not. */
typedef struct mr_norm {
  const mr_real *x, *gain, *bias, *dy;
  mr_real *y, *mean, *scale; /* scale: 1/rms or 1/deviation */
  mr_real *dx, beta;         /* dx may be x or NULL         */
  mr_real *part;             /* [parts][dgain, dbias]       */
  int64_t rows;
  int d;
} mr_norm;

template <bool CENTRED> static __device__ __forceinline__ mr_real mr_norm_floor()
{
  return CENTRED ? (mr_real)1e-5 : (mr_real)1e-6;
}

/* Reads or writes the ITEMS groups of four of lane `lane`; columns from d on read as zeros. */
template <int LANES, int ITEMS>
static __device__ __forceinline__ void mr_get_row(mr_real *v, const mr_real *row, int d, int lane,
                                                  bool there)
{
#pragma unroll
  for (int k = 0; k < ITEMS; k++) {
    const int at = 4 * (lane + LANES * k);
    const mr_vec4 a = there && at < d ? mr_load4(row + at) : mr_vec4{0, 0, 0, 0};
    v[4 * k] = a.x, v[4 * k + 1] = a.y, v[4 * k + 2] = a.z, v[4 * k + 3] = a.w;
  }
}

template <int LANES, int ITEMS>
static __device__ __forceinline__ void mr_put_row(mr_real *row, const mr_real *v, mr_real beta,
                                                  int d, int lane)
{
#pragma unroll
  for (int k = 0; k < ITEMS; k++) {
    const int at = 4 * (lane + LANES * k);
    if (at >= d) continue;
    mr_vec4 a = {v[4 * k], v[4 * k + 1], v[4 * k + 2], v[4 * k + 3]};
    if (beta != 0) {
      const mr_vec4 o = mr_load4(row + at);
      a = {o.x + a.x, o.y + a.y, o.z + a.z, o.w + a.w};
    }
    mr_store4(row + at, a);
  }
}

/* ==== Rows in registers ====================================================================== */

template <bool CENTRED, int LANES, int ITEMS>
static __global__ void __launch_bounds__(MR_NORM_BLOCK) mr_norm_forward(mr_norm q)
{
  enum { N = 4 * ITEMS, GROUPS = MR_NORM_BLOCK / LANES };
  const int lane = threadIdx.x % LANES, group = threadIdx.x / LANES;
  mr_real gain[N], bias[N], x[N];
  mr_get_row<LANES, ITEMS>(gain, q.gain, q.d, lane, true);
  if (CENTRED) mr_get_row<LANES, ITEMS>(bias, q.bias, q.d, lane, true);
  for (int64_t first = (int64_t)blockIdx.x * GROUPS; first < q.rows;
       first += (int64_t)gridDim.x * GROUPS) {
    const int64_t r = first + group;
    mr_real mean = 0, squares = 0;
    mr_get_row<LANES, ITEMS>(x, q.x + r * q.d, q.d, lane, r < q.rows);
    if (CENTRED) {
#pragma unroll
      for (int i = 0; i < N; i++) mean += x[i];
      mean = mr_sum_lanes<LANES>(mean) / (mr_real)q.d;
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
      /* Channels behind the end are no deviation from the mean. */
      x[i] = 4 * (lane + LANES * (i / 4)) < q.d ? x[i] - mean : 0;
      squares += x[i] * x[i];
    }
    squares = mr_sum_lanes<LANES>(squares);
    const mr_real scale = 1 / mr_sqrt1(squares / (mr_real)q.d + mr_norm_floor<CENTRED>());
    if (r >= q.rows) continue;
#pragma unroll
    for (int i = 0; i < N; i++) x[i] = x[i] * scale * gain[i] + (CENTRED ? bias[i] : 0);
    mr_put_row<LANES, ITEMS>(q.y + r * q.d, x, 0, q.d, lane);
    if (lane != 0) continue;
    q.scale[r] = scale;
    if (CENTRED) q.mean[r] = mean;
  }
}

/* The sums of the block's groups, in the order of groups, into part[d]. */
template <int LANES, int ITEMS>
static __device__ __forceinline__ void mr_norm_sums(const mr_real *sum, mr_real *part, int d,
                                                    mr_real (*shared)[4 * LANES * ITEMS])
{
  const int lane = threadIdx.x % LANES, group = threadIdx.x / LANES;
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 4 * ITEMS; i++) shared[group][4 * (lane + LANES * (i / 4)) + i % 4] = sum[i];
  __syncthreads();
  for (int j = threadIdx.x; j < d; j += MR_NORM_BLOCK) {
    mr_real total = 0;
    for (int g = 0; g < MR_NORM_BLOCK / LANES; g++) total += shared[g][j];
    part[j] = total;
  }
}

/* With n = (x - mean) s, mean 0 unless centred: dx = s (g dy - mean(g dy) - n mean(g dy n)), without
 * the first mean unless centred; dgain += dy n; dbias += dy. One part of the rows per block. */
template <bool CENTRED, int LANES, int ITEMS>
static __global__ void __launch_bounds__(MR_NORM_BLOCK) mr_norm_backward(mr_norm q)
{
  enum { N = 4 * ITEMS, GROUPS = MR_NORM_BLOCK / LANES };
  MR_SHARED(mr_real, shared, [GROUPS][4 * LANES * ITEMS]);
  const int lane = threadIdx.x % LANES, group = threadIdx.x / LANES;
  const int64_t from = q.rows * blockIdx.x / gridDim.x, to = q.rows * (blockIdx.x + 1) / gridDim.x;
  mr_real gain[N], x[N], dy[N], dgain[N] = {}, dbias[CENTRED ? N : 1] = {};
  mr_get_row<LANES, ITEMS>(gain, q.gain, q.d, lane, true);
  for (int64_t first = from; first < to; first += GROUPS) {
    const int64_t r = first + group;
    const bool there = r < to;
    const mr_real s = there ? q.scale[r] : 0, mean = CENTRED && there ? q.mean[r] : 0;
    mr_real sum = 0, dot = 0;
    mr_get_row<LANES, ITEMS>(x, q.x + r * q.d, q.d, lane, there);
    mr_get_row<LANES, ITEMS>(dy, q.dy + r * q.d, q.d, lane, there);
#pragma unroll
    for (int i = 0; i < N; i++) {
      x[i] = (x[i] - mean) * s;
      dgain[i] += dy[i] * x[i];
      if (CENTRED) dbias[i] += dy[i];
      dy[i] *= gain[i];
      sum += dy[i];
      dot += dy[i] * x[i];
    }
    sum = CENTRED ? mr_sum_lanes<LANES>(sum) / (mr_real)q.d : 0;
    dot = mr_sum_lanes<LANES>(dot) / (mr_real)q.d;
    if (!there || q.dx == NULL) continue;
#pragma unroll
    for (int i = 0; i < N; i++) x[i] = s * (dy[i] - sum - x[i] * dot);
    mr_put_row<LANES, ITEMS>(q.dx + r * q.d, x, q.beta, q.d, lane);
  }
  mr_real *part = q.part + (int64_t)blockIdx.x * q.d * (CENTRED ? 2 : 1);
  mr_norm_sums<LANES, ITEMS>(dgain, part, q.d, shared);
  if (CENTRED) mr_norm_sums<LANES, ITEMS>(dbias, part + q.d, q.d, shared);
}

/* ==== Rows of any length ===================================================================== */

template <bool CENTRED>
static __global__ void __launch_bounds__(MR_NORM_LONG) mr_norm_forward_long(mr_norm q)
{
  MR_SHARED(mr_real, shared, [MR_NORM_LONG / MR_WARP]);
  const mr_real *x = q.x + (int64_t)blockIdx.x * q.d;
  mr_real *y = q.y + (int64_t)blockIdx.x * q.d, mean = 0, squares = 0;
  if (CENTRED) {
    for (int i = threadIdx.x; i < q.d; i += MR_NORM_LONG) mean += x[i];
    mean = mr_block_sum<MR_NORM_LONG>(mean, shared) / (mr_real)q.d;
  }
  for (int i = threadIdx.x; i < q.d; i += MR_NORM_LONG) squares += (x[i] - mean) * (x[i] - mean);
  squares = mr_block_sum<MR_NORM_LONG>(squares, shared);
  const mr_real scale = 1 / mr_sqrt1(squares / (mr_real)q.d + mr_norm_floor<CENTRED>());
  for (int i = threadIdx.x; i < q.d; i += MR_NORM_LONG)
    y[i] = (x[i] - mean) * scale * q.gain[i] + (CENTRED ? q.bias[i] : 0);
  if (threadIdx.x != 0) return;
  q.scale[blockIdx.x] = scale;
  if (CENTRED) q.mean[blockIdx.x] = mean;
}

/* As above; threads keep their channels, whose sums grow in `part` itself. */
template <bool CENTRED>
static __global__ void __launch_bounds__(MR_NORM_LONG) mr_norm_backward_long(mr_norm q)
{
  MR_SHARED(mr_real, shared, [MR_NORM_LONG / MR_WARP]);
  const int64_t from = q.rows * blockIdx.x / gridDim.x, to = q.rows * (blockIdx.x + 1) / gridDim.x;
  mr_real *dgain = q.part + (int64_t)blockIdx.x * q.d * (CENTRED ? 2 : 1), *dbias = dgain + q.d;
  for (int i = threadIdx.x; i < q.d; i += MR_NORM_LONG) {
    dgain[i] = 0;
    if (CENTRED) dbias[i] = 0;
  }
  for (int64_t r = from; r < to; r++) {
    const mr_real *x = q.x + r * q.d, *dy = q.dy + r * q.d;
    const mr_real s = q.scale[r], mean = CENTRED ? q.mean[r] : 0;
    mr_real sum = 0, dot = 0;
    for (int i = threadIdx.x; i < q.d; i += MR_NORM_LONG) {
      const mr_real n = (x[i] - mean) * s, g = q.gain[i] * dy[i];
      sum += g, dot += g * n;
      dgain[i] += dy[i] * n;
      if (CENTRED) dbias[i] += dy[i];
    }
    sum = CENTRED ? mr_block_sum<MR_NORM_LONG>(sum, shared) / (mr_real)q.d : 0;
    dot = mr_block_sum<MR_NORM_LONG>(dot, shared) / (mr_real)q.d;
    for (int i = threadIdx.x; q.dx != NULL && i < q.d; i += MR_NORM_LONG) {
      mr_real *to_i = q.dx + r * q.d + i;
      const mr_real n = (x[i] - mean) * s;
      *to_i = mr_plus_at(q.beta, to_i, s * (q.gain[i] * dy[i] - sum - n * dot));
    }
  }
}

/* ==== Launching ============================================================================== */

/* 1, 2 or 4 groups of four in each of 32 lanes, 0 (one in each of 16), or -1: not in registers. */
static inline int mr_norm_items(const mr_norm *q)
{
  const bool aligned = mr_aligned4(q->x) && mr_aligned4(q->gain) && mr_aligned4(q->bias) &&
                       mr_aligned4(q->dy) && mr_aligned4(q->y) && mr_aligned4(q->dx);
  if (!aligned || q->d % 4 != 0 || q->d > 512) return -1;
  return q->d <= 64 ? 0 : q->d <= 128 ? 1 : q->d <= 256 ? 2 : 4;
}

template <bool CENTRED> static mr_status mr_norm_run_forward(mr_backend *be, const mr_norm &q)
{
  const unsigned rows = (unsigned)q.rows, all = mr_grid(be, q.rows * MR_WARP, MR_NORM_BLOCK);
  switch (mr_norm_items(&q)) {
  case 0:
    return MR_LAUNCH(be, (mr_norm_forward<CENTRED, 16, 1>), (all + 1) / 2, MR_NORM_BLOCK, 0, q);
  case 1:
    return MR_LAUNCH(be, (mr_norm_forward<CENTRED, 32, 1>), all, MR_NORM_BLOCK, 0, q);
  case 2:
    return MR_LAUNCH(be, (mr_norm_forward<CENTRED, 32, 2>), all, MR_NORM_BLOCK, 0, q);
  case 4:
    return MR_LAUNCH(be, (mr_norm_forward<CENTRED, 32, 4>), all, MR_NORM_BLOCK, 0, q);
  default:
    return MR_LAUNCH(be, mr_norm_forward_long<CENTRED>, rows, MR_NORM_LONG, 0, q);
  }
}

/* Leaves mr_partials(rows) parts in q.part. */
template <bool CENTRED> static mr_status mr_norm_run_backward(mr_backend *be, const mr_norm &q)
{
  const unsigned parts = (unsigned)mr_partials(q.rows);
  switch (mr_norm_items(&q)) {
  case 0:
    return MR_LAUNCH(be, (mr_norm_backward<CENTRED, 16, 1>), parts, MR_NORM_BLOCK, 0, q);
  case 1:
    return MR_LAUNCH(be, (mr_norm_backward<CENTRED, 32, 1>), parts, MR_NORM_BLOCK, 0, q);
  case 2:
    return MR_LAUNCH(be, (mr_norm_backward<CENTRED, 32, 2>), parts, MR_NORM_BLOCK, 0, q);
  case 4:
    return MR_LAUNCH(be, (mr_norm_backward<CENTRED, 32, 4>), parts, MR_NORM_BLOCK, 0, q);
  default:
    return MR_LAUNCH(be, mr_norm_backward_long<CENTRED>, parts, MR_NORM_LONG, 0, q);
  }
}
#endif
