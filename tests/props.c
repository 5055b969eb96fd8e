/* props.c — properties of ops. SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "mem.h"
#include "mingru_seq.h"
#include "minlstm_seq.h"
#include "ops.h"
#include "props.h"
#include "sequence.h"

/* Parts of sums may come in another order. */
static double tolerance(const mr_case *c)
{
  return sizeof(mr_real) == sizeof(double) ? 1e-11 : 4 * (c->rtol + c->atol);
}

/* Says where two arrays differ by more than `tol` of their largest number; 0 asks for equal bits. */
static bool alike(const char *name, const char *what, const mr_real *got, const mr_real *want,
                  int64_t n, double tol, char *text, size_t room)
{
  double top = 1e-3;
  for (int64_t j = 0; j < n; j++) top = fmax(top, fabs((double)want[j]));
  for (int64_t j = 0; j < n; j++) {
    bool same = memcmp(&got[j], &want[j], sizeof *got) == 0;
    if (same || fabs((double)got[j] - (double)want[j]) <= tol * top) continue;
    (void)snprintf(text, room, "%s: %s at %lld: got %.17g, want %.17g", name, what, (long long)j,
                   (double)got[j], (double)want[j]);
    return false;
  }
  return true;
}

static bool same_gradients(const rig *r, const char *what, const mr_real *want, char *text,
                           size_t n)
{
  int64_t count;
  mr_real *got = rig_gradients(r, &count);
  bool same = alike(r->c.name, what, got, want, count, 0, text, n);
  mr_free(got);
  return same;
}

/* ==== Where gradients go ===================================================================== */

/* Own memory, that of dout[0] or that of the input: 3^n ways, those the op allows. */
static bool allowed(const rig *r, int ways)
{
  for (int i = 0; i < r->c.n_in; i++, ways /= 3) {
    if (ways % 3 == 0) continue;
    if (!r->din[i].data) return false;
    uint32_t mask = ways % 3 == 1 ? r->need.passes : r->need.overwrites;
    if (!(mask >> i & 1u)) return false;
    if (ways % 3 == 1 && rig_count(&r->din[i]) != rig_count(&r->dout[0])) return false;
  }
  return true;
}

/* A gradient that passes is dout[0], bit by bit. */
static bool passes_are_equal(rig *r, char *text, size_t n)
{
  bool same = true;
  rig_forward(r);
  rig_backward(r);
  for (int i = 0; i < r->c.n_in && same; i++)
    if (r->need.passes >> i & 1u && r->din[i].data)
      same = alike(r->c.name, "gradient that passes", r->din[i].data, r->dout[0].data,
                   rig_count(&r->din[i]), 0, text, n);
  return same;
}

bool prop_shares(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  int all = 1;
  bool same = true;
  rig any;
  rig_open(&any, c, be);
  for (int i = 0; i < c->n_in; i++) all *= 3;
  for (int ways = 1; ways < all && same; ways++) {
    rig r;
    mr_view own[MR_CASE_MAX_IN];
    int64_t count;
    char what[64];
    if (!allowed(&any, ways)) continue;
    rig_open(&r, c, be);
    same = passes_are_equal(&r, text, n);
    mr_real *want = rig_gradients(&r, &count);
    memcpy(own, r.din, sizeof own);
    for (int i = 0, w = ways; i < c->n_in; i++, w /= 3)
      if (w % 3) r.din[i].data = w % 3 == 1 ? r.dout[0].data : r.in[i].data;
    rig_backward(&r);
    (void)snprintf(what, sizeof what, "gradients with memory shared in way %d", ways);
    same = same && same_gradients(&r, what, want, text, n);
    memcpy(r.din, own, sizeof own);
    mr_free(want);
    rig_close(&r);
  }
  rig_close(&any);
  return same;
}

bool prop_adds(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  rig r;
  int64_t count;
  rig_open(&r, c, be);
  rig_forward(&r);
  rig_backward(&r);
  mr_real *want = rig_gradients(&r, &count);
  for (int64_t j = 0; j < count; j++) want[j] += (mr_real)0.5;
  for (int i = 0; i < c->n_in; i++) {
    r.beta[i] = 1;
    for (int64_t j = 0; r.din[i].data && j < rig_count(&r.din[i]); j++)
      ((mr_real *)r.din[i].data)[j] = (mr_real)0.5;
  }
  rig_backward(&r);
  mr_real *got = rig_gradients(&r, &count);
  bool same = alike(c->name, "gradient added to 0.5", got, want, count, tolerance(c), text, n);
  mr_free(got);
  mr_free(want);
  rig_close(&r);
  return same;
}

