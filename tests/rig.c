/* rig.c — one op called directly. SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "rig.h"
#include "mem.h"
#include "rig_device.h"
#include "rng.h"

mr_backend *rig_backend(int threads)
{
  mr_backend *be = NULL;
  assert_ok(mr_backend_open(&be, MR_CPU, threads));
  return be;
}

int64_t rig_count(const mr_view *v)
{
  return v->shape.rank < 0 ? 0 : mr_count(&v->shape);
}

static size_t bytes_of(const mr_view *v)
{
  return v->shape.rank < 0 ? 0 : mr_bytes(&v->shape, v->dtype);
}

static void take(mr_view *v, const mr_shape *s, mr_dtype dtype)
{
  v->shape = *s, v->dtype = dtype;
  assert_ok(mr_calloc(&v->data, bytes_of(v), 1));
}

void rig_spoil(const mr_view *v)
{
  if (v->data) memset(v->data, 0xff, bytes_of(v));
}

void rig_redraw(rig *r)
{
  for (int i = 0; i < r->c.n_in; i++) {
    void *p = NULL;
    int64_t n = rig_count(&r->in[i]);
    if (n == 0) continue;
    assert_ok(mr_calloc(&p, (size_t)n, sizeof(double)));
    mr_case_draw(&r->c, i, p);
    if (r->in[i].dtype == MR_I32)
      memcpy(r->in[i].data, p, bytes_of(&r->in[i]));
    else
      for (int64_t j = 0; j < n; j++) ((mr_real *)r->in[i].data)[j] = (mr_real)((double *)p)[j];
    mr_free(p);
  }
}

void rig_open(rig *r, const mr_case *c, mr_backend *be)
{
  mr_rng rng;
  memset(r, 0, sizeof *r);
  r->c = *c, r->be = be;
  r->tick.seed = 7, r->tick.step = 3, r->tick.training = 1;
  for (int i = 0; i < c->n_in; i++) {
    r->in[i].shape = c->in[i].shape, r->in[i].dtype = c->in[i].dtype;
    if (c->in[i].fill == MR_FILL_ABSENT) continue;
    take(&r->in[i], &c->in[i].shape, c->in[i].dtype);
    r->din[i].shape = c->in[i].shape;
    if (!c->in[i].fixed) take(&r->din[i], &c->in[i].shape, MR_REAL);
  }
  rig_redraw(r);
  mr_site site = {be->device, be->threads, be->math, be->sm_count, be->shared_limit};
  assert_ok(c->op->infer(c->attr.byte, r->in, c->n_in, &site, &r->need));
  mr_rng_seek(&rng, 7, MR_STREAM_CHECK, 100);
  for (int o = 0; o < c->op->n_out; o++) {
    take(&r->out[o], &r->need.out[o], MR_REAL);
    take(&r->dout[o], &r->need.out[o], MR_REAL);
    for (int64_t j = 0; j < rig_count(&r->dout[o]); j++)
      ((mr_real *)r->dout[o].data)[j] = (mr_real)mr_rng_normal(&rng);
  }
  for (int s = 0; s < r->need.n_save; s++) take(&r->save[s], &r->need.save[s], MR_REAL);
}

void rig_close(rig *r)
{
  for (int i = 0; i < MR_CASE_MAX_IN; i++) {
    mr_free(r->in[i].data);
    mr_free(r->din[i].data);
  }
  for (int o = 0; o < MR_MAX_OUT; o++) {
    mr_free(r->out[o].data);
    mr_free(r->dout[o].data);
  }
  for (int s = 0; s < MR_MAX_SAVE; s++) mr_free(r->save[s].data);
}

static void call(rig *r, mr_kernel fn, size_t work_bytes, const mr_view *in, const mr_view *out,
                 const mr_view *dout)
{
  void *work = NULL;
  assert_ok(mr_alloc_slab(&work, work_bytes + 1));
  memset(work, 0xff, work_bytes);
  mr_call k = {r->c.attr.byte, r->c.n_in, r->c.op->n_out, in,   out,      r->save,
               dout,           r->din,    r->beta,        work, &r->tick, 0};
  mr_status st = r->be->device == MR_CPU
                     ? fn(r->be, &k)
                     : rig_device_call(r->be, fn, &k, r->need.n_save, work_bytes);
  mr_free(work);
  assert_ok(st);
}

void rig_forward(rig *r)
{
  for (int o = 0; o < r->c.op->n_out; o++) rig_spoil(&r->out[o]);
  for (int s = 0; s < r->need.n_save; s++) rig_spoil(&r->save[s]);
  call(r, r->c.op->fwd[r->be->device], r->need.work_fwd, r->in, r->out, NULL);
}

static bool bit(uint32_t mask, int i)
{
  return mask >> i & 1u;
}

/* Is this gradient in the memory of an input or of dout[0]? */
static bool shared(const rig *r, int i)
{
  return r->din[i].data == r->in[i].data || r->din[i].data == r->dout[0].data;
}

static void backward(rig *r, bool all)
{
  mr_view in[MR_CASE_MAX_IN], out[MR_MAX_OUT], dout[MR_MAX_OUT];
  memcpy(in, r->in, sizeof in);
  memcpy(out, r->out, sizeof out);
  memcpy(dout, r->dout, sizeof dout);
  for (int i = 0; i < r->c.n_in; i++) {
    if (!all && !bit(r->need.reads_in, i)) in[i].data = NULL;
    if (r->beta[i] == 0 && !shared(r, i)) rig_spoil(&r->din[i]);
  }
  for (int o = 0; o < r->c.op->n_out; o++)
    if (!all && !bit(r->need.reads_out, o)) out[o].data = NULL;
  if (!r->c.both) dout[1].data = NULL;
  call(r, r->c.op->bwd[r->be->device], r->need.work_bwd, in, out, dout);
}

