/* test_verify_runs.c — claims against made-up run files: only those serve that may, and what of them is
 * averaged or left open. SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "judging.h"

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

static void unlike_trainings_are_not_averaged_as_if_they_were_seeds(void **state)
{
  static const struct {
    const char *other; /* settings of the run that is not like the others */
    double mid;        /* what the claim comes to                         */
  } of[] = {{"--selective_copy.data_tokens=2", 96},
            {"--expansion=3", 96},
            {"--lr=0.5", 96},
            {"--minlstm.form=log --seed=7", 96},
            {"--seed=7 --threads=2 --log_every=3", 68}}; /* a third seed: (95 + 97 + 12) / 3 */
  (void)state;
  for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
    char words[160];
    fake_training_write("seed1", "--model=mingru --layers=3 --seed=1", "test_accuracy_best", 0.95);
    fake_training_write("seed2", "--model=mingru --layers=3 --seed=2", "test_accuracy_best", 0.97);
    snprintf(words, sizeof words, "--model=mingru --layers=3 %s", of[i].other);
    fake_training_write("unlike", words, "test_accuracy_best", 0.12);
    assert_true(near(judge(HEADING ACCURACY, 0, 1)->paper.m.mid, of[i].mid));
    assert_int_equal(judge_no_more(NULL), 0);
  }
}

static void of_trainings_equally_near_the_one_with_the_most_seeds_serves(void **state)
{
  (void)state;
  fake_training_write("alone", "--model=mingru --layers=3 --lr=0.5", "test_accuracy_best", 0.12);
  fake_training_write("seed1", "--model=mingru --layers=3 --seed=1", "test_accuracy_best", 0.95);
  fake_training_write("seed2", "--model=mingru --layers=3 --seed=2", "test_accuracy_best", 0.97);
  assert_true(near(judge(HEADING ACCURACY, 0, 1)->paper.m.mid, 96));
}

#define STEPS                                                                                      \
  "step\tx\tbest_step\t500\tnan\tstep\tT\tx\tfactor 1.5\tmingru\t-\t-\ttask=shakespeare\t"         \
  "steps=1000\t-\tx\n"                                                                             \
  "ratio\tx\tstep_ratio\t2\tnan\t1\tT\tx\tat_least 0.8\tmingru / transformer\t-\t-\t"              \
  "task=shakespeare\tsteps=1000\t-\tx\n"

/* Verdicts on STEPS where both models trained for so many steps. */
static void judge_steps(int steps, double ours, double other, mr_ruling step, mr_ruling ratio)
{
  char words[128];
  snprintf(words, sizeof words, "--task=shakespeare --model=mingru --steps=%d", steps);
  fake_training_write("ours", words, "best_step", ours);
  snprintf(words, sizeof words, "--task=shakespeare --model=transformer --conv=4 --steps=%d",
           steps);
  fake_training_write("other", words, "best_step", other);
  const mr_finding *f = judge(HEADING STEPS, 0, 2);
  assert_int_equal(f[0].verdict, step);
  assert_int_equal(f[1].verdict, ratio);
  for (int i = 0; i < 2; i++)
    assert_string_equal(f[i].reason,
                        f[i].verdict == MR_UNDECIDED ? "still improving at the last step" : "");
  assert_int_equal(judge_no_more(NULL), 0);
}

static void a_lowest_loss_at_the_last_step_may_lie_anywhere_in_a_short_run(void **state)
{
  (void)state;
  judge_steps(600, 600, 600, MR_UNDECIDED, MR_UNDECIDED);
  judge_steps(100, 100, 50, MR_UNDECIDED, MR_UNDECIDED);
  judge_steps(600, 400, 500, MR_REPRODUCED, MR_NOT_REPRODUCED);
}

static void a_lowest_loss_at_the_last_step_of_a_long_run_lies_behind_it(void **state)
{
  (void)state;
  judge_steps(1000, 1000, 1000, MR_NOT_REPRODUCED, MR_UNDECIDED);
  judge_steps(1000, 500, 1000, MR_REPRODUCED, MR_REPRODUCED);
}

static void timings_with_options_of_the_model_serve_no_claim(void **state)
{
  (void)state;
  put_all(90, 60);
  fake_timing t = at_scale("gru_loop", 1);
  t.options = ":gru_loop.reset=before";
  put("loop_other", t);
  t = at_scale("mingru", 0.01);
  t.options = ":expansion=0.1";
  put("ours_other", t);
  const mr_finding *f = judge(HEADING SPEED, 0, 1);
  assert_true(near(f->paper.m.mid, 90) && near(f->fair.m.mid, 60));
  assert_int_equal(judge_no_more(NULL), 0);
  put("ours_other", t);
  f = judge(HEADING SPEED, 0, 1);
  assert_int_equal(f->verdict, MR_NOT_RUN);
  assert_holds(f->reason, "; mingru was run with further settings only; gru was not run");
}

