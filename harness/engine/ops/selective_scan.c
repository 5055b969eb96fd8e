/* selective_scan.c — the selective scan of Mamba on the CPU. SPDX-License-Identifier: MIT
 *
 * A tile is LANES channels of one sequence; its N states stand in N rows of LANES, so that vector
 * lanes run over channels whatever N is. Backward replays one chunk of steps at a time, keeping its
 * states and decays in cache, then walks back through it. Decays are 2^(delta A log2 e). */
#include "selective_scan.h"
#include <string.h>
#include "op_util.h"
#include "ops.h"
#include "scalar.h"
#include "sweep.h"

/* AHEAD: steps between asking for a row and using it. Sums over channels stay in FOLD parts until a
 * step is done with all states. */
enum { LANES = 64, FOLD = 8, CHUNK = MR_SELECTIVE_CHUNK, AHEAD = 4 };
enum { U, DELTA, A_LOG, B_IN, C_IN, SKIP, H0 };
#define LN2   ((mr_real)0.69314718055994530942)
#define LOG2E ((mr_real)1.4426950408889634074)

typedef struct scan {
  int64_t B, T, E, N;
  int64_t tiles, block; /* tiles per sequence; reals of one tile's states, N * LANES */
  int64_t chunks;
  mr_real *rate; /* [tiles, N, LANES]: A log2 e                                    */
} scan;

static scan scan_of(const mr_shape *u, const mr_shape *a_log)
{
  scan s = {.B = u->dim[0], .T = u->dim[1], .E = u->dim[2], .N = a_log->dim[1]};
  s.tiles = (s.E + LANES - 1) / LANES;
  s.block = s.N * LANES;
  s.chunks = (s.T + CHUNK - 1) / CHUNK;
  return s;
}

/* Reals of one thread in backward, in whole cache lines; see back_of. */
static int64_t back_reals(const scan *s)
{
  const int64_t steps = s->T < CHUNK ? s->T : CHUNK;
  const int64_t n = (2 * steps + 2) * s->block + 2 * steps * LANES +
                    (s->tiles + 1) * (s->block + LANES) + 2 * s->N * (s->T + FOLD);
  return (n + 15) / 16 * 16;
}

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  const char *op = "selective_scan";
  (void)attr;
  if (n_in < H0) return MR_FAIL(MR_ERR_SHAPE, "%s: it takes 6 or 7 inputs, not %d", op, (int)n_in);
  MR_CHECK(mr_rule_rank(op, "u", &in[U], MR_REAL, 3));
  MR_CHECK(mr_rule_rank(op, "a_log", &in[A_LOG], MR_REAL, 2));
  const scan s = scan_of(&in[U].shape, &in[A_LOG].shape);
  const mr_shape a = mr_shape2(s.E, s.N), rows = mr_shape3(s.B, s.T, s.N), skip = mr_shape1(s.E);
  const mr_shape state = mr_shape3(s.B, s.E, s.N);
  MR_CHECK(mr_rule_shape(op, "delta_raw", &in[DELTA], MR_REAL, &in[U].shape));
  MR_CHECK(mr_rule_shape(op, "a_log", &in[A_LOG], MR_REAL, &a));
  MR_CHECK(mr_rule_shape(op, "b", &in[B_IN], MR_REAL, &rows));
  MR_CHECK(mr_rule_shape(op, "c", &in[C_IN], MR_REAL, &rows));
  MR_CHECK(mr_rule_shape(op, "skip", &in[SKIP], MR_REAL, &skip));
  const bool given = mr_rule_given(in, n_in, H0);
  if (given) MR_CHECK(mr_rule_shape(op, "h0", &in[H0], MR_REAL, &state));
  mr_rule_map(need, &in[U].shape, 7 * (double)s.N + 2, 3, 21 * (double)s.N + 4);
  need->out[1] = state;
  need->bytes +=
      (double)(2 * mr_count(&rows) + (given ? 2 : 1) * mr_count(&state)) * sizeof(mr_real);
  if (s.chunks > 1) {
    need->save[0] = mr_shape3(s.B, s.chunks - 1, s.tiles * s.block);
    need->n_save = 1;
  }
  if (site->device == MR_CPU) {
    const int64_t rate = s.tiles * s.block;
    need->work_fwd = (size_t)(rate + site->threads * s.block) * sizeof(mr_real);
    need->work_bwd = (size_t)(rate + site->threads * back_reals(&s)) * sizeof(mr_real);
  }
  need->reads_in = given ? 127 : 63;
  need->overwrites = 1u << U | 1u << DELTA;
  if (site->device ==
      MR_CUDA) { /* parts of gradients; more states than one launch has read u twice */
    const int64_t parts = (s.E + 31) / 32 * s.B * s.T * 32 + s.B * s.E * 17;
    need->work_bwd = (size_t)parts * sizeof(mr_real);
    if (s.N > 16) need->overwrites = 0;
  }
  return MR_OK;
}

