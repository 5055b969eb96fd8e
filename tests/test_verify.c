/* test_verify.c — claims against made-up run files: each verdict reached, scales and bad input.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "judging.h"

/* ---- Verdicts -------------------------------------------------------------------------------- */

static void both_methods_in_the_band_are_a_reproduction(void **state)
{
  (void)state;
  put_all(90, 60);
  const mr_finding *f = judge(HEADING SPEED, 0, 1);
  assert_int_equal(f->verdict, MR_REPRODUCED);
  assert_true(mr_full_scale(f));
  assert_true(near(f->paper.m.mid, 90) && near(f->fair.m.mid, 60));
  assert_true(f->paper.m.low < 90 && f->paper.m.high > 90);
  assert_string_equal(f->paper.models, "mingru_smallops / gru_loop");
  assert_string_equal(f->fair.models, "mingru / gru_vendor"); /* the faster reference */
  assert_string_equal(f->setting, "width 64");
  assert_string_equal(f->machine, "Test GPU");
  assert_string_equal(f->command, "");
}

static void a_claim_that_holds_for_the_papers_method_alone_depends_on_it(void **state)
{
  (void)state;
  put_all(90, 8);
  assert_int_equal(judge(HEADING SPEED, 0, 1)->verdict, MR_METHOD_DEPENDENT);
}

static void a_claim_that_holds_for_neither_is_not_reproduced(void **state)
{
  (void)state;
  put_all(20, 8);
  assert_int_equal(judge(HEADING SPEED, 0, 1)->verdict, MR_NOT_REPRODUCED);
}

static void a_ratio_at_the_threshold_within_its_noise_is_undecided(void **state)
{
  (void)state;
  put_all(50.1, 60);
  assert_int_equal(judge(HEADING SPEED, 0, 1)->verdict, MR_UNDECIDED);
}

static void a_ratio_beyond_the_threshold_by_more_than_its_noise_is_decided(void **state)
{
  (void)state;
  put_all(51, 60); /* quartiles lie half a percent from each median */
  assert_int_equal(judge(HEADING SPEED, 0, 1)->verdict, MR_REPRODUCED);
}

static void without_runs_the_command_that_would_make_them_is_told(void **state)
{
  (void)state;
  const mr_finding *f = judge(HEADING SPEED ACCURACY, 0, 2);
  assert_int_equal(f->verdict, MR_NOT_RUN);
  assert_holds(f->reason, "gru_loop was not run");
  assert_string_equal(f->command,
                      "build/minrnn bench --model=mingru_smallops,gru_loop,mingru,gru,gru_vendor "
                      "--length=512 --width=64,128 --batch=64 --device=cuda --graph=0,1 "
                      "--out=results/runs/claims");
  f = &findings.finding[1];
  assert_int_equal(f->verdict, MR_NOT_RUN);
  assert_string_equal(f->command, "build/minrnn train scripts/experiments/selective_copy_paper.cfg "
                                  "--model=mingru --task=selective_copy --layers=3");
}

static void one_method_alone_is_no_verdict(void **state)
{
  (void)state;
  put("ours", at_scale("mingru", 1));
  put("gru", at_scale("gru", 70));
  const mr_finding *f = judge(HEADING SPEED, 0, 1);
  assert_int_equal(f->verdict, MR_NOT_RUN);
  assert_true(near(f->fair.m.mid, 70));
  assert_string_equal(f->reason, "mingru_smallops was not run; gru_loop was not run");
  assert_holds(f->command, "--model=mingru_smallops,gru_loop ");
  assert_holds(f->command, " --graph=0 ");
}

/* ---- Scale ----------------------------------------------------------------------------------- */

static void at_reduced_scale_the_differences_are_told(void **state)
{
  (void)state;
  const char *const model[] = {"mingru_smallops", "gru_loop", "mingru", "gru"};
  const double ms[] = {2, 180, 1, 60};
  for (int i = 0; i < 4; i++) {
    fake_timing t = at_scale(model[i], ms[i]);
    t.batch = 4, t.device = "cpu";
    put(model[i], t);
  }
  const mr_finding *f = judge(HEADING SPEED, 0, 1);
  assert_int_equal(f->verdict, MR_REPRODUCED);
  assert_false(mr_full_scale(f));
  assert_string_equal(f->scale, "batch 4 instead of 64; device cpu instead of cuda");
  assert_string_equal(mr_ruling_text(f->verdict, mr_full_scale(f)), "holds at reduced scale");
  assert_string_equal(f->machine, "Test CPU, 2 threads");
}

