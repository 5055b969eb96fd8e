/* test_ppo.c — perceptrons, the loss of PPO and its derivatives, learning, going on from a saved state.
 * SPDX-License-Identifier: MIT */
/* labels: grad; real: both */
#include "testing.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "mem.h"
#include "ppo.h"
#include "ppo_net.h"
#include "toy.h"

enum { OBS = 5, ACT = 3, ROWS = 11, MIDDLE = 5 };

/* Differences are taken in double only; float is held against values from formulas. */
static const bool in_double = sizeof(mr_real) == sizeof(double);
static mr_config config;

static int set_up(void **state)
{
  (void)state;
  return mr_config_load(&config, NULL, 0, NULL, 0, NULL) == MR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
  (void)state;
  mr_config_free(&config);
  return 0;
}

static void draw(mr_real *x, int64_t n, double scale, mr_rng *r)
{
  for (int64_t i = 0; i < n; i++) x[i] = (mr_real)(scale * mr_rng_normal(r));
}

/* ---- Perceptrons ----------------------------------------------------------------------------- */

/* One output by the formula. */
static double plain(const mr_real *p, int in, int out, const mr_real *x, int k)
{
  enum { H = MR_MLP_HIDDEN };
  double a[H], b[H], y;
  const mr_real *w1 = p, *b1 = w1 + in * H, *w2 = b1 + H, *b2 = w2 + H * H, *w3 = b2 + H,
                *b3 = w3 + H * out;
  for (int j = 0; j < H; j++) {
    a[j] = (double)b1[j];
    for (int i = 0; i < in; i++) a[j] += (double)x[i] * (double)w1[i * H + j];
  }
  for (int j = 0; j < H; j++) {
    b[j] = (double)b2[j];
    for (int i = 0; i < H; i++) b[j] += tanh(a[i]) * (double)w2[i * H + j];
  }
  y = (double)b3[k];
  for (int j = 0; j < H; j++) y += tanh(b[j]) * (double)w3[j * out + k];
  return y;
}

static void perceptrons_follow_their_formula_for_any_number_of_rows(void **state)
{
  mr_rng r;
  mr_mlp *m = NULL;
  const int64_t n = mr_mlp_reals(OBS, ACT);
  mr_real *param = NULL, x[ROWS * OBS], y[ROWS * ACT];
  (void)state;
  mr_rng_seek(&r, 1, MR_STREAM_CHECK, 0);
  assert_ok(mr_calloc((void **)&param, (size_t)n, sizeof *param));
  assert_ok(mr_mlp_open(&m, OBS, ACT, ROWS));
  draw(param, n, 0.2, &r);
  draw(x, ROWS * OBS, 1, &r);
  mr_mlp_load(m, param);
  for (int64_t rows = 1; rows <= ROWS; rows += 5) {
    mr_mlp_forward(m, rows, x, y);
    for (int64_t i = 0; i < rows; i++)
      for (int k = 0; k < ACT; k++)
        assert_true(fabs((double)y[i * ACT + k] - plain(param, OBS, ACT, x + i * OBS, k)) < 1e-4);
  }
  mr_mlp_close(m);
  mr_free(param);
}

static void first_matrices_are_orthogonal(void **state)
{
  enum { H = MR_MLP_HIDDEN };
  mr_rng r;
  mr_real *param = NULL;
  (void)state;
  mr_rng_seek(&r, 1, MR_STREAM_CHECK, 1);
  assert_ok(mr_calloc((void **)&param, (size_t)mr_mlp_reals(OBS, ACT), sizeof *param));
  assert_ok(mr_mlp_init(param, OBS, ACT, 0.01, &r));
  const mr_real *w1 = param, *w2 = w1 + (OBS + 1) * H, *w3 = w2 + (H + 1) * H;
  for (int i = 0; i < OBS; i++)
    for (int k = 0; k <= i; k++) {
      double rows1 = 0, rows2 = 0;
      for (int j = 0; j < H; j++) {
        rows1 += (double)w1[i * H + j] * (double)w1[k * H + j];
        rows2 += (double)w2[i * H + j] * (double)w2[k * H + j];
      }
      assert_true(fabs(rows1 - (i == k ? 2 : 0)) < 1e-5);
      assert_true(fabs(rows2 - (i == k ? 2 : 0)) < 1e-5);
    }
  for (int i = 0; i < ACT; i++) {
    double square = 0;
    for (int j = 0; j < H; j++) square += (double)w3[j * ACT + i] * (double)w3[j * ACT + i];
    assert_true(fabs(square - 1e-4) < 1e-8);
  }
  mr_free(param);
}

/* ---- The loss -------------------------------------------------------------------------------- */

typedef struct sample {
  mr_ppo_net net;
  mr_ppo_batch b;
  mr_real *param, *grad;
  mr_real x[ROWS * OBS], action[ROWS * ACT], logp[ROWS], advantage[ROWS], target[ROWS];
} sample;

