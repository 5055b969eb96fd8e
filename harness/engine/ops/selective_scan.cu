/* selective_scan.cu — the selective scan of Mamba, on CUDA. SPDX-License-Identifier: MIT
 *
 * A warp, alone in its block, takes 32 channels of one sequence through all steps, with up to 16 states
 * per channel; more states are more launches. Lane 4c + q holds states 4q .. 4q+3 of channels 4c ..
 * 4c+3 in registers, and owns channel 4c + q where rows are loaded and stored: so a row of channels is
 * 128 bytes, what belongs to a step is shared in shared memory 16 bytes at a time, and sums over states
 * (y, du, d delta) or over channels (dB, dC) begin in a lane and end in a few shuffles, each lane
 * keeping one result. The next SUB steps are asked for, into registers, before these are taken.
 * Forward: three passes over memory and N/16 of another for B and C, and every 64th state.
 * Backward goes by chunks of 64 steps: from the kept state it replays the chunk, keeping every 8th
 * state, then replays and walks back 8 steps at a time. dB and dC come in parts of 32 channels, those
 * of A and D in parts of one sequence, that a second launch adds in a fixed order.
 * The bound is 2^x: N per element and step forward, 2.75 N backward, 16 per cycle and multiprocessor. */
#include "selective_scan.h"
#include "cuda_util.cuh"

namespace
{
enum { U, DELTA, A_LOG, B_IN, C_IN, SKIP, H0 };
enum { CHUNK = MR_SELECTIVE_CHUNK, TILE = 64 /* of the kept states */, WIDTH = 32, STATES = 16 };
enum { SUB_FORWARD = 16, SUB_BACK = 8, SINGLE = CHUNK / SUB_BACK, TOTAL = SINGLE + SUB_BACK - 1 };
#define LN2   ((mr_real)0.69314718055994530942)
#define LOG2E ((mr_real)1.4426950408889634074)

struct scan {
  int64_t B, T, E, N, n0; /* this launch has states n0 .. n0 + 15 */
  const mr_real *u, *delta, *a_log, *b, *c, *skip, *h0, *dy, *dlast;
  mr_real *y, *last, *kept;
  mr_real *du, *ddelta, *dh0, beta_u, beta_delta, beta_h0;
  mr_real *rows;  /* [tiles,B,T,32] parts of dB and dC                  */
  mr_real *rates; /* [B,E,16] parts of the gradient of A, over a        */
  mr_real *skips; /* [B,E] parts of dskip                               */
};

/* Place of this lane. */
struct lane {
  int64_t b, tile, e0; /* sequence, tile of channels and its first */
  int c, q, own;
};

__device__ __forceinline__ lane lane_of(const scan &s)
{
  const int64_t tiles = (s.E + WIDTH - 1) / WIDTH;
  const int own = (int)threadIdx.x;
  const int64_t b = blockIdx.x / tiles, tile = blockIdx.x % tiles;
  return {b, tile, tile * WIDTH, own / 4, own % 4, own};
}

/* What a lane loads for SUB steps: its channel's values and one of the 32 of b and c. */
template <int SUB, bool BACK> struct rows {
  mr_real u[SUB], raw[SUB], dy[BACK ? SUB : 1], bc[SUB];
};

template <int SUB, bool BACK>
__device__ __forceinline__ void fetch(const scan &s, const lane &l, int64_t from,
                                      rows<SUB, BACK> &r)
{
  const int64_t n = s.n0 + l.own % STATES, row = l.b * s.T + from, e = l.e0 + l.own;
  const int steps = from >= 0 ? (int)mr_min<int64_t>(s.T - from, SUB) : 0;
  const int steps_u = e < s.E ? steps : 0, steps_bc = n < s.N ? steps : 0;
  const mr_real *u = s.u + row * s.E + e, *raw = s.delta + row * s.E + e;
  const mr_real *dy = BACK ? s.dy + row * s.E + e : nullptr;
  const mr_real *bc = (l.own < STATES ? s.b : s.c) + row * s.N + n;
#pragma unroll
  for (int i = 0; i < SUB; i++) {
    r.u[i] = i < steps_u ? u[i * s.E] : (mr_real)0;
    r.raw[i] = i < steps_u ? raw[i * s.E] : (mr_real)0;
    if (BACK) r.dy[i] = i < steps_u ? dy[i * s.E] : (mr_real)0;
    r.bc[i] = i < steps_bc ? bc[i * s.N] : (mr_real)0;
  }
}

/* The same in shared memory, for all lanes. */
template <int SUB, bool BACK> struct table {
  mr_vec4 u[SUB][WIDTH / 4], delta[SUB][WIDTH / 4], bc[SUB][2 * STATES / 4];
  mr_vec4 raw[BACK ? SUB : 1][WIDTH / 4], dy[BACK ? SUB : 1][WIDTH / 4];
};

template <int N> __device__ __forceinline__ mr_real &cell(mr_vec4 (&row)[N], int i)
{
  return reinterpret_cast<mr_real *>(row)[i];
}

template <int SUB, bool BACK>
__device__ __forceinline__ void put(const lane &l, const rows<SUB, BACK> &r, table<SUB, BACK> *t)
{
  __syncwarp();
#pragma unroll
  for (int i = 0; i < SUB; i++) {
    cell(t->u[i], l.own) = r.u[i];
    cell(t->delta[i], l.own) = mr_softplus1(r.raw[i]);
    cell(t->bc[i], l.own) = r.bc[i];
    if (BACK) cell(t->raw[i], l.own) = r.raw[i];
    if (BACK) cell(t->dy[i], l.own) = r.dy[i];
  }
  __syncwarp();
}

__device__ __forceinline__ void spread(mr_vec4 v, mr_real (&x)[4])
{
  x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
}

/* h[state][channel] of a lane. */
typedef mr_real states[4][4];

/* Takes step i: h = 2^(delta rate) h + delta u b. */
template <int SUB, bool BACK>
__device__ __forceinline__ void take(const lane &l, const table<SUB, BACK> *t, int i,
                                     const states &rate, states &h)
{
  mr_real u[4], delta[4], b[4];
  spread(t->u[i][l.c], u);
  spread(t->delta[i][l.c], delta);
  spread(t->bc[i][l.q], b);
#pragma unroll
  for (int k = 0; k < 4; k++) u[k] *= delta[k];
#pragma unroll
  for (int n = 0; n < 4; n++)
#pragma unroll
    for (int k = 0; k < 4; k++)
      h[n][k] = mr_exp2_down1(delta[k] * rate[n][k]) * h[n][k] + u[k] * b[n];
}

/* Sums v[i] over the lanes that differ in `bit` and the log2 N - 1 bits below; returns the sum whose
 * number i stands in those bits of the lane. */
template <int N> __device__ __forceinline__ mr_real fold(mr_real (&v)[N], int bit)
{
#pragma unroll
  for (int half = N / 2; half > 0; half /= 2, bit /= 2) {
    const bool high = ((int)threadIdx.x & bit) != 0;
#pragma unroll
    for (int i = 0; i < half; i++) {
      const mr_real away = high ? v[i] : v[i + half];
      v[i] = (high ? v[i + half] : v[i]) + __shfl_xor_sync(MR_FULL_WARP, away, bit);
    }
  }
  return v[0];
}

__device__ __forceinline__ void load_rates(const scan &s, const lane &l, states &rate)
{
#pragma unroll
  for (int n = 0; n < 4; n++)
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const int64_t e = l.e0 + 4 * l.c + k, at = s.n0 + 4 * l.q + n;
      const bool exists = e < s.E && at < s.N;
      rate[n][k] = exists ? -mr_exp1(s.a_log[e * s.N + at]) * LOG2E : (mr_real)0;
    }
}

