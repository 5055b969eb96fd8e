/* check.c — the driver of the op case table. SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "check.h"
#include "mem.h"
#include "ops.h"
#include "rng.h"

/* Differences are taken at every element up to ALL_BELOW, otherwise at a sample. */
enum { ALL_BELOW = 600, SAMPLE = 200, SAMPLE_LARGE = 6, DIRECTIONS = 2, SEED = 7, STEP = 3 };
#define STEP_SIZE    1e-5 /* of central differences, times max(1, |x|)      */
#define SECOND_SHARE 0.5  /* of output 1 in the root of cases with two roots */

/* A case in flight. Host copies are double whatever mr_real is. */
typedef struct trial {
  const mr_case *c;
  mr_backend *be;
  mr_check_result *r;
  mr_tape *tape;
  mr_val x[MR_CASE_MAX_IN], y[MR_MAX_OUT], root;
  int n_out;
  int64_t n_in[MR_CASE_MAX_IN], n_y[MR_MAX_OUT];
  mr_view view[MR_CASE_MAX_IN]; /* inputs as the reference sees them        */
  double *out[MR_MAX_OUT];      /* of the reference                         */
  double *plus[MR_MAX_OUT];     /* the same at a shifted input              */
  double *scratch, *weight;     /* weight: R, as many as output 0 has       */
  double *direction, *saved;    /* as many as the largest input has         */
  mr_real *bits[2];             /* outputs and gradients of the two runs    */
  int64_t n_bits;
} trial;

/* ==== Judging ================================================================================ */

/* Counts `got` against `want`; `allowed` is the error that would just pass. */
static void judge(trial *t, const char *what, int i, int64_t at, double got, double want,
                  double allowed)
{
  double e = fabs(got - want) / allowed;
  if (!(got == want) && !(e <= 1e30)) e = INFINITY; /* NaN fails too */
  if (got == want) e = 0;
  if (e > 1) t->r->ok = false;
  if (!(e > t->r->worst)) return;
  t->r->worst = e;
  (void)snprintf(t->r->text, sizeof t->r->text, "%s %d at %lld: got %.9g, want %.9g, allowed %.2g",
                 what, i, (long long)at, got, want, allowed);
}

static double largest(const double *x, int64_t n)
{
  double m = 0;
  for (int64_t i = 0; i < n; i++) m = fmax(m, fabs(x[i]));
  return m;
}

/* ==== The reference side ===================================================================== */

static void reference(const trial *t, double *const *out)
{
  mr_ref r = {t->c->attr.byte, t->c->n_in,      t->view, {out[0], out[1]},
              t->scratch,      {SEED, STEP, 1}, 0};
  t->c->ref(&r);
}

/* sum R y for the change from `minus` to `plus`, summed element by element to keep its digits. */
static double projected_change(const trial *t, double *const *plus, double *const *minus)
{
  double sum = 0;
  for (int64_t j = 0; j < t->n_y[0]; j++) {
    sum += t->weight[j] * (plus[0][j] - minus[0][j]);
    if (t->c->both) sum += SECOND_SHARE * t->weight[j] * (plus[1][j] - minus[1][j]);
  }
  return sum;
}

/* Central difference of sum R y along t->direction scaled by h, for input i. */
static double difference(trial *t, int i, double h)
{
  double *x = t->view[i].data;
  size_t bytes = (size_t)t->n_in[i] * sizeof *x;
  memcpy(t->saved, x, bytes);
  for (int64_t j = 0; j < t->n_in[i]; j++) x[j] = t->saved[j] + h * t->direction[j];
  reference(t, t->plus);
  for (int64_t j = 0; j < t->n_in[i]; j++) x[j] = t->saved[j] - h * t->direction[j];
  reference(t, t->out);
  memcpy(x, t->saved, bytes);
  return projected_change(t, t->plus, t->out) / (2 * h);
}

/* The derivative by one element, with the step that arithmetic really took. */
static double difference_at(trial *t, int i, int64_t at)
{
  double *x = t->view[i].data, x0 = x[at], h = STEP_SIZE * fmax(1, fabs(x0));
  volatile double up = x0 + h, down = x0 - h;
  x[at] = up;
  reference(t, t->plus);
  x[at] = down;
  reference(t, t->out);
  x[at] = x0;
  return projected_change(t, t->plus, t->out) / (up - down);
}

/* ==== Setting up ============================================================================= */