/* The sizes of a call, and the table of rates at the start of its working memory. */
static scan open_scan(const mr_call *c)
{
  scan s = scan_of(&c->in[U].shape, &c->in[A_LOG].shape);
  s.rate = c->work;
  memset(s.rate, 0, (size_t)(s.tiles * s.block) * sizeof *s.rate);
  for (int64_t e = 0; e < s.E; e++) {
    mr_real *to = s.rate + e / LANES * s.block + e % LANES;
    for (int64_t n = 0; n < s.N; n++)
      to[n * LANES] = -mr_exp1(MR_IN(c, A_LOG)[e * s.N + n]) * LOG2E;
  }
  return s;
}

/* ==== Rows and tiles ========================================================================= */

/* One tile: channels e .. e + n of sequence b. */
typedef struct tile {
  int64_t b, e, n;
  int64_t row;         /* of u and its likes, at step 0 and channel e */
  const mr_real *rate; /* [N, LANES]                                  */
} tile;

static tile tile_of(const scan *s, int64_t i)
{
  tile q = {.b = i / s->tiles, .e = i % s->tiles * LANES};
  q.n = s->E - q.e < LANES ? s->E - q.e : LANES;
  q.row = q.b * s->T * s->E + q.e;
  q.rate = s->rate + i % s->tiles * s->block;
  return q;
}

/* n reals and zeros up to LANES. */
MR_INLINE void load(mr_real *to, const mr_real *from, int64_t n)
{
  if (n == LANES) {
    memcpy(to, from, LANES * sizeof *to);
    return;
  }
  memset(to, 0, LANES * sizeof *to);
  memcpy(to, from, (size_t)n * sizeof *to);
}

MR_INLINE void store(mr_real *to, const mr_real *from, int64_t n, mr_real beta)
{
  for (int64_t j = 0; j < n; j++) to[j] = mr_plus(beta, to[j], from[j]);
}

/* Reads the tile's part of a state [B,E,N] into rows of channels; NULL: zeros. */
static void load_state(const scan *s, const tile *q, const mr_real *from, mr_real *h)
{
  memset(h, 0, (size_t)s->block * sizeof *h);
  for (int64_t j = 0; from != NULL && j < q->n; j++)
    for (int64_t n = 0; n < s->N; n++) h[n * LANES + j] = from[(q->b * s->E + q->e + j) * s->N + n];
}

static void store_state(const scan *s, const tile *q, const mr_real *h, mr_real *to, mr_real beta)
{
  for (int64_t j = 0; j < q->n; j++) {
    mr_real *x = to + (q->b * s->E + q->e + j) * s->N;
    for (int64_t n = 0; n < s->N; n++) x[n] = mr_plus(beta, x[n], h[n * LANES + j]);
  }
}

/* Where the tile's state before chunk k >= 1 is kept. */
static mr_real *kept(const mr_call *c, const scan *s, const tile *q, int64_t k)
{
  const int64_t all = s->tiles * s->block;
  return MR_SAVE(c, 0) + (q->b * (s->chunks - 1) + k - 1) * all + q->e / LANES * s->block;
}

