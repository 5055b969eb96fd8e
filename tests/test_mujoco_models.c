/* test_mujoco_models.c — our models move as Gymnasium's do, and a model or state that MuJoCo cannot
 * bear does not end the process. SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bodies.h"
#include "rng.h"

/* ---- Gymnasium's models ---------------------------------------------------------------------- */

/* GYMNASIUM_ASSETS, or where python3 finds the package; empty without either. */
static const char *gymnasium_assets(void)
{
  static char path[4096];
  const char *given = getenv("GYMNASIUM_ASSETS");
  path[0] = '\0';
  if (given != NULL) {
    snprintf(path, sizeof path, "%s", given);
    return path;
  }
  FILE *f =
      popen("python3 -c 'import importlib.util as u; s = u.find_spec(\"gymnasium\"); "
            "print(s.submodule_search_locations[0] + \"/envs/mujoco/assets\" if s else \"\")' "
            "2>/dev/null",
            "r");
  if (f == NULL) return path;
  if (fgets(path, sizeof path, f) == NULL) path[0] = '\0';
  path[strcspn(path, "\n")] = '\0';
  (void)pclose(f); /* without python3 the path is empty */
  return path;
}

/* States of both after each of 1000 steps, also when lying on the floor. */
static void our_models_move_as_gymnasiums_do(void **state)
{
  const char *assets = gymnasium_assets();
  (void)state;
  if (assets[0] == '\0') {
    print_message("no gymnasium for python3 and no GYMNASIUM_ASSETS: not compared\n");
    skip();
  }
  for (int k = 0; k < N_BODIES; k++) {
    const mr_env_def *def = mr_env_find(body_names[k]);
    mr_env *ours = body_ready(k), *theirs = NULL;
    assert_ok(body_open(&theirs, k, assets));
    const mr_env_spec s = body_spec(k, ours);
    double early = 0, late = 0;
    for (uint64_t episode = 0; episode < 3; episode++) {
      double obs[BODY_MOST], act[BODY_MOST], q[2][BODY_MOST], v[2][BODY_MOST], reward[2];
      bool terminal[2];
      mr_rng r;
      mr_rng_seek(&r, 1, MR_STREAM_ACTION, episode);
      def->reset(ours, 1, episode, obs);
      def->reset(theirs, 1, episode, obs);
      for (int t = 0; t < 1000; t++) {
        for (int64_t i = 0; i < s.act; i++) act[i] = 2 * mr_rng_uniform(&r) - 1;
        def->step(ours, act, obs, &reward[0], &terminal[0]);
        def->step(theirs, act, obs, &reward[1], &terminal[1]);
        def->state(ours, q[0], v[0]);
        def->state(theirs, q[1], v[1]);
        for (int64_t i = 0; i < s.nq; i++)
          late = fmax(late, fmax(fabs(q[0][i] - q[1][i]), fabs(v[0][i] - v[1][i])));
        assert_int_equal(terminal[0], terminal[1]);
        if (t < 100) early = fmax(early, late);
      }
    }
    print_message("%s: states differ from Gymnasium's model by %g in 100 steps, %g in 1000\n",
                  body_names[k], early, late);
    assert_true(early <= 1e-6);
    assert_true(late <= 1e-6);
    def->close(ours);
    def->close(theirs);
  }
}

/* ---- Bad models and bad states --------------------------------------------------------------- */

static void refused(int k, const char *folder, const char *word)
{
  mr_env *e = NULL;
  assert_fails(body_open(&e, k, folder), MR_ERR_CONFIG, word);
  assert_null(e);
  assert_null(strchr(mr_error_message(), '\n'));
}

static void a_folder_without_the_model_is_named(void **state)
{
  (void)state;
  refused(1, "/nowhere", "/nowhere");
  refused(1, "/nowhere", "hopper.xml");
}

static void a_model_that_cannot_be_used_is_refused_in_one_line(void **state)
{
  (void)state;
  const char *folder = body_changed(1, "<worldbody>", "<worldbody");
  refused(1, folder, "hopper.xml is no model for MuJoCo: ");
  mr_test_file("hopper.xml", "", 0);
  refused(1, folder, "hopper.xml is no model for MuJoCo: ");
  mr_test_file("hopper.xml", "\xff\xfe<mujoco/>", 11);
  refused(1, folder, "hopper.xml");
  refused(1, body_changed(1, "joint=\"foot\"", "joint=\"toe\""), "toe");
  refused(1, body_changed(1, "<motor joint=\"foot\"/>", ""),
          "2 controls, but hopper needs 6, 6 and 3");
  refused(2, body_changed(2, "<motor joint=\"foot\"/>", ""), "5 controls");
  refused(1, body_changed(1, "size=\"0.04 0.25\"", "size=\"nan 0.25\""), "hopper.xml");
}

