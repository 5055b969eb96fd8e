/* bench_gate.c — what a model must show before its times are believed. SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "bench_impl.h"
#include "mem.h"

/* Largest difference between a whole and a cut sequence, or two runs of a vendor's kernels, in parts of
 * the largest output: sums in another order. */
#define CUT_TOLERANCE (sizeof(mr_real) == sizeof(double) ? 1e-9 : 1e-3)

/* ---- The same bits twice -------------------------------------------------------------------- */

/* Copies of the mixers' output and gradients, one behind the other, into host memory. */
static mr_status download_mixer(mr_subject *s, unsigned char *out)
{
  const mr_slot *slot;
  int n;
  size_t bytes = mr_bytes(&s->y_view.shape, MR_REAL);
  memcpy(out, s->host_y, bytes);
  MR_CHECK(mr_tape_slots(s->mixer, &slot, &n));
  for (int i = 0; i < n; i++) {
    out += bytes;
    bytes = mr_bytes(&slot[i].grad.shape, MR_REAL);
    MR_CHECK(s->be->api->download(s->be, out, slot[i].grad.data, bytes));
  }
  return MR_OK;
}

static mr_status run_mixer(mr_subject *s, unsigned char *out)
{
  size_t bytes = mr_bytes(&s->y_view.shape, MR_REAL);
  MR_CHECK(mr_mixer_forward(s));
  MR_CHECK(s->be->api->download(s->be, s->host_y, s->y_view.data, bytes));
  MR_CHECK(mr_mixer_seed(s));
  MR_CHECK(mr_mixer_backward(s));
  return download_mixer(s, out);
}

/* The gradients once more from the captured passes, where there are such. */
static mr_status replay_mixer(mr_subject *s, unsigned char *out)
{
  const mr_slot *slot;
  int n;
  mr_mixer_capture(s);
  if (s->mixer_graph == NULL) return MR_OK;
  MR_CHECK(mr_tape_slots(s->mixer, &slot, &n));
  for (int i = 0; i < n; i++) {
    const mr_view *g = &slot[i].grad;
    MR_CHECK(s->be->api->fill(s->be, g->data, 0xff, mr_bytes(&g->shape, MR_REAL)));
  }
  MR_CHECK(mr_mixer_both(s));
  return download_mixer(s, out);
}

static mr_status check_finite(const mr_subject *s, const mr_real *x, size_t bytes)
{
  for (size_t i = 0; i < bytes / sizeof *x; i++)
    if (!isfinite(x[i]))
      return MR_FAIL(MR_ERR_NUMERIC, "%s: its mixer gives %g, so no time is told", s->model->name,
                     (double)x[i]);
  return MR_OK;
}

/* Largest difference between n reals of two runs, in parts of the largest of them. */
static double difference(const mr_real *a, const mr_real *b, int64_t n)
{
  double worst = 0, top = 1e-30;
  for (int64_t i = 0; i < n; i++) {
    worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    top = fmax(top, fabs((double)a[i]));
  }
  return worst / top;
}

/* A vendor's kernels may differ in their last bits, which is told; ours may not. */
static mr_status compare_runs(mr_subject *s, const char *what, const mr_real *a, const mr_real *b)
{
  const mr_slot *slot;
  int n;
  int64_t at = mr_count(&s->y_view.shape);
  double worst = difference(a, b, at);
  MR_CHECK(mr_tape_slots(s->mixer, &slot, &n));
  for (int i = 0; i < n; i++) {
    const int64_t count = mr_count(&slot[i].grad.shape);
    worst = fmax(worst, difference(a + at, b + at, count));
    at += count;
  }
  s->row->repeat_error = fmax(s->row->repeat_error, worst);
  if (memcmp(a, b, (size_t)at * sizeof *a) == 0) return MR_OK;
  if (s->model->twin != NULL && worst <= CUT_TOLERANCE) return MR_OK;
  return MR_FAIL(MR_ERR_NUMERIC, "%s: %s by %.3g, so no time is told", s->model->name, what, worst);
}