/* Asks for a row that a coming step reads or writes. */
MR_INLINE void fetch(const mr_real *row, int64_t n)
{
  for (int64_t j = 0; j < n; j += 64 / (int64_t)sizeof *row) __builtin_prefetch(row + j, 1);
}

/* delta and x = delta u of step t. */
MR_INLINE void open_step(const mr_call *c, const scan *s, const tile *q, int64_t t, mr_real *u,
                         mr_real *delta, mr_real *x)
{
  const int64_t at = q->row + t * s->E;
  load(u, MR_IN(c, U) + at, q->n);
  load(delta, MR_IN(c, DELTA) + at, q->n);
  MR_SIMD
  for (int64_t j = 0; j < LANES; j++) {
    delta[j] = mr_softplus1(delta[j]);
    x[j] = delta[j] * u[j];
  }
}

/* ==== Forward ================================================================================ */

static void forward_tile(const mr_call *c, const scan *s, const tile *q, mr_real *h)
{
  _Alignas(64) mr_real u[LANES], delta[LANES], x[LANES], y[LANES], skip[LANES];
  load(skip, MR_IN(c, SKIP) + q->e, q->n);
  load_state(s, q, MR_GIVEN(c, H0) ? MR_IN(c, H0) : NULL, h);
  for (int64_t t = 0; t < s->T; t++) {
    const int64_t at = q->row + t * s->E;
    const mr_real *b = MR_IN(c, B_IN) + (q->b * s->T + t) * s->N;
    const mr_real *k = MR_IN(c, C_IN) + (q->b * s->T + t) * s->N;
    if (t > 0 && t % CHUNK == 0) memcpy(kept(c, s, q, t / CHUNK), h, (size_t)s->block * sizeof *h);
    if (t + AHEAD < s->T) {
      fetch(MR_IN(c, U) + at + AHEAD * s->E, q->n);
      fetch(MR_IN(c, DELTA) + at + AHEAD * s->E, q->n);
      fetch(MR_OUT(c, 0) + at + AHEAD * s->E, q->n);
    }
    open_step(c, s, q, t, u, delta, x);
    for (int64_t j = 0; j < LANES; j++) y[j] = skip[j] * u[j];
    for (int64_t n = 0; n < s->N; n++) {
      const mr_real *rate = q->rate + n * LANES, bn = b[n], kn = k[n];
      mr_real *hn = h + n * LANES;
      MR_SIMD
      for (int64_t j = 0; j < LANES; j++) {
        hn[j] = mr_exp2_down1(delta[j] * rate[j]) * hn[j] + x[j] * bn;
        y[j] += kn * hn[j];
      }
    }
    memcpy(MR_OUT(c, 0) + at, y, (size_t)q->n * sizeof *y);
  }
  store_state(s, q, h, MR_OUT(c, 1), 0);
}

mr_status selective_scan_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const scan s = open_scan(c);
  (void)be;
  MR_PARALLEL(be, MR_WORTH(s.B * s.T * s.E * s.N))
  {
    mr_real *h = s.rate + s.tiles * s.block + mr_tid() * s.block;
    int64_t from, to;
    mr_share(s.B * s.tiles, 1, mr_tid(), mr_team(), &from, &to);
    for (int64_t i = from; i < to; i++) {
      const tile q = tile_of(&s, i);
      forward_tile(c, &s, &q, h);
    }
  }
  return MR_OK;
}

/* ==== Backward =============================================================================== */

/* One thread's memory. Sums over steps are taken chunk by chunk first: short sums of near equals
 * lose less. */
typedef struct back {
  mr_real *h;         /* [CHUNK + 1, N, LANES] states of a chunk, the one before it first    */
  mr_real *a;         /* [CHUNK, N, LANES] decays                                            */
  mr_real *dh;        /* [N, LANES] gradient carried to the state before                     */
  mr_real *delta, *x; /* [CHUNK, LANES]                                                      */
  mr_real *sum;       /* [N + 1, LANES] a chunk's gradients of A and D                       */
  mr_real *total;     /* [tiles, N + 1, LANES] the same of all chunks                        */
  mr_real *fold;      /* [2, N, FOLD] parts of a step's gradients of b and c                 */
  mr_real *db, *dc;   /* [T, N] of a sequence whose first tiles are another thread's         */
} back;

