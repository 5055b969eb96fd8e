/* test_optim.c — AdamW, clip and schedules against a plain double reference.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include "testing.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "mem.h"
#include "optim.h"
#include "rng.h"

/* Sizes around the edges of the kernels' pieces and vectors. */
static const int64_t sizes[] = {1, 7, 64, 8192, 8193, 20000};
enum { N_SLOTS = sizeof sizes / sizeof *sizes, NO_DECAY = 2, MAX_SIZE = 20000 };

#ifdef MR_REAL_IS_DOUBLE
static const double rel_tol = 1e-12, abs_tol = 1e-14;
#else
static const double rel_tol = 2e-5, abs_tol = 2e-6; /* 20 steps of some ten roundings each */
#endif

static const mr_optim_rule plain = {.lr = 0.01,
                                    .lr_min = 0,
                                    .schedule = MR_CONSTANT,
                                    .steps = 100,
                                    .beta1 = 0.9,
                                    .beta2 = 0.99,
                                    .eps = 1e-8};

/* ---- A network with a known gradient ----------------------------------------------------------- */

/* y = 1/2 sum over all inputs and elements of x^2, so that dx = x dy. */
static mr_status bowl_infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                            mr_need *need)
{
  (void)attr, (void)in, (void)n_in, (void)site;
  need->out[0] = mr_shape0();
  need->reads_in = ~0u;
  return MR_OK;
}

static mr_status bowl_fwd(mr_backend *be, const mr_call *c)
{
  double sum = 0;
  (void)be;
  for (int i = 0; i < c->n_in; i++)
    for (int64_t k = 0; k < mr_count(&c->in[i].shape); k++)
      sum += (double)MR_IN(c, i)[k] * (double)MR_IN(c, i)[k] / 2;
  MR_OUT(c, 0)[0] = (mr_real)sum;
  return MR_OK;
}

static mr_status bowl_bwd(mr_backend *be, const mr_call *c)
{
  (void)be;
  for (int i = 0; i < c->n_in; i++)
    for (int64_t k = 0; k < mr_count(&c->in[i].shape); k++)
      MR_DIN(c, i)[k] = (c->beta[i] == 0 ? 0 : MR_DIN(c, i)[k]) + MR_IN(c, i)[k] * MR_DOUT(c, 0)[0];
  return MR_OK;
}

static const mr_op bowl = {.name = "bowl",
                           .n_in = MR_VARIADIC,
                           .n_out = 1,
                           .infer = bowl_infer,
                           .fwd = {bowl_fwd},
                           .bwd = {bowl_bwd}};

typedef struct net {
  mr_backend *be;
  mr_tape *t;
  const mr_slot *slot;
} net;

static void open_net(net *w, int threads, bool train)
{
  mr_val p[N_SLOTS];
  int n;
  assert_ok(mr_backend_open(&w->be, MR_CPU, threads));
  assert_ok(mr_tape_create(&w->t, w->be, 1));
  for (int i = 0; i < N_SLOTS; i++) {
    char name[16];
    (void)snprintf(name, sizeof name, "p%d", i);
    p[i] = mr_param(w->t, name, mr_shape1(sizes[i]), mr_init_normal(1));
  }
  mr_no_decay(w->t, p[NO_DECAY]);
  assert_ok(mr_tape_plan(w->t, mr_apply(w->t, &bowl, NULL, p, N_SLOTS), train, NULL));
  assert_ok(mr_tape_alloc(w->t));
  assert_ok(mr_tape_slots(w->t, &w->slot, &n));
  assert_int_equal(n, N_SLOTS);
}

static void close_net(net *w)
{
  mr_tape_destroy(w->t);
  mr_backend_close(w->be);
}

static void set_grads(net *w, uint64_t seed, double size)
{
  for (int s = 0; s < N_SLOTS; s++) {
    mr_rng r;
    mr_real *g = w->slot[s].grad.data;
    mr_rng_seek(&r, seed, MR_STREAM_CHECK, (uint64_t)s);
    for (int64_t i = 0; i < sizes[s]; i++) g[i] = (mr_real)(size * mr_rng_normal(&r));
  }
}

static double norm_of_grads(const net *w)
{
  double sum = 0;
  for (int s = 0; s < N_SLOTS; s++) {
    const mr_real *g = w->slot[s].grad.data;
    for (int64_t i = 0; i < sizes[s]; i++) sum += (double)g[i] * (double)g[i];
  }
  return sqrt(sum);
}

/* ---- The reference ------------------------------------------------------------------------------ */

typedef struct twin {
  double p[N_SLOTS][MAX_SIZE], m[N_SLOTS][MAX_SIZE], v[N_SLOTS][MAX_SIZE];
} twin;