/* A batch whose ratios lie within and beyond the clip on both sides. */
static void open_sample(sample *s)
{
  mr_rng r;
  mr_real mu[ROWS * ACT];
  memset(s, 0, sizeof *s);
  mr_rng_seek(&r, 1, MR_STREAM_CHECK, 2);
  assert_ok(mr_ppo_net_open(&s->net, OBS, ACT, ROWS));
  assert_ok(mr_calloc((void **)&s->param, (size_t)s->net.n, sizeof *s->param));
  assert_ok(mr_calloc((void **)&s->grad, (size_t)s->net.n, sizeof *s->grad));
  draw(s->param, s->net.n, 0.2, &r);
  draw(s->x, ROWS * OBS, 1, &r);
  draw(s->advantage, ROWS, 1, &r);
  draw(s->target, ROWS, 1, &r);
  mr_mlp_load(s->net.mu, s->param);
  mr_mlp_forward(s->net.mu, ROWS, s->x, mu);
  for (int i = 0; i < ROWS; i++) {
    double logp = 0;
    for (int j = 0; j < ACT; j++) {
      const double sd = (double)s->param[mr_ppo_net_s(&s->net) + j], noise = mr_rng_normal(&r);
      s->action[i * ACT + j] = (mr_real)((double)mu[i * ACT + j] + exp(sd) * noise);
      logp -= 0.5 * noise * noise + sd + 0.5 * log(2 * acos(-1));
    }
    s->logp[i] = (mr_real)(logp + 0.1 * (i - MIDDLE)); /* ratios exp(0.5) .. exp(-0.5) */
  }
  s->b = (mr_ppo_batch){ROWS, s->x, s->action, s->logp, s->advantage, s->target};
}

static void close_sample(sample *s)
{
  mr_ppo_net_close(&s->net);
  mr_free(s->param);
  mr_free(s->grad);
}

static void the_loss_is_that_of_the_paper(void **state)
{
  sample s;
  double want = 0;
  (void)state;
  open_sample(&s);
  for (int i = 0; i < ROWS; i++) {
    const double ratio = exp(-0.1 * (i - MIDDLE)), a = (double)s.advantage[i];
    const double cut = ratio > 1.2 ? 1.2 : ratio < 0.8 ? 0.8 : ratio;
    const double v = plain(s.param + mr_ppo_net_v(&s.net), OBS, 1, s.x + (ptrdiff_t)i * OBS, 0);
    want += (v - (double)s.target[i]) * (v - (double)s.target[i]) / 2;
    want -= ratio * a < cut * a ? ratio * a : cut * a;
  }
  const double got = mr_ppo_net_loss(&s.net, s.param, &s.b, s.grad);
  assert_true(fabs(got - want / ROWS) < 1e-4 * fabs(got));
  close_sample(&s);
}

static void gradients_agree_with_differences(void **state)
{
  sample s;
  mr_rng r;
  mr_real *unused = NULL;
  (void)state;
  if (!in_double) skip();
  open_sample(&s);
  assert_ok(mr_calloc((void **)&unused, (size_t)s.net.n, sizeof *unused));
  (void)mr_ppo_net_loss(&s.net, s.param, &s.b, s.grad);
  mr_rng_seek(&r, 1, MR_STREAM_CHECK, 3);
  for (int k = 0; k < 600; k++) {
    /* All of s, and any others. */
    const int64_t i = k < ACT ? mr_ppo_net_s(&s.net) + k : mr_rng_below(&r, (uint32_t)s.net.n);
    const mr_real kept = s.param[i];
    const double h = 1e-5;
    s.param[i] = (mr_real)((double)kept + h);
    const double above = mr_ppo_net_loss(&s.net, s.param, &s.b, unused);
    s.param[i] = (mr_real)((double)kept - h);
    const double below = mr_ppo_net_loss(&s.net, s.param, &s.b, unused);
    s.param[i] = kept;
    const double want = (above - below) / (2 * h), got = (double)s.grad[i];
    if (fabs(got - want) > 1e-8 + 1e-6 * fabs(want))
      fail_msg("parameter %lld: derivative %.12g, by differences %.12g", (long long)i, got, want);
  }
  mr_free(unused);
  close_sample(&s);
}

/* ---- Learning -------------------------------------------------------------------------------- */

static mr_ppo *open_ppo(uint64_t seed, int rounds)
{
  mr_ppo *p = NULL;
  assert_ok(mr_ppo_open(&p, &toy_env, &config, seed, (int64_t)rounds * MR_PPO_ROUND, 0));
  assert_int_equal(mr_ppo_rounds(p), rounds);
  return p;
}

