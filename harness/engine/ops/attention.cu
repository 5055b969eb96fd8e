/* attention.cu — causal multi-head attention with online softmax, on CUDA. SPDX-License-Identifier: MIT
 *
 * Heads of up to 128 channels: a block takes a tile of queries of one head, walks the tiles of keys
 * that they see and keeps output, maximum and sum of its rows in registers; scores exist as one tile
 * at a time. Backward makes the scores again from their saved log sum exp, once by tiles of queries
 * for dq and once by tiles of keys for dk and dv: seven products of tile size instead of five, but
 * every sum has one owner and a fixed order. The tiles of a head are neighbours, longest first, so
 * that its keys stay in the cache. Wider heads go row by row (attention_any.cuh). */
#include "attention.h"
#include "attention_any.cuh"
#include "attention_tile.cuh"

namespace
{
enum { HIGH = MR_TILE_HIGH, WIDE = MR_TILE_WIDE, PAD = MR_TILE_PAD };
/* Blocks that share a multiprocessor, and so its registers. */
enum { RESIDENT = sizeof(mr_real) == sizeof(float) ? 3 : 1 };

MR_HD constexpr int larger(int a, int b)
{
  return a > b ? a : b;
}

MR_HD constexpr int threads_of(int rows)
{
  return rows / HIGH * WIDE;
}

/* ==== Forward ================================================================================ */

/* Reals of shared memory: queries, keys (whose place the weights take), values. */
constexpr int forward_reals(int d, int rows, int cols)
{
  return (rows + cols) * (d + PAD) + larger(cols * (d + PAD), rows * (cols + PAD));
}

/* Turns scores into weights 2^(s - top); what the rows have gathered so far fades to the new top. */
template <int D, int CJ>
__device__ __forceinline__ void weigh(mr_real (&s)[HIGH][CJ], mr_real (&top)[HIGH],
                                      mr_real (&sum)[HIGH], mr_real (&acc)[HIGH][D / WIDE])
{
#pragma unroll
  for (int i = 0; i < HIGH; i++) {
    mr_real most = s[i][0], total = 0;
#pragma unroll
    for (int j = 1; j < CJ; j++) most = mr_top(most, s[i][j]);
    most = mr_top(top[i], mr_max_lanes<WIDE>(most));
#pragma unroll
    for (int j = 0; j < CJ; j++) {
      s[i][j] = mr_weight(s[i][j] - most);
      total += s[i][j];
    }
    const mr_real fade = mr_weight(top[i] - most);
    top[i] = most;
    sum[i] = sum[i] * fade + total;
#pragma unroll
    for (int c = 0; c < D / WIDE; c++) acc[i][c] *= fade;
  }
}

template <int D, int ROWS, int COLS>
__global__ void __launch_bounds__(threads_of(ROWS), RESIDENT) forward(mr_heads h, int tiles)
{
  enum { THREADS = threads_of(ROWS), LD = D + PAD };
  MR_DYN_SHARED(mr_real, q);
  mr_real *v = q + ROWS * LD, *k = v + COLS * LD;
  const int lane = (int)blockIdx.x / tiles, from = (tiles - 1 - (int)blockIdx.x % tiles) * ROWS;
  const int m = mr_min<int>(ROWS, h.T - from);
  mr_real acc[HIGH][D / WIDE] = {}, top[HIGH], sum[HIGH] = {};
#pragma unroll
  for (int i = 0; i < HIGH; i++) top[i] = -INFINITY;
  mr_fill_tile<D, ROWS, THREADS>(q, h.qkv + mr_query_at(h, lane) + (int64_t)from * 3 * h.D, 3 * h.D,
                                 m, h, h.scale * MR_LOG2_E);
#pragma unroll 1
  for (int own = 0; own < 2; own++) {
    const mr_keys p = mr_keys_of(h, lane, own);
    const int end = own ? from + m : p.n;
    for (int j = 0; j < end; j += COLS) {
      const int n = mr_min<int>(COLS, end - j);
      const int ahead = own ? from - j : COLS; /* row r sees columns up to r + ahead */
      mr_real s[HIGH][COLS / WIDE];
      __syncthreads();
      mr_fill_tile<D, COLS, THREADS>(k, p.k + (int64_t)j * p.ld, p.ld, n, h, 1);
      mr_fill_tile<D, COLS, THREADS>(v, p.k + (int64_t)j * p.ld + h.D, p.ld, n, h, 1);
      __syncthreads();
      mr_tile_scores<D, ROWS>(q, k, h.d, s);
      if (n < COLS || ahead < COLS - 1) {
#pragma unroll
        for (int i = 0; i < HIGH; i++)
#pragma unroll
          for (int c = 0; c < COLS / WIDE; c++)
            if (mr_col(c) >= mr_min(n, mr_row<ROWS>(i) + ahead + 1)) s[i][c] = -INFINITY;
      }
      weigh<D>(s, top, sum, acc);
      __syncthreads(); /* all have read the keys */
      mr_share_weights<ROWS, COLS>(k, s);
      mr_tile_sums<D, ROWS, COLS>(k, v, acc);
    }
  }
#pragma unroll
  for (int i = 0; i < HIGH; i++) {
    const mr_real total = mr_sum_lanes<WIDE>(sum[i]);
    if (mr_col(0) == 0 && mr_row<ROWS>(i) < m)
      h.lse[(int64_t)lane * h.T + from + mr_row<ROWS>(i)] = top[i] + mr_log1(total) * MR_LOG2_E;
    sum[i] = 1 / total;
  }
  mr_put_tile<D, ROWS>(h.out + mr_out_at(h, lane) + (int64_t)from * h.D, h.D, m, h, 0, acc, sum);
}

/* ==== Backward =============================================================================== */

/* delta[lane][t] = dout . out over the channels of a head; 16 lanes to a row of a head. */
__global__ void __launch_bounds__(256) row_dots(mr_heads h, int64_t rows, mr_real *delta)
{
  enum { GROUPS = 256 / WIDE };
  for (int64_t first = (int64_t)blockIdx.x * GROUPS; first < rows * h.heads;
       first += (int64_t)gridDim.x * GROUPS) {
    const int64_t at = first + threadIdx.x / WIDE, row = at / h.heads, head = at % h.heads;
    mr_real dot = 0;
    for (int c = (int)threadIdx.x % WIDE; c < h.d && row < rows; c += WIDE)
      dot += h.dout[at * h.d + c] * h.out[at * h.d + c];
    dot = mr_sum_lanes<WIDE>(dot);
    if (row >= rows || threadIdx.x % WIDE != 0) continue;
    delta[(row / h.T * h.heads + head) * h.T + row % h.T] = dot;
  }
}

/* Reals of shared memory: two tiles of rows, two of columns, weights. */
constexpr int backward_reals(int d, int rows, int cols)
{
  return 2 * (rows + cols) * (d + PAD) + rows * (cols + PAD);
}

/* A walk of rows past columns. With a = 2^(s - lse) and ds = a (dout v^T - delta):
 * queries past keys: sum = ds k; keys past queries: sum = ds q and sum_v = a dout. */
template <int D, int ROWS, int COLS, bool KEYS> struct walk {
  enum { THREADS = threads_of(ROWS), LD = D + PAD, CJ = COLS / WIDE };
  mr_real *row1, *row2, *col1, *col2, *weights;
  mr_real sum[HIGH][D / WIDE], sum_v[KEYS ? HIGH : 1][D / WIDE];
  mr_real lse[HIGH], delta[HIGH]; /* of queries that are rows */

  __device__ __forceinline__ void start(mr_real *shared)
  {
    row1 = shared, row2 = row1 + ROWS * LD, col1 = row2 + ROWS * LD, col2 = col1 + COLS * LD;
    weights = col2 + COLS * LD;
#pragma unroll
    for (int i = 0; i < HIGH; i++) {
#pragma unroll
      for (int c = 0; c < D / WIDE; c++) {
        sum[i][c] = 0;
        if (KEYS) sum_v[i][c] = 0;
      }
    }
  }

  /* The n columns are in place: adds them. A pair counts where its query, row or column, is not
   * before its key; `lead` is the first query less the first key. col_at: first column in lse. */
  __device__ __forceinline__ void add(const mr_heads &h, int n, int lead, int64_t col_at)
  {
    mr_real s[HIGH][CJ], ds[HIGH][CJ], col_lse[CJ] = {}, col_delta[CJ] = {};
#pragma unroll
    for (int j = 0; j < CJ && KEYS; j++) {
      if (mr_col(j) >= n) continue;
      col_lse[j] = h.lse[col_at + mr_col(j)];
      col_delta[j] = h.delta[col_at + mr_col(j)];
    }
    mr_tile_scores<D, ROWS>(row1, col1, h.d, s);
#pragma unroll
    for (int i = 0; i < HIGH; i++) {
#pragma unroll
      for (int j = 0; j < CJ; j++) {
        const int ahead = KEYS ? mr_col(j) - mr_row<ROWS>(i) : mr_row<ROWS>(i) - mr_col(j);
        const mr_real a = mr_weight(s[i][j] - (KEYS ? col_lse[j] : lse[i]));
        s[i][j] = mr_col(j) < n && ahead + lead >= 0 ? a : 0;
      }
    }
    if constexpr (KEYS) {
      mr_share_weights<ROWS, COLS>(weights, s);
      mr_tile_sums<D, ROWS, COLS>(weights, col2, sum_v);
    }
    mr_tile_scores<D, ROWS>(row2, col2, h.d, ds);
#pragma unroll
    for (int i = 0; i < HIGH; i++)
#pragma unroll
      for (int j = 0; j < CJ; j++)
        ds[i][j] = s[i][j] * (ds[i][j] - (KEYS ? col_delta[j] : delta[i]));
    mr_share_weights<ROWS, COLS>(weights, ds);
    mr_tile_sums<D, ROWS, COLS>(weights, col1, sum);
  }
};

template <int D, int ROWS, int COLS>
__global__ void __launch_bounds__(threads_of(ROWS), RESIDENT)
    backward_queries(mr_heads h, int tiles)
{
  using walk_t = walk<D, ROWS, COLS, false>;
  MR_DYN_SHARED(mr_real, shared);
  walk_t w;
  const int lane = (int)blockIdx.x / tiles, from = (tiles - 1 - (int)blockIdx.x % tiles) * ROWS;
  const int64_t at = mr_query_at(h, lane) + (int64_t)from * 3 * h.D;
  const int m = mr_min<int>(ROWS, h.T - from);
  mr_real factor[HIGH];
  w.start(shared);
  mr_fill_tile<D, ROWS, walk_t::THREADS>(w.row1, h.qkv + at, 3 * h.D, m, h, h.scale * MR_LOG2_E);
  mr_fill_tile<D, ROWS, walk_t::THREADS>(w.row2, h.dout + mr_out_at(h, lane) + (int64_t)from * h.D,
                                         h.D, m, h, 1);
#pragma unroll
  for (int i = 0; i < HIGH; i++) {
    const bool there = mr_row<ROWS>(i) < m;
    w.lse[i] = there ? h.lse[(int64_t)lane * h.T + from + mr_row<ROWS>(i)] : 0;
    w.delta[i] = there ? h.delta[(int64_t)lane * h.T + from + mr_row<ROWS>(i)] : 0;
    factor[i] = h.scale;
  }
#pragma unroll 1
  for (int own = 0; own < 2; own++) {
    const mr_keys p = mr_keys_of(h, lane, own);
    const int end = own ? from + m : p.n;
    for (int j = 0; j < end; j += COLS) {
      const int n = mr_min<int>(COLS, end - j);
      __syncthreads();
      mr_fill_tile<D, COLS, walk_t::THREADS>(w.col1, p.k + (int64_t)j * p.ld, p.ld, n, h, 1);
      mr_fill_tile<D, COLS, walk_t::THREADS>(w.col2, p.k + (int64_t)j * p.ld + h.D, p.ld, n, h, 1);
      __syncthreads();
      w.add(h, n, own ? from - j : COLS, 0);
    }
  }
  mr_put_tile<D, ROWS>(h.dqkv + at, 3 * h.D, m, h, h.beta, w.sum, factor);
}

/* own: keys of this stretch, else carried ones. */
template <int D, int ROWS, int COLS>
__global__ void __launch_bounds__(threads_of(ROWS), RESIDENT)
    backward_keys(mr_heads h, int tiles, bool own)
{
  using walk_t = walk<D, ROWS, COLS, true>;
  MR_DYN_SHARED(mr_real, shared);
  walk_t w;
  const int lane = (int)blockIdx.x / tiles, from = (int)blockIdx.x % tiles * ROWS;
  const mr_keys p = mr_keys_of(h, lane, own);
  const int m = mr_min<int>(ROWS, p.n - from);
  const mr_real *q = h.qkv + mr_query_at(h, lane), *dout = h.dout + mr_out_at(h, lane);
  mr_real scale[HIGH], one[HIGH];
  if (m <= 0) return;
  w.start(shared);
  mr_fill_tile<D, ROWS, walk_t::THREADS>(w.row1, p.k + (int64_t)from * p.ld, p.ld, m, h,
                                         h.scale * MR_LOG2_E);
  mr_fill_tile<D, ROWS, walk_t::THREADS>(w.row2, p.k + (int64_t)from * p.ld + h.D, p.ld, m, h, 1);
  for (int t = own ? from : 0; t < h.T; t += COLS) {
    const int n = mr_min<int>(COLS, h.T - t);
    __syncthreads();
    mr_fill_tile<D, COLS, walk_t::THREADS>(w.col1, q + (int64_t)t * 3 * h.D, 3 * h.D, n, h, 1);
    mr_fill_tile<D, COLS, walk_t::THREADS>(w.col2, dout + (int64_t)t * h.D, h.D, n, h, 1);
    __syncthreads();
    w.add(h, n, own ? t - from : ROWS, (int64_t)lane * h.T + t);
  }
#pragma unroll
  for (int i = 0; i < HIGH; i++) scale[i] = h.scale, one[i] = 1;
  mr_real *dk = (own ? h.dqkv : h.dcache) + mr_key_at(h, lane, own, p.n) + (int64_t)from * p.ld;
  const mr_real beta = own ? h.beta : h.beta_cache;
  mr_put_tile<D, ROWS>(dk, p.ld, m, h, beta, w.sum, scale);
  mr_put_tile<D, ROWS>(dk + h.D, p.ld, m, h, beta, w.sum_v, one);
}

/* ==== Launching ============================================================================== */

/* The tiles for heads of up to D channels: shared memory stays below 64 KiB in float. */
template <int D> struct tiles_for {
  enum { ROWS = D > 64 ? 32 : 64, COLS = D > 64 ? 32 : 64, BACK_COLS = D > 64 ? 16 : 32 };
  enum { THREADS = threads_of(ROWS) };

  static mr_status run_forward(mr_backend *be, const mr_heads &h, int64_t lanes)
  {
    const int tiles = (int)mr_ceil_div(h.T, ROWS);
    const size_t bytes = forward_reals(D, ROWS, COLS) * sizeof(mr_real);
    return MR_LAUNCH(be, (forward<D, ROWS, COLS>), (unsigned)(lanes * tiles), THREADS, bytes, h,
                     tiles);
  }

  static mr_status run_backward(mr_backend *be, const mr_heads &h, int64_t lanes)
  {
    const int tiles = (int)mr_ceil_div(h.T, ROWS), carried = (int)mr_ceil_div(h.C, ROWS);
    const size_t bytes = backward_reals(D, ROWS, BACK_COLS) * sizeof(mr_real);
    if (h.dqkv != NULL) {
      MR_CHECK(MR_LAUNCH(be, (backward_queries<D, ROWS, BACK_COLS>), (unsigned)(lanes * tiles),
                         THREADS, bytes, h, tiles));
      MR_CHECK(MR_LAUNCH(be, (backward_keys<D, ROWS, BACK_COLS>), (unsigned)(lanes * tiles),
                         THREADS, bytes, h, tiles, true));
    }
    if (h.dcache == NULL) return MR_OK;
    return MR_LAUNCH(be, (backward_keys<D, ROWS, BACK_COLS>), (unsigned)(lanes * carried), THREADS,
                     bytes, h, carried, false);
  }
};

mr_heads heads_of(const mr_call *c)
{
  mr_heads h = {};
  const bool carried = MR_GIVEN(c, 1);
  h.qkv = MR_IN(c, 0), h.out = MR_OUT(c, 0), h.lse = MR_SAVE(c, 0);
  h.heads = (int)((const attention_attr *)c->attr)->heads;
  h.T = (int)c->out[0].shape.dim[1], h.D = (int)c->out[0].shape.dim[2];
  h.d = h.D / h.heads;
  h.scale = 1 / mr_sqrt1((mr_real)h.d);
  if (carried) h.cache = MR_IN(c, 1), h.C = (int)c->in[1].shape.dim[1], h.seen = MR_IN(c, 2);
  h.wide = h.d % 4 == 0 && mr_aligned4(h.qkv) && mr_aligned4(h.cache) && mr_aligned4(h.out);
  return h;
}

int64_t lanes_of(const mr_call *c)
{
  return c->save[0].shape.dim[0] * c->save[0].shape.dim[1];
}
} // namespace