/* This lane's part of a state [B,E,N]; NULL: zeros. */
__device__ __forceinline__ void load_state(const scan &s, const lane &l, const mr_real *from,
                                           states &h)
{
#pragma unroll
  for (int n = 0; n < 4; n++)
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const int64_t e = l.e0 + 4 * l.c + k, at = s.n0 + 4 * l.q + n;
      const bool exists = from != nullptr && e < s.E && at < s.N;
      h[n][k] = exists ? from[(l.b * s.E + e) * s.N + at] : (mr_real)0;
    }
}

__device__ __forceinline__ void store_state(const scan &s, const lane &l, const states &h,
                                            mr_real beta, mr_real *to)
{
#pragma unroll
  for (int n = 0; n < 4; n++)
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const int64_t e = l.e0 + 4 * l.c + k, at = s.n0 + 4 * l.q + n;
      mr_real *x = to + (l.b * s.E + e) * s.N + at;
      if (e < s.E && at < s.N) *x = mr_plus_at(beta, x, h[n][k]);
    }
}

/* Where state n of this lane's channels before chunk k >= 1 is kept. */
__device__ __forceinline__ mr_real *kept_at(const scan &s, const lane &l, int64_t k, int n)
{
  const int64_t chunks = (s.T + CHUNK - 1) / CHUNK, tiles = (s.E + TILE - 1) / TILE;
  const int64_t e = l.e0 + 4 * l.c, all = tiles * s.N * TILE;
  return s.kept + (l.b * (chunks - 1) + k - 1) * all + e / TILE * s.N * TILE +
         (s.n0 + 4 * l.q + n) * TILE + e % TILE;
}

