/* test_mujoco.c — HalfCheetah, Hopper and Walker2d pay, end and start as published, the same in every
 * thread. SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include "bodies.h"
#include "rng.h"

/* ---- Spaces, starts, rewards, ends ----------------------------------------------------------- */

static void the_spaces_and_reference_returns_are_the_published_ones(void **state)
{
  static const struct {
    int64_t obs, act, n;
    double low, high;
  } want[N_BODIES] = {{17, 6, 9, -280.178953, 12135.0},
                      {11, 3, 6, -20.272305, 3234.3},
                      {17, 6, 9, 1.629008, 4592.3}};
  (void)state;
  for (int k = 0; k < N_BODIES; k++) {
    mr_env *e = body_ready(k);
    const mr_env_spec s = body_spec(k, e);
    assert_string_equal(s.name, body_names[k]);
    assert_int_equal(strncmp(s.engine, "MuJoCo ", 7), 0);
    assert_true(s.obs == want[k].obs && s.act == want[k].act && s.horizon == 1000);
    assert_true(s.nq == want[k].n && s.nv == want[k].n);
    assert_true(s.low == want[k].low && s.high == want[k].high && s.scale == 1000);
    mr_env_find(body_names[k])->close(e);
  }
}

static void an_episode_starts_near_the_models_pose(void **state)
{
  enum { EPISODES = 200 };
  (void)state;
  for (int k = 0; k < N_BODIES; k++) {
    mr_env *e = body_ready(k);
    const mr_env_spec s = body_spec(k, e);
    const double noise = k == 0 ? 0.1 : 0.005;
    double obs[BODY_MOST], qpos[BODY_MOST], qvel[BODY_MOST], most_q = 0, most_v = 0, squares = 0;
    for (int episode = 0; episode < EPISODES; episode++) {
      mr_env_find(body_names[k])->reset(e, 5, (uint64_t)episode, obs);
      mr_env_find(body_names[k])->state(e, qpos, qvel);
      if (k > 0) qpos[1] -= 1.25; /* height of the torso */
      for (int64_t i = 0; i < s.nq; i++) {
        most_q = fmax(most_q, fabs(qpos[i])), most_v = fmax(most_v, fabs(qvel[i]));
        squares += qvel[i] * qvel[i] / (double)(EPISODES * s.nv);
      }
    }
    assert_true(most_q <= noise && most_q > 0.99 * noise);
    if (k > 0)
      assert_true(most_v <= noise && most_v > 0.99 * noise);
    else /* normal with deviation 0.1; 1800 draws tell it to 5 % */
      assert_true(most_v > 0.2 && fabs(sqrt(squares) - 0.1) < 0.005);
    mr_env_find(body_names[k])->close(e);
  }
}

static bool goes_on(int k, const double *qpos, const double *qvel)
{
  if (k == 0) return true;
  if (k == 2) return qpos[1] > 0.8 && qpos[1] < 2 && fabs(qpos[2]) < 1;
  bool yes = qpos[1] > 0.7 && fabs(qpos[2]) < 0.2;
  for (int i = 2; i < 6; i++) yes = yes && fabs(qpos[i]) < 100;
  for (int i = 0; i < 6; i++) yes = yes && fabs(qvel[i]) < 100;
  return yes;
}

/* What 20 episodes under random actions told. */
typedef struct told {
  int ends;
  double fastest; /* greatest |velocity| */
} told;

static told follow(int k, const char *assets)
{
  const mr_env_def *def = mr_env_find(body_names[k]);
  const double dt = k == 0 ? 0.05 : 0.008, alive = k == 0 ? 0 : 1, cost = k == 0 ? 0.1 : 0.001;
  double obs[BODY_MOST], act[BODY_MOST], qpos[BODY_MOST], qvel[BODY_MOST], reward;
  told seen = {0};
  mr_env *e = NULL;
  mr_rng r;
  assert_ok(body_open(&e, k, assets));
  const mr_env_spec s = body_spec(k, e);
  mr_rng_seek(&r, 9, MR_STREAM_ACTION, 0);
  for (uint64_t episode = 0; episode < 20; episode++) {
    bool terminal = false;
    def->reset(e, 9, episode, obs);
    for (int t = 0; t < 100 && !terminal; t++) {
      double effort = 0;
      def->state(e, qpos, qvel);
      const double x = qpos[0];
      for (int64_t i = 0; i < s.act; i++) {
        act[i] = 2 * mr_rng_uniform(&r) - 1;
        effort += act[i] * act[i];
      }
      def->step(e, act, obs, &reward, &terminal);
      def->state(e, qpos, qvel);
      const double want = (qpos[0] - x) / dt + alive - cost * effort;
      assert_close_double(&reward, &want, 1, 1e-12, 1e-12);
      assert_int_equal(terminal, !goes_on(k, qpos, qvel));
      seen.ends += terminal;
      for (int64_t i = 0; i < s.nv; i++) {
        seen.fastest = fmax(seen.fastest, fabs(qvel[i]));
        if (k > 0) qvel[i] = fmin(fmax(qvel[i], -10), 10);
      }
      assert_memory_equal(obs, qpos + 1, (size_t)(s.nq - 1) * sizeof *obs);
      assert_memory_equal(obs + s.nq - 1, qvel, (size_t)s.nv * sizeof *obs);
    }
  }
  def->close(e);
  return seen;
}