static mr_status new_reals(double **p, int64_t n)
{
  void *q = NULL;
  MR_CHECK(mr_calloc(&q, (size_t)n, sizeof **p));
  *p = q;
  return MR_OK;
}

static mr_status draw_inputs(trial *t)
{
  int64_t most = 1;
  for (int i = 0; i < t->c->n_in; i++) {
    const mr_case_in *in = &t->c->in[i];
    t->view[i].shape = in->shape, t->view[i].dtype = in->dtype;
    if (in->fill == MR_FILL_ABSENT) continue;
    t->n_in[i] = mr_count(&in->shape);
    most = t->n_in[i] > most ? t->n_in[i] : most;
    MR_CHECK(mr_calloc(&t->view[i].data, (size_t)t->n_in[i], sizeof(double)));
    mr_case_draw(t->c, i, t->view[i].data);
  }
  MR_CHECK(new_reals(&t->direction, most));
  return new_reals(&t->saved, most);
}

static mr_status record(trial *t)
{
  const mr_case *c = t->c;
  MR_CHECK(mr_tape_create(&t->tape, t->be, SEED));
  for (int i = 0; i < c->n_in; i++) {
    const mr_case_in *in = &c->in[i];
    char name[16];
    (void)snprintf(name, sizeof name, "in%d", i);
    if (in->fill == MR_FILL_ABSENT)
      t->x[i].id = 0;
    else if (in->fixed)
      t->x[i] = mr_input(t->tape, name, in->shape, in->dtype);
    else
      t->x[i] = mr_param(t->tape, name, in->shape, mr_init_const(0));
  }
  t->n_out = c->op->n_out;
  t->root = mr_apply(t->tape, c->op, c->attr.byte, t->x, c->n_in);
  for (int o = 0; o < t->n_out; o++) {
    t->y[o] = mr_output(t->tape, t->root, o);
    mr_keep(t->tape, t->y[o]);
    mr_shape s = mr_shape_of(t->tape, t->y[o]);
    t->n_y[o] = mr_count(&s);
  }
  if (c->both) t->root = mr_add(t->tape, t->y[0], mr_scale(t->tape, t->y[1], SECOND_SHARE));
  mr_plan_report plan;
  MR_CHECK(mr_tape_plan(t->tape, t->root, true, &plan));
  return mr_tape_alloc(t->tape);
}

/* Moves n reals between host doubles and the device. */
static mr_status send(const trial *t, const mr_view *to, const double *from, int64_t n)
{
  mr_status st = MR_OK;
  void *p = NULL;
  MR_TRY(mr_calloc(&p, (size_t)n, sizeof(mr_real)));
  mr_real *x = p;
  for (int64_t j = 0; j < n; j++) x[j] = (mr_real)from[j];
  MR_TRY(t->be->api->upload(t->be, to->data, x, (size_t)n * sizeof *x));
  MR_TRY(t->be->api->sync(t->be));
out:
  mr_free(p);
  return st;
}

static mr_status upload(trial *t)
{
  for (int i = 0; i < t->c->n_in; i++) {
    mr_view v;
    if (t->c->in[i].fill == MR_FILL_ABSENT) continue;
    MR_CHECK(mr_tape_view(t->tape, t->x[i], &v));
    if (t->c->in[i].dtype == MR_I32)
      MR_CHECK(
          t->be->api->upload(t->be, v.data, t->view[i].data, (size_t)t->n_in[i] * sizeof(int32_t)));
    else
      MR_CHECK(send(t, &v, t->view[i].data, t->n_in[i]));
  }
  return MR_OK;
}

static mr_status prepare(trial *t)
{
  mr_rng rng;
  MR_CHECK(draw_inputs(t));
  MR_CHECK(record(t));
  for (int o = 0; o < t->n_out; o++) {
    MR_CHECK(new_reals(&t->out[o], t->n_y[o]));
    MR_CHECK(new_reals(&t->plus[o], t->n_y[o]));
    t->n_bits += t->n_y[o];
  }
  MR_CHECK(new_reals(&t->scratch, t->n_y[0]));
  MR_CHECK(new_reals(&t->weight, t->n_y[0]));
  mr_rng_seek(&rng, SEED, MR_STREAM_CHECK, MR_CASE_MAX_IN);
  for (int64_t j = 0; j < t->n_y[0]; j++) t->weight[j] = (mr_real)mr_rng_normal(&rng);
  for (int i = 0; i < t->c->n_in; i++) t->n_bits += t->n_in[i];
  for (int run = 0; run < 2; run++) {
    void *p = NULL;
    MR_CHECK(mr_calloc(&p, (size_t)t->n_bits, sizeof(mr_real)));
    t->bits[run] = p;
  }
  mr_tape_poison(t->tape, true);
  return upload(t);
}