__global__ void __launch_bounds__(MR_WARP) forward(const scan s)
{
  typedef table<SUB_FORWARD, false> local;
  MR_SHARED(local, t, [1]);
  const lane l = lane_of(s);
  const int64_t e = l.e0 + l.own;
  const mr_real skip = e < s.E && s.n0 == 0 ? s.skip[e] : (mr_real)0;
  states rate, h;
  rows<SUB_FORWARD, false> r;
  fetch(s, l, 0, r);
  load_rates(s, l, rate);
  load_state(s, l, s.h0, h);
  for (int64_t from = 0; from < s.T; from += SUB_FORWARD) {
    put(l, r, t);
    fetch(s, l, from + SUB_FORWARD, r);
    if (from > 0 && from % CHUNK == 0)
#pragma unroll
      for (int n = 0; n < 4; n++)
        if (s.n0 + 4 * l.q + n < s.N)
          mr_store4(kept_at(s, l, from / CHUNK, n), {h[n][0], h[n][1], h[n][2], h[n][3]});
    const int steps = (int)mr_min<int64_t>(s.T - from, SUB_FORWARD);
    for (int i = 0; i < steps; i++) {
      mr_real c[4], y[4] = {0, 0, 0, 0};
      take(l, t, i, rate, h);
      spread(t->bc[i][4 + l.q], c);
#pragma unroll
      for (int n = 0; n < 4; n++)
#pragma unroll
        for (int k = 0; k < 4; k++) y[k] += c[n] * h[n][k];
      const mr_real sum = fold(y, 2) + skip * cell(t->u[i], l.own);
      mr_real *out = s.y + (l.b * s.T + from + i) * s.E + e;
      if (e < s.E) *out = mr_plus_at(s.n0 == 0 ? 0 : 1, out, sum);
    }
  }
  store_state(s, l, h, 0, s.last);
}

/* ==== Backward =============================================================================== */

struct store {
  table<SUB_BACK, true> t;
  /* States before every 8th step of a chunk, then from SINGLE on those behind single steps, and the
   * gradient of A, over it, of the chunks that are done. */
  mr_vec4 h[TOTAL + 1][4][MR_WARP];
};

__device__ __forceinline__ void keep(const lane &l, const states &h, store *m, int slot)
{
#pragma unroll
  for (int n = 0; n < 4; n++) m->h[slot][n][l.own] = {h[n][0], h[n][1], h[n][2], h[n][3]};
}

__device__ __forceinline__ void recall(const lane &l, const store *m, int slot, states &h)
{
#pragma unroll
  for (int n = 0; n < 4; n++) spread(m->h[slot][n][l.own], h[n]);
}

/* The gradients a lane carries back, and its sums over the steps of a chunk: sums over T are taken chunk
 * by chunk first, since short sums of near equals lose less. */
struct carried {
  states d, rate; /* of the state; of A, over it */
  mr_real skip;
};

/* One step back, step i of those in m->t, at step t; h: the states before it. */
__device__ __forceinline__ void step_back(const scan &s, const lane &l, store *m, int i, int64_t t,
                                          const states &rate, const states &h, mr_real skip,
                                          carried &g)
{
  mr_real x[4], delta[4], dy[4], b[4], c[4], dx[4] = {0, 0, 0, 0}, da[4] = {0, 0, 0, 0};
  mr_real dbc[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  spread(m->t.u[i][l.c], x);
  spread(m->t.delta[i][l.c], delta);
  spread(m->t.dy[i][l.c], dy);
  spread(m->t.bc[i][l.q], b);
  spread(m->t.bc[i][4 + l.q], c);
#pragma unroll
  for (int k = 0; k < 4; k++) x[k] *= delta[k];
#pragma unroll
  for (int n = 0; n < 4; n++)
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const mr_real a = mr_exp2_down1(delta[k] * rate[n][k]), after = a * h[n][k] + x[k] * b[n];
      const mr_real d = g.d[n][k] + dy[k] * c[n], past = d * a, to_a = past * h[n][k];
      dbc[n] += d * x[k];
      dbc[4 + n] += dy[k] * after;
      dx[k] += d * b[n];
      da[k] += to_a * rate[n][k];
      g.rate[n][k] += to_a * delta[k];
      g.d[n][k] = past;
    }
  /* Bits 4 .. 2 of the lane say which of b's and c's four states its sum is of. */
  mr_real *row = s.rows + ((l.tile * s.B + l.b) * s.T + t) * 2 * STATES;
  row[(l.c < 4 ? 0 : STATES) + 4 * l.q + l.c % 4] = fold(dbc, 16);
  const mr_real own_x = fold(dx, 2), own_a = fold(da, 2);
  const mr_real u = cell(m->t.u[i], l.own);
  const mr_real own_delta = cell(m->t.delta[i], l.own);
  const mr_real raw = cell(m->t.raw[i], l.own);
  const mr_real own_dy = cell(m->t.dy[i], l.own);
  const int64_t at = (l.b * s.T + t) * s.E + l.e0 + l.own;
  g.skip += own_dy * u;
  if (l.e0 + l.own >= s.E) return;
  if (s.du != nullptr)
    s.du[at] = mr_plus_at(s.beta_u, s.du + at, own_x * own_delta + own_dy * skip);
  if (s.ddelta != nullptr)
    s.ddelta[at] =
        mr_plus_at(s.beta_delta, s.ddelta + at, (own_a * LN2 + own_x * u) * mr_sigmoid1(raw));
}

