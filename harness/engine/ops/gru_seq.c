/* gru_seq.c — GRU over whole sequences on the CPU. SPDX-License-Identifier: MIT
 *
 * Each thread takes some sequences through all steps: a product with U, then one pass over gates and
 * state. Backward gathers a stretch of steps and adds dU, db once per stretch. */
#include <string.h>
#include "gru_seq.h"
#include "ops.h"
#include "rnn_steps.h"
#include "scalar.h"
#include "sweep.h"

static int64_t n_saved(const mr_call *c)
{
  return ((const gru_seq_attr *)c->attr)->reset == MR_RESET_AFTER ? 4 : 3;
}

static mr_status gru_seq_infer(const void *attr, const mr_view *in, int32_t n_in,
                               const mr_site *site, mr_need *need)
{
  const bool after = ((const gru_seq_attr *)attr)->reset == MR_RESET_AFTER;
  char b[80];
  MR_CHECK(mr_rnn_infer("gru_seq", in, n_in, 3, 3));
  const mr_rnn r = mr_rnn_sizes(&in[0].shape, 3, site->threads);
  if (n_in < 3 || in[2].shape.rank != 1 || in[2].shape.dim[0] != 3 * r.H)
    return MR_FAIL(MR_ERR_SHAPE, "gru_seq: b must be [%lld], not %s", (long long)(3 * r.H),
                   n_in < 3 ? "missing" : mr_shape_text(&in[2].shape, b, sizeof b));
  const int64_t S = after ? 4 : 3;
  need->out[0] = mr_shape3(r.B, r.T, r.H);
  need->save[0] = mr_shape3(r.B, r.T, S * r.H);
  need->n_save = 1;
  need->reads_in = 1u << 1 | (n_in > 3 && in[3].shape.rank >= 0 ? 1u << 3 : 0);
  need->reads_out = 1u << 0;
  if (site->device == MR_CPU) {
    need->work_fwd = (size_t)(mr_rnn_panel_reals(&r) + r.B * 5 * r.H) * sizeof(mr_real);
    need->work_bwd = mr_rnn_work_back(&r, after ? 1 : 2);
  } else {
    mr_rnn_cuda_need(site, &r, need);
  }
  need->flops = (double)(r.B * r.T) * ((double)r.H * 6 * (double)r.H + 20 * (double)r.H);
  need->flops_bwd = 2 * need->flops; /* into the state before and into u */
  need->bytes = (double)(r.B * r.T * r.H) * (double)(4 + S) * sizeof(mr_real);
  return MR_OK;
}

/* r, z, n, m and the new state of one row; g holds U h + b. */
static void step_after(const mr_real *x, const mr_real *g, int64_t H, mr_real *save, mr_real *h,
                       mr_real *out)
{
  MR_SIMD
  for (int64_t j = 0; j < H; j++) {
    const mr_real r = mr_sigmoid1(x[j] + g[j]), z = mr_sigmoid1(x[H + j] + g[H + j]);
    const mr_real m = g[2 * H + j], n = mr_tanh1(x[2 * H + j] + r * m);
    save[j] = r, save[H + j] = z, save[2 * H + j] = n, save[3 * H + j] = m;
    out[j] = h[j] = n + z * (h[j] - n);
  }
}

/* Gates r, z of one row, and rh = r * h. */
static void step_before_gates(const mr_real *x, const mr_real *g, int64_t H, const mr_real *h,
                              mr_real *save, mr_real *rh)
{
  MR_SIMD
  for (int64_t j = 0; j < H; j++) {
    const mr_real r = mr_sigmoid1(x[j] + g[j]);
    save[j] = r, save[H + j] = mr_sigmoid1(x[H + j] + g[H + j]);
    rh[j] = r * h[j];
  }
}

static void step_before_state(const mr_real *x, const mr_real *g, int64_t H, mr_real *save,
                              mr_real *h, mr_real *out)
{
  MR_SIMD
  for (int64_t j = 0; j < H; j++) {
    const mr_real n = mr_tanh1(x[2 * H + j] + g[2 * H + j]);
    save[2 * H + j] = n;
    out[j] = h[j] = n + save[H + j] * (h[j] - n);
  }
}

/* Rows of step `at` of one sequence: inputs, saved gates, states and, in backward, their gradient. */
static void fetch_step(const mr_call *c, int64_t at, int64_t H)
{
  const int64_t S = n_saved(c);
  if (c->dout == NULL)
    mr_rnn_fetch(MR_IN(c, 0) + at * 3 * H, 3 * H);
  else if (c->din[0].data != NULL)
    mr_rnn_fetch(MR_DIN(c, 0) + at * 3 * H, 3 * H);
  mr_rnn_fetch(MR_SAVE(c, 0) + at * S * H, S * H);
  mr_rnn_fetch(MR_OUT(c, 0) + at * H, H);
  if (c->dout != NULL) mr_rnn_fetch(MR_DOUT(c, 0) + at * H, H);
}

