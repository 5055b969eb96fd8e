/* rnn_steps.cuh — what GRU and LSTM share on CUDA. SPDX-License-Identifier: MIT
 *
 * Two ways through T dependent steps:
 *   - a product per step: the backend's GEMM, then one fused kernel for gates and state;
 *   - weights on chip, H <= 128: a block takes one sequence through all steps, 4 threads to a hidden
 *     unit, with the recurrent weights in registers from the first step to the last (H = 128: 512
 *     threads of 96 weights; the LSTM's fourth gate in shared memory). State and gate gradients pass
 *     through shared memory, one barrier per step; blocks do not wait for each other. A step is as
 *     long as its chain: for H = 128 the 96 products of four warps per scheduler, 400 cycles, for
 *     less it is reading h, two or three shuffles, the gates and the barrier.
 * Backward goes back over stretches of steps. It leaves the gradients of a stretch's recurrent sums
 * in working memory, from which one product adds the stretch to dU: no sum is made by atomics. */
#ifndef MR_RNN_STEPS_CUH
#define MR_RNN_STEPS_CUH
#include "cuda_util.cuh"
#include "rnn_steps.h"

/* Threads of a unit; kernels of a product per step have blocks of ROW threads. */
enum { MR_RNN_QUAD = 4, MR_RNN_UNITS = MR_WARP / MR_RNN_QUAD, MR_RNN_ROW = 128 };
/* Vectors that lanes of several q write at one time start this much further apart than their length, in
 * groups of four: other banks of shared memory. */
enum { MR_RNN_PAD = 2 };

/* A warp has 8 units. Lane 8 q + i is the q-th of the 4 threads of unit i: neighbours read the same
 * share of a vector, and 16-byte reads of shared memory take two turns then, not four. */
static __device__ __forceinline__ int mr_rnn_unit()
{
  return (int)(threadIdx.x / MR_WARP * MR_RNN_UNITS + threadIdx.x % MR_RNN_UNITS);
}

static __device__ __forceinline__ int mr_rnn_quarter()
{
  return (int)(threadIdx.x % MR_WARP / MR_RNN_UNITS);
}

/* Backward, where lanes i and i + 4 of the four q share two units: which of their 8 shares is this. */
static __device__ __forceinline__ int mr_rnn_slice()
{
  return (int)(threadIdx.x % MR_WARP / (MR_RNN_UNITS / 2));
}

/* ---- Weights on chip -------------------------------------------------------------------------- */

/* Steps between asking the L2 cache for a row and using it. Registers, which are scarce, are loaded one
 * step ahead: from the L2 cache that is in time, from memory it would not be. */
enum { MR_RNN_AHEAD = 5 };

/* What stands `bytes` behind p: places of 32 bits in a sequence's arrays save registers and additions. */
template <class P> static __device__ __forceinline__ P &mr_rnn_at(P *p, uint32_t bytes)
{
  return *(P *)((const char *)p + bytes);
}

/* Asks for the cache line of p, without waiting and without a register. */
static __device__ __forceinline__ void mr_rnn_prefetch(const mr_real *p)
{
#ifdef __CUDA_ARCH__
  asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
#else
  (void)p;
#endif
}

/* A thread's weights are groups of four, of which the first KEPT are in registers; the others are
 * parked in shared memory, those of all 4 HP threads side by side. */
template <int HP>
static __device__ __forceinline__ mr_real *mr_rnn_parked(mr_real *parked, int group)
{
  return parked + 4 * (group * 4 * HP + (int)threadIdx.x);
}

/* acc[n] += w[FIRST + n GROUPS ..] . v over this lane's share of v in shared memory: every SLICES-th
 * group of four values. */
