/* attention_tile.cuh — what the kernels of attention share: heads, tiles in shared memory and the two
 * products that are made of them. SPDX-License-Identifier: MIT
 *
 * A block holds a tile of ROWS rows (queries, or keys) and walks tiles of COLS columns (keys, or
 * queries). 16 neighbouring threads share eight rows, each taking COLS/16 columns of the scores and
 * D/16 channels of the sums. So the weights of a row stay within half a warp: they go through shared
 * memory with no barrier of the block. Rows in shared memory are D + 4 reals apart, which spreads
 * 16-byte accesses over all banks. */
#ifndef MR_ATTENTION_TILE_CUH
#define MR_ATTENTION_TILE_CUH
#include "attention.h"
#include "lanes.cuh"

enum { MR_TILE_HIGH = 8, MR_TILE_WIDE = 16, MR_TILE_PAD = 4 };

/* One call, for kernels. */
typedef struct mr_heads {
  const mr_real *qkv, *cache, *seen, *dout, *delta; /* cache, seen: NULL when not given    */
  mr_real *out, *lse;                               /* lse: in base 2                      */
  mr_real *dqkv, *dcache;
  mr_real beta, beta_cache, scale; /* scale: 1 / sqrt(d)                  */
  int T, C, D, heads, d;           /* D: of all heads                     */
  bool wide;                       /* four channels may be moved at once */
} mr_heads;

/* Keys whose rows stand one behind the other, carried ones or those of this stretch; the values
 * stand D reals behind them. */
typedef struct mr_keys {
  const mr_real *k;
  int n, ld; /* rows, and reals from row to row */
} mr_keys;

#define MR_LOG2_E ((mr_real)1.44269504088896340736)

/* 2^x for x <= 0; results below the normal range may become 0. The device's own instruction errs by
 * 2 units of the last place. */
static __device__ __forceinline__ mr_real mr_weight(mr_real x)
{
#ifdef MR_REAL_IS_DOUBLE
  return exp2(x);
#elif defined(__CUDA_ARCH__)
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return exp2f(x);
#endif
}

/* Where queries of head number `lane` of all B * heads start in qkv (ld 3D). */
static __device__ __forceinline__ int64_t mr_query_at(const mr_heads &h, int64_t lane)
{
  return lane / h.heads * h.T * 3 * h.D + lane % h.heads * h.d;
}

/* The same in out (ld D). */
static __device__ __forceinline__ int64_t mr_out_at(const mr_heads &h, int64_t lane)
{
  return lane / h.heads * h.T * h.D + lane % h.heads * h.d;
}

/* Carried steps that the lane's sequence attends to: `seen` as a whole number, NaN as 0. */
static __device__ __forceinline__ int mr_carried(const mr_heads &h, int64_t lane)
{
  const mr_real n = h.cache != NULL ? h.seen[lane / h.heads] : 0;
  if (!(n > 0)) return 0;
  return n < (mr_real)h.C ? (int)(n + (mr_real)0.5) : h.C;
}

/* Where the keys of a head start in qkv, or those of the n latest carried steps in the cache. */
static __device__ __forceinline__ int64_t mr_key_at(const mr_heads &h, int64_t lane, bool own,
                                                    int n)
{
  if (own) return mr_query_at(h, lane) + h.D;
  return (lane / h.heads * h.C + h.C - n) * 2 * h.D + lane % h.heads * h.d;
}

static __device__ __forceinline__ mr_keys mr_keys_of(const mr_heads &h, int64_t lane, bool own)
{
  const int n = own ? h.T : mr_carried(h, lane);
  return {(own ? h.qkv : h.cache) + mr_key_at(h, lane, own, n), n, (own ? 3 : 2) * h.D};
}

/* ==== Tiles ================================================================================== */

/* Row i of the eight of this thread in a tile of ROWS, column j, channel i of its D/16. */
template <int ROWS> static __device__ __forceinline__ int mr_row(int i)
{
  return (int)threadIdx.x / MR_TILE_WIDE + ROWS / MR_TILE_HIGH * i;
}

static __device__ __forceinline__ int mr_col(int j)
{
  return (int)threadIdx.x % MR_TILE_WIDE + MR_TILE_WIDE * j;
}

template <int D> static __device__ __forceinline__ int mr_channel(int i)
{
  const int tx = (int)threadIdx.x % MR_TILE_WIDE;
  return D % 64 == 0 ? i / 4 * 64 + 4 * tx + i % 4 : tx + MR_TILE_WIDE * i;
}

/* ROWS rows of d channels, `factor` times, into a tile; rows from n on and channels from d on are
 * zeros. */
template <int D, int ROWS, int THREADS>
static __device__ __forceinline__ void mr_fill_tile(mr_real *tile, const mr_real *from, int ld,
                                                    int n, const mr_heads &h, mr_real factor)
{
  enum { LD = D + MR_TILE_PAD, GROUPS = D / 4, STEP = THREADS / GROUPS };
  if (h.wide) {
    const int first = (int)threadIdx.x / GROUPS, c = (int)threadIdx.x % GROUPS * 4;
    from += (int64_t)first * ld + c;
    tile += first * LD + c;
#pragma unroll 8
    for (int r = 0; r < ROWS; r += STEP, from += (int64_t)STEP * ld) {
      mr_vec4 x = {0, 0, 0, 0};
      if (first + r < n && c < h.d) x = mr_load4(from);
      mr_store4(tile + r * LD, {factor * x.x, factor * x.y, factor * x.z, factor * x.w});
    }
    return;
  }
#pragma unroll 1
  for (int at = (int)threadIdx.x; at < ROWS * D; at += THREADS) {
    const int r = at / D, c = at % D;
    tile[r * LD + c] = r < n && c < h.d ? factor * from[(int64_t)r * ld + c] : 0;
  }
}