static void the_runs_nearest_to_the_papers_scale_serve(void **state)
{
  (void)state;
  fake_training_write("small", "--model=mingru --layers=3 --length=64 --steps=100",
                      "test_accuracy_best", 0.10);
  fake_training_write("middle", "--model=mingru --layers=3 --length=2048 --steps=1000",
                      "test_accuracy_best", 0.95);
  fake_training_write("other", "--model=mingru --layers=2 --length=4096 --steps=1000",
                      "test_accuracy_best", 0.20);
  const mr_finding *f = judge(HEADING ACCURACY, 0, 1);
  assert_true(near(f->paper.m.mid, 95));
  assert_string_equal(f->scale, "length 2048 instead of 4096");
  assert_int_equal(f->fair.answer, MR_ANSWER_UNUSED);
}

static void what_the_paper_leaves_open_makes_a_row_for_each_setting(void **state)
{
  (void)state;
  put_all(90, 60);
  const char *const model[] = {"mingru_smallops", "gru_loop", "mingru", "gru"};
  for (int i = 0; i < 4; i++) {
    fake_timing t = at_scale(model[i], 1);
    char name[64];
    t.width = 128;
    snprintf(name, sizeof name, "wide_%s", model[i]);
    put(name, t);
  }
  const mr_finding *f = judge(HEADING SPEED, 0, 2);
  const int narrow = strcmp(f->setting, "width 64") == 0 ? 0 : 1;
  assert_int_equal(findings.finding[narrow].verdict, MR_REPRODUCED);
  assert_string_equal(findings.finding[1 - narrow].setting, "width 128");
  assert_int_equal(findings.finding[1 - narrow].verdict, MR_NOT_REPRODUCED);
}

/* ---- What needs no runs ---------------------------------------------------------------------- */

static void parameters_are_counted_in_the_models(void **state)
{
  static const char text[] =
      HEADING "share\tx\tparameter_share\t22.2222\tnan\tpercent\tI\tx\twithin 0.001\tmingru / gru\t"
              "mingru / gru\t-\texpansion=2 width=8\t-\t-\t-\n";
  const double D = 8, H = 16;
  (void)state;
  const mr_finding *f = judge(text, 0, 1);
  assert_true(near(f->paper.m.mid, 100 * 2 * H * D / (3 * H * (D + H))));
  /* Both with down-projection, biases and initial state. */
  const double ours = 2 * H * D + 2 * H + H * D + D + H;
  const double gru = 3 * H * D + 3 * H + 3 * H * H + 3 * H + H * D + D + H;
  assert_true(near(f->fair.m.mid, 100 * ours / gru));
  assert_int_equal(f->verdict, MR_METHOD_DEPENDENT);
}

static void what_this_program_has_not_got_is_said(void **state)
{
  static const char text[] = HEADING
      "a\tx\taccuracy\t18\tnan\tpercent\tV\tx\twithin "
      "1\thyena\t-\t-\ttask=selective_copy\t-\t-\tx\n"
      "b\tx\taccuracy\t18\tnan\tpercent\tM\tx\twithin 1\tmingru\t-\t-\ttask=go_fishing\t-\t-\tx\n";
  (void)state;
  const mr_finding *f = judge(text, 0, 2);
  assert_string_equal(f[0].reason, "this program has no model hyena");
  assert_string_equal(f[0].command, "");
  assert_string_equal(f[1].reason, "this program has no task go_fishing");
  assert_string_equal(f[1].command, "");
}

/* ---- Bad input ------------------------------------------------------------------------------- */