template <int SLICES, int GROUPS, int FIRST, int KEPT, int N>
static __device__ __forceinline__ void mr_rnn_dot(const mr_real (&w)[KEPT][4], mr_real *parked,
                                                  const mr_real *v, int slice, mr_real (&acc)[N])
{
#pragma unroll
  for (int i = 0; i < GROUPS; i++) {
    const mr_vec4 x = mr_load4(v + 4 * (i * SLICES + slice));
#pragma unroll
    for (int n = 0; n < N; n++) {
      const int group = FIRST + n * GROUPS + i;
      mr_vec4 y;
      if (group < KEPT)
        y = {w[group][0], w[group][1], w[group][2], w[group][3]};
      else
        y = mr_load4(mr_rnn_parked<4 * SLICES * GROUPS>(parked, group - KEPT));
      acc[n] += y.x * x.x;
      acc[n] += y.y * x.y;
      acc[n] += y.z * x.z;
      acc[n] += y.w * x.w;
    }
  }
}

/* Lays U out as threads hold it, [group, thread, 4], zeros where H is padded. Forward (LANES = 4, groups
 * by gate): a thread has its unit's row of u, its share of the columns. Backward (LANES = 8, groups by
 * gate, then unit): the columns of two units, its share of the rows. */
template <int LANES>
static __global__ void mr_rnn_pack_kernel(int64_t gates, int HP, int H, const mr_real *u,
                                          mr_real *to)
{
  const bool back = LANES > MR_RNN_QUAD;
  const int groups = HP / 4 / LANES, units = MR_WARP / LANES; /* units apart from their pair's */
  MR_GRID_FOR(i, gates * HP * HP)
  {
    const int thread = (int)(i / 4 % (4 * HP)), group = (int)(i / 4 / (4 * HP));
    const int k = 4 * (group % groups * LANES + thread % MR_WARP / units) + (int)(i % 4);
    const int unit =
        thread / MR_WARP * MR_RNN_UNITS + thread % units + (back ? group / groups % 2 * units : 0);
    const int64_t gate = back ? group / groups / 2 : group / groups;
    const int64_t row = gate * H + (back ? k : unit);
    to[i] = unit < H && k < H ? u[row * H + (back ? unit : k)] : (mr_real)0;
  }
}

/* Takes all of a thread's groups of weights from where mr_rnn_pack_kernel laid them. Comes last before
 * the steps, behind a barrier: loads that come earlier keep registers from all that is prepared. */
template <int HP, int ALL, int KEPT>
static __device__ __forceinline__ void mr_rnn_load_weights(const mr_real *packed,
                                                           mr_real (&w)[KEPT][4], mr_real *parked)
{
  __syncthreads();
#pragma unroll
  for (int group = ALL - 1; group >= 0; group--) {
    const mr_vec4 x = mr_load4(packed + 4 * (group * 4 * HP + (int)threadIdx.x));
    if (group < KEPT)
      w[group][0] = x.x, w[group][1] = x.y, w[group][2] = x.z, w[group][3] = x.w;
    else
      mr_store4(mr_rnn_parked<HP>(parked, group - KEPT), x);
  }
}

/* Forward: sums over the 4 lanes of a unit. */
template <int N> static __device__ __forceinline__ void mr_rnn_fold(mr_real (&acc)[N])
{
#pragma unroll
  for (int d = MR_RNN_UNITS; d < MR_WARP; d *= 2)
#pragma unroll
    for (int n = 0; n < N; n++) acc[n] += __shfl_xor_sync(MR_FULL_WARP, acc[n], d);
}

/* Backward: 8 lanes hold shares of two units; each gets the sum of the unit that is its own. */
static __device__ __forceinline__ mr_real mr_rnn_fold_pair(const mr_real (&acc)[2])
{
  enum { APART = MR_RNN_UNITS / 2 };
  const bool second = (threadIdx.x & APART) != 0;
  mr_real own[1] = {(second ? acc[1] : acc[0]) +
                    __shfl_xor_sync(MR_FULL_WARP, second ? acc[0] : acc[1], APART)};
  mr_rnn_fold(own);
  return own[0];
}

