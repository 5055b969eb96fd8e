/* test_rl_envs.c — the environments in plain C: their equations, scoring, chance, controllers and the
 * data sets made with them. SPDX-License-Identifier: MIT */
/* labels: unit */
#include "testing.h"
#include <math.h>
#include <string.h>
#include "data.h"
#include "mem.h"
#include "options.h"
#include "registry.h"
#include "rng.h"

enum { MOST = 8 }; /* numbers seen or done */

/* An environment opened from flags. */
typedef struct world {
  mr_config c;
  const mr_env_def *def;
  mr_env *env;
  mr_env_spec spec;
} world;

static void open_world(world *w, const char *name, int n, const char *const *flags)
{
  assert_ok(mr_run_config(&w->c, NULL, n, flags));
  w->def = mr_env_find(name);
  assert_non_null(w->def);
  assert_ok(w->def->open(&w->env, &w->c));
  w->def->spec(w->env, &w->spec);
  assert_true(w->spec.obs <= MOST && w->spec.act <= MOST);
}

static void close_world(world *w)
{
  w->def->close(w->env);
  mr_config_free(&w->c);
}

typedef void (*actor)(const world *w, mr_rng *r, double *act);

static void do_anything(const world *w, mr_rng *r, double *act)
{
  for (int64_t i = 0; i < w->spec.act; i++) act[i] = 2 * mr_rng_uniform(r) - 1;
}

static void do_the_best(const world *w, mr_rng *r, double *act)
{
  (void)r;
  w->def->expert(w->env, act);
}

static void do_always_the_same(const world *w, mr_rng *r, double *act)
{
  (void)r;
  for (int64_t i = 0; i < w->spec.act; i++) act[i] = 0.7;
}

/* Mean score of n episodes; *error: the standard error of that mean. */
static double mean_score(const world *w, actor do_it, int n, double *error)
{
  double obs[MOST], act[MOST], sum = 0, square = 0;
  for (int k = 0; k < n; k++) {
    double total = 0, reward;
    bool terminal = false;
    int64_t t = 0;
    mr_rng r;
    mr_rng_seek(&r, 5, MR_STREAM_CHECK, (uint64_t)k);
    w->def->reset(w->env, 77, (uint64_t)k, obs);
    for (; t < w->spec.horizon && !terminal; t++) {
      do_it(w, &r, act);
      w->def->step(w->env, act, obs, &reward, &terminal);
      total += reward;
    }
    const double score = 100 * (total - w->spec.low) / (w->spec.high - w->spec.low);
    sum += score;
    square += score * score;
  }
  const double mean = sum / n;
  if (error != NULL) *error = sqrt(fmax(square / n - mean * mean, 0) / n);
  return mean;
}

/* ---- Contract ---------------------------------------------------------------------------------- */

static const char *const built_in[] = {"pendulum", "tmaze", "repeat"};

/* Plays with actions out of bounds now and then and writes all that comes back into `seen`. */
static int64_t trace(const world *w, uint64_t seed, uint64_t episode, double *seen, int64_t room)
{
  double act[MOST];
  bool terminal = false;
  int64_t n = 0;
  mr_rng r;
  mr_rng_seek(&r, 1, MR_STREAM_CHECK, 0);
  w->def->reset(w->env, seed, episode, seen);
  n += w->spec.obs;
  for (int64_t t = 0; t < w->spec.horizon && !terminal; t++) {
    for (int64_t i = 0; i < w->spec.act; i++) act[i] = 4 * mr_rng_uniform(&r) - 2;
    assert_true(n + 1 + w->spec.obs <= room);
    w->def->step(w->env, act, seen + n + 1, &seen[n], &terminal);
    n += 1 + w->spec.obs;
  }
  return n;
}

