/* test_verify.c — claims against made-up run files: each verdict reached, and only by the runs that may
 * serve. SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "synthetic.h"
#include "verify.h"

#define HEADING                                                                                    \
  "# a comment\n"                                                                                  \
  "id\tclaim\tquantity\tvalue\tdeviation\tunit\tcertainty\tsource\trule\tpaper\tfair\t"            \
  "paper_with\tmatch\tscale\tvary\texperiment\n"
#define SPEED                                                                                      \
  "speed\tfast\tspeed_up\t100\tnan\t1\tT\tsection 4.1\tat_least 0.5\tmingru_smallops / gru_loop\t" \
  "mingru / gru|gru_vendor\tmode=eager\tlength=512\tbatch=64 device=cuda\twidth=64|128\t-\n"
#define ACCURACY                                                                                   \
  "copy\tlearns\taccuracy\t96\t2.8\tpercent\tS\ttable 1\twithin 3\tmingru\t-\t-\t"                 \
  "task=selective_copy layers=3\tlength=4096 steps=1000\t-\tselective_copy_paper.cfg\n"

static mr_claims claims;
static mr_runset runs;
static mr_findings findings;

static mr_status read_claims(const char *text)
{
  return mr_claims_read(&claims, mr_test_file("claims.tsv", text, strlen(text)));
}

/* Judges the claims of the text against the folder's run files; returns row `i` of `n`. */
static const mr_finding *judge(const char *text, int i, int n)
{
  assert_ok(read_claims(text));
  assert_ok(mr_runset_read(&runs, mr_test_folder()));
  assert_int_equal(runs.n_problems, 0);
  assert_ok(mr_verify(&claims, &runs, &findings));
  assert_int_equal(findings.n, n);
  return &findings.finding[i];
}

static int tear_down(void **state)
{
  (void)state;
  mr_findings_free(&findings);
  mr_runset_free(&runs);
  mr_claims_free(&claims);
  mr_test_folder_remove();
  return 0;
}

/* A timing at the paper's scale. */
static fake_timing at_scale(const char *model, double ms)
{
  const fake_timing t = {.model = model,
                         .length = 512,
                         .batch = 64,
                         .width = 64,
                         .device = "cuda",
                         .step_ms = ms,
                         .spread = 1,
                         .megabytes = ms};
  return t;
}

static void put(const char *name, fake_timing t)
{
  fake_timing_write(name, &t);
}

/* All five models of SPEED at the paper's scale: its ratio and the fair one. */
static void put_all(double its, double fair)
{
  put("ours_small", at_scale("mingru_smallops", 2));
  put("loop", at_scale("gru_loop", 2 * its));
  put("ours", at_scale("mingru", 1));
  put("gru", at_scale("gru", 3 * fair));
  put("vendor", at_scale("gru_vendor", fair));
}

static bool near(double a, double b)
{
  return fabs(a - b) <= 1e-9 * fabs(b);
}

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

/* ---- What may serve -------------------------------------------------------------------------- */

static void only_complete_and_trusted_runs_serve(void **state)
{
  (void)state;
  put_all(90, 60);
  fake_timing t = at_scale("gru_loop", 0);
  t.status = MR_RUN_SKIPPED, t.reason = "needs 99 bytes where 9 are free";
  put("loop", t); /* in place of the complete one */
  const mr_finding *f = judge(HEADING SPEED, 0, 1);
  assert_int_equal(f->verdict, MR_NOT_RUN);
  assert_holds(f->reason, "gru_loop skipped: needs 99 bytes where 9 are free");
  t.status = MR_RUN_COMPLETE, t.step_ms = 180, t.reason = "memory off the plan";
  put("loop", t);
  mr_findings_free(&findings);
  mr_runset_free(&runs);
  mr_claims_free(&claims);
  f = judge(HEADING SPEED, 0, 1);
  assert_int_equal(f->verdict, MR_NOT_RUN);
  assert_holds(f->reason, "gru_loop mistrusted: memory off the plan");
}

static void runs_under_other_conditions_are_not_compared(void **state)
{
  (void)state;
  put_all(90, 60);
  fake_timing t = at_scale("gru_loop", 180);
  t.batch = 32;
  put("loop", t);
  mr_finding f = *judge(HEADING SPEED, 0, 1);
  assert_int_equal(f.verdict, MR_NOT_RUN);
  assert_false(f.paper.m.there);
  assert_holds(f.reason, "not under the same conditions");
}

static void the_papers_method_is_launched_op_by_op(void **state)
{
  (void)state;
  put_all(90, 60);
  fake_timing t = at_scale("gru_loop", 20);
  t.mode = "graph";
  put("loop", t);
  assert_int_equal(judge(HEADING SPEED, 0, 1)->verdict, MR_NOT_RUN);
}