/* The value of thread q of this thread's unit. */
static __device__ __forceinline__ mr_real mr_rnn_of(mr_real x, int q)
{
  return __shfl_sync(MR_FULL_WARP, x, q * MR_RNN_UNITS + (int)(threadIdx.x % MR_RNN_UNITS));
}

/* ---- Backward over stretches ------------------------------------------------------------------ */

/* Working memory of backward, and what its kernels share. Steps t0 .. t1 are in hand; those behind
 * them are done. */
struct mr_rnn_walk {
  int64_t B, T, H, G, stretch, t0, t1;
  int64_t TH, t0H, nH; /* T H, t0 H, (t1 - t0) H: kernels on chip have few registers for products */
  const mr_real *u, *save, *h, *h0, *dh;
  mr_real *packed;    /* U as mr_rnn_pack_kernel lays it out, where it stays on chip */
  mr_real *dxw, *dh0; /* NULL: not wanted                                          */
  mr_real beta_xw, beta_h0;
  mr_real *gate;  /* [B,stretch,GH] gradients of the recurrent sums of the stretch      */
  mr_real *left;  /* [B,stretch,H] what U was multiplied with                           */
  mr_real *bias;  /* [B,GH] sums of the gates' gradients over all steps                 */
  mr_real *state; /* [B,H] gradient carried to h_{t0-1}                                 */
  mr_real *more;  /* [B,H] another such                                                 */
};

/* Takes the stretch before step t1 in hand. */
static inline void mr_rnn_take_stretch(mr_rnn_walk *w, int64_t t1)
{
  w->t1 = t1;
  w->t0 = t1 > w->stretch ? t1 - w->stretch : 0;
  w->t0H = w->t0 * w->H;
  w->nH = (w->t1 - w->t0) * w->H;
}

static __device__ __forceinline__ bool mr_rnn_first(const mr_rnn_walk &w)
{
  return w.t1 == w.T;
}

/* h before step t of sequence b, unit j. */
static __device__ __forceinline__ mr_real mr_rnn_before(const mr_real *h, const mr_real *h0,
                                                        int64_t T, int64_t H, int64_t b, int64_t t,
                                                        int64_t j)
{
  if (t > 0) return h[(b * T + t - 1) * H + j];
  return h0 != nullptr ? h0[b * H + j] : (mr_real)0;
}

/* for (every sequence b and unit j): units along a block's threads. */
#define MR_RNN_FOR(b, B, j, H)                                                                     \
  for (int64_t b = blockIdx.y; b < (B); b += gridDim.y)                                            \
    for (int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; j < (H);                      \
         j += (int64_t)gridDim.x * blockDim.x)

static inline dim3 mr_rnn_grid(int64_t B, int64_t H)
{
  return dim3((unsigned)mr_ceil_div(H, MR_RNN_ROW), (unsigned)mr_min<int64_t>(B, MR_GRID_YZ_MAX));
}

/* left = h_{t-1} of the stretch, times the first of `factors` saved values where factors > 0. */
static __global__ void mr_rnn_left_kernel(const mr_rnn_walk w, int factors)
{
  const int64_t n = w.t1 - w.t0;
  MR_RNN_FOR(row, w.B * n, j, w.H)
  {
    const int64_t b = row / n, i = row % n;
    mr_real x = mr_rnn_before(w.h, w.h0, w.T, w.H, b, w.t0 + i, j);
    if (factors > 0) x *= w.save[(b * w.T + w.t0 + i) * factors * w.H + j];
    w.left[row * w.H + j] = x;
  }
}

/* y[j] = beta y[j] + the sum of x[b,j] over b. */
static __global__ void mr_rnn_bias_kernel(int64_t B, int64_t n, const mr_real *x, mr_real beta,
                                          mr_real *y)
{
  MR_GRID_FOR(j, n)
  {
    mr_real sum = 0;
    for (int64_t b = 0; b < B; b++) sum += x[b * n + j];
    y[j] = mr_plus_at(beta, y + j, sum);
  }
}

