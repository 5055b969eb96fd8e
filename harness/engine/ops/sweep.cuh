/* sweep.cuh — the scans along time on CUDA: one sweep for every recurrence whose state maps compose.
 * SPDX-License-Identifier: MIT
 *
 * A block of 8 warps owns 32 channels of one sequence and walks T in tiles. A lane owns V channels
 * and a run of consecutive steps of the tile:
 *   1. its run of the next tile is asked for, into registers;
 *   2. its run of this tile, in registers since the last turn, is prepared (gates) and composed into
 *      one map of the state;
 *   3. maps compose over the lanes of a warp by shuffles (V = 4), over the 8 warps through shared
 *      memory: one barrier per tile, two buffers in turn;
 *   4. every lane takes the carry through the maps before its own, then takes its steps and stores.
 * The carry stays in registers, the same bits in all warps. Each array is read or written once, no
 * block waits for another, and nothing depends on the order in which blocks run.
 *
 * Why it is fast. V = 4: 16-byte accesses, 8 lanes to the 128 bytes of a row's 32 channels; V = 1, for
 * odd widths: 4-byte accesses, 32 lanes to the same 128 bytes. Little's law at 4.3 TB/s over 132
 * multiprocessors (33 bytes per ns each) and 0.7 to 1.2 us of loaded latency asks for 23 to 40 KB in
 * flight on each. A block asks for a whole tile while it works on the one before, ELEMENTS * 256 * IN
 * reals: 32 KB for minGRU forward and backward; two blocks are resident (128 registers), 256 of 264
 * places are taken at B 64, D 128. At T 512 a block has 4 tiles forward (8 backward): 3 us each at full
 * bandwidth, and about 3 us once for the launch, the first tile and the last stores, so 75 % of the
 * bandwidth are to be expected there and 90 % for long T. Instructions per element, with V = 4 on
 * compute capability 9.0: scan 24 forward and 48 backward, minGRU 36 and 71, minLSTM 62 and 94; the
 * device issues 83 and 138, 83 and 165, 110 and 220 in the time of the memory.
 *
 * With too few blocks to fill the device T is cut into segments (mr_sweep_split): one launch composes
 * each segment's map, a second starts every segment from the maps before it and sweeps. */
#ifndef MR_SWEEP_CUH
#define MR_SWEEP_CUH
#include "cuda_util.cuh"
#include "sweep.h"

enum { MR_SWEEP_WARPS = 8, MR_SWEEP_BLOCK = MR_SWEEP_WARPS * MR_WARP };

/* ---- Maps of the state. at: applied to a state; then: this one first, `next` after it. -------- */

/* s -> a s + b. */
struct mr_affine {
  mr_real a, b;
  static __device__ __forceinline__ mr_affine identity()
  {
    return {1, 0};
  }
  __device__ __forceinline__ mr_real at(mr_real s) const
  {
    return a * s + b;
  }
  __device__ __forceinline__ mr_affine then(mr_affine next) const
  {
    return {next.a * a, next.a * b + next.b};
  }
};

/* s -> log(exp(a + s) + exp b). */
struct mr_log_affine {
  mr_real a, b;
  static __device__ __forceinline__ mr_log_affine identity()
  {
    return {0, -INFINITY};
  }
  __device__ __forceinline__ mr_real at(mr_real s) const
  {
    return mr_logaddexp1(a + s, b);
  }
  __device__ __forceinline__ mr_log_affine then(mr_log_affine next) const
  {
    return {next.a + a, mr_logaddexp1(next.a + b, next.b)};
  }
};

/* ---- What flows ------------------------------------------------------------------------------- */