static void every_step_pays_shows_and_ends_by_the_published_equations(void **state)
{
  (void)state;
  assert_int_equal(follow(0, "").ends, 0);
  assert_int_equal(follow(1, "").ends, 20);
  const told walker = follow(2, "");
  assert_true(walker.ends == 20 && walker.fastest > 10); /* the cut has been seen */
}

/* A joint's ref is what it tells in the model's own pose, so poses near every bound can be had. */
static void an_episode_ends_just_beyond_each_bound(void **state)
{
  static const struct {
    const char *from, *to;
    int k, ends;
  } cases[] = {
      {"ref=\"1.25\"", "ref=\"0.72\"", 1, 0},
      {"ref=\"1.25\"", "ref=\"0.68\"", 1, 1},
      {"ref=\"1.25\"", "ref=\"50\"", 1, 0},
      {"\"rooty\"", "\"rooty\" ref=\"11\"" /* degrees */, 1, 0},
      {"\"rooty\"", "\"rooty\" ref=\"12\"", 1, 1},
      {"\"rooty\"", "\"rooty\" ref=\"-11\"", 1, 0},
      {"\"rooty\"", "\"rooty\" ref=\"-12\"", 1, 1},
      {"ref=\"1.25\"", "ref=\"0.82\"", 2, 0},
      {"ref=\"1.25\"", "ref=\"0.78\"", 2, 1},
      {"ref=\"1.25\"", "ref=\"1.98\"", 2, 0},
      {"ref=\"1.25\"", "ref=\"2.02\"", 2, 1},
      {"\"rooty\"", "\"rooty\" ref=\"56.5\"", 2, 0},
      {"\"rooty\"", "\"rooty\" ref=\"58\"", 2, 1},
      {"\"rooty\"", "\"rooty\" ref=\"-58\"", 2, 1},
      {"\"rootz\"", "\"rootz\" ref=\"1e6\"", 0, 0},
      {"\"rooty\"", "\"rooty\" ref=\"1e6\"" /* rad */, 0, 0},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const int k = cases[i].k;
    double obs[BODY_MOST], reward;
    const double act[BODY_MOST] = {0};
    bool terminal;
    mr_env *e = NULL;
    assert_ok(body_open(&e, k, body_changed(k, cases[i].from, cases[i].to)));
    mr_env_find(body_names[k])->reset(e, 1, 1, obs);
    mr_env_find(body_names[k])->step(e, act, obs, &reward, &terminal);
    if (terminal != cases[i].ends)
      fail_msg("%s with %s: terminal is %d", body_names[k], cases[i].to, terminal);
    mr_env_find(body_names[k])->close(e);
  }
  /* Motors strong enough for 100 rad/s, which ends Hopper alone. */
  assert_true(follow(1, body_changed(1, "gear=\"200\"", "gear=\"40000\"")).fastest > 100);
  assert_true(follow(2, body_changed(2, "gear=\"100\"", "gear=\"1000\"")).fastest > 100);
}

static void actions_beyond_one_are_cut(void **state)
{
  (void)state;
  for (int k = 0; k < N_BODIES; k++) {
    const mr_env_def *def = mr_env_find(body_names[k]);
    mr_env *e = body_ready(k);
    double obs[2][BODY_MOST], reward[2], act[BODY_MOST];
    bool terminal;
    for (int big = 0; big < 2; big++) {
      for (int i = 0; i < BODY_MOST; i++) act[i] = (i % 2 == 0 ? 1 : -1) * (big ? 1e300 : 1.0);
      def->reset(e, 1, 2, obs[big]);
      def->step(e, act, obs[big], &reward[big], &terminal);
    }
    assert_true(reward[0] == reward[1]);
    assert_memory_equal(obs[0], obs[1], (size_t)body_spec(k, e).obs * sizeof **obs);
    def->close(e);
  }
}

static void random_actions_earn_what_they_did_for_others(void **state)
{
  static const struct {
    int episodes;
    double mean, within;
  } want[N_BODIES] = {{40, -281, 25}, {400, 17, 5}, {400, 2.5, 2.5}};
  (void)state;
  for (int k = 0; k < N_BODIES; k++) {
    mr_env *e = body_ready(k);
    double sum = 0;
    for (int i = 0; i < want[k].episodes; i++) sum += body_play(k, e, 1, (uint64_t)i, 1000).sum;
    const double mean = sum / want[k].episodes;
    print_message("%s: mean return of random actions %.1f\n", body_names[k], mean);
    assert_true(fabs(mean - want[k].mean) < want[k].within);
    mr_env_find(body_names[k])->close(e);
  }
}

/* ---- The same numbers everywhere ------------------------------------------------------------- */