bool prop_alone(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  rig r;
  mr_view all[MR_CASE_MAX_IN];
  bool same = true;
  rig_open(&r, c, be);
  rig_forward(&r);
  memcpy(all, r.din, sizeof all);
  for (int i = 0; i < c->n_in && same; i++) {
    int64_t count;
    if (!all[i].data) continue;
    rig_backward(&r);
    for (int j = 0; j < c->n_in; j++)
      if (j != i) r.din[j].data = NULL;
    mr_real *want = rig_gradients(&r, &count);
    rig_backward(&r);
    same = same_gradients(&r, "gradient wanted alone", want, text, n);
    memcpy(r.din, all, sizeof all);
    mr_free(want);
  }
  rig_close(&r);
  return same;
}

bool prop_threads(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  mr_backend *with[2] = {rig_backend(1), be};
  mr_real *gradient[2];
  int64_t count = 0;
  rig r[2];
  for (int b = 0; b < 2; b++) {
    rig_open(&r[b], c, with[b]);
    rig_forward(&r[b]);
    rig_backward(&r[b]);
    gradient[b] = rig_gradients(&r[b], &count);
  }
  bool same = alike(c->name, "gradient on 2 threads", gradient[1], gradient[0], count, tolerance(c),
                    text, n);
  for (int o = 0; o < c->op->n_out && same; o++)
    same = alike(c->name, "output on 2 threads", r[1].out[o].data, r[0].out[o].data,
                 rig_count(&r[0].out[o]), tolerance(c), text, n);
  for (int b = 0; b < 2; b++) {
    mr_free(gradient[b]);
    rig_close(&r[b]);
  }
  mr_backend_close(with[0]);
  return same;
}

/* ==== Along time ============================================================================= */

bool prop_causal(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  bool causal = true;
  if (!c->along_time) return true;
  const int64_t T = c->in[0].shape.dim[1];
  rig r;
  rig_open(&r, c, be);
  rig_forward(&r);
  mr_real *before[MR_MAX_OUT] = {NULL};
  for (int o = 0; o < c->op->n_out; o++) before[o] = copy_of(&r.out[o]);
  for (int64_t t = 0; t < T && causal; t += c->large ? 17 : 1) {
    bool moved = false;
    rig_redraw(&r);
    for (int i = 0; i < c->n_in; i++)
      if (runs_along_time(c, i)) nudge_from(&r.in[i], t);
    rig_forward(&r);
    for (int o = 0; o < c->op->n_out && causal; o++) {
      if (ends_as_state(c, o)) continue;
      causal = steps_equal(before[o], &r.out[o], 0, t);
      moved = moved || !steps_equal(before[o], &r.out[o], t, T);
    }
    if (causal && moved) continue;
    causal = false;
    (void)snprintf(text, n, "%s: inputs from step %lld on %s", c->name, (long long)t,
                   moved ? "change an earlier output" : "change nothing");
  }
  for (int o = 0; o < c->op->n_out; o++) mr_free(before[o]);
  rig_close(&r);
  return causal;
}

bool prop_carries(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  const carry *state = carry_of(c);
  const int64_t T = c->along_time ? c->in[0].shape.dim[1] : 0;
  bool same = true;
  if (!state || T < 2) return true;
  for (int64_t s = 1; s < T && same; s += T > 16 ? 19 : T > 2 ? T - 2 : 1) {
    mr_case first = cut_time(c, s), rest = cut_time(c, T - s);
    rig whole, a, b;
    rig_open(&whole, c, be);
    rig_open(&a, &first, be);
    rig_open(&b, &rest, be);
    rig_forward(&whole);
    copy_stretch(&whole, &a, 0);
    rig_forward(&a);
    copy_stretch(&whole, &b, s);
    state->hand_over(state, &a, &b);
    rig_forward(&b);
    for (int o = 0; o < c->op->n_out && same; o++) {
      mr_real *joined = ends_as_state(c, o) ? copy_of(&b.out[o]) : join_time(&a.out[o], &b.out[o]);
      same = alike(c->name, "output in two stretches", joined, whole.out[o].data,
                   rig_count(&whole.out[o]), tolerance(c), text, n);
      mr_free(joined);
    }
    rig_close(&whole);
    rig_close(&a);
    rig_close(&b);
  }
  return same;
}

bool prop_batch(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  if (!c->along_time || c->in[0].shape.dim[0] < 2) return true;
  const int64_t B = c->in[0].shape.dim[0], split = B / 2;
  bool same = true;
  rig whole, part;
  rig_open(&whole, c, be);
  rig_forward(&whole);
  rig_backward(&whole);
  for (int half = 0; half < 2 && same; half++) {
    mr_case less = cut_batch(c, half ? B - split : split);
    rig_open(&part, &less, be);
    copy_sequences(&whole, &part, half ? split : 0);
    rig_forward(&part);
    rig_backward(&part);
    for (int o = 0; o < c->op->n_out && same; o++)
      same = alike(c->name, "output of half the batch", part.out[o].data,
                   sequences(&whole.out[o], half ? split : 0), rig_count(&part.out[o]),
                   tolerance(c), text, n);
    for (int i = 0; i < c->n_in && same; i++)
      if (part.din[i].data && part.din[i].shape.rank == 3)
        same = alike(c->name, "gradient of half the batch", part.din[i].data,
                     sequences(&whole.din[i], half ? split : 0), rig_count(&part.din[i]),
                     tolerance(c), text, n);
    rig_close(&part);
  }
  rig_close(&whole);
  return same;
}