static void memory_compares_the_planned_bytes_of_timed_steps(void **state)
{
  static const char text[] =
      HEADING "memory\tmore\tmemory_increase\t88\tnan\tpercent\tT\tx\twithin 20\tmingru_smallops / "
              "gru_loop\t"
              "mingru / gru|gru_vendor\t-\tlength=512\tbatch=64\twidth=64\t-\n";
  (void)state;
  put("a", at_scale("mingru_smallops", 190)), put("b", at_scale("gru_loop", 100));
  put("c", at_scale("mingru", 70)), put("d", at_scale("gru", 100));
  const mr_finding *f = judge(text, 0, 1);
  assert_true(near(f->paper.m.mid, 90) && near(f->fair.m.mid, -30));
  assert_int_equal(f->verdict, MR_METHOD_DEPENDENT);
}

static void seeds_are_averaged_with_their_deviation(void **state)
{
  (void)state;
  const double value[] = {0.94, 0.96, 0.98};
  for (int i = 0; i < 3; i++) {
    char name[32], words[128];
    snprintf(name, sizeof name, "seed%d", i);
    snprintf(words, sizeof words, "--model=mingru --layers=3 --length=4096 --seed=%d", i);
    fake_training_write(name, words, "test_accuracy_best", value[i]);
  }
  const mr_finding *f = judge(HEADING ACCURACY, 0, 1);
  assert_true(near(f->paper.m.mid, 96) && near(f->paper.m.low, 94) && near(f->paper.m.high, 98));
  assert_int_equal(f->verdict, MR_REPRODUCED);
}

static void times_of_inference_serve_claims_about_it(void **state)
{
  static const char text[] = HEADING
      "a\tx\tprefill_faster\t6.6\tnan\tpercent\tT\tx\twithin 5\tmingru / mamba\t-\t-\tbatch=8\t"
      "context=2048\t-\t-\n"
      "b\tx\tstep_faster\t19.6\tnan\tpercent\tT\tx\tat_least 0.5\tmingru / gru\t-\t-\tbatch=8\t"
      "context=2048\t-\t-\n";
  (void)state;
  fake_inference_write("m", "mingru", 8, 2048, 10, 1);
  fake_inference_write("a", "mamba", 8, 2048, 11, 3);
  fake_inference_write("g", "gru", 8, 2048, 90, 1.05);
  const mr_finding *f = judge(text, 0, 2);
  assert_true(near(f[0].paper.m.mid, 10));
  assert_int_equal(f[0].verdict, MR_REPRODUCED);
  assert_true(fabs(f[1].paper.m.mid - 5) < 1e-9);
  assert_int_equal(f[1].verdict, MR_NOT_REPRODUCED);
}

static void an_average_wants_every_part(void **state)
{
  static const char text[] =
      HEADING "mean\tx\tscore_average\t50\tnan\t1\tS\tx\twithin 3\tmingru\t-\t-\t"
              "task=selective_copy layers=1|2 conv=0|4\t-\t-\tx.cfg\n";
  static const char *const words[] = {"--layers=1 --conv=0", "--layers=1 --conv=4",
                                      "--layers=2 --conv=0 --width=128", "--layers=2 --conv=4"};
  const double value[] = {10, 20, 70, 108};
  (void)state;
  for (int n = 3; n <= 4; n++) {
    for (int i = 0; i < n; i++) {
      char name[32], all[128];
      snprintf(name, sizeof name, "part%d", i);
      snprintf(all, sizeof all, "--model=mingru %s", words[i]);
      fake_training_write(name, all, "test_score_best", value[i]);
    }
    if (n == 4) break;
    assert_int_equal(judge(text, 0, 1)->verdict, MR_NOT_RUN);
    assert_int_equal(tear_down(NULL), 0);
  }
  const mr_finding *f = judge(text, 0, 1);
  assert_true(near(f->paper.m.mid, 52));
  assert_int_equal(f->verdict, MR_REPRODUCED);
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
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
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
      TEST(only_complete_and_trusted_runs_serve),
      TEST(runs_under_other_conditions_are_not_compared),
      TEST(the_papers_method_is_launched_op_by_op),
      TEST(memory_compares_the_planned_bytes_of_timed_steps),
      TEST(seeds_are_averaged_with_their_deviation),
      TEST(times_of_inference_serve_claims_about_it),
      TEST(an_average_wants_every_part),
      TEST(parameters_are_counted_in_the_models),
      TEST(what_this_program_has_not_got_is_said),
      TEST(a_wrong_claims_file_is_refused_by_line),
      TEST(damaged_files_are_named_and_the_others_judged),
      TEST(the_projects_own_claims_can_be_judged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
