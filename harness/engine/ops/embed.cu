/* embed.cu — rows of a table by token, on CUDA. SPDX-License-Identifier: MIT
 *
 * Forward copies rows. Backward reads dy once: each warp adds the rows of its tokens, one after the
 * other, to a table of its own in shared memory, 32 columns wide; a block adds up its warps' tables
 * and a second kernel the blocks'. All orders are fixed. Large vocabularies are taken in stretches
 * that fit into shared memory; a warp passes over tokens of other stretches. */
#include "embed.h"
#include "rows.cuh"
#include "sums.cuh"

namespace
{
enum { SHARED_BYTES = 48 << 10, WARPS = 8, ROW_BYTES = MR_WARP * sizeof(mr_real) };

template <class T>
__global__ void __launch_bounds__(MR_ROWS_BLOCK)
    gather(int64_t tokens, int64_t d, const int32_t *token, int64_t vocab, const T *table, T *y)
{
  MR_ROWS_FOR(r, tokens, i, d)
  {
    const int64_t v = token[r];
    y[r * d + i] = v >= 0 && v < vocab ? table[v * d + i] : T{};
  }
}

/* part[vocab,d] of each blockIdx.x = sums of dy over a part of the tokens. blockIdx.y: which 32
 * columns, blockIdx.z: which `room` rows of the table. */
__global__ void __launch_bounds__(MR_WARP *WARPS)
    scatter(int64_t tokens, int64_t d, const int32_t *token, int64_t vocab, int room,
            const mr_real *dy, mr_real *part)
{
  MR_DYN_SHARED(mr_real, tables);
  enum { AHEAD = 8 };
  const int64_t from = tokens * blockIdx.x / gridDim.x, to = tokens * (blockIdx.x + 1) / gridDim.x;
  const int64_t column = (int64_t)blockIdx.y * MR_WARP + threadIdx.x;
  const int64_t first_row = (int64_t)blockIdx.z * room;
  const int rows = (int)mr_min<int64_t>(room, vocab - first_row), warps = (int)blockDim.y;
  mr_real *own = tables + threadIdx.y * rows * MR_WARP + threadIdx.x;
  for (int v = 0; v < rows; v++) own[v * MR_WARP] = 0;
  /* 32 tokens at a time; AHEAD rows of dy are on their way before the first is added. */
  for (int64_t at = from + threadIdx.y * MR_WARP; at < to; at += (int64_t)warps * MR_WARP) {
    const int64_t mine = at + threadIdx.x < to ? token[at + threadIdx.x] - first_row : -1;
    const int row = mine >= 0 && mine < rows ? (int)mine : -1;
    for (int k = 0; k < MR_WARP; k += AHEAD) {
      int row_of[AHEAD];
      mr_real x[AHEAD];
#pragma unroll
      for (int i = 0; i < AHEAD; i++) {
        row_of[i] = __shfl_sync(MR_FULL_WARP, row, k + i);
        x[i] = row_of[i] >= 0 && column < d ? dy[(at + k + i) * d + column] : 0;
      }
#pragma unroll
      for (int i = 0; i < AHEAD; i++)
        if (row_of[i] >= 0) own[row_of[i] * MR_WARP] += x[i];
    }
  }
  __syncthreads();
  for (int v = threadIdx.y; v < rows && column < d; v += warps) {
    mr_real sum = 0;
    for (int w = 0; w < warps; w++) sum += tables[(w * rows + v) * MR_WARP + threadIdx.x];
    part[(blockIdx.x * vocab + first_row + v) * d + column] = sum;
  }
}
} // namespace

mr_status embed_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const int32_t *token = (const int32_t *)c->in[0].data;
  const mr_real *table = MR_IN(c, 1);
  mr_real *y = MR_OUT(c, 0);
  const int64_t n = mr_count(&c->in[0].shape), vocab = c->in[1].shape.dim[0];
  const int64_t d = c->in[1].shape.dim[1];
  const bool wide = d % 4 == 0 && mr_aligned4(table) && mr_aligned4(y);
  const mr_rows_launch l = mr_rows_over(n, wide ? d / 4 : d);
  if (wide)
    return MR_LAUNCH(be, gather<mr_vec4>, l.grid, l.block, 0, n, d / 4, token, vocab,
                     (const mr_vec4 *)table, (mr_vec4 *)y);
  return MR_LAUNCH(be, gather<mr_real>, l.grid, l.block, 0, n, d, token, vocab, table, y);
}

mr_status embed_bwd_cuda(mr_backend *be, const mr_call *c)
{
  const int64_t n = mr_count(&c->in[0].shape), vocab = c->din[1].shape.dim[0];
  const int64_t d = c->din[1].shape.dim[1], parts = mr_table_partials(n, vocab);
  const int64_t room = mr_min<int64_t>(vocab, SHARED_BYTES / ROW_BYTES);
  const int64_t warps = mr_min<int64_t>(WARPS, SHARED_BYTES / ROW_BYTES / room);
  mr_real *part = (mr_real *)c->work;
  if (MR_DIN(c, 1) == NULL) return MR_OK;
  const dim3 grid((unsigned)parts, (unsigned)mr_ceil_div(d, MR_WARP),
                  (unsigned)mr_ceil_div(vocab, room));
  MR_CHECK(MR_LAUNCH(be, scatter, grid, dim3(MR_WARP, (unsigned)warps),
                     (size_t)(warps * room) * ROW_BYTES, n, d, (const int32_t *)c->in[0].data,
                     vocab, (int)room, MR_DOUT(c, 0), part));
  return mr_add_partials(be, part, parts, {MR_DIN(c, 1), c->beta[1], vocab * d}, {});
}