/* With too little memory MuJoCo ends the process, unless it is kept from it: here while reading the
 * model, there in the middle of an episode, when more of the body comes to lie on the floor. */
static void an_error_inside_mujoco_ends_no_more_than_the_episode(void **state)
{
  const mr_env_def *def = mr_env_find("hopper");
  const double act[BODY_MOST] = {1};
  mr_env *e = body_ready(1);
  const bool old = strncmp(body_spec(1, e).engine, "MuJoCo 2.2", 10) == 0;
  char size[64];
  int lost = 0;
  (void)state;
  def->close(e);
  for (int i = 0; i < 60 && lost < 2; i++) {
    double obs[BODY_MOST], reward = NAN;
    snprintf(size, sizeof size, "<size %s=\"%d\"/><default>", old ? "nstack" : "memory",
             old ? 200 + 5 * i : 2000 + 500 * i);
    const mr_status st = body_open(&e, 1, body_changed(1, "<default>", size));
    assert_true(st == MR_OK || st == MR_ERR_CONFIG);
    if (i == 0) assert_fails(st, MR_ERR_CONFIG, "tack"); /* "stack overflow" */
    if (st != MR_OK) continue;
    for (uint64_t episode = 0; episode < 2; episode++) {
      bool terminal = false;
      def->reset(e, 1, episode, obs);
      for (int t = 0; t < 1000 && reward != 0; t++) def->step(e, act, obs, &reward, &terminal);
      lost += terminal && reward == 0;
      reward = NAN;
      for (int k = 0; k < 11; k++) assert_true(isfinite(obs[k]));
    }
    def->close(e);
  }
  assert_true(lost >= 2);
}

static void a_simulation_that_explodes_ends_its_episode(void **state)
{
  const mr_env_def *def = mr_env_find("hopper");
  mr_env *e = NULL;
  double obs[BODY_MOST], act[BODY_MOST] = {1, -1, 1}, reward = NAN;
  (void)state;
  assert_ok(body_open(&e, 1, body_changed(1, "gear=\"200\"", "gear=\"1e30\"")));
  def->reset(e, 1, 1, obs);
  for (int t = 0; t < 3; t++) {
    bool terminal = false;
    def->step(e, act, obs, &reward, &terminal);
    assert_true(terminal && reward == 0);
    for (int i = 0; i < 11; i++) assert_true(isfinite(obs[i]));
  }
  act[0] = act[1] = act[2] = 0;
  bool terminal = true;
  def->reset(e, 1, 1, obs); /* and the next one begins as if nothing had been */
  def->step(e, act, obs, &reward, &terminal);
  assert_true(!terminal && fabs(reward - 1) < 0.5);
  def->close(e);
}

static void an_action_that_is_no_number_ends_the_episode(void **state)
{
  (void)state;
  for (int k = 0; k < N_BODIES; k++) {
    const mr_env_def *def = mr_env_find(body_names[k]);
    mr_env *e = body_ready(k);
    double obs[BODY_MOST], act[BODY_MOST] = {0, NAN}, reward = NAN;
    bool terminal = false;
    const trace before = body_play(k, e, 1, 1, 20);
    def->reset(e, 1, 1, obs);
    def->step(e, act, obs, &reward, &terminal);
    assert_true(terminal && reward == 0);
    for (int64_t i = 0; i < body_spec(k, e).obs; i++) assert_true(isfinite(obs[i]));
    assert_true(body_play(k, e, 1, 1, 20).hash == before.hash);
    def->close(e);
  }
}

static void nothing_is_written_beside_the_program(void **state)
{
  (void)state;
  assert_int_not_equal(access("MUJOCO_LOG.TXT", F_OK), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(our_models_move_as_gymnasiums_do),
      cmocka_unit_test(a_folder_without_the_model_is_named),
      cmocka_unit_test(a_model_that_cannot_be_used_is_refused_in_one_line),
      cmocka_unit_test(an_error_inside_mujoco_ends_no_more_than_the_episode),
      cmocka_unit_test(a_simulation_that_explodes_ends_its_episode),
      cmocka_unit_test(an_action_that_is_no_number_ends_the_episode),
      cmocka_unit_test(nothing_is_written_beside_the_program),
  };
  if (!bodies_here()) return MR_TEST_SKIPPED;
  if (chdir(mr_test_folder()) != 0) return 1;
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  mr_test_folder_remove();
  return failed;
}