/* y = beta y + x: what is left of the gradient of the state before step 0. */
static __global__ void mr_rnn_initial_kernel(int64_t n, const mr_real *x, mr_real beta, mr_real *y)
{
  MR_GRID_FOR(i, n)
  {
    y[i] = mr_plus_at(beta, y + i, x[i]);
  }
}

/* dU of gates [g0,g1) = beta dU + gate^T left; rows of the stretch lie densely in both. */
static mr_status mr_rnn_add_weights(mr_backend *be, const mr_rnn_walk &w, int64_t g0, int64_t g1,
                                    mr_real beta, mr_real *du)
{
  mr_gemm g = {};
  g.m = (g1 - g0) * w.H, g.n = w.H, g.k = w.B * (w.t1 - w.t0);
  g.trans_a = true;
  g.alpha = 1, g.beta = beta;
  g.a = w.gate + g0 * w.H, g.lda = w.G * w.H;
  g.b = w.left, g.ldb = w.H;
  g.c = du + g0 * w.H * w.H, g.ldc = w.H;
  return be->api->gemm(be, &g);
}

/* c[B,n] = beta c + a op(b), where b is u[g0*H ..): backward over gates [g0,g1) (dgate U), forward
 * their transpose (h U^T). */
static mr_status mr_rnn_multiply(mr_backend *be, int64_t B, int64_t H, bool back, const mr_real *u,
                                 int64_t g0, int64_t g1, const mr_real *a, int64_t lda,
                                 mr_real beta, mr_real *c, int64_t ldc)
{
  const int64_t rows = (g1 - g0) * H;
  mr_gemm g = {};
  g.m = B, g.n = back ? H : rows, g.k = back ? rows : H;
  g.trans_b = !back;
  g.alpha = 1, g.beta = beta;
  g.a = a, g.lda = lda;
  g.b = u + g0 * H * H, g.ldb = H;
  g.c = c, g.ldc = ldc;
  return be->api->gemm(be, &g);
}

/* Packs U into `to`; LANES as mr_rnn_pack_kernel. */
template <int LANES>
static mr_status mr_rnn_pack(mr_backend *be, int64_t gates, int HP, int64_t H, const mr_real *u,
                             mr_real *to)
{
  return MR_LAUNCH(be, mr_rnn_pack_kernel<LANES>, mr_grid(be, gates * HP * HP, 256), 256, 0, gates,
                   HP, H, u, to);
}

/* Lays out working memory of mr_rnn_cuda_need and fills in what the call gives; input numbers of u and
 * h0. */
static inline mr_rnn_walk mr_rnn_begin_walk(const mr_backend *be, const mr_call *c, int64_t gates,
                                            int h0)
{
  const mr_shape *s = &c->dout[0].shape;
  mr_rnn_walk w = {};
  w.B = s->dim[0], w.T = s->dim[1], w.H = s->dim[2], w.G = gates;
  w.stretch = mr_rnn_cuda_stretch(be->sm_count, w.B, w.T);
  w.TH = w.T * w.H;
  w.u = MR_IN(c, 1), w.save = MR_SAVE(c, 0), w.h = MR_OUT(c, 0), w.dh = MR_DOUT(c, 0);
  w.dxw = MR_DIN(c, 0), w.beta_xw = c->beta[0];
  if (MR_GIVEN(c, h0)) {
    w.h0 = MR_IN(c, h0);
    w.dh0 = MR_DIN(c, h0);
    w.beta_h0 = c->beta[h0];
  }
  w.gate = static_cast<mr_real *>(c->work);
  w.left = w.gate + w.B * w.stretch * gates * w.H;
  w.bias = w.left + w.B * w.stretch * w.H;
  w.state = w.bias + w.B * gates * w.H;
  w.more = w.state + w.B * w.H;
  w.packed = w.gate + mr_rnn_cuda_walk_reals(be->sm_count, w.B, w.T, w.H, gates);
  return w;
}
#endif