static mr_status check_repeats(mr_subject *s)
{
  mr_status st = MR_OK;
  const mr_slot *slot;
  int n;
  void *first = NULL, *second = NULL;
  size_t bytes = mr_bytes(&s->y_view.shape, MR_REAL);
  MR_TRY(mr_tape_slots(s->mixer, &slot, &n));
  for (int i = 0; i < n; i++) bytes += mr_bytes(&slot[i].grad.shape, MR_REAL);
  MR_TRY(mr_calloc(&first, bytes, 1));
  MR_TRY(mr_calloc(&second, bytes, 1));
  MR_TRY(run_mixer(s, first));
  MR_TRY(run_mixer(s, second));
  MR_TRY(check_finite(s, first, bytes));
  MR_TRY(check_finite(s, second, bytes));
  MR_TRY(compare_runs(s, "two runs of its mixer differ", first, second));
  MR_TRY(replay_mixer(s, second));
  MR_TRY(check_finite(s, second, bytes));
  MR_TRY(compare_runs(s, "its captured mixer differs", first, second));
out:
  mr_free(first);
  mr_free(second);
  return st;
}

/* ---- A sequence in stretches ---------------------------------------------------------------- */

/* The network once more, over shorter stretches with carried state. */
typedef struct cut {
  mr_subject *s;
  mr_tape *tape;
  mr_net net;
  mr_state *state;    /* [L]                          */
  int64_t T;          /* steps of a stretch           */
  mr_real *whole, *y; /* [B,T_out,out], [B,T,out]     */
  void *input;        /* a stretch of the input       */
  double worst, size; /* difference; largest output   */
} cut;

/* The smallest number of equal stretches, at least two. */
static int64_t stretch_of(int64_t T)
{
  for (int64_t n = 2; n * n <= T; n++)
    if (T % n == 0) return T / n;
  return 1;
}

static mr_status alloc_for(mr_tape *t, mr_val v, mr_real **out)
{
  mr_view view;
  void *p;
  MR_CHECK(mr_tape_view(t, v, &view));
  MR_CHECK(mr_calloc(&p, mr_bytes(&view.shape, view.dtype), 1));
  *out = p;
  return MR_OK;
}

static mr_status open_cut(cut *k, mr_subject *s)
{
  void *p;
  k->s = s;
  k->T = stretch_of(s->info.T);
  MR_CHECK(mr_calloc(&p, (size_t)s->c->layers, sizeof *k->state));
  k->state = p;
  MR_CHECK(mr_tape_create(&k->tape, s->be, (uint64_t)s->c->seed));
  mr_tape_borrow(k->tape, s->tape);
  mr_build_step(k->tape, s->c, s->model, &s->info, s->c->batch, k->T, &k->net, k->state);
  MR_CHECK(mr_tape_plan(k->tape, k->net.y, false, NULL));
  MR_CHECK(mr_tape_alloc(k->tape));
  MR_CHECK(alloc_for(s->tape, s->net.y, &k->whole));
  MR_CHECK(alloc_for(k->tape, k->net.y, &k->y));
  const size_t step = sizeof(int32_t) + (size_t)s->info.in_dim * sizeof(mr_real);
  MR_CHECK(mr_calloc(&k->input, (size_t)(s->c->batch * k->T), step));
  return mr_tape_tick(k->tape, 0, false);
}

static void close_cut(cut *k)
{
  mr_tape_destroy(k->tape);
  mr_free(k->state);
  mr_free(k->whole);
  mr_free(k->y);
  mr_free(k->input);
}

static mr_status download(mr_backend *be, const mr_tape *t, mr_val v, void *host)
{
  mr_view view;
  MR_CHECK(mr_tape_view(t, v, &view));
  return be->api->download(be, host, view.data, mr_bytes(&view.shape, view.dtype));
}

static mr_status zero_states(cut *k)
{
  mr_view in;
  for (int64_t l = 0; l < k->s->c->layers; l++)
    for (int i = 0; i < k->state[l].n; i++) {
      MR_CHECK(mr_tape_view(k->tape, k->state[l].in[i], &in));
      MR_CHECK(k->s->be->api->fill(k->s->be, in.data, 0, mr_bytes(&in.shape, in.dtype)));
    }
  return MR_OK;
}