static void episodes_depend_on_their_seed_and_number_alone(void **state)
{
  (void)state;
  static double a[2000], b[2000];
  for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++) {
    world w, other;
    int distinct = 0;
    open_world(&w, built_in[i], 0, NULL);
    open_world(&other, built_in[i], 0, NULL);
    for (uint64_t k = 0; k < 8; k++) {
      const int64_t n = trace(&w, 3, k, a, 2000);
      (void)trace(&other, 4, 7 - k, b, 2000); /* what came before does not matter */
      distinct += memcmp(a, b, (size_t)n * sizeof *a) != 0;
      assert_int_equal(trace(&other, 3, k, b, 2000), n);
      assert_memory_equal(a, b, (size_t)n * sizeof *a);
    }
    assert_in_range(distinct, 3, 8); /* the T-maze has two kinds of episodes only */
    close_world(&w);
    close_world(&other);
  }
  assert_null(mr_env_find("nowhere"));
}

static void chance_scores_zero_and_the_controller_a_hundred(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++) {
    world w;
    double off, same;
    open_world(&w, built_in[i], 0, NULL);
    const double wild = mean_score(&w, do_anything, 4000, &off);
    const double best = mean_score(&w, do_the_best, 4000, &same);
    print_message("  %s: random %.2f +- %.2f, controller %.2f +- %.2f\n", built_in[i], wild, off,
                  best, same);
    assert_true(fabs(wild) < 4 * off && off < 2);
    assert_true(fabs(best - 100) < 4 * same + 1e-9);
    if (i > 0) assert_true(fabs(mean_score(&w, do_always_the_same, 4000, &off)) < 4 * off);
    close_world(&w);
  }
}

/* ---- Pendulum ---------------------------------------------------------------------------------- */

/* The same pendulum written down once more, with its angle measured from hanging and as it turns: phi =
 * angle + pi, so that gravity pulls back. */
static void swing(double *phi, double *speed, double torque, double *cost)
{
  const double pi = acos(-1.0), off = atan2(-sin(*phi), -cos(*phi));
  *cost = off * off + *speed * *speed / 10 + torque * torque / 1000;
  *speed += 0.05 * (3 * torque - 15 * sin(*phi));
  if (*speed > 8) *speed = 8;
  if (*speed < -8) *speed = -8;
  *phi = fmod(*phi + 0.05 * *speed, 2 * pi);
}

static void the_pendulum_moves_by_its_equations(void **state)
{
  (void)state;
  world w;
  open_world(&w, "pendulum", 0, NULL);
  assert_true(w.spec.obs == 2 && w.spec.act == 1 && w.spec.horizon == 200);
  for (uint64_t k = 0; k < 20; k++) {
    double obs[2], was[2], reward, cost, act;
    bool terminal;
    mr_rng r;
    mr_rng_seek(&r, 9, MR_STREAM_CHECK, k);
    w.def->reset(w.env, 5, k, was);
    /* The speed is not seen; the first step, without torque, tells it. */
    act = 0;
    w.def->step(w.env, &act, obs, &reward, &terminal);
    double phi = atan2(-obs[1], -obs[0]);
    const double turned =
        atan2(obs[1] * was[0] - obs[0] * was[1], obs[0] * was[0] + obs[1] * was[1]);
    double speed = turned / 0.05;
    assert_true(fabs(speed - 0.75 * was[1]) <= 1);
    for (int t = 1; t < 200; t++) {
      act = 3 * mr_rng_uniform(&r) - 1.5;
      w.def->step(w.env, &act, obs, &reward, &terminal);
      swing(&phi, &speed, 2 * fmax(-1, fmin(1, act)), &cost);
      const double want[3] = {-cos(phi), -sin(phi), -cost}, got[3] = {obs[0], obs[1], reward};
      assert_close_double(got, want, 3, 1e-9, 1e-9);
      assert_false(terminal);
    }
  }
  close_world(&w);
}

/* ---- T-maze ------------------------------------------------------------------------------------ */