mr_status attention_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const mr_heads h = heads_of(c);
  const int64_t lanes = lanes_of(c);
  if (h.d <= 16) return tiles_for<16>::run_forward(be, h, lanes);
  if (h.d <= 32) return tiles_for<32>::run_forward(be, h, lanes);
  if (h.d <= 64) return tiles_for<64>::run_forward(be, h, lanes);
  if (h.d <= MR_ATTENTION_TILED) return tiles_for<128>::run_forward(be, h, lanes);
  return mr_attention_any_forward(be, h, lanes);
}

mr_status attention_bwd_cuda(mr_backend *be, const mr_call *c)
{
  mr_heads h = heads_of(c);
  const int64_t lanes = lanes_of(c), rows = lanes / h.heads * h.T;
  mr_real *delta = (mr_real *)c->work;
  h.dout = MR_DOUT(c, 0), h.delta = delta, h.dqkv = MR_DIN(c, 0), h.beta = c->beta[0];
  if (MR_GIVEN(c, 1)) h.dcache = MR_DIN(c, 1), h.beta_cache = c->beta[1];
  h.wide = h.wide && mr_aligned4(h.dout) && mr_aligned4(h.dqkv) && mr_aligned4(h.dcache);
  /* Nothing flows to the number of steps, nor to carried rows that are not attended to. */
  for (int i = 1; i < 3; i++)
    if (MR_GIVEN(c, i) && MR_DIN(c, i) != NULL && c->beta[i] == 0)
      MR_CHECK(be->api->fill(be, MR_DIN(c, i), 0, mr_bytes(&c->din[i].shape, MR_REAL)));
  MR_CHECK(
      MR_LAUNCH(be, row_dots, mr_grid(be, rows * h.heads * WIDE, 256), 256, 0, h, rows, delta));
  if (h.d <= 16) return tiles_for<16>::run_backward(be, h, lanes);
  if (h.d <= 32) return tiles_for<32>::run_backward(be, h, lanes);
  if (h.d <= 64) return tiles_for<64>::run_backward(be, h, lanes);
  if (h.d <= MR_ATTENTION_TILED) return tiles_for<128>::run_backward(be, h, lanes);
  return mr_attention_any_backward(be, h, lanes);
}