static void clear(trial *t)
{
  for (int i = 0; i < MR_CASE_MAX_IN; i++) mr_free(t->view[i].data);
  for (int o = 0; o < MR_MAX_OUT; o++) {
    mr_free(t->out[o]);
    mr_free(t->plus[o]);
  }
  mr_free(t->scratch);
  mr_free(t->weight);
  mr_free(t->direction);
  mr_free(t->saved);
  mr_free(t->bits[0]);
  mr_free(t->bits[1]);
  mr_tape_destroy(t->tape);
}

/* ==== Running and comparing ================================================================== */

/* One forward and backward; outputs, then gradients of the inputs, into t->bits[run]. */
static mr_status run(trial *t, int n_run)
{
  mr_view v;
  mr_real *to = t->bits[n_run], scale = 1;
  mr_shape root = mr_shape_of(t->tape, t->root);
  MR_CHECK(mr_tape_tick(t->tape, STEP, true));
  MR_CHECK(mr_tape_forward(t->tape));
  for (int o = 0; o < t->n_out; o++) {
    MR_CHECK(mr_tape_view(t->tape, t->y[o], &v));
    MR_CHECK(t->be->api->download(t->be, to, v.data, (size_t)t->n_y[o] * sizeof *to));
    to += t->n_y[o];
  }
  if (root.rank == 0) {
    scale = (mr_real)t->weight[0];
  } else {
    MR_CHECK(mr_tape_grad_view(t->tape, t->root, &v));
    MR_CHECK(send(t, &v, t->weight, t->n_y[0]));
  }
  MR_CHECK(mr_tape_backward(t->tape, 0, scale));
  const mr_slot *slot;
  int n_slots;
  MR_CHECK(mr_tape_slots(t->tape, &slot, &n_slots));
  for (int i = 0; i < t->c->n_in; i++) {
    if (t->c->in[i].fixed) continue;
    MR_CHECK(t->be->api->download(t->be, to, slot->grad.data, (size_t)t->n_in[i] * sizeof *to));
    to += t->n_in[i];
    slot++;
  }
  return MR_OK;
}

static void check_forward(trial *t)
{
  bool exact = sizeof(mr_real) == sizeof(double);
  double rtol = exact ? 1e-10 : t->c->rtol, atol = exact ? 1e-10 : t->c->atol;
  const mr_real *got = t->bits[0];
  reference(t, t->out);
  for (int o = 0; o < t->n_out; o++) {
    double top = fmax(largest(t->out[o], t->n_y[o]), 1e-3);
    for (int64_t j = 0; j < t->n_y[o]; j++)
      judge(t, "output", o, j, got[j], t->out[o][j], rtol * fabs(t->out[o][j]) + atol * top);
    got += t->n_y[o];
  }
}

/* Error of the whole gradient (or of the sample of it) in norm. */
static void judge_norm(trial *t, int i, double error2, double want2, double tolerance)
{
  judge(t, "norm of the error of gradient", i, -1, sqrt(error2), 0,
        tolerance * fmax(sqrt(want2), 1e-3));
}

static void check_gradient(trial *t, int i, const mr_real *got, mr_rng *rng)
{
  bool exact = sizeof(mr_real) == sizeof(double), all = t->n_in[i] <= ALL_BELOW && !t->c->large;
  double rtol = exact ? 1e-6 : 4 * t->c->rtol, atol = exact ? 1e-7 : 4 * t->c->atol;
  double top = 1e-3, got2 = 0, error2 = 0, want2 = 0;
  int64_t n = all ? t->n_in[i] : t->c->large ? SAMPLE_LARGE : SAMPLE;
  for (int64_t j = 0; j < t->n_in[i]; j++) {
    top = fmax(top, fabs((double)got[j]));
    got2 += (double)got[j] * (double)got[j];
  }
  for (int64_t k = 0; k < n; k++) {
    int64_t j = all ? k : mr_rng_below(rng, (uint32_t)t->n_in[i]);
    double want = difference_at(t, i, j), e = (double)got[j] - want;
    judge(t, "gradient of input", i, j, got[j], want, rtol * fabs(want) + atol * top);
    error2 += e * e, want2 += want * want;
  }
  judge_norm(t, i, error2, want2, exact ? 1e-6 : 4 * (t->c->rtol + t->c->atol));
  /* What a sample misses, a derivative along random directions sees. */
  for (int k = 0; k < DIRECTIONS && !all; k++) {
    double slope = 0;
    for (int64_t j = 0; j < t->n_in[i]; j++) {
      t->direction[j] = mr_rng_normal(rng);
      slope += (double)got[j] * t->direction[j];
    }
    judge(t, "slope along a random direction of input", i, -1, slope, difference(t, i, 1e-6),
          (exact ? 1e-6 : 4 * (t->c->rtol + t->c->atol)) * fmax(sqrt(got2), 1e-3));
  }
}