/* ==== Single ops ============================================================================= */

/* Both forms from the same h0, where the log form allows it. */
static bool forms_agree(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  bool gru = c->op == &mr_mingru_seq_op, lstm = c->op == &mr_minlstm_seq_op;
  mr_case other = *c;
  mingru_seq_attr g;
  minlstm_seq_attr l;
  int64_t count;
  if (!gru && !lstm) return true;
  memcpy(&g, c->attr.byte, sizeof g);
  memcpy(&l, c->attr.byte, sizeof l);
  if ((gru ? g.form : l.form) != MR_FORM_LOG) return true;
  g.form = l.form = MR_FORM_LINEAR;
  memcpy(other.attr.byte, gru ? (void *)&g : (void *)&l, c->op->attr_bytes);
  rig a, b;
  rig_open(&a, c, be);
  rig_open(&b, &other, be);
  rig_forward(&a);
  rig_forward(&b);
  bool same = alike(c->name, "output of the log form", a.out[0].data, b.out[0].data,
                    rig_count(&a.out[0]), tolerance(c), text, n);
  rig_backward(&a);
  rig_backward(&b);
  mr_real *want = rig_gradients(&b, &count), *got = rig_gradients(&a, &count);
  same =
      same && alike(c->name, "gradient of the log form", got, want, count, tolerance(c), text, n);
  mr_free(want);
  mr_free(got);
  rig_close(&a);
  rig_close(&b);
  return same;
}

static bool scan_is_linear_in_b(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  if (strncmp(c->name, "scan:", 5) != 0) return true;
  rig x, y, sum;
  rig_open(&x, c, be);
  rig_open(&y, c, be);
  rig_open(&sum, c, be);
  for (int i = 1; i < c->n_in; i++) { /* b and h0 */
    mr_real *p = x.in[i].data, *q = y.in[i].data, *s = sum.in[i].data;
    for (int64_t j = 0; j < rig_count(&x.in[i]); j++) {
      q[j] = (mr_real)sin((double)j + i);
      s[j] = 2 * p[j] - 3 * q[j];
    }
  }
  rig_forward(&x);
  rig_forward(&y);
  rig_forward(&sum);
  mr_real *p = x.out[0].data, *q = y.out[0].data;
  for (int64_t j = 0; j < rig_count(&x.out[0]); j++) p[j] = 2 * p[j] - 3 * q[j];
  bool same = alike(c->name, "output of 2 b - 3 b'", sum.out[0].data, p, rig_count(&x.out[0]),
                    tolerance(c), text, n);
  rig_close(&x);
  rig_close(&y);
  rig_close(&sum);
  return same;
}

/* Adding a number to all logits of a row changes neither loss nor gradient, whose rows sum to 0. */
static bool softmax_ignores_a_shift(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  if (strncmp(c->name, "softmax_xent:", 13) != 0) return true;
  int64_t V = mr_cols(&c->in[0].shape), count;
  rig r;
  rig_open(&r, c, be);
  rig_forward(&r);
  rig_backward(&r);
  mr_real loss = *(mr_real *)r.out[0].data, *x = r.in[0].data;
  mr_real *want = rig_gradients(&r, &count);
  for (int64_t j = 0; j < count; j++) x[j] += (mr_real)(j / V % 3 * 8 - 4);
  rig_forward(&r);
  rig_backward(&r);
  mr_real *got = rig_gradients(&r, &count);
  bool same =
      alike(c->name, "loss of shifted logits", r.out[0].data, &loss, 1, 4 * tolerance(c), text,
            n) &&
      alike(c->name, "gradient at shifted logits", got, want, count, 4 * tolerance(c), text, n);
  memcpy(want, got, (size_t)count * sizeof *want);
  for (int64_t j = 0; j < count; j += V) {
    want[j] = 0;
    for (int64_t v = 1; v < V; v++) want[j] -= got[j + v];
  }
  same = same && alike(c->name, "gradient that its row should sum to 0 with", got, want, count,
                       tolerance(c), text, n);
  mr_free(want);
  mr_free(got);
  rig_close(&r);
  return same;
}

bool prop_algebra(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  return forms_agree(c, be, text, n) && scan_is_linear_in_b(c, be, text, n) &&
         softmax_ignores_a_shift(c, be, text, n);
}