static void it_learns_to_stay_where_it_is_paid(void **state)
{
  enum { ROUNDS = 5 };
  mr_ppo *p = open_ppo(1, ROUNDS);
  double first = NAN;
  (void)state;
  assert_true(isnan(mr_ppo_return(p)));
  for (int i = 0; i < ROUNDS; i++) {
    assert_ok(mr_ppo_next(p, NULL));
    if (i == 0) first = mr_ppo_return(p);
  }
  assert_true(first < 1200);
  assert_true(mr_ppo_return(p) > 1400);
  mr_ppo_close(p);
  assert_int_equal(toy_open_count(), 0);
}

static double *actor_of(const mr_ppo *p)
{
  double *row = NULL;
  assert_ok(mr_calloc((void **)&row, (size_t)mr_actor_size(mr_ppo_spec(p)), sizeof *row));
  mr_ppo_actor(p, row);
  return row;
}

static void a_saved_run_goes_on_to_the_last_bit(void **state)
{
  enum { ROUNDS = 3 };
  mr_ppo *whole = open_ppo(3, ROUNDS), *first = open_ppo(3, ROUNDS), *second = open_ppo(3, ROUNDS);
  void *saved = NULL;
  (void)state;
  for (int i = 0; i < ROUNDS; i++) assert_ok(mr_ppo_next(whole, NULL));
  assert_ok(mr_ppo_next(first, NULL));
  assert_ok(mr_calloc(&saved, mr_ppo_state_bytes(first), 1));
  mr_ppo_save(first, saved);
  mr_ppo_close(first);
  mr_ppo_restore(second, saved);
  assert_int_equal(mr_ppo_round(second), 1);
  for (int i = 1; i < ROUNDS; i++) assert_ok(mr_ppo_next(second, NULL));
  double *a = actor_of(whole), *b = actor_of(second);
  const size_t bytes = (size_t)mr_actor_size(mr_ppo_spec(whole)) * sizeof *a;
  assert_memory_equal(a, b, bytes);
  assert_true(mr_ppo_return(whole) == mr_ppo_return(second));
  mr_ppo *other = open_ppo(4, ROUNDS);
  for (int i = 0; i < ROUNDS; i++) assert_ok(mr_ppo_next(other, NULL));
  mr_ppo_actor(other, b);
  assert_memory_not_equal(a, b, bytes);
  mr_ppo_close(other);
  mr_free(a);
  mr_free(b);
  mr_free(saved);
  mr_ppo_close(whole);
  mr_ppo_close(second);
}

static void recorded_steps_are_those_of_the_environment(void **state)
{
  mr_ppo *p = open_ppo(5, 1);
  mr_steps s;
  (void)state;
  mr_steps_init(&s, mr_ppo_spec(p));
  assert_ok(mr_ppo_next(p, &s));
  assert_int_equal(s.n, MR_PPO_ROUND);
  int64_t in_episode = 0, ends = 0;
  for (int64_t i = 0; i < s.n; i++) {
    const float *ob = mr_step_at(&s, MR_STEP_OB, i), *next = mr_step_at(&s, MR_STEP_NEXT, i);
    const float *ac = mr_step_at(&s, MR_STEP_AC, i), *reward = mr_step_at(&s, MR_STEP_REWARD, i);
    const int8_t terminal = *(int8_t *)mr_step_at(&s, MR_STEP_TERMINAL, i);
    const int8_t timeout = *(int8_t *)mr_step_at(&s, MR_STEP_TIMEOUT, i);
    const double *qpos = mr_step_at(&s, MR_STEP_QPOS, i);
    in_episode++;
    assert_true(fabsf(ac[0]) <= 1);
    assert_true((float)qpos[0] == ob[0]);
    assert_true(fabsf(next[0] - ob[0] - 0.1F * ac[0]) < 1e-5F);
    assert_true(fabsf(reward[0] - 40 * (1 - next[0] * next[0])) < 1e-3F);
    assert_int_equal(terminal, fabsf(next[0]) > 1.5F);
    assert_int_equal(timeout, !terminal && in_episode == 40);
    if (terminal || timeout) {
      in_episode = 0, ends++;
    } else if (i + 1 < s.n) {
      assert_true(next[0] == *(float *)mr_step_at(&s, MR_STEP_OB, i + 1));
    }
  }
  assert_true(ends >= MR_PPO_ROUND / 40);
  mr_steps_free(&s);
  mr_ppo_close(p);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(perceptrons_follow_their_formula_for_any_number_of_rows),
      cmocka_unit_test(first_matrices_are_orthogonal),
      cmocka_unit_test(the_loss_is_that_of_the_paper),
      cmocka_unit_test(gradients_agree_with_differences),
      cmocka_unit_test(it_learns_to_stay_where_it_is_paid),
      cmocka_unit_test(a_saved_run_goes_on_to_the_last_bit),
      cmocka_unit_test(recorded_steps_are_those_of_the_environment),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