static void check_backward(trial *t)
{
  const mr_real *got = t->bits[0];
  mr_rng rng;
  mr_rng_seek(&rng, SEED, MR_STREAM_CHECK, MR_CASE_MAX_IN + 1);
  for (int o = 0; o < t->n_out; o++) got += t->n_y[o];
  for (int i = 0; i < t->c->n_in; i++) {
    if (t->c->in[i].fixed) continue;
    check_gradient(t, i, got, &rng);
    got += t->n_in[i];
  }
}

static void check_repeat(trial *t)
{
  for (int64_t j = 0; j < t->n_bits; j++)
    if (memcmp(&t->bits[0][j], &t->bits[1][j], sizeof(mr_real)) != 0) {
      t->r->ok = false, t->r->worst = INFINITY;
      (void)snprintf(t->r->text, sizeof t->r->text,
                     "a second run differs at %lld: first %.17g, then %.17g", (long long)j,
                     (double)t->bits[0][j], (double)t->bits[1][j]);
      return;
    }
}

mr_status mr_check_case(const mr_case *c, mr_backend *be, int what, mr_check_result *r)
{
  mr_status st = MR_OK;
  trial t;
  memset(&t, 0, sizeof t);
  t.c = c, t.be = be, t.r = r;
  *r = (mr_check_result){.ok = true};
  (void)snprintf(r->text, sizeof r->text, "exact");
  MR_TRY(prepare(&t));
  MR_TRY(run(&t, 0));
  MR_TRY(run(&t, 1));
  if (what & MR_CHECK_FORWARD) check_forward(&t);
  if (what & MR_CHECK_BACKWARD) check_backward(&t);
  if (what & MR_CHECK_REPEAT) check_repeat(&t);
out:
  clear(&t);
  return st;
}

static mr_status run_on(trial *t, const mr_case *c, mr_backend *be, mr_check_result *r)
{
  memset(t, 0, sizeof *t);
  t->c = c, t->be = be, t->r = r;
  MR_CHECK(prepare(t));
  return run(t, 0);
}

static void compare(const trial *a, trial *b, double rtol, double atol)
{
  int64_t at = 0;
  for (int i = 0; i < a->n_out + a->c->n_in; i++) {
    const bool output = i < a->n_out;
    const int k = output ? i : i - a->n_out;
    const int64_t n = output ? a->n_y[k] : a->c->in[k].fixed ? 0 : a->n_in[k];
    double top = 1e-3;
    for (int64_t j = 0; j < n; j++) top = fmax(top, fabs((double)b->bits[0][at + j]));
    for (int64_t j = 0; j < n; j++) {
      const double want = (double)b->bits[0][at + j];
      judge(b, output ? "parity of output" : "parity of gradient", k, j, (double)a->bits[0][at + j],
            want, rtol * fabs(want) + atol * top);
    }
    at += n;
  }
}

mr_status mr_check_parity(const mr_case *c, mr_backend *be, mr_backend *other, mr_check_result *r)
{
  mr_status st = MR_OK;
  const bool exact = sizeof(mr_real) == sizeof(double);
  trial a, b;
  memset(&a, 0, sizeof a);
  memset(&b, 0, sizeof b);
  *r = (mr_check_result){.ok = true};
  (void)snprintf(r->text, sizeof r->text, "exact");
  MR_TRY(run_on(&a, c, be, r));
  MR_TRY(run_on(&b, c, other, r));
  compare(&a, &b, exact ? 1e-10 : 4 * c->rtol, exact ? 1e-10 : 4 * c->atol);
out:
  clear(&a);
  clear(&b);
  return st;
}