static void copy_params(const net *w, twin *o)
{
  memset(o, 0, sizeof *o);
  for (int s = 0; s < N_SLOTS; s++) {
    const mr_real *p = w->slot[s].value.data;
    for (int64_t i = 0; i < sizes[s]; i++) o->p[s][i] = (double)p[i];
  }
}

/* The update of optim.h, word by word. */
static void step_twin(const net *w, twin *o, const mr_optim_rule *r, int64_t step,
                      const bool *decay)
{
  double norm = norm_of_grads(w), scale = r->clip > 0 ? fmin(1, r->clip / (norm + 1e-6)) : 1;
  double lr = mr_optim_lr(r, step), t = (double)(step + 1);
  for (int s = 0; s < N_SLOTS; s++)
    for (int64_t i = 0; i < sizes[s]; i++) {
      double g = scale * (double)((const mr_real *)w->slot[s].grad.data)[i];
      double *p = &o->p[s][i], *m = &o->m[s][i], *v = &o->v[s][i];
      *m = r->beta1 * *m + (1 - r->beta1) * g;
      *v = r->beta2 * *v + (1 - r->beta2) * g * g;
      double m_hat = *m / (1 - pow(r->beta1, t)), v_hat = *v / (1 - pow(r->beta2, t));
      *p -= lr * ((decay[s] ? r->weight_decay : 0) * *p + m_hat / (sqrt(v_hat) + r->eps));
    }
}

static void assert_view(const mr_view *view, const double *want, int64_t n)
{
  static double got[MAX_SIZE];
  const mr_real *x = view->data;
  for (int64_t i = 0; i < n; i++) got[i] = (double)x[i];
  assert_close_double(got, want, n, rel_tol, abs_tol);
}

static void follow_twin(const mr_optim_rule *r, double size, const bool *given)
{
  static twin o;
  static const bool by_slot[N_SLOTS] = {true, true, false, true, true, true};
  net w;
  mr_optim *optim = NULL;
  open_net(&w, 2, true);
  copy_params(&w, &o);
  assert_ok(mr_optim_create(&optim, w.be, w.t, r, given));
  for (int64_t step = 0; step < 20; step++) {
    double norm = -1;
    set_grads(&w, (uint64_t)step, size);
    step_twin(&w, &o, r, step, given ? given : by_slot);
    assert_ok(mr_optim_step(optim, step, step % 2 ? &norm : NULL));
    if (step % 2) assert_true(fabs(norm / norm_of_grads(&w) - 1) < 1e-12);
  }
  for (int s = 0; s < N_SLOTS; s++) {
    mr_view m, v;
    mr_optim_moments(optim, s, &m, &v);
    assert_true(mr_shape_eq(&m.shape, &w.slot[s].value.shape));
    assert_view(&w.slot[s].value, o.p[s], sizes[s]);
    assert_view(&m, o.m[s], sizes[s]);
    assert_view(&v, o.v[s], sizes[s]);
  }
  mr_optim_destroy(optim);
  close_net(&w);
}

static void twenty_steps_match_the_reference(void **state)
{
  (void)state;
  static const bool given[N_SLOTS] = {false, true, true, false, true, false};
  mr_optim_rule r = plain;
  follow_twin(&r, 0.3, NULL);
  r.weight_decay = 0.1;
  follow_twin(&r, 0.3, NULL);
  follow_twin(&r, 0.3, given);
  r.clip = 1; /* far below the norm: every step is clipped */
  r.schedule = MR_COSINE, r.warmup = 5, r.lr_min = 1e-3, r.steps = 18;
  follow_twin(&r, 0.3, NULL);
  r.clip = 1e6; /* far above: none is */
  r.beta1 = 0, r.beta2 = 0.999999, r.eps = 1e-3;
  follow_twin(&r, 0.3, NULL);
}

/* ---- Clip and decay ----------------------------------------------------------------------------- */

static void the_clip_shortens_long_gradients_and_leaves_short_ones(void **state)
{
  (void)state;
  for (int clipped = 0; clipped < 2; clipped++) {
    net w;
    mr_optim *optim = NULL;
    mr_view m, v;
    double norm = 0;
    open_net(&w, 1, true);
    set_grads(&w, 3, 1);
    mr_optim_rule r = plain;
    double full = norm_of_grads(&w), factor = clipped ? 0.25 : 1;
    r.clip = clipped ? full / 4 : full * 1.01;
    assert_ok(mr_optim_create(&optim, w.be, w.t, &r, NULL));
    assert_ok(mr_optim_step(optim, 0, &norm));
    assert_true(fabs(norm - full) < 1e-9 * full);
    mr_optim_moments(optim, 1, &m, &v);
    for (int64_t i = 0; i < sizes[1]; i++) {
      double g = (double)((const mr_real *)w.slot[1].grad.data)[i];
      assert_true(fabs((double)((const mr_real *)m.data)[i] - 0.1 * factor * g) < 1e-6 * fabs(g));
    }
    mr_optim_destroy(optim);
    close_net(&w);
  }
}