static void a_wrong_claims_file_is_refused_by_line(void **state)
{
  static const char *const wrong[][2] = {
      {"", "holds no claims"},
      {"# only a comment\n", "holds no claims"},
      {"id\tclaim\n", "line 1: there are 2 columns"},
      {HEADING "a\tb\n", "line 3: there are 2 columns"},
      {HEADING SPEED SPEED, "line 4: the id speed stands there twice"},
  };
  static const char *const cell[][3] = {
      /* taken out of SPEED, put in, said of it */
      {"speed_up", "cheapness", "there is no quantity cheapness"},
      {"\t100\t", "\tmany\t", "value is \"many\""},
      {"\tT\t", "\tQ\t", "certainty is \"Q\""},
      {"at_least 0.5", "at most 3", "rule is \"at most 3\""},
      {"mingru_smallops / gru_loop", "mingru_smallops", "paper is \"mingru_smallops\""},
      {"length=512", "length", "match holds \"length\""},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_fails(read_claims(wrong[i][0]), MR_ERR_CONFIG, wrong[i][1]);
  for (size_t i = 0; i < sizeof cell / sizeof *cell; i++) {
    char text[2048], line[1024];
    const char *at = strstr(SPEED, cell[i][0]);
    assert_non_null(at);
    snprintf(line, sizeof line, "%.*s%s%s", (int)(at - SPEED), SPEED, cell[i][1],
             at + strlen(cell[i][0]));
    snprintf(text, sizeof text, "%s%s", HEADING, line);
    assert_fails(read_claims(text), MR_ERR_CONFIG, cell[i][2]);
  }
  assert_fails(mr_claims_read(&claims, "missing.tsv"), MR_ERR_IO, "missing.tsv cannot be read");
}

static void damaged_files_are_named_and_the_others_judged(void **state)
{
  (void)state;
  put_all(90, 60);
  fake_damaged_write("broken");
  (void)mr_test_file("text.h5", "no HDF5", 7);
  assert_ok(read_claims(HEADING SPEED));
  assert_ok(mr_runset_read(&runs, mr_test_folder()));
  assert_int_equal(runs.n, 5);
  assert_int_equal(runs.n_problems, 2);
  assert_holds(runs.problem[0], "broken.h5");
  assert_holds(runs.problem[1], "text.h5");
  assert_ok(mr_verify(&claims, &runs, &findings));
  assert_int_equal(findings.finding[0].verdict, MR_REPRODUCED);
  mr_runset none = {.n = 0};
  assert_fails(mr_runset_read(&none, "no/such/folder"), MR_ERR_IO, "no/such/folder");
  mr_runset_free(&none);
}

static void the_projects_own_claims_can_be_judged(void **state)
{
  char path[600];
  const char *root = getenv("MINRNN_SOURCE_DIR");
  (void)state;
  snprintf(path, sizeof path, "%s/results/paper/claims.tsv", root != NULL ? root : ".");
  assert_ok(mr_claims_read(&claims, path));
  assert_true(claims.n > 50);
  assert_ok(mr_verify(&claims, &runs, &findings));
  assert_true(findings.n == claims.n);
  for (int i = 0; i < findings.n; i++) {
    const mr_finding *f = &findings.finding[i];
    const bool counted = strcmp(f->claim->quantity->name, "parameter_share") == 0;
    assert_int_equal(f->verdict == MR_NOT_RUN, !counted);
    if (!counted) assert_true(f->reason[0] != '\0');
    if (strncmp(f->reason, "this program has no", 19) != 0 && !counted)
      assert_holds(f->command, "build/minrnn ");
  }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, judge_no_more)
  const struct CMUnitTest tests[] = {
      TEST(both_methods_in_the_band_are_a_reproduction),
      TEST(a_claim_that_holds_for_the_papers_method_alone_depends_on_it),
      TEST(a_claim_that_holds_for_neither_is_not_reproduced),
      TEST(a_ratio_at_the_threshold_within_its_noise_is_undecided),
      TEST(a_ratio_beyond_the_threshold_by_more_than_its_noise_is_decided),
      TEST(without_runs_the_command_that_would_make_them_is_told),
      TEST(one_method_alone_is_no_verdict),
      TEST(at_reduced_scale_the_differences_are_told),
      TEST(the_runs_nearest_to_the_papers_scale_serve),
      TEST(what_the_paper_leaves_open_makes_a_row_for_each_setting),
      TEST(parameters_are_counted_in_the_models),
      TEST(what_this_program_has_not_got_is_said),
      TEST(a_wrong_claims_file_is_refused_by_line),
      TEST(damaged_files_are_named_and_the_others_judged),
      TEST(the_projects_own_claims_can_be_judged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