/* Sets every carried state: to the start of a sequence, or to where the last stretch ended. */
static mr_status carry(cut *k, bool start)
{
  const mr_backend_api *api = k->s->be->api;
  mr_view from, to;
  for (int64_t l = 0; l < k->s->c->layers; l++)
    for (int i = 0; i < k->state[l].n; i++) {
      const mr_state *st = &k->state[l];
      mr_val source = start ? st->initial[i] : st->out[i];
      MR_CHECK(mr_tape_view(k->tape, st->in[i], &to));
      size_t bytes = mr_bytes(&to.shape, to.dtype);
      if (source.id == 0) {
        MR_CHECK(api->fill(k->s->be, to.data, 0, bytes));
        continue;
      }
      MR_CHECK(mr_tape_view(k->tape, source, &from));
      MR_CHECK(api->copy(k->s->be, to.data, from.data, bytes));
    }
  return MR_OK;
}

/* Uploads steps from .. from + T - 1 of whole sequences to input v. */
static mr_status feed_input(cut *k, mr_val v, const void *whole, int64_t from)
{
  const unsigned char *source = whole;
  unsigned char *to = k->input;
  mr_view view;
  if (v.id == 0) return MR_OK;
  MR_CHECK(mr_tape_view(k->tape, v, &view));
  const size_t bytes = mr_bytes(&view.shape, view.dtype), rows = (size_t)k->s->c->batch,
               step = bytes / (rows * (size_t)k->T);
  for (size_t row = 0; row < rows; row++)
    memcpy(to + row * (size_t)k->T * step,
           source + (row * (size_t)k->s->info.T + (size_t)from) * step, (size_t)k->T * step);
  return k->s->be->api->upload(k->s->be, view.data, k->input, bytes);
}

static mr_status feed_stretch(cut *k, int64_t from)
{
  const mr_batch *b = mr_feed_batch(k->s->feed);
  MR_CHECK(feed_input(k, k->net.token, b->token, from));
  return feed_input(k, k->net.value, b->value, from);
}

/* Compares the outputs of a stretch with those of the whole sequence, which has them from
 * info.from on. */
static void compare(cut *k, int64_t from)
{
  const mr_task_info *info = &k->s->info;
  const int64_t kept = info->T - info->from, dim = info->out_dim;
  for (int64_t row = 0; row < k->s->c->batch; row++)
    for (int64_t t = from < info->from ? info->from : from; t < from + k->T; t++) {
      const mr_real *a = k->whole + (row * kept + t - info->from) * dim;
      const mr_real *b = k->y + (row * k->T + t - from) * dim;
      for (int64_t i = 0; i < dim; i++) {
        double d = fabs((double)a[i] - (double)b[i]), size = fabs((double)a[i]);
        if (!isnan(k->worst) && !(d <= k->worst)) k->worst = d; /* NaN comes and stays */
        if (size > k->size) k->size = size;
      }
    }
}

static mr_status run_cut(cut *k)
{
  mr_subject *s = k->s;
  MR_CHECK(mr_feed_next(s->feed, MR_VALID, 0));
  MR_CHECK(mr_tape_tick(s->tape, 0, false));
  MR_CHECK(mr_tape_forward(s->tape));
  MR_CHECK(download(s->be, s->tape, s->net.y, k->whole));
  MR_CHECK(zero_states(k));
  /* A first pass only to learn the initial states, which may be functions of parameters. */
  MR_CHECK(feed_stretch(k, 0));
  MR_CHECK(mr_tape_forward(k->tape));
  for (int64_t from = 0; from < s->info.T; from += k->T) {
    MR_CHECK(carry(k, from == 0));
    MR_CHECK(feed_stretch(k, from));
    MR_CHECK(mr_tape_forward(k->tape));
    MR_CHECK(download(s->be, k->tape, k->net.y, k->y));
    compare(k, from);
  }
  return MR_OK;
}

static mr_status check_cut(mr_subject *s)
{
  mr_status st = MR_OK;
  cut k;
  memset(&k, 0, sizeof k);
  MR_TRY(open_cut(&k, s));
  MR_TRY(run_cut(&k));
  if (!(k.worst <= CUT_TOLERANCE * k.size))
    st = MR_FAIL(
        MR_ERR_NUMERIC,
        "%s: stretches of %lld steps with carried state differ from the whole sequence by %g "
        "of %g, so no time is told",
        s->model->name, (long long)k.T, k.worst, k.size);
out:
  close_cut(&k);
  return st;
}

mr_status mr_subject_gate(mr_subject *s)
{
  MR_CHECK(check_repeats(s));
  return check_cut(s);
}