static void the_tmaze_pays_the_turn_that_the_cue_told(void **state)
{
  (void)state;
  static const char *const flags[] = {"--offline_rl.corridor=5"};
  int ups = 0;
  world w;
  open_world(&w, "tmaze", 1, flags);
  assert_int_equal(w.spec.horizon, 6);
  for (uint64_t k = 0; k < 64; k++) {
    double obs[2], reward, act;
    bool terminal = false;
    w.def->reset(w.env, 8, k, obs);
    const double cue = obs[0];
    assert_true(fabs(cue) == 1 && obs[1] == 0);
    ups += cue > 0;
    for (int t = 0; t < 5; t++) {
      act = t % 2 ? 1 : -1;
      w.def->step(w.env, &act, obs, &reward, &terminal);
      assert_true(!terminal && reward == 0 && obs[0] == 0 && obs[1] == (t == 4));
    }
    act = k % 4 == 0 ? 0.01 * cue : k % 4 == 1 ? 5 * cue : k % 4 == 2 ? -0.01 * cue : 0;
    w.def->step(w.env, &act, obs, &reward, &terminal);
    assert_true(terminal && reward == (k % 4 < 2));
  }
  assert_in_range(ups, 16, 48);
  close_world(&w);
}

/* ---- Repeat ------------------------------------------------------------------------------------ */

static void repeat_pays_both_signs_of_k_steps_before(void **state)
{
  (void)state;
  static const char *const flags[] = {"--offline_rl.delay=3"};
  world w;
  open_world(&w, "repeat", 1, flags);
  assert_int_equal(w.spec.horizon, 35);
  for (uint64_t k = 0; k < 8; k++) {
    double sign[40][2], act[2], reward;
    bool terminal = false;
    w.def->reset(w.env, 2, k, sign[0]);
    for (int t = 0; t < 35; t++) {
      assert_true(fabs(sign[t][0]) == 1 && fabs(sign[t][1]) == 1 && !terminal);
      const bool right = (t + k) % 3 != 0;
      act[0] = t < 3 ? 1 : 0.1 * sign[t - 3][0];
      act[1] = t < 3 ? 1 : (right ? 1 : -1) * sign[t - 3][1];
      w.def->step(w.env, act, sign[t + 1], &reward, &terminal);
      assert_true(reward == (t < 3 ? 0 : right ? 1.0 / 32 : -1.0 / 32));
    }
    assert_true(terminal);
  }
  close_world(&w);
}

static void fractions_of_steps_are_refused(void **state)
{
  (void)state;
  static const char *const key[] = {"--offline_rl.corridor=2.5", "--offline_rl.delay=2.5"};
  for (int i = 0; i < 2; i++) {
    mr_config c;
    mr_env *env = NULL;
    assert_ok(mr_run_config(&c, NULL, 1, &key[i]));
    assert_fails(mr_env_find(built_in[1 + i])->open(&env, &c), MR_ERR_CONFIG,
                 "2.5 is no whole number");
    mr_config_free(&c);
  }
}

/* ---- Data sets --------------------------------------------------------------------------------- */

static void open_data(mr_dataset *d, const char *env, const char *level, const char *more)
{
  char level_flag[64];
  const char *flags[] = {level_flag, more};
  mr_config c;
  (void)snprintf(level_flag, sizeof level_flag, "--offline_rl.data=%s", level);
  assert_ok(mr_run_config(&c, NULL, more != NULL ? 2 : 1, flags));
  assert_ok(mr_data_open(d, mr_env_find(env), &c));
  mr_config_free(&c);
}

static void check_steps(const mr_dataset *d)
{
  assert_int_equal(d->start[0], 0);
  assert_int_equal(d->start[d->n_traj], d->n);
  for (int64_t k = 0; k < d->n_traj; k++) assert_true(d->start[k] < d->start[k + 1]);
  for (int64_t i = 0; i < d->n * d->act; i++) assert_true(fabsf(d->ac[i]) <= 1);
  for (int64_t i = 0; i < d->n * d->obs; i++) assert_true(isfinite(d->ob[i]));
}