static void without_gradient_only_decaying_parameters_shrink(void **state)
{
  (void)state;
  static twin before;
  net w;
  mr_optim *optim = NULL;
  mr_optim_rule r = plain;
  r.weight_decay = 0.5;
  r.clip = 1;
  open_net(&w, 1, true);
  copy_params(&w, &before);
  set_grads(&w, 0, 0);
  assert_ok(mr_optim_create(&optim, w.be, w.t, &r, NULL));
  assert_ok(mr_optim_step(optim, 0, NULL));
  for (int s = 0; s < N_SLOTS; s++) {
    for (int64_t i = 0; i < sizes[s]; i++) before.p[s][i] *= s == NO_DECAY ? 1 : 1 - r.lr * 0.5;
    assert_view(&w.slot[s].value, before.p[s], sizes[s]);
  }
  mr_optim_destroy(optim);
  close_net(&w);
}

/* ---- Schedules ---------------------------------------------------------------------------------- */

static void assert_lr(const mr_optim_rule *r, int64_t step, double want)
{
  double got = mr_optim_lr(r, step);
  assert_close_double(&got, &want, 1, 1e-12, 1e-15);
}

static void the_learning_rate_follows_its_schedule(void **state)
{
  (void)state;
  mr_optim_rule r = {.lr = 2, .lr_min = 0.5, .warmup = 4, .steps = 104};
  for (int kind = MR_CONSTANT; kind <= MR_COSINE; kind++) {
    r.schedule = (mr_schedule)kind;
    for (int64_t step = 0; step < 4; step++) assert_lr(&r, step, 0.5 * (double)(step + 1));
    assert_lr(&r, 4, 2);
  }
  r.schedule = MR_CONSTANT;
  assert_lr(&r, 1000, 2);
  r.schedule = MR_LINEAR;
  assert_lr(&r, 29, 2 - 0.25 * 1.5);
  assert_lr(&r, 54, 1.25);
  r.schedule = MR_COSINE;
  assert_lr(&r, 29, 0.5 + 1.5 * (1 + sqrt(0.5)) / 2);
  assert_lr(&r, 54, 1.25);
  for (int kind = MR_LINEAR; kind <= MR_COSINE; kind++) {
    r.schedule = (mr_schedule)kind;
    assert_lr(&r, 104, 0.5);
    assert_lr(&r, 1000000, 0.5);
  }
}

static void schedules_without_room_stay_finite(void **state)
{
  (void)state;
  for (int kind = MR_CONSTANT; kind <= MR_COSINE; kind++) {
    mr_optim_rule r = {.lr = 2, .lr_min = 0.5, .schedule = (mr_schedule)kind};
    double last = kind == MR_CONSTANT ? 2 : 0.5;
    assert_lr(&r, 0, last); /* steps == warmup == 0 */
    r.steps = r.warmup = 10;
    assert_lr(&r, 9, 2);
    assert_lr(&r, 10, last);
    r.warmup = 20;
    assert_lr(&r, 9, 1);
    assert_lr(&r, 30, last);
  }
}

/* ---- Whole steps -------------------------------------------------------------------------------- */

static double loss_after(net *w, mr_optim *optim, int64_t steps)
{
  double norm = 0;
  for (int64_t step = 0; step < steps; step++) {
    assert_ok(mr_tape_forward(w->t));
    assert_ok(mr_tape_backward(w->t, 0, 1));
    assert_ok(mr_optim_step(optim, step, &norm));
  }
  return norm * norm / 2; /* of the bowl: its gradient is the parameter itself */
}

static void a_bowl_is_descended(void **state)
{
  (void)state;
  net w;
  mr_optim *optim = NULL;
  mr_optim_rule r = plain;
  r.lr = 0.05, r.schedule = MR_COSINE, r.steps = 300;
  open_net(&w, 2, true);
  assert_ok(mr_optim_create(&optim, w.be, w.t, &r, NULL));
  double first = loss_after(&w, optim, 1);
  assert_true(first > 10000);
  assert_true(loss_after(&w, optim, 300) < 1e-4 * first);
  mr_optim_destroy(optim);
  close_net(&w);
}

