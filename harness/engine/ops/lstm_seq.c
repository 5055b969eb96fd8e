/* lstm_seq.c — LSTM over whole sequences on the CPU. SPDX-License-Identifier: MIT
 *
 * As gru_seq: threads own sequences; one product and one pass per step; dU once per stretch. */
#include <string.h>
#include "lstm_seq.h"
#include "ops.h"
#include "rnn_steps.h"
#include "scalar.h"
#include "sweep.h"

static mr_status lstm_seq_infer(const void *attr, const mr_view *in, int32_t n_in,
                                const mr_site *site, mr_need *need)
{
  (void)attr;
  MR_CHECK(mr_rnn_infer("lstm_seq", in, n_in, 4, 2));
  const mr_rnn r = mr_rnn_sizes(&in[0].shape, 4, site->threads);
  need->out[0] = need->out[1] = mr_shape3(r.B, r.T, r.H);
  need->save[0] = mr_shape3(r.B, r.T, 4 * r.H);
  need->n_save = 1;
  need->reads_in = 1u << 1;
  for (int i = 2; i < n_in; i++)
    if (in[i].shape.rank >= 0) need->reads_in |= 1u << i;
  need->reads_out = 1u << 0 | 1u << 1;
  if (site->device == MR_CPU) {
    need->work_fwd = (size_t)(mr_rnn_panel_reals(&r) + r.B * 6 * r.H) * sizeof(mr_real);
    need->work_bwd = mr_rnn_work_back(&r, 1) + (size_t)(r.B * r.H) * sizeof(mr_real);
  } else {
    mr_rnn_cuda_need(site, &r, need);
  }
  need->flops = (double)(r.B * r.T) * ((double)r.H * 8 * (double)r.H + 20 * (double)r.H);
  need->flops_bwd = 2 * need->flops; /* into the state before and into u */
  need->bytes = (double)(r.B * r.T * r.H) * 10 * sizeof(mr_real);
  return MR_OK;
}

/* Gates and new states of one row; a holds U h. */
static void step(const mr_real *x, const mr_real *a, int64_t H, mr_real *save, mr_real *h,
                 mr_real *cell, mr_real *out_h, mr_real *out_c)
{
  MR_SIMD
  for (int64_t j = 0; j < H; j++) {
    const mr_real i = mr_sigmoid1(x[j] + a[j]), f = mr_sigmoid1(x[H + j] + a[H + j]);
    const mr_real g = mr_tanh1(x[2 * H + j] + a[2 * H + j]),
                  o = mr_sigmoid1(x[3 * H + j] + a[3 * H + j]);
    save[j] = i, save[H + j] = f, save[2 * H + j] = g, save[3 * H + j] = o;
    out_c[j] = cell[j] = f * cell[j] + i * g;
    out_h[j] = h[j] = o * mr_tanh1(cell[j]);
  }
}

/* Rows of step `at` of one sequence: inputs, saved gates, states and, in backward, their gradient. */
static void fetch_step(const mr_call *c, int64_t at, int64_t H)
{
  if (c->dout == NULL)
    mr_rnn_fetch(MR_IN(c, 0) + at * 4 * H, 4 * H);
  else if (c->din[0].data != NULL)
    mr_rnn_fetch(MR_DIN(c, 0) + at * 4 * H, 4 * H);
  mr_rnn_fetch(MR_SAVE(c, 0) + at * 4 * H, 4 * H);
  mr_rnn_fetch(MR_OUT(c, 0) + at * H, H);
  mr_rnn_fetch(MR_OUT(c, 1) + at * H, H);
  if (c->dout != NULL) mr_rnn_fetch(MR_DOUT(c, 0) + at * H, H);
}

static void forward_part(mr_backend *be, const mr_call *c, const mr_rnn *r, const mr_rnn_side *u,
                         int64_t from, int64_t n)
{
  const int64_t H = r->H, T = r->T;
  mr_real *h = (mr_real *)c->work + mr_rnn_panel_reals(r) + from * 6 * H;
  mr_real *cell = h + n * H, *sum = cell + n * H;
  mr_rnn_load_state(c, 2, from, n, H, h);
  mr_rnn_load_state(c, 3, from, n, H, cell);
  for (int64_t t = 0; t < T; t++) {
    mr_rnn_product(be, n, h, H, u, 0, sum, 4 * H);
    for (int64_t i = 0; i < n; i++) {
      const int64_t at = (from + i) * T + t;
      if (t + 1 < T) fetch_step(c, at + 1, H);
      step(MR_IN(c, 0) + at * 4 * H, sum + i * 4 * H, H, MR_SAVE(c, 0) + at * 4 * H, h + i * H,
           cell + i * H, MR_OUT(c, 0) + at * H, MR_OUT(c, 1) + at * H);
    }
  }
}

mr_status lstm_seq_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const mr_rnn r = mr_rnn_sizes(&c->in[0].shape, 4, be->threads);
  const mr_rnn_side u = mr_rnn_right(be, &r, MR_IN(c, 1), 0, 4, false, c->work);
  MR_PARALLEL(be, MR_WORTH(r.B * r.T * r.H))
  for (int part = mr_tid(); part < r.parts; part += mr_team()) {
    int64_t from, to;
    mr_share(r.B, 1, part, r.parts, &from, &to);
    forward_part(be, c, &r, &u, from, to - from);
  }
  return MR_OK;
}