__global__ void __launch_bounds__(MR_WARP) backward(const scan s)
{
  MR_DYN_SHARED(store, m);
  const lane l = lane_of(s);
  const int64_t e = l.e0 + l.own;
  const mr_real skip = e < s.E && s.n0 == 0 ? s.skip[e] : (mr_real)0;
  states rate, h = {};
  carried g = {};
  rows<SUB_BACK, true> r;
  mr_real skip_total = 0;
  keep(l, h, m, TOTAL);
  load_rates(s, l, rate);
  load_state(s, l, s.dlast, g.d);
  fetch(s, l, (s.T - 1) / CHUNK * CHUNK, r);
  for (int64_t k = (s.T - 1) / CHUNK; k >= 0; k--) {
    const int64_t first = k * CHUNK;
    const int subs = (int)((mr_min<int64_t>(s.T - first, CHUNK) + SUB_BACK - 1) / SUB_BACK);
    if (k == 0)
      load_state(s, l, s.h0, h);
    else
#pragma unroll
      for (int n = 0; n < 4; n++) {
        const bool exists = s.n0 + 4 * l.q + n < s.N;
        spread(exists ? mr_load4(kept_at(s, l, k, n)) : mr_vec4{0, 0, 0, 0}, h[n]);
      }
    for (int sub = 0; sub < subs - 1; sub++) {
      put(l, r, &m->t);
      fetch(s, l, first + (sub + 1) * SUB_BACK, r);
      keep(l, h, m, sub);
#pragma unroll 1
      for (int i = 0; i < SUB_BACK; i++) take(l, &m->t, i, rate, h);
    }
    keep(l, h, m, subs - 1);
    for (int sub = subs - 1; sub >= 0; sub--) {
      const int64_t from = first + sub * SUB_BACK;
      const int steps = (int)mr_min<int64_t>(s.T - from, SUB_BACK);
      put(l, r, &m->t);
      fetch(s, l, sub > 0 ? from - SUB_BACK : first - CHUNK, r);
      recall(l, m, sub, h);
#pragma unroll 1
      for (int i = 0; i < steps - 1; i++) {
        take(l, &m->t, i, rate, h);
        keep(l, h, m, SINGLE + i);
      }
#pragma unroll 1
      for (int i = steps - 1; i >= 0; i--) {
        recall(l, m, i > 0 ? SINGLE + i - 1 : sub, h);
        step_back(s, l, m, i, from + i, rate, h, skip, g);
      }
    }
    recall(l, m, TOTAL, h);
#pragma unroll
    for (int n = 0; n < 4; n++)
#pragma unroll
      for (int j = 0; j < 4; j++) h[n][j] += g.rate[n][j], g.rate[n][j] = 0;
    keep(l, h, m, TOTAL);
    skip_total += g.skip, g.skip = 0;
  }
  recall(l, m, TOTAL, h);
#pragma unroll
  for (int n = 0; n < 4; n++)
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int64_t channel = l.e0 + 4 * l.c + j;
      if (channel < s.E) s.rates[(l.b * s.E + channel) * STATES + 4 * l.q + n] = h[n][j];
    }
  if (e < s.E && s.n0 == 0) s.skips[l.b * s.E + e] = skip_total;
  if (s.dh0 != nullptr) store_state(s, l, g.d, s.beta_h0, s.dh0);
}