static back back_of(const scan *s, int thread)
{
  const int64_t steps = s->T < CHUNK ? s->T : CHUNK;
  back w;
  w.h = s->rate + s->tiles * s->block + thread * back_reals(s);
  w.a = w.h + (steps + 1) * s->block;
  w.dh = w.a + steps * s->block;
  w.delta = w.dh + s->block;
  w.x = w.delta + steps * LANES;
  w.sum = w.x + steps * LANES;
  w.total = w.sum + s->block + LANES;
  w.fold = w.total + s->tiles * (s->block + LANES);
  w.db = w.fold + 2 * s->N * FOLD;
  w.dc = w.db + s->T * s->N;
  return w;
}

/* Where a tile adds the gradients of b and c, at step 0 of its sequence. */
typedef struct rows {
  mr_real *db, *dc;
  mr_real beta_b, beta_c;
} rows;

static rows rows_of(const mr_call *c, const scan *s, const back *w, int64_t from, int64_t i)
{
  const int64_t b = i / s->tiles, at = b * s->T * s->N;
  const bool first = i == from || i % s->tiles == 0; /* to write here, of this thread's tiles */
  const bool own = b * s->tiles >= from;
  rows r = {w->db, w->dc, first ? 0 : 1, first ? 0 : 1};
  if (own && MR_DIN(c, B_IN) != NULL)
    r.db = MR_DIN(c, B_IN) + at, r.beta_b = first ? c->beta[B_IN] : 1;
  if (own && MR_DIN(c, C_IN) != NULL)
    r.dc = MR_DIN(c, C_IN) + at, r.beta_c = first ? c->beta[C_IN] : 1;
  return r;
}

/* Runs steps from .. from + steps again, keeping states and decays. */
static void replay(const mr_call *c, const scan *s, const tile *q, const back *w, int64_t from,
                   int64_t steps)
{
  _Alignas(64) mr_real u[LANES];
  if (from == 0)
    load_state(s, q, MR_GIVEN(c, H0) ? MR_IN(c, H0) : NULL, w->h);
  else
    memcpy(w->h, kept(c, s, q, from / CHUNK), (size_t)s->block * sizeof *w->h);
  for (int64_t i = 0; i < steps; i++) {
    const int64_t at = q->row + (from + i) * s->E;
    const mr_real *b = MR_IN(c, B_IN) + (q->b * s->T + from + i) * s->N;
    mr_real *delta = w->delta + i * LANES, *x = w->x + i * LANES;
    if (i + AHEAD < steps) {
      fetch(MR_IN(c, U) + at + AHEAD * s->E, q->n);
      fetch(MR_IN(c, DELTA) + at + AHEAD * s->E, q->n);
    }
    open_step(c, s, q, from + i, u, delta, x);
    for (int64_t n = 0; n < s->N; n++) {
      const mr_real *rate = q->rate + n * LANES, *before = w->h + i * s->block + n * LANES;
      mr_real *h = w->h + (i + 1) * s->block + n * LANES, *a = w->a + i * s->block + n * LANES;
      const mr_real bn = b[n];
      MR_SIMD
      for (int64_t j = 0; j < LANES; j++) {
        a[j] = mr_exp2_down1(delta[j] * rate[j]);
        h[j] = a[j] * before[j] + x[j] * bn;
      }
    }
  }
}

/* to[n] = beta to[n] + the sum of row n of from [N, FOLD]. */
MR_INLINE void fold_rows(mr_real *to, mr_real beta, const mr_real *from, int64_t N)
{
  for (int64_t n = 0; n < N; n++) {
    const mr_real *f = from + n * FOLD;
    to[n] = mr_plus(beta, to[n], ((f[0] + f[4]) + (f[1] + f[5])) + ((f[2] + f[6]) + (f[3] + f[7])));
  }
}