static void better_data_have_better_returns(void **state)
{
  (void)state;
  static const char *const level[] = {"medium-replay", "medium", "medium-expert"};
  for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++) {
    double before = -INFINITY;
    for (int l = 0; l < 3; l++) {
      mr_dataset d, again;
      open_data(&d, built_in[i], level[l], NULL);
      open_data(&again, built_in[i], level[l], "--seed=99"); /* the data are not the run's own */
      check_steps(&d);
      const mr_returns r = mr_dataset_returns(&d);
      print_message("  %s %s: %lld steps, return %.3g +- %.3g, %.3g to %.3g, expert %.3g\n",
                    built_in[i], level[l], (long long)d.n, r.mean, r.deviation, r.least, r.most,
                    d.expert);
      assert_true(r.mean > before && r.mean < d.expert && r.least <= r.mean && r.mean <= r.most);
      assert_true(d.generated);
      assert_holds(d.origin, built_in[i]);
      assert_memory_equal(d.ac, again.ac, (size_t)(d.n * d.act) * sizeof *d.ac);
      before = r.mean;
      mr_dataset_free(&d);
      mr_dataset_free(&again);
    }
  }
}

static void data_of_the_tmaze_have_corridors_of_every_length(void **state)
{
  (void)state;
  mr_dataset d;
  int64_t seen[31] = {0};
  open_data(&d, "tmaze", "medium", NULL);
  for (int64_t k = 0; k < d.n_traj; k++) {
    const int64_t steps = d.start[k + 1] - d.start[k];
    assert_in_range(steps, 2, 31);
    seen[steps - 1]++;
  }
  for (int corridor = 1; corridor <= 30; corridor++)
    assert_true(fabs((double)seen[corridor] - (double)d.n_traj / 30) <
                5 * sqrt((double)d.n_traj / 30));
  mr_dataset_free(&d);
}

static void a_data_set_knows_trajectories_returns_and_moments(void **state)
{
  (void)state;
  static const float reward[] = {1, 2, 3, 10, -1, 0.5F};
  static const int64_t start[] = {0, 3, 4, 6};
  mr_dataset d;
  float go[6];
  double mean[2], deviation[2];
  assert_ok(mr_dataset_alloc(&d, 2, 1, 6, 3));
  assert_true(isnan(d.expert) && !d.generated);
  memcpy(d.reward, reward, sizeof reward);
  memcpy(d.start, start, sizeof start);
  for (int64_t i = 0; i < 6; i++) d.ob[2 * i] = (float)i, d.ob[2 * i + 1] = 4;
  static const int64_t whose[] = {0, 0, 0, 1, 2, 2};
  for (int64_t i = 0; i < 6; i++) assert_int_equal(mr_dataset_trajectory(&d, i), whose[i]);
  mr_dataset_returns_to_go(&d, go);
  static const float want[] = {6, 5, 3, 10, -0.5F, 0.5F};
  for (int i = 0; i < 6; i++) assert_true(go[i] == want[i]);
  const mr_returns r = mr_dataset_returns(&d);
  const double got[] = {r.mean, r.deviation, r.least, r.most};
  const double sums[] = {15.5 / 3, sqrt((36 + 100 + 0.25) / 3 - 15.5 / 3 * 15.5 / 3), -0.5, 10};
  assert_close_double(got, sums, 4, 1e-12, 1e-12);
  mr_dataset_moments(&d, mean, deviation);
  const double moments[] = {mean[0], deviation[0], mean[1], deviation[1]};
  const double as[] = {2.5, sqrt(35.0 / 12) + 1e-6, 4, 1e-6};
  assert_close_double(moments, as, 4, 1e-12, 1e-15);
  mr_dataset_free(&d);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(episodes_depend_on_their_seed_and_number_alone),
      cmocka_unit_test(chance_scores_zero_and_the_controller_a_hundred),
      cmocka_unit_test(the_pendulum_moves_by_its_equations),
      cmocka_unit_test(the_tmaze_pays_the_turn_that_the_cue_told),
      cmocka_unit_test(repeat_pays_both_signs_of_k_steps_before),
      cmocka_unit_test(fractions_of_steps_are_refused),
      cmocka_unit_test(better_data_have_better_returns),
      cmocka_unit_test(data_of_the_tmaze_have_corridors_of_every_length),
      cmocka_unit_test(a_data_set_knows_trajectories_returns_and_moments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