/* Arrays [B,T,H], or of gates [B,T,GATES*H], where pointers stand at the gate's first channel. */
template <int IN, int OUT> struct mr_sweep_flow {
  int64_t B, T, H;
  const mr_real *in[IN];
  mr_real *out[OUT]; /* NULL: not wanted; may be one of in */
  mr_real beta[OUT];
  const mr_real *start; /* [B,H] state to start from, NULL: zeros                */
  const mr_real *first; /* [B,H] what stands before step 0 of in[BEFORE]; NULL: zeros */
  mr_real *end;         /* [B,H] state behind the last step; NULL: not wanted    */
  mr_real beta_end;
  int64_t steps; /* of a segment                                                   */
  mr_real *part; /* [segments,2,B,H] maps of the segments                          */
};

/* An op is a type of static functions:
 *   map                  mr_affine or mr_log_affine
 *   IN, OUT, ELEMENTS    arrays read and written; elements per lane and tile, 8 or 16
 *   GATES                the first GATES inputs and, backward, all outputs are those of gates
 *   BACK                 the sweep goes from the last step to the first
 *   BEFORE               index of the input that is read one step earlier, backward; -1: none
 *   WIDE                 may use V = 4
 *   prepare(x)           turns one element's inputs, in place, into what the next two need
 *   of(x)                its map
 *   step(x, s, y)        its outputs y from state s; returns the next state, of(x).at(s)
 *   begin(s)             the state that stands for the value s                              */

/* The channels of a lane: j .. j+V of sequence b; `on` when they exist. Steps before `to` exist. */
struct mr_sweep_lane {
  int64_t b, j, to;
  bool on;
};

template <int V>
static __device__ __forceinline__ void mr_sweep_load(const mr_real *p, mr_real (&x)[V])
{
  if constexpr (V == 4) {
    const mr_vec4 v = mr_load4(p);
    x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
  } else {
    x[0] = *p;
  }
}

template <int V>
static __device__ __forceinline__ void mr_sweep_store(mr_real *p, const mr_real (&x)[V])
{
  if constexpr (V == 4)
    mr_store4(p, {x[0], x[1], x[2], x[3]});
  else
    *p = x[0];
}

/* Asks for the inputs of the run that starts at step u, in the order of the sweep, H * `row` reals into
 * arrays [B,T,H]. Places are few additions to `row`: arithmetic on them would cost a quarter of all. */
template <class Op, int V, int RUN, int IN, int OUT>
static __device__ __forceinline__ void mr_sweep_fetch_run(const mr_sweep_flow<IN, OUT> &f,
                                                          const mr_sweep_lane &l, int64_t u,
                                                          int64_t row, mr_real (&x)[RUN][V][IN])
{
  static_assert(Op::BACK || Op::BEFORE < 0, "only the way back reads a step earlier");
  const int left = l.on ? (int)mr_min<int64_t>(l.to - u, RUN) : 0;
  const int start = (int)mr_min<int64_t>(f.T - 1 - u, RUN); /* where a run back meets step 0 */
#pragma unroll
  for (int i = 0; i < RUN; i++, row += Op::BACK ? -f.H : f.H) {
#pragma unroll
    for (int n = 0; n < IN; n++) {
      mr_real v[V] = {};
      bool there = i < left;
      const mr_real *p = f.in[n] + l.j;
      p += n < Op::GATES ? Op::GATES * row : n == Op::BEFORE ? row - f.H : row;
      if (n == Op::BEFORE && i == start) {
        there = there && f.first != nullptr;
        if (there) p = f.first + l.b * f.H + l.j;
      }
      if (there) mr_sweep_load<V>(p, v);
#pragma unroll
      for (int k = 0; k < V; k++) x[i][k][n] = v[k];
    }
  }
}