/* Through the states of step i of a chunk: dx gets the gradient of delta u, da that of delta by way of
 * the decays, over ln 2; b, k, db and dc are the step's rows. */
MR_INLINE void states_back(const scan *s, const tile *q, const back *w, int64_t i, const mr_real *b,
                           const mr_real *k, const rows *r, const mr_real *dy, mr_real *dx,
                           mr_real *da)
{
  const mr_real *x = w->x + i * LANES, *delta = w->delta + i * LANES;
  for (int64_t n = 0; n < s->N; n++) {
    const mr_real *rate = q->rate + n * LANES, *a = w->a + i * s->block + n * LANES;
    const mr_real *before = w->h + i * s->block + n * LANES, *h = before + s->block;
    mr_real *dh = w->dh + n * LANES, *sum = w->sum + n * LANES;
    mr_real *db = w->fold + n * FOLD, *dc = db + s->N * FOLD;
    const mr_real bn = b[n], kn = k[n];
    MR_SIMD
    for (int64_t l = 0; l < FOLD; l++) {
      mr_real to_b = 0, to_c = 0;
      MR_PRAGMA(GCC unroll 8)
      for (int64_t j = l; j < LANES; j += FOLD) {
        const mr_real d = dh[j] + dy[j] * kn, past = d * a[j], g = past * before[j];
        to_b += d * x[j];
        to_c += dy[j] * h[j];
        dx[j] += d * bn;
        da[j] += g * rate[j];
        sum[j] += g * delta[j];
        dh[j] = past;
      }
      db[l] = to_b, dc[l] = to_c;
    }
  }
  fold_rows(r->db, r->beta_b, w->fold, s->N);
  fold_rows(r->dc, r->beta_c, w->fold + s->N * FOLD, s->N);
}

static void step_back(const mr_call *c, const scan *s, const tile *q, const back *w, rows r,
                      const mr_real *skip, int64_t from, int64_t i)
{
  const int64_t t = from + i, at = q->row + t * s->E, row = (q->b * s->T + t) * s->N;
  _Alignas(64) mr_real u[LANES], raw[LANES], dy[LANES], dx[LANES], da[LANES];
  const mr_real *delta = w->delta + i * LANES;
  mr_real *dskip = w->sum + s->block;
  load(u, MR_IN(c, U) + at, q->n);
  load(raw, MR_IN(c, DELTA) + at, q->n);
  load(dy, MR_DOUT(c, 0) + at, q->n);
  memset(dx, 0, sizeof dx);
  memset(da, 0, sizeof da);
  r.db += t * s->N, r.dc += t * s->N;
  states_back(s, q, w, i, MR_IN(c, B_IN) + row, MR_IN(c, C_IN) + row, &r, dy, dx, da);
  MR_SIMD
  for (int64_t j = 0; j < LANES; j++) {
    dskip[j] += dy[j] * u[j];
    da[j] = (da[j] * LN2 + dx[j] * u[j]) * mr_sigmoid1(raw[j]);
    dx[j] = dx[j] * delta[j] + dy[j] * skip[j];
  }
  if (MR_DIN(c, U) != NULL) store(MR_DIN(c, U) + at, dx, q->n, c->beta[U]);
  if (MR_DIN(c, DELTA) != NULL) store(MR_DIN(c, DELTA) + at, da, q->n, c->beta[DELTA]);
}

/* Rows of step t of gradients, which backward meets for the first time. */
static void fetch_back(const mr_call *c, const scan *s, const tile *q, int64_t t)
{
  const int64_t at = q->row + t * s->E;
  if (t < 0) return;
  fetch(MR_DOUT(c, 0) + at, q->n);
  if (MR_DIN(c, U) != NULL) fetch(MR_DIN(c, U) + at, q->n);
  if (MR_DIN(c, DELTA) != NULL) fetch(MR_DIN(c, DELTA) + at, q->n);
}