static void steps_allocate_nothing_and_repeat_bitwise_on_any_threads(void **state)
{
  (void)state;
  static mr_real first[MAX_SIZE];
  mr_optim_rule r = plain;
  r.clip = 0.5;
  for (int threads = 1; threads <= 3; threads++) {
    net w;
    mr_optim *optim = NULL;
    open_net(&w, threads, true);
    assert_ok(mr_optim_create(&optim, w.be, w.t, &r, NULL));
    int64_t before = mr_alloc_count();
    for (int64_t step = 0; step < 5; step++) {
      set_grads(&w, (uint64_t)step, 1);
      assert_ok(mr_optim_step(optim, step, NULL));
    }
    assert_int_equal(mr_alloc_count(), before);
    const mr_real *p = w.slot[N_SLOTS - 1].value.data;
    if (threads == 1) memcpy(first, p, sizeof first);
    assert_memory_equal(first, p, sizeof first);
    mr_optim_destroy(optim);
    close_net(&w);
  }
}

static void a_gradient_that_is_no_number_stops_before_anything_changes(void **state)
{
  (void)state;
  static const double bad[] = {(double)NAN, (double)INFINITY};
  for (int i = 0; i < 2; i++) {
    static twin before;
    net w;
    mr_optim *optim = NULL;
    mr_view m, v;
    double norm = 0;
    open_net(&w, 2, true);
    copy_params(&w, &before);
    assert_ok(mr_optim_create(&optim, w.be, w.t, &plain, NULL));
    set_grads(&w, 1, 1);
    ((mr_real *)w.slot[4].grad.data)[8192] = (mr_real)bad[i];
    assert_fails(mr_optim_step(optim, 17, &norm), MR_ERR_NUMERIC, "step 17");
    assert_false(isfinite(norm));
    for (int s = 0; s < N_SLOTS; s++) {
      assert_view(&w.slot[s].value, before.p[s], sizes[s]);
      mr_optim_moments(optim, s, &m, &v);
      assert_view(&m, before.m[s], sizes[s]);
      assert_view(&v, before.v[s], sizes[s]);
    }
    mr_optim_destroy(optim);
    close_net(&w);
  }
}

/* ---- Ownership ---------------------------------------------------------------------------------- */

static void moments_start_at_zero_in_separate_places(void **state)
{
  (void)state;
  net w;
  mr_optim *optim = NULL;
  int64_t n = 0;
  open_net(&w, 1, true);
  assert_ok(mr_optim_create(&optim, w.be, w.t, &plain, NULL));
  for (int s = 0; s < N_SLOTS; s++) {
    mr_view view[2];
    mr_optim_moments(optim, s, &view[0], &view[1]);
    n += sizes[s];
    for (int k = 0; k < 2; k++) {
      mr_real *x = view[k].data;
      assert_int_equal(view[k].dtype, MR_REAL);
      assert_int_equal((uintptr_t)x % 64, 0);
      for (int64_t i = 0; i < sizes[s]; i++) {
        assert_true(x[i] == 0); /* not yet marked by another moment */
        x[i] = 1;
      }
    }
  }
  int64_t least = 2 * n * (int64_t)sizeof(mr_real);
  assert_in_range(mr_optim_bytes(optim), least, least + 2 * N_SLOTS * 256);
  mr_optim_destroy(optim);
  mr_optim_destroy(NULL);
  close_net(&w);
}

static void a_tape_without_gradients_is_refused(void **state)
{
  (void)state;
  net w;
  mr_optim *optim = NULL;
  open_net(&w, 1, false);
  assert_fails(mr_optim_create(&optim, w.be, w.t, &plain, NULL), MR_ERR_ARG, "p0 has no gradient");
  assert_null(optim);
  close_net(&w);
}

static void a_starved_create_fails_cleanly(void **state)
{
  (void)state;
  net w;
  mr_status st = MR_ERR_NOMEM;
  int64_t n = 0;
  open_net(&w, 1, true);
  while (st == MR_ERR_NOMEM) {
    mr_optim *optim = NULL;
    mr_alloc_fail_at(++n);
    st = mr_optim_create(&optim, w.be, w.t, &plain, NULL);
    mr_alloc_fail_at(0);
    assert_int_equal(optim != NULL, st == MR_OK);
    mr_optim_destroy(optim);
  }
  assert_int_equal(st, MR_OK);
  assert_true(n > 4);
  close_net(&w);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(twenty_steps_match_the_reference),
      cmocka_unit_test(the_clip_shortens_long_gradients_and_leaves_short_ones),
      cmocka_unit_test(without_gradient_only_decaying_parameters_shrink),
      cmocka_unit_test(the_learning_rate_follows_its_schedule),
      cmocka_unit_test(schedules_without_room_stay_finite),
      cmocka_unit_test(a_bowl_is_descended),
      cmocka_unit_test(steps_allocate_nothing_and_repeat_bitwise_on_any_threads),
      cmocka_unit_test(a_gradient_that_is_no_number_stops_before_anything_changes),
      cmocka_unit_test(moments_start_at_zero_in_separate_places),
      cmocka_unit_test(a_tape_without_gradients_is_refused),
      cmocka_unit_test(a_starved_create_fails_cleanly),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