/* db and dc [B,T,N] from the tiles' parts, states n0 .. n0 + 15. */
__global__ void add_rows(const scan s, int64_t tiles, mr_real beta_b, mr_real *db, mr_real beta_c,
                         mr_real *dc)
{
  const int64_t n = s.B * s.T * 2 * STATES;
  MR_GRID_FOR(i, n)
  {
    const int64_t state = s.n0 + i % STATES, at = i / (2 * STATES) * s.N + state;
    const bool is_c = i / STATES % 2 != 0;
    mr_real *to = is_c ? dc : db, sum = 0;
    if (to == nullptr || state >= s.N) continue;
    for (int64_t tile = 0; tile < tiles; tile++) sum += s.rows[tile * n + i];
    to[at] = mr_plus_at(is_c ? beta_c : beta_b, to + at, sum);
  }
}

/* da_log [E,N] and dskip [E] from the sequences' parts. */
__global__ void add_sequences(const scan s, mr_real beta_a, mr_real *da, mr_real beta_skip,
                              mr_real *dskip)
{
  MR_GRID_FOR(i, s.E * (STATES + 1))
  {
    const int64_t e = i / (STATES + 1), j = i % (STATES + 1), at = e * s.N + s.n0 + j;
    mr_real sum = 0;
    if (j == STATES) {
      if (dskip == nullptr || s.n0 > 0) continue;
      for (int64_t b = 0; b < s.B; b++) sum += s.skips[b * s.E + e];
      dskip[e] = mr_plus_at(beta_skip, dskip + e, sum);
    } else if (da != nullptr && s.n0 + j < s.N) {
      for (int64_t b = 0; b < s.B; b++) sum += s.rates[(b * s.E + e) * STATES + j];
      da[at] = mr_plus_at(beta_a, da + at, sum * -mr_exp1(s.a_log[at]));
    }
  }
}

scan open_scan(const mr_call *c)
{
  scan s = {};
  const mr_shape *u = &c->in[U].shape;
  s.B = u->dim[0], s.T = u->dim[1], s.E = u->dim[2], s.N = c->in[A_LOG].shape.dim[1];
  s.u = MR_IN(c, U), s.delta = MR_IN(c, DELTA), s.a_log = MR_IN(c, A_LOG);
  s.b = MR_IN(c, B_IN), s.c = MR_IN(c, C_IN), s.skip = MR_IN(c, SKIP);
  s.h0 = MR_GIVEN(c, H0) ? MR_IN(c, H0) : nullptr;
  s.kept = s.T > CHUNK ? MR_SAVE(c, 0) : nullptr;
  return s;
}
} // namespace

mr_status selective_scan_fwd_cuda(mr_backend *be, const mr_call *c)
{
  scan s = open_scan(c);
  s.y = MR_OUT(c, 0), s.last = MR_OUT(c, 1);
  const unsigned blocks = (unsigned)(s.B * mr_ceil_div(s.E, WIDTH));
  for (s.n0 = 0; s.n0 < s.N; s.n0 += STATES)
    MR_CHECK(MR_LAUNCH(be, forward, blocks, MR_WARP, 0, s));
  return MR_OK;
}

mr_status selective_scan_bwd_cuda(mr_backend *be, const mr_call *c)
{
  scan s = open_scan(c);
  const int64_t tiles = mr_ceil_div(s.E, WIDTH);
  s.dy = MR_DOUT(c, 0), s.dlast = MR_DOUT(c, 1);
  s.du = MR_DIN(c, U), s.ddelta = MR_DIN(c, DELTA);
  s.beta_u = c->beta[U], s.beta_delta = c->beta[DELTA];
  if (s.h0 != nullptr) s.dh0 = MR_DIN(c, H0), s.beta_h0 = c->beta[H0];
  s.rows = static_cast<mr_real *>(c->work);
  s.rates = s.rows + tiles * s.B * s.T * 2 * STATES;
  s.skips = s.rates + s.B * s.E * STATES;
  for (s.n0 = 0; s.n0 < s.N; s.n0 += STATES, s.beta_u = s.beta_delta = 1) {
    MR_CHECK(MR_LAUNCH(be, backward, (unsigned)(s.B * tiles), MR_WARP, sizeof(store), s));
    MR_CHECK(MR_LAUNCH(be, add_rows, mr_grid(be, s.B * s.T * 2 * STATES, 256), 256, 0, s, tiles,
                       c->beta[B_IN], MR_DIN(c, B_IN), c->beta[C_IN], MR_DIN(c, C_IN)));
    MR_CHECK(MR_LAUNCH(be, add_sequences, mr_grid(be, s.E * (STATES + 1), 128), 128, 0, s,
                       c->beta[A_LOG], MR_DIN(c, A_LOG), c->beta[SKIP], MR_DIN(c, SKIP)));
  }
  return MR_OK;
}