static void an_episode_depends_on_seed_number_and_actions_alone(void **state)
{
  (void)state;
  for (int k = 0; k < N_BODIES; k++) {
    mr_env *e = body_ready(k), *other = body_ready(k);
    const trace first = body_play(k, e, 3, 7, 200);
    const trace apart = body_play(k, e, 3, 8, 200), seeded = body_play(k, e, 4, 7, 200);
    assert_true(first.hash != apart.hash && first.hash != seeded.hash);
    assert_true(body_play(k, e, 3, 7, 200).hash == first.hash);
    assert_true(body_play(k, other, 3, 7, 200).hash == first.hash);
    mr_env_find(body_names[k])->close(e);
    assert_true(body_play(k, other, 3, 7, 200).hash == first.hash);
    mr_env_find(body_names[k])->close(other);
  }
}

/* What a thread's rounding and treatment of tiny numbers are must not matter. */
static void a_thread_with_other_arithmetic_simulates_the_same(void **state)
{
  (void)state;
  for (int k = 0; k < N_BODIES; k++) {
    mr_env *e = body_ready(k);
    double obs[2][BODY_MOST], act[BODY_MOST] = {0.3, -0.2, 0.9, 0.1, -0.7, 0.4}, reward;
    bool terminal;
    for (int up = 0; up < 2; up++) {
      mr_env_find(body_names[k])->reset(e, 1, 1, obs[up]);
      for (int t = 0; t < 10; t++) {
        assert_int_equal(fesetround(up ? FE_UPWARD : FE_TONEAREST), 0);
        mr_env_find(body_names[k])->step(e, act, obs[up], &reward, &terminal);
        assert_int_equal(fegetround(), up ? FE_UPWARD : FE_TONEAREST);
        assert_int_equal(fesetround(FE_TONEAREST), 0);
      }
    }
    assert_memory_equal(obs[0], obs[1], (size_t)body_spec(k, e).obs * sizeof **obs);
    mr_env_find(body_names[k])->close(e);
  }
}

enum { PARALLEL_EPISODES = 12 };
typedef struct half {
  int k, first;
  mr_status opened;
  trace *out;
} half;

static void *play_half(void *arg)
{
  const half *h = arg;
  mr_env *e = NULL;
  ((half *)arg)->opened = body_open(&e, h->k, "");
  if (h->opened != MR_OK) return NULL;
  for (int i = h->first; i < PARALLEL_EPISODES; i += 2)
    h->out[i] = body_play(h->k, e, 21, (uint64_t)i, 100);
  mr_env_find(body_names[h->k])->close(e);
  return NULL;
}

static void two_threads_play_what_one_does(void **state)
{
  (void)state;
  for (int k = 0; k < N_BODIES; k++) {
    trace alone[PARALLEL_EPISODES], both[PARALLEL_EPISODES] = {0};
    half h[2] = {{.k = k, .first = 0, .out = both}, {.k = k, .first = 1, .out = both}};
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
      assert_int_equal(pthread_create(&thread[i], NULL, play_half, &h[i]), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(thread[i], NULL), 0);
    mr_env *e = body_ready(k);
    for (int i = 0; i < PARALLEL_EPISODES; i++) {
      alone[i] = body_play(k, e, 21, (uint64_t)i, 100);
      assert_ok(h[i % 2].opened);
      assert_true(alone[i].hash == both[i].hash && alone[i].steps == both[i].steps);
    }
    mr_env_find(body_names[k])->close(e);
  }
}

/* ---- Without MuJoCo -------------------------------------------------------------------------- */

static void where_mujoco_is_missing_it_is_said_how_to_get_it(void **state)
{
  (void)state;
  for (int k = 0; k < N_BODIES; k++) {
    mr_env *e = NULL;
    if (bodies_here()) {
      assert_ok(body_open(&e, k, ""));
    } else {
      assert_fails(body_open(&e, k, ""), MR_ERR_IO, "libmujoco-dev");
      assert_holds(mr_error_message(), body_names[k]);
      assert_null(e);
    }
    mr_env_find(body_names[k])->close(e);
  }
}

int main(void)
{
  const struct CMUnitTest always[] = {
      cmocka_unit_test(where_mujoco_is_missing_it_is_said_how_to_get_it)};
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_spaces_and_reference_returns_are_the_published_ones),
      cmocka_unit_test(an_episode_starts_near_the_models_pose),
      cmocka_unit_test(every_step_pays_shows_and_ends_by_the_published_equations),
      cmocka_unit_test(an_episode_ends_just_beyond_each_bound),
      cmocka_unit_test(actions_beyond_one_are_cut),
      cmocka_unit_test(random_actions_earn_what_they_did_for_others),
      cmocka_unit_test(an_episode_depends_on_seed_number_and_actions_alone),
      cmocka_unit_test(a_thread_with_other_arithmetic_simulates_the_same),
      cmocka_unit_test(two_threads_play_what_one_does),
  };
  const int failed = cmocka_run_group_tests(always, NULL, NULL);
  if (failed != 0) return failed;
  if (!bodies_here()) return MR_TEST_SKIPPED;
  const int more = cmocka_run_group_tests(tests, NULL, NULL);
  mr_test_folder_remove();
  return more;
}