void rig_backward(rig *r)
{
  backward(r, false);
}

void rig_backward_seen(rig *r)
{
  backward(r, true);
}

mr_real *rig_gradients(const rig *r, int64_t *n)
{
  void *p = NULL;
  *n = 0;
  for (int i = 0; i < r->c.n_in; i++)
    if (r->din[i].data) *n += rig_count(&r->din[i]);
  assert_ok(mr_calloc(&p, (size_t)*n, sizeof(mr_real)));
  mr_real *to = p;
  for (int i = 0; i < r->c.n_in; i++) {
    if (!r->din[i].data) continue;
    memcpy(to, r->din[i].data, (size_t)rig_count(&r->din[i]) * sizeof *to);
    to += rig_count(&r->din[i]);
  }
  return p;
}

/* Do the gradients, with these buffers spoiled after forward, have the bits of `want`? */
static bool same_when_spoiled(rig *r, const mr_view *const *spoil, int n_spoil, const mr_real *want)
{
  int64_t n;
  rig_redraw(r);
  rig_forward(r);
  for (int k = 0; k < n_spoil; k++) rig_spoil(spoil[k]);
  rig_backward_seen(r);
  mr_real *got = rig_gradients(r, &n);
  bool same = memcmp(got, want, (size_t)n * sizeof *got) == 0;
  mr_free(got);
  return same;
}

static bool needless(rig *r, const char *kind, int i, const mr_view *v, const mr_real *want,
                     char *text, size_t n)
{
  if (!v->data || !same_when_spoiled(r, &v, 1, want)) return false;
  (void)snprintf(text, n, "%s: backward declares that it reads %s %d and does not", r->c.name, kind,
                 i);
  return true;
}

bool rig_needs(const mr_case *c, mr_backend *be, bool strict, char *text, size_t n)
{
  const mr_view *undeclared[MR_CASE_MAX_IN + MR_MAX_OUT];
  int n_undeclared = 0;
  int64_t n_want;
  bool exact = true;
  rig r;
  rig_open(&r, c, be);
  rig_forward(&r);
  rig_backward_seen(&r);
  mr_real *want = rig_gradients(&r, &n_want);
  for (int i = 0; i < c->n_in; i++)
    if (!bit(r.need.reads_in, i)) undeclared[n_undeclared++] = &r.in[i];
  for (int o = 0; o < c->op->n_out; o++)
    if (!bit(r.need.reads_out, o)) undeclared[n_undeclared++] = &r.out[o];
  if (!same_when_spoiled(&r, undeclared, n_undeclared, want)) {
    (void)snprintf(text, n, "%s: backward reads an input or output that it does not declare",
                   c->name);
    exact = false;
  }
  for (int i = 0; i < c->n_in && strict && exact; i++)
    if (bit(r.need.reads_in, i)) exact = !needless(&r, "input", i, &r.in[i], want, text, n);
  for (int o = 0; o < c->op->n_out && strict && exact; o++)
    if (bit(r.need.reads_out, o)) exact = !needless(&r, "output", o, &r.out[o], want, text, n);
  for (int s = 0; s < r.need.n_save && strict && exact; s++)
    exact = !needless(&r, "save", s, &r.save[s], want, text, n);
  mr_free(want);
  rig_close(&r);
  return exact;
}

/* ---- The table as tests ---------------------------------------------------------------------- */

enum { MAX_OPS = 64 };

static struct table_run {
  rig_case_test one;
  mr_backend *be;
  const mr_op *op[MAX_OPS];
  char name[MAX_OPS][96];
  struct CMUnitTest test[MAX_OPS];
  int n_ops;
} table;

typedef struct tally {
  const mr_op *op;
  int n_run, n_failed;
} tally;

static mr_status run_case(void *ctx, const mr_case *c)
{
  tally *t = ctx;
  char text[384] = "";
  if (c->op != t->op) return MR_OK;
  t->n_run++;
  if (table.one(c, table.be, text, sizeof text)) return MR_OK;
  t->n_failed++;
  print_error("%s\n  replay: minrnn check %s\n", text, c->name);
  return MR_OK;
}

static void run_op(void **state)
{
  tally t = {*state, 0, 0};
  assert_ok(mr_cases_each(run_case, &t));
  assert_true(t.n_run > 0);
  assert_int_equal(t.n_failed, 0);
}

static mr_status note_op(void *ctx, const mr_case *c)
{
  const char *what = ctx;
  for (int i = 0; i < table.n_ops; i++)
    if (table.op[i] == c->op) return MR_OK;
  int i = table.n_ops++;
  assert_true(i < MAX_OPS);
  union { /* cmocka's state is not const */
    const mr_op *op;
    void *state;
  } both = {c->op};
  (void)snprintf(table.name[i], sizeof table.name[i], "%s_%s", c->op->name, what);
  table.op[i] = c->op;
  table.test[i] = (struct CMUnitTest){table.name[i], run_op, NULL, NULL, both.state};
  return MR_OK;
}

int rig_run_table(const char *what, rig_case_test one, mr_backend *be)
{
  char copy[64];
  memset(&table, 0, sizeof table);
  table.one = one, table.be = be;
  (void)snprintf(copy, sizeof copy, "%s", what);
  if (mr_cases_each(note_op, copy) != MR_OK) return 1;
  return _cmocka_run_group_tests(what, table.test, (size_t)table.n_ops, NULL, NULL);
}
