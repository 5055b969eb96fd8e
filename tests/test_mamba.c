/* test_mamba.c — the Mamba block against its equations, and its initial values.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include <math.h>
#include <string.h>
#include "nets.h"

enum { B = 2, T = 70, D = 20, E = 33, N = 3, K = 4, R = 2 };

static mr_backend *be;

/* One block of the sizes above, run forward on an input drawn at random. */
typedef struct block {
  mr_config c;
  mr_tape *tape;
  mr_val y;
} block;

static void open_block(block *m)
{
  const char *words[] = {"--model=mamba", "--mamba.state=3", "--width=20", "--layers=1",
                         "--expansion=1.65"};
  const mr_dims d = {.B = B, .T = T, .D = D, .H = E, .L = 1};
  mr_plan_report plan;
  assert_ok(mr_run_config(&m->c, NULL, 5, words));
  assert_ok(mr_tape_create(&m->tape, be, 3));
  m->y = mr_build_mixer(m->tape, &m->c, mr_find_model("mamba"), d);
  mr_keep(m->tape, m->y);
  assert_ok(mr_tape_plan(m->tape, m->y, true, &plan));
  assert_ok(mr_tape_alloc(m->tape));
  assert_ok(mr_tape_forward(m->tape));
}

static void close_block(block *m)
{
  mr_tape_destroy(m->tape);
  mr_config_free(&m->c);
}

static const mr_slot *slot(const block *m, const char *name)
{
  char full[64];
  net_words(full, sizeof full, "block.0.mixer.%s", name);
  return net_slot(m->tape, full);
}

static const mr_real *values(const block *m, const char *name)
{
  return slot(m, name)->value.data;
}

static double dot(const mr_real *w, const double *x, int n)
{
  double sum = 0;
  for (int i = 0; i < n; i++) sum += (double)w[i] * x[i];
  return sum;
}

static double silu(double x)
{
  return x / (1 + exp(-x));
}

/* The block on one sequence v [T,D] -> y [T,D], step by step as its equations read. */
static void equations(const block *m, const mr_real *v, double *y)
{
  static double x[T + K - 1][E], h[E][N];
  const mr_real *in = values(m, "in.weight"), *conv = values(m, "conv.weight");
  memset(x, 0, sizeof x);
  memset(h, 0, sizeof h);
  for (int t = 0; t < T; t++) {
    double now[D], z[E], u[E], made[R + 2 * N], gated[E];
    for (int i = 0; i < D; i++) now[i] = (double)v[t * D + i];
    for (int e = 0; e < E; e++) {
      x[t + K - 1][e] = dot(in + e * D, now, D);
      z[e] = dot(in + (E + e) * D, now, D);
      u[e] = (double)values(m, "conv.bias")[e];
      for (int k = 0; k < K; k++) u[e] += (double)conv[e * K + k] * x[t + k][e];
      u[e] = silu(u[e]);
    }
    for (int i = 0; i < R + 2 * N; i++) made[i] = dot(values(m, "x.weight") + i * E, u, E);
    for (int e = 0; e < E; e++) {
      const double step = log1p(
          exp(dot(values(m, "dt.weight") + e * R, made, R) + (double)values(m, "dt.bias")[e]));
      double sum = (double)values(m, "skip")[e] * u[e];
      for (int n = 0; n < N; n++) {
        const double a = -exp((double)values(m, "a_log")[e * N + n]);
        h[e][n] = exp(step * a) * h[e][n] + step * made[R + n] * u[e];
        sum += made[R + N + n] * h[e][n];
      }
      gated[e] = sum * silu(z[e]);
    }
    for (int i = 0; i < D; i++) y[t * D + i] = dot(values(m, "out.weight") + i * E, gated, E);
  }
}

static void block_equals_its_equations(void **state)
{
  const double tolerance = sizeof(mr_real) == sizeof(double) ? 1e-13 : 2e-6;
  block m;
  (void)state;
  open_block(&m);
  const mr_real *v = net_slot(m.tape, "x")->value.data, *y = net_data(m.tape, m.y);
  for (int b = 0; b < B; b++) {
    static double want[T * D];
    double top = 0;
    equations(&m, v + b * T * D, want);
    for (int i = 0; i < T * D; i++) top = fmax(top, fabs(want[i]));
    assert_true(top > 0.01);
    for (int i = 0; i < T * D; i++)
      if (!(fabs((double)y[b * T * D + i] - want[i]) <= tolerance * top))
        fail_msg("sequence %d, number %d is %.9g, not %.9g", b, i, (double)y[b * T * D + i],
                 want[i]);
  }
  close_block(&m);
}

static void initial_values_are_those_of_its_authors(void **state)
{
  block m;
  int low = 0, high = 0;
  double widest = 0;
  (void)state;
  open_block(&m);
  for (int e = 0; e < E; e++) {
    const double step = log1p(exp((double)values(&m, "dt.bias")[e]));
    assert_true(step > 0.999e-3 && step < 0.1001);
    low += step < 0.01, high += step >= 0.01;
    assert_true((double)values(&m, "skip")[e] == 1);
    for (int n = 0; n < N; n++)
      assert_true(fabs((double)values(&m, "a_log")[e * N + n] - log(n + 1.0)) < 1e-6);
    for (int r = 0; r < R; r++)
      widest = fmax(widest, fabs((double)values(&m, "dt.weight")[e * R + r]));
  }
  /* Half of the steps are below the geometric middle. */
  assert_true(low > E / 4 && high > E / 4);
  assert_true(widest <= 1 / sqrt(R) && widest > 0.8 / sqrt(R));
  close_block(&m);
}

static void rates_skips_and_step_biases_do_not_decay(void **state)
{
  static const char *const stays[] = {"a_log", "skip", "dt.bias"};
  static const char *const decays[] = {"in.weight", "x.weight", "dt.weight", "out.weight"};
  block m;
  (void)state;
  open_block(&m);
  for (int i = 0; i < 3; i++) assert_false(slot(&m, stays[i])->decays);
  for (int i = 0; i < 4; i++) assert_true(slot(&m, decays[i])->decays);
  close_block(&m);
}

static int open_backend(void **state)
{
  (void)state;
  assert_ok(mr_backend_open(&be, MR_CPU, 2));
  return 0;
}

static int close_backend(void **state)
{
  (void)state;
  mr_backend_close(be);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(block_equals_its_equations),
      cmocka_unit_test(initial_values_are_those_of_its_authors),
      cmocka_unit_test(rates_skips_and_step_biases_do_not_decay),
  };
  return cmocka_run_group_tests(tests, open_backend, close_backend);
}