/* What h and the gradients meet: with reset before, u[0] has r, z and u[1] has n; with reset after
 * u[0] has all three. */
typedef struct sides {
  mr_rnn_side u[2];
} sides;

static sides prepare(mr_backend *be, const mr_call *c, const mr_rnn *r, bool back)
{
  const int64_t split = n_saved(c) == 4 ? 3 : 2;
  sides s;
  s.u[0] = mr_rnn_right(be, r, MR_IN(c, 1), 0, split, back, c->work);
  s.u[1] = s.u[0];
  if (split == 2) s.u[1] = mr_rnn_right(be, r, MR_IN(c, 1), 2, 3, back, c->work);
  return s;
}

static void forward_part(mr_backend *be, const mr_call *c, const mr_rnn *r, const sides *s,
                         int64_t from, int64_t n)
{
  const int64_t H = r->H, T = r->T, S = n_saved(c);
  const bool after = S == 4;
  const mr_real *b = MR_IN(c, 2);
  mr_real *h = (mr_real *)c->work + mr_rnn_panel_reals(r) + from * 5 * H, *gate = h + n * H,
          *rh = gate + n * 3 * H;
  mr_rnn_load_state(c, 3, from, n, H, h);
  for (int64_t t = 0; t < T; t++) {
    for (int64_t i = 0; i < n; i++) memcpy(gate + i * 3 * H, b, (size_t)(3 * H) * sizeof *b);
    mr_rnn_product(be, n, h, H, &s->u[0], 1, gate, 3 * H);
    for (int64_t i = 0; i < n; i++) {
      const int64_t at = (from + i) * T + t;
      const mr_real *x = MR_IN(c, 0) + at * 3 * H;
      mr_real *save = MR_SAVE(c, 0) + at * S * H;
      if (t + 1 < T) fetch_step(c, at + 1, H);
      if (after)
        step_after(x, gate + i * 3 * H, H, save, h + i * H, MR_OUT(c, 0) + at * H);
      else
        step_before_gates(x, gate + i * 3 * H, H, h + i * H, save, rh + i * H);
    }
    if (after) continue;
    mr_rnn_product(be, n, rh, H, &s->u[1], 1, gate + 2 * H, 3 * H);
    for (int64_t i = 0; i < n; i++) {
      const int64_t at = (from + i) * T + t;
      step_before_state(MR_IN(c, 0) + at * 3 * H, gate + i * 3 * H, H, MR_SAVE(c, 0) + at * S * H,
                        h + i * H, MR_OUT(c, 0) + at * H);
    }
  }
}

mr_status gru_seq_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const mr_rnn r = mr_rnn_sizes(&c->in[0].shape, 3, be->threads);
  const sides s = prepare(be, c, &r, false);
  MR_PARALLEL(be, MR_WORTH(r.B * r.T * r.H))
  for (int part = mr_tid(); part < r.parts; part += mr_team()) {
    int64_t from, to;
    mr_share(r.B, 1, part, r.parts, &from, &to);
    forward_part(be, c, &r, &s, from, to - from);
  }
  return MR_OK;
}

/* One row and step of backward. Pointers to the row's saved gates, states and gradients. */
typedef struct row {
  const mr_real *save, *before, *dout;
  mr_real *gate, *left, *left2, *dh, *tmp, *dxw;
  mr_real beta;
} row;

/* Leaves the gate gradients in gate and z * dh, what passes by U, in dh; reset after. */
static void back_after(const row *w, int64_t H)
{
  const mr_real *r = w->save, *z = r + H, *n = z + H, *m = n + H;
  mr_real *g = w->gate;
  MR_SIMD
  for (int64_t j = 0; j < H; j++) {
    const mr_real d = w->dh[j] + w->dout[j];
    const mr_real dn = d * (1 - z[j]) * (1 - n[j] * n[j]);
    g[j] = dn * m[j] * r[j] * (1 - r[j]);
    g[H + j] = d * (w->before[j] - n[j]) * z[j] * (1 - z[j]);
    g[2 * H + j] = dn;
    w->dh[j] = d * z[j];
    w->left[j] = w->before[j];
  }
  mr_rnn_put(w->dxw, g, 3 * H, w->beta);
  MR_SIMD
  for (int64_t j = 0; j < H; j++) g[2 * H + j] *= r[j];
}