/* Takes the steps of a run from state s and stores their outputs. */
template <class Op, int V, int RUN, int IN, int OUT>
static __device__ __forceinline__ void
mr_sweep_take_run(const mr_sweep_flow<IN, OUT> &f, const mr_sweep_lane &l, int64_t u, int64_t row,
                  const mr_real (&x)[RUN][V][IN], mr_real (&s)[V])
{
  const int left = l.on ? (int)mr_min<int64_t>(l.to - u, RUN) : 0;
#pragma unroll
  for (int i = 0; i < RUN; i++, row += Op::BACK ? -f.H : f.H) {
    if (i >= left) break;
    mr_real y[OUT][V];
#pragma unroll
    for (int k = 0; k < V; k++) {
      mr_real one[OUT];
      s[k] = Op::step(x[i][k], s[k], one);
#pragma unroll
      for (int o = 0; o < OUT; o++) y[o][k] = one[o];
    }
#pragma unroll
    for (int o = 0; o < OUT; o++) {
      if (f.out[o] == nullptr) continue;
      mr_real *p = f.out[o] + l.j + (Op::BACK ? Op::GATES * row : row);
      if (f.beta[o] != 0) {
        mr_real old[V];
        mr_sweep_load<V>(p, old);
#pragma unroll
        for (int k = 0; k < V; k++) y[o][k] += old[k];
      }
      mr_sweep_store<V>(p, y[o]);
    }
  }
}

/* The state that segment `segment` starts from. */
template <class Op, int V, int IN, int OUT>
static __device__ __forceinline__ void mr_sweep_begin(const mr_sweep_flow<IN, OUT> &f,
                                                      const mr_sweep_lane &l, int64_t segment,
                                                      mr_real (&s)[V])
{
  const int64_t at = l.b * f.H + l.j;
#pragma unroll
  for (int k = 0; k < V; k++)
    s[k] = Op::begin(l.on && f.start != nullptr ? f.start[at + k] : (mr_real)0);
  for (int64_t i = 0; l.on && i < segment; i++) {
    const mr_real *a = f.part + 2 * i * f.B * f.H + at;
#pragma unroll
    for (int k = 0; k < V; k++) {
      const typename Op::map m = {a[k], a[f.B * f.H + k]};
      s[k] = m.at(s[k]);
    }
  }
}

template <class M> static __device__ __forceinline__ M mr_sweep_from_below(M m, int lanes)
{
  return {__shfl_up_sync(MR_FULL_WARP, m.a, lanes), __shfl_up_sync(MR_FULL_WARP, m.b, lanes)};
}

/* From the maps of the lanes' runs: leaves in `run` that of all runs of the warp up to this lane's, and
 * returns in `before` that of the runs before this lane's. A run's channels lie LANES lanes apart. */
template <int V, int LANES, class M>
static __device__ __forceinline__ void mr_sweep_compose_warp(int lane, M (&run)[V], M (&before)[V])
{
#pragma unroll
  for (int d = LANES; d < MR_WARP; d *= 2)
#pragma unroll
    for (int k = 0; k < V; k++) {
      const M m = mr_sweep_from_below(run[k], d);
      if (lane >= d) run[k] = m.then(run[k]);
    }
#pragma unroll
  for (int k = 0; k < V; k++) {
    before[k] = M::identity();
    if constexpr (LANES < MR_WARP) {
      const M m = mr_sweep_from_below(run[k], LANES);
      if (lane >= LANES) before[k] = m;
    }
  }
}