/* s[i][j] = row i of a times row j of b, over channels. */
template <int D, int ROWS, int CJ>
static __device__ __forceinline__ void mr_tile_scores(const mr_real *a, const mr_real *b, int d,
                                                      mr_real (&s)[MR_TILE_HIGH][CJ])
{
  enum { LD = D + MR_TILE_PAD };
  a += mr_row<ROWS>(0) * LD;
  b += mr_col(0) * LD;
#pragma unroll
  for (int i = 0; i < MR_TILE_HIGH; i++)
#pragma unroll
    for (int j = 0; j < CJ; j++) s[i][j] = 0;
      /* A turn has its own loads in flight, and other warps theirs; more at once would spill. */
#pragma unroll 1
  for (int from = 0; from < d; from += 4, a += 4, b += 4) {
    mr_vec4 y[CJ];
#pragma unroll
    for (int j = 0; j < CJ; j++) y[j] = mr_load4(b + MR_TILE_WIDE * j * LD);
#pragma unroll
    for (int i = 0; i < MR_TILE_HIGH; i++) {
      const mr_vec4 x = mr_load4(a + ROWS / MR_TILE_HIGH * i * LD);
#pragma unroll
      for (int j = 0; j < CJ; j++) {
        s[i][j] += x.x * y[j].x;
        s[i][j] += x.y * y[j].y;
        s[i][j] += x.z * y[j].z;
        s[i][j] += x.w * y[j].w;
      }
    }
  }
}

/* Puts this thread's weights where the 16 threads of its rows find them. */
template <int ROWS, int COLS>
static __device__ __forceinline__ void
mr_share_weights(mr_real *p, const mr_real (&s)[MR_TILE_HIGH][COLS / MR_TILE_WIDE])
{
  __syncwarp();
#pragma unroll
  for (int i = 0; i < MR_TILE_HIGH; i++)
#pragma unroll
    for (int j = 0; j < COLS / MR_TILE_WIDE; j++)
      p[mr_row<ROWS>(i) * (COLS + MR_TILE_PAD) + mr_col(j)] = s[i][j];
  __syncwarp();
}

/* Channels first .. first + 3 of this thread (those there are) in one row of a tile. */
template <int D, int N>
static __device__ __forceinline__ void mr_get_channels(const mr_real *row, int first,
                                                       mr_real (&y)[N])
{
  if constexpr (D % 64 == 0) {
    const mr_vec4 v = mr_load4(row + mr_channel<D>(first));
    y[0] = v.x, y[1] = v.y, y[2] = v.z, y[3] = v.w;
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) y[i] = row[mr_channel<D>(i)];
  }
}

/* acc[i][c] += sum over columns k of p[i][k] x[k][c]. */
template <int D, int ROWS, int COLS>
static __device__ __forceinline__ void mr_tile_sums(const mr_real *p, const mr_real *x,
                                                    mr_real (&acc)[MR_TILE_HIGH][D / 16])
{
  enum { LD = D + MR_TILE_PAD, LDP = COLS + MR_TILE_PAD, N = D < 64 ? D / 16 : 4 };
  p += mr_row<ROWS>(0) * LDP;
#pragma unroll 1
  for (int k = 0; k < COLS; k += 4) {
#pragma unroll
    for (int first = 0; first < D / 16; first += N) {
      mr_real y[4][N];
#pragma unroll
      for (int m = 0; m < 4; m++) mr_get_channels<D>(x + (k + m) * LD, first, y[m]);
#pragma unroll
      for (int i = 0; i < MR_TILE_HIGH; i++) {
        const mr_vec4 w = mr_load4(p + ROWS / MR_TILE_HIGH * i * LDP + k);
#pragma unroll
        for (int c = 0; c < N; c++) {
          acc[i][first + c] += w.x * y[0][c];
          acc[i][first + c] += w.y * y[1][c];
          acc[i][first + c] += w.z * y[2][c];
          acc[i][first + c] += w.w * y[3][c];
        }
      }
    }
  }
}

/* to[r] = beta to[r] + factor[i] acc[i] for the first n rows of the tile. */
template <int D, int ROWS>
static __device__ __forceinline__ void
mr_put_tile(mr_real *to, int ld, int n, const mr_heads &h, mr_real beta,
            const mr_real (&acc)[MR_TILE_HIGH][D / 16], const mr_real (&factor)[MR_TILE_HIGH])
{
#pragma unroll
  for (int i = 0; i < MR_TILE_HIGH; i++) {
    mr_real *row = to + (int64_t)mr_row<ROWS>(i) * ld;
    if (mr_row<ROWS>(i) >= n) continue;
    if constexpr (D % 64 == 0) {
#pragma unroll
      for (int c = 0; c < D / 16 && h.wide; c += 4) {
        mr_real *p = row + mr_channel<D>(c), f = factor[i];
        if (mr_channel<D>(c) >= h.d) continue;
        const mr_vec4 old = beta != 0 ? mr_load4(p) : mr_vec4{0, 0, 0, 0};
        mr_store4(p, {old.x + f * acc[i][c], old.y + f * acc[i][c + 1], old.z + f * acc[i][c + 2],
                      old.w + f * acc[i][c + 3]});
      }
      if (h.wide) continue;
    }
#pragma unroll
    for (int c = 0; c < D / 16; c++) {
      const int at = mr_channel<D>(c);
      if (at < h.d) row[at] = mr_plus_at(beta, row + at, factor[i] * acc[i][c]);
    }
  }
}
#endif