/* Reset before, first half: gradients of n and z. */
static void back_before_n(const row *w, int64_t H)
{
  const mr_real *r = w->save, *z = r + H, *n = z + H;
  MR_SIMD
  for (int64_t j = 0; j < H; j++) {
    const mr_real d = w->dh[j] + w->dout[j];
    w->gate[2 * H + j] = d * (1 - z[j]) * (1 - n[j] * n[j]);
    w->gate[H + j] = d * (w->before[j] - n[j]) * z[j] * (1 - z[j]);
    w->dh[j] = d * z[j];
    w->left[j] = w->before[j];
    w->left2[j] = r[j] * w->before[j];
  }
}

/* Second half, tmp being the gradient of r * h. */
static void back_before_r(const row *w, int64_t H)
{
  const mr_real *r = w->save;
  MR_SIMD
  for (int64_t j = 0; j < H; j++) {
    w->gate[j] = w->tmp[j] * w->before[j] * r[j] * (1 - r[j]);
    w->dh[j] += w->tmp[j] * r[j];
  }
  mr_rnn_put(w->dxw, w->gate, 3 * H, w->beta);
}

static row row_at(const mr_call *c, const mr_rnn *r, const mr_rnn_back *p, int64_t i, int64_t t)
{
  const int64_t H = r->H, b = p->from + i, at = b * r->T + t, slot = p->gathered * p->n + i;
  row w;
  if (t > 0) fetch_step(c, at - 1, H);
  w.save = MR_SAVE(c, 0) + at * n_saved(c) * H;
  w.before = t > 0 ? MR_OUT(c, 0) + (at - 1) * H : (MR_GIVEN(c, 3) ? MR_IN(c, 3) + b * H : p->zero);
  w.dout = MR_DOUT(c, 0) + at * H;
  w.gate = p->gate + slot * 3 * H;
  w.left = p->left + slot * H;
  w.left2 = p->left2 != NULL ? p->left2 + slot * H : NULL;
  w.dh = p->dh + i * H;
  w.tmp = p->tmp + i * H;
  w.dxw = c->din[0].data != NULL ? MR_DIN(c, 0) + at * 3 * H : NULL;
  w.beta = c->beta[0];
  return w;
}

static void backward_part(mr_backend *be, const mr_call *c, const mr_rnn *r, const sides *s,
                          mr_rnn_back p)
{
  const int64_t H = r->H;
  const bool after = p.left2 == NULL;
  for (int64_t t = r->T - 1; t >= 0; t--) {
    mr_real *gate = p.gate + p.gathered * p.n * 3 * H;
    for (int64_t i = 0; i < p.n; i++) {
      const row w = row_at(c, r, &p, i, t);
      if (after)
        back_after(&w, H);
      else
        back_before_n(&w, H);
    }
    if (!after) {
      mr_rnn_product(be, p.n, gate + 2 * H, 3 * H, &s->u[1], 0, p.tmp, H);
      for (int64_t i = 0; i < p.n; i++) {
        const row w = row_at(c, r, &p, i, t);
        back_before_r(&w, H);
      }
    }
    mr_rnn_product(be, p.n, gate, 3 * H, &s->u[0], 1, p.dh, H);
    if (++p.gathered == r->stretch) mr_rnn_gather(be, r, &p, 2);
  }
  mr_rnn_gather(be, r, &p, 2);
  if (!MR_GIVEN(c, 3) || c->din[3].data == NULL) return;
  mr_rnn_put(MR_DIN(c, 3) + p.from * H, p.dh, p.n * H, c->beta[3]);
}

mr_status gru_seq_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const mr_rnn r = mr_rnn_sizes(&c->in[0].shape, 3, be->threads);
  const sides s = prepare(be, c, &r, true);
  const int blocks = n_saved(c) == 4 ? 1 : 2;
  MR_PARALLEL(be, MR_WORTH(r.B * r.T * r.H))
  for (int part = mr_tid(); part < r.parts; part += mr_team())
    backward_part(be, c, &r, &s, mr_rnn_begin(&r, c, part, blocks, 1, 2));
  mr_rnn_add_parts(&r, c, blocks, 1, 2);
  return MR_OK;
}

const mr_op mr_gru_seq_op = {"gru_seq",
                             4,
                             1,
                             sizeof(gru_seq_attr),
                             gru_seq_infer,
                             MR_TWIN(gru_seq, fwd),
                             MR_TWIN(gru_seq, bwd)};

mr_val mr_gru_seq(mr_tape *t, mr_val xw, mr_val u, mr_val b, mr_val h0, mr_gru_reset reset)
{
  const gru_seq_attr a = {(int32_t)reset};
  const mr_val in[] = {xw, u, b, h0};
  return mr_apply(t, &mr_gru_seq_op, &a, in, 4);
}