/* A block sweeps one segment; with SUMMARY it only stores the segment's map. */
template <class Op, int V, bool SUMMARY>
static __global__ void __launch_bounds__(MR_SWEEP_BLOCK, 2)
    mr_sweep_kernel(const mr_sweep_flow<Op::IN, Op::OUT> f)
{
  enum { LANES = MR_WARP / V, RUN = Op::ELEMENTS / V, TILE = MR_SWEEP_WARPS * Op::ELEMENTS };
  typedef typename Op::map map;
  MR_SHARED(mr_vec4, shared, [2][MR_SWEEP_WARPS][2][MR_SWEEP_WIDTH / 4]);
  const int warp = mr_warp(), lane = mr_lane(), column = lane % LANES * V;
  const int64_t tiles = (f.H + MR_SWEEP_WIDTH - 1) / MR_SWEEP_WIDTH, segment = blockIdx.y;
  mr_sweep_lane l;
  l.b = blockIdx.x / tiles;
  l.j = blockIdx.x % tiles * MR_SWEEP_WIDTH + column;
  l.on = l.j < f.H;
  l.to = mr_min(segment * f.steps + f.steps, f.T);
  int64_t u = segment * f.steps + warp * Op::ELEMENTS + lane / LANES * RUN;
  int64_t row = (l.b * f.T + (Op::BACK ? f.T - 1 - u : u)) * f.H;
  const int64_t hop = (Op::BACK ? -TILE : TILE) * f.H;

  mr_real x[RUN][V][Op::IN], next[RUN][V][Op::IN], carry[V];
  map total[V];
  mr_sweep_fetch_run<Op>(f, l, u, row, x);
  mr_sweep_begin<Op>(f, l, SUMMARY ? 0 : segment, carry);
#pragma unroll
  for (int k = 0; k < V; k++) total[k] = map::identity();

  int turn = 0;
  for (int64_t tile = segment * f.steps; tile < l.to;
       tile += TILE, u += TILE, row += hop, turn ^= 1) {
    mr_sweep_fetch_run<Op>(f, l, u + TILE, row + hop, next);
    const int left = (int)mr_min<int64_t>(l.to - u, RUN);
    map run[V], before[V];
#pragma unroll
    for (int k = 0; k < V; k++) {
      run[k] = map::identity();
#pragma unroll
      for (int i = 0; i < RUN; i++) {
        Op::prepare(x[i][k]);
        if (i < left) run[k] = i == 0 ? Op::of(x[i][k]) : run[k].then(Op::of(x[i][k]));
      }
    }
    mr_sweep_compose_warp<V, LANES>(lane, run, before);

    mr_real *part = reinterpret_cast<mr_real *>(shared[turn]) + column;
    if (lane >= MR_WARP - LANES) {
      mr_real a[V], b[V];
#pragma unroll
      for (int k = 0; k < V; k++) a[k] = run[k].a, b[k] = run[k].b;
      mr_sweep_store<V>(part + 2 * warp * MR_SWEEP_WIDTH, a);
      mr_sweep_store<V>(part + (2 * warp + 1) * MR_SWEEP_WIDTH, b);
    }
    __syncthreads();
    mr_real s[V] = {};
#pragma unroll 4
    for (int w = 0; w < MR_SWEEP_WARPS; w++) {
      mr_real a[V], b[V];
      mr_sweep_load<V>(part + 2 * w * MR_SWEEP_WIDTH, a);
      mr_sweep_load<V>(part + (2 * w + 1) * MR_SWEEP_WIDTH, b);
#pragma unroll
      for (int k = 0; k < V; k++) {
        const map m = {a[k], b[k]};
        if (w == warp) s[k] = carry[k];
        if (SUMMARY)
          total[k] = total[k].then(m);
        else
          carry[k] = m.at(carry[k]);
      }
    }
    if constexpr (!SUMMARY) {
      if (lane >= LANES)
#pragma unroll
        for (int k = 0; k < V; k++) s[k] = before[k].at(s[k]);
      mr_sweep_take_run<Op>(f, l, u, row, x, s);
    }
#pragma unroll
    for (int i = 0; i < RUN; i++)
#pragma unroll
      for (int k = 0; k < V; k++)
#pragma unroll
        for (int n = 0; n < Op::IN; n++) x[i][k][n] = next[i][k][n];
  }

  if (warp > 0 || lane >= LANES || !l.on) return;
  const int64_t at = l.b * f.H + l.j;
#pragma unroll
  for (int k = 0; k < V; k++) {
    if (SUMMARY) {
      f.part[2 * segment * f.B * f.H + at + k] = total[k].a;
      f.part[(2 * segment + 1) * f.B * f.H + at + k] = total[k].b;
    } else if (f.end != nullptr && l.to == f.T) {
      f.end[at + k] = mr_plus_at(f.beta_end, &f.end[at + k], carry[k]);
    }
  }
}