static void backward_tile(const mr_call *c, const scan *s, const tile *q, const back *w, rows r)
{
  _Alignas(64) mr_real skip[LANES], *total = w->total + q->e / LANES * (s->block + LANES);
  load(skip, MR_IN(c, SKIP) + q->e, q->n);
  load_state(s, q, MR_DOUT(c, 1), w->dh);
  for (int64_t k = s->chunks - 1; k >= 0; k--) {
    const int64_t from = k * CHUNK, steps = s->T - from < CHUNK ? s->T - from : CHUNK;
    replay(c, s, q, w, from, steps);
    memset(w->sum, 0, (size_t)(s->block + LANES) * sizeof *w->sum);
    for (int64_t i = steps - 1; i >= 0; i--) {
      fetch_back(c, s, q, from + i - AHEAD);
      step_back(c, s, q, w, r, skip, from, i);
    }
    store(total, w->sum, s->block + LANES, 1);
  }
  if (MR_GIVEN(c, H0) && MR_DIN(c, H0) != NULL)
    store_state(s, q, w->dh, MR_DIN(c, H0), c->beta[H0]);
}

/* Adds the threads' sums, in order, to the gradients of a_log, skip, b and c. */
static void add_parts(const mr_call *c, const scan *s, int team)
{
  mr_real *da = MR_DIN(c, A_LOG), *dskip = MR_DIN(c, SKIP);
  for (int64_t e = 0; e < s->E; e++) {
    const int64_t part = e / LANES, j = e % LANES;
    for (int64_t n = 0; n <= s->N; n++) {
      mr_real sum = 0, *to = n < s->N ? da : dskip;
      for (int p = 0; p < team; p++)
        sum += back_of(s, p).total[part * (s->block + LANES) + n * LANES + j];
      if (to == NULL) continue;
      if (n < s->N) sum *= s->rate[part * s->block + n * LANES + j] * LN2;
      to += n < s->N ? e * s->N + n : e;
      *to = mr_plus(c->beta[n < s->N ? A_LOG : SKIP], *to, sum);
    }
  }
  for (int p = 1; p < team; p++) {
    const back w = back_of(s, p);
    const int64_t n = s->T * s->N;
    int64_t from, to;
    mr_share(s->B * s->tiles, 1, p, team, &from, &to);
    const int64_t b = from / s->tiles;
    if (from == to || from % s->tiles == 0) continue;
    if (MR_DIN(c, B_IN) != NULL) mr_sum_parts(MR_DIN(c, B_IN) + b * n, 1, w.db, 0, 1, n);
    if (MR_DIN(c, C_IN) != NULL) mr_sum_parts(MR_DIN(c, C_IN) + b * n, 1, w.dc, 0, 1, n);
  }
}

mr_status selective_scan_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const scan s = open_scan(c);
  int team = 1;
  (void)be;
  MR_PARALLEL(be, MR_WORTH(s.B * s.T * s.E * s.N))
  {
    const back w = back_of(&s, mr_tid());
    int64_t from, to;
    mr_share(s.B * s.tiles, 1, mr_tid(), mr_team(), &from, &to);
    if (mr_tid() == 0) team = mr_team();
    memset(w.total, 0, (size_t)(s.tiles * (s.block + LANES)) * sizeof *w.total);
    for (int64_t i = from; i < to; i++) {
      const tile q = tile_of(&s, i);
      backward_tile(c, &s, &q, &w, rows_of(c, &s, &w, from, i));
    }
  }
  add_parts(c, &s, team);
  return MR_OK;
}

const mr_op mr_selective_scan_op = {
    "selective_scan", 7, 2, 0, infer, MR_TWIN(selective_scan, fwd), MR_TWIN(selective_scan, bwd)};

mr_val mr_selective_scan(mr_tape *t, mr_val u, mr_val delta_raw, mr_val a_log, mr_val b, mr_val c,
                         mr_val skip, mr_val h0)
{
  const mr_val in[] = {u, delta_raw, a_log, b, c, skip, h0};
  return mr_apply(t, &mr_selective_scan_op, NULL, in, 7);
}