static void options_that_the_claim_names_are_no_hindrance(void **state)
{
  static const char text[] =
      HEADING "a\tx\tspeed_up\t100\tnan\t1\tT\tx\tat_least 0.5\tmingru / gru\t-\t-\t"
              "length=512 selective_copy.data_tokens=16\t-\t-\t-\n";
  (void)state;
  fake_timing t = at_scale("mingru", 1);
  t.options = ":selective_copy.data_tokens=16";
  put("ours", t);
  t.model = "gru", t.step_ms = 70;
  put("gru", t);
  assert_true(near(judge(text, 0, 1)->paper.m.mid, 70));
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
    assert_int_equal(judge_no_more(NULL), 0);
  }
  const mr_finding *f = judge(text, 0, 1);
  assert_true(near(f->paper.m.mid, 52));
  assert_int_equal(f->verdict, MR_REPRODUCED);
}

#define SETS                                                                                       \
  "one\tx\tscore\t40\tnan\t1\tM\tx\twithin 3\tmingru\t-\t-\ttask=offline_rl "                      \
  "offline_rl.env=hopper "                                                                         \
  "offline_rl.data=medium\twidth=256 layers=3\t-\tx.cfg --width=256\n"                             \
  "mean\tx\tscore_average\t50\tnan\t1\tS\tx\twithin 3\tmingru\t-\t-\ttask=offline_rl "             \
  "offline_rl.env=hopper|walker2d offline_rl.data=medium|medium-replay\twidth=128 layers=3\t-\t"   \
  "x.cfg\n"

static void missing_parts_of_an_average_are_named_with_the_command_that_makes_them(void **state)
{
  (void)state;
  fake_training_write("part", "--task=offline_rl --offline_rl.env=walker2d --model=mingru",
                      "test_score_best", 40);
  const mr_finding *f = judge(HEADING SETS, 0, 2);
  assert_string_equal(f[1].reason, "mingru was not run on hopper medium, hopper medium-replay, "
                                   "walker2d medium-replay");
  assert_string_equal(f[1].command,
                      "for set in \"--offline_rl.env=hopper --offline_rl.data=medium --width=256\" "
                      "\"--offline_rl.env=hopper --offline_rl.data=medium-replay\" "
                      "\"--offline_rl.env=walker2d --offline_rl.data=medium-replay\"; do "
                      "build/minrnn train scripts/experiments/x.cfg --model=mingru $set; done");
}

static void parts_of_an_average_have_the_scale_of_their_own_claims(void **state)
{
  static const char *const set[] = {
      "--offline_rl.env=hopper --offline_rl.data=medium --width=256",
      "--offline_rl.env=walker2d --offline_rl.data=medium --width=128",
      "--offline_rl.env=hopper --offline_rl.data=medium-replay --width=128 --layers=2",
      "--offline_rl.env=walker2d --offline_rl.data=medium-replay --width=128"};
  (void)state;
  for (int i = 0; i < 4; i++) {
    char name[32], words[160];
    snprintf(name, sizeof name, "set%d", i);
    snprintf(words, sizeof words, "--task=offline_rl --model=mingru %s", set[i]);
    fake_training_write(name, words, "test_score_best", 50);
  }
  skip_first = true;
  const mr_finding *f = judge(HEADING SETS, 0, 1);
  assert_int_equal(f->verdict, MR_REPRODUCED);
  assert_string_equal(f->scale, "layers 2 instead of 3");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, judge_no_more)
  const struct CMUnitTest tests[] = {
      TEST(only_complete_and_trusted_runs_serve),
      TEST(runs_under_other_conditions_are_not_compared),
      TEST(the_papers_method_is_launched_op_by_op),
      TEST(memory_compares_the_planned_bytes_of_timed_steps),
      TEST(seeds_are_averaged_with_their_deviation),
      TEST(unlike_trainings_are_not_averaged_as_if_they_were_seeds),
      TEST(of_trainings_equally_near_the_one_with_the_most_seeds_serves),
      TEST(a_lowest_loss_at_the_last_step_may_lie_anywhere_in_a_short_run),
      TEST(a_lowest_loss_at_the_last_step_of_a_long_run_lies_behind_it),
      TEST(timings_with_options_of_the_model_serve_no_claim),
      TEST(options_that_the_claim_names_are_no_hindrance),
      TEST(times_of_inference_serve_claims_about_it),
      TEST(an_average_wants_every_part),
      TEST(missing_parts_of_an_average_are_named_with_the_command_that_makes_them),
      TEST(parts_of_an_average_have_the_scale_of_their_own_claims),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