template <class Op, int V>
static mr_status mr_sweep_launch(mr_backend *be, const mr_sweep_flow<Op::IN, Op::OUT> &f,
                                 int64_t segments)
{
  const int64_t blocks = f.B * mr_ceil_div(f.H, MR_SWEEP_WIDTH);
  if (segments > 1)
    MR_CHECK(MR_LAUNCH(be, (mr_sweep_kernel<Op, V, true>),
                       dim3((unsigned)blocks, (unsigned)segments - 1), MR_SWEEP_BLOCK, 0, f));
  return MR_LAUNCH(be, (mr_sweep_kernel<Op, V, false>), dim3((unsigned)blocks, (unsigned)segments),
                   MR_SWEEP_BLOCK, 0, f);
}

/* Queues the sweep; `work` is what mr_sweep_need asked for. */
template <class Op>
static mr_status mr_sweep_run(mr_backend *be, mr_sweep_flow<Op::IN, Op::OUT> f, void *work)
{
  const mr_sweep_cut cut = mr_sweep_split(mr_sm_count(be), f.B, f.T, f.H);
  bool wide = Op::WIDE && f.H % 4 == 0, wanted = f.end != nullptr;
  f.steps = cut.steps;
  f.part = static_cast<mr_real *>(work);
  for (const mr_real *p : f.in) wide = wide && mr_aligned4(p);
  for (mr_real *p : f.out) {
    wide = wide && mr_aligned4(p);
    wanted = wanted || p != nullptr;
  }
  wide = wide && mr_aligned4(f.first);
  if (!wanted) return MR_OK;
  if constexpr (Op::WIDE)
    if (wide) return mr_sweep_launch<Op, 4>(be, f, cut.segments);
  return mr_sweep_launch<Op, 1>(be, f, cut.segments);
}

/* ---- The gated scans: pre [B,T,GATES*H], h0, h ------------------------------------------------ */

template <int IN, int OUT> static mr_sweep_flow<IN, OUT> mr_sweep_over(const mr_shape *h)
{
  mr_sweep_flow<IN, OUT> f = {};
  f.B = h->dim[0], f.T = h->dim[1], f.H = h->dim[2];
  return f;
}

/* x: gates; y: h. */
template <int GATES> static mr_sweep_flow<GATES, 1> mr_sweep_gated(const mr_call *c)
{
  mr_sweep_flow<GATES, 1> f = mr_sweep_over<GATES, 1>(&c->out[0].shape);
  for (int g = 0; g < GATES; g++) f.in[g] = MR_IN(c, 0) + g * f.H;
  f.out[0] = MR_OUT(c, 0);
  f.start = MR_GIVEN(c, 1) ? MR_IN(c, 1) : nullptr;
  return f;
}

/* x: gates, then h one step earlier, dh; y: gradients of the gates; the end: dh0. */
template <int GATES> static mr_sweep_flow<GATES + 2, GATES> mr_sweep_gated_back(const mr_call *c)
{
  mr_sweep_flow<GATES + 2, GATES> f = mr_sweep_over<GATES + 2, GATES>(&c->dout[0].shape);
  for (int g = 0; g < GATES; g++) {
    f.in[g] = MR_IN(c, 0) + g * f.H;
    f.out[g] = c->din[0].data != nullptr ? MR_DIN(c, 0) + g * f.H : nullptr;
    f.beta[g] = c->beta[0];
  }
  f.in[GATES] = MR_OUT(c, 0);
  f.in[GATES + 1] = MR_DOUT(c, 0);
  if (!MR_GIVEN(c, 1)) return f;
  f.first = MR_IN(c, 1);
  f.end = MR_DIN(c, 1);
  f.beta_end = c->beta[1];
  return f;
}
#endif