/* Gate gradients of one row into gate; dc becomes the gradient of c_{t-1}. */
static void step_back(const mr_real *save, const mr_real *cell, const mr_real *before,
                      const mr_real *dout, const mr_real *dh, int64_t H, mr_real *dc, mr_real *gate)
{
  const mr_real *i = save, *f = i + H, *g = f + H, *o = g + H;
  MR_SIMD
  for (int64_t j = 0; j < H; j++) {
    const mr_real d = dh[j] + dout[j], tc = mr_tanh1(cell[j]);
    const mr_real e = dc[j] + d * o[j] * (1 - tc * tc);
    gate[j] = e * g[j] * i[j] * (1 - i[j]);
    gate[H + j] = e * before[j] * f[j] * (1 - f[j]);
    gate[2 * H + j] = e * i[j] * (1 - g[j] * g[j]);
    gate[3 * H + j] = d * tc * o[j] * (1 - o[j]);
    dc[j] = e * f[j];
  }
}

static void back_row(const mr_call *c, const mr_rnn *r, const mr_rnn_back *p, int64_t i, int64_t t,
                     mr_real *dc)
{
  const int64_t H = r->H, b = p->from + i, at = b * r->T + t, slot = p->gathered * p->n + i;
  const mr_real *h0 = MR_GIVEN(c, 2) ? MR_IN(c, 2) + b * H : p->zero;
  const mr_real *c0 = MR_GIVEN(c, 3) ? MR_IN(c, 3) + b * H : p->zero;
  mr_real *gate = p->gate + slot * 4 * H;
  if (t > 0) fetch_step(c, at - 1, H);
  if (c->dout[1].data != NULL)
    for (int64_t j = 0; j < H; j++) dc[j] += MR_DOUT(c, 1)[at * H + j];
  step_back(MR_SAVE(c, 0) + at * 4 * H, MR_OUT(c, 1) + at * H,
            t > 0 ? MR_OUT(c, 1) + (at - 1) * H : c0, MR_DOUT(c, 0) + at * H, p->dh + i * H, H, dc,
            gate);
  memcpy(p->left + slot * H, t > 0 ? MR_OUT(c, 0) + (at - 1) * H : h0, (size_t)H * sizeof *gate);
  mr_rnn_put(c->din[0].data != NULL ? MR_DIN(c, 0) + at * 4 * H : NULL, gate, 4 * H, c->beta[0]);
}

static void backward_part(mr_backend *be, const mr_call *c, const mr_rnn *r, const mr_rnn_side *u,
                          mr_rnn_back p, mr_real *dc)
{
  const int64_t H = r->H;
  memset(dc, 0, (size_t)(p.n * H) * sizeof *dc);
  for (int64_t t = r->T - 1; t >= 0; t--) {
    for (int64_t i = 0; i < p.n; i++) back_row(c, r, &p, i, t, dc + i * H);
    mr_rnn_product(be, p.n, p.gate + p.gathered * p.n * 4 * H, 4 * H, u, 0, p.dh, H);
    if (++p.gathered == r->stretch) mr_rnn_gather(be, r, &p, 4);
  }
  mr_rnn_gather(be, r, &p, 4);
  if (MR_GIVEN(c, 2) && c->din[2].data != NULL)
    mr_rnn_put(MR_DIN(c, 2) + p.from * H, p.dh, p.n * H, c->beta[2]);
  if (MR_GIVEN(c, 3) && c->din[3].data != NULL)
    mr_rnn_put(MR_DIN(c, 3) + p.from * H, dc, p.n * H, c->beta[3]);
}

mr_status lstm_seq_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const mr_rnn r = mr_rnn_sizes(&c->in[0].shape, 4, be->threads);
  const mr_rnn_side u = mr_rnn_right(be, &r, MR_IN(c, 1), 0, 4, true, c->work);
  /* The cells' gradients stand behind the parts' own memory. */
  mr_real *dc = (mr_real *)c->work + mr_rnn_work_back(&r, 1) / sizeof(mr_real);
  MR_PARALLEL(be, MR_WORTH(r.B * r.T * r.H))
  for (int part = mr_tid(); part < r.parts; part += mr_team()) {
    const mr_rnn_back p = mr_rnn_begin(&r, c, part, 1, 1, -1);
    backward_part(be, c, &r, &u, p, dc + p.from * r.H);
  }
  mr_rnn_add_parts(&r, c, 1, 1, -1);
  return MR_OK;
}

const mr_op mr_lstm_seq_op = {
    "lstm_seq", 4, 2, 0, lstm_seq_infer, MR_TWIN(lstm_seq, fwd), MR_TWIN(lstm_seq, bwd)};

mr_val mr_lstm_seq(mr_tape *t, mr_val xw, mr_val u, mr_val h0, mr_val c0)
{
  const mr_val in[] = {xw, u, h0, c0};
  return mr_apply(t, &mr_lstm_seq_op, NULL, in, 4);
}
