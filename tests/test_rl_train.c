/* test_rl_train.c — training on offline_rl: what its run file holds, and that memory is what counts.
 * SPDX-License-Identifier: MIT */
/* labels: unit */
#include "runs.h"
#include <math.h>
#include <string.h>

static void maze_run(small_run *r, const char *name, int n, const char *const *more)
{
  const char *words[24] = {"--task=offline_rl",
                           "--length=0",
                           "--offline_rl.env=tmaze",
                           "--offline_rl.corridor=5",
                           "--offline_rl.start=first",
                           "--offline_rl.time=none",
                           "--offline_rl.window=6",
                           "--offline_rl.episodes=60",
                           "--mlp=gelu",
                           "--norm=layernorm",
                           "--batch=32",
                           "--width=16",
                           "--lr=1e-2"};
  int k = 13;
  for (int i = 0; i < n; i++) words[k++] = more[i];
  run_open(r, name, k, words);
}

static void a_run_file_tells_scores_and_data(void **state)
{
  (void)state;
  small_run r;
  mr_train_result result;
  mr_h5_table eval;
  double best = -INFINITY, best_step = 0;
  maze_run(&r, "tells", 0, NULL);
  assert_ok(run_train(&r, RUN_NEW, &result));
  assert_int_equal(result.n_metrics, 3);
  assert_string_equal(result.metric[0], "score");
  assert_string_equal(run_attr(r.path, "data", "generated"), "yes");
  assert_string_equal(run_attr(r.path, "data", "engine"), "built in");
  assert_holds(run_attr(r.path, "data", "origin"), "tmaze medium");
  assert_true(run_number(r.path, "data", "return_expert") == 1);
  assert_true(run_number(r.path, "data", "target") == 1);
  const double mean = run_number(r.path, "data", "return_mean");
  assert_true(mean > 0.7 && mean < 0.8);
  /* The best validation is that of the highest score, not of the lowest loss. */
  assert_ok(mr_h5_table_read(r.path, "eval", &eval));
  int score = 0;
  while (strcmp(eval.table.column[score].name, "score") != 0) score++;
  for (int64_t i = 0; i < eval.table.n_rows; i++) {
    const double *row = eval.table.cell + i * eval.table.n_columns;
    if (row[1] == 1 && row[score] > best) best = row[score], best_step = row[0];
  }
  assert_true(run_number(r.path, "result", "best_step") == best_step);
  assert_true(run_number(r.path, "result", "valid_score_best") == best);
  assert_true(run_number(r.path, "memory", "step_allocations") == 0);
  mr_h5_table_free(&eval);
  run_close(&r);
}

static void runs_repeat_to_the_bit(void **state)
{
  (void)state;
  static const char *const number[] = {"test_loss_last", "test_score_last", "test_return_best",
                                       "valid_loss_best"};
  small_run a, b;
  maze_run(&a, "first", 0, NULL);
  maze_run(&b, "second", 0, NULL);
  assert_ok(run_train(&a, RUN_NEW, NULL));
  assert_ok(run_train(&b, RUN_NEW, NULL));
  for (size_t i = 0; i < sizeof number / sizeof *number; i++)
    assert_true(run_number(a.path, "result", number[i]) == run_number(b.path, "result", number[i]));
  run_close(&a);
  run_close(&b);
}

/* Score of a short training; at chance it is 0 +- 100 / sqrt(60) = 13. */
static double score_of(const char *name, const char *model, const char *eval, const char *window)
{
  const char *more[] = {model, eval, window, "--steps=250", "--eval_every=250"};
  small_run r;
  mr_train_result result;
  maze_run(&r, name, 5, more);
  assert_ok(run_train(&r, RUN_NEW, &result));
  run_close(&r);
  print_message("  %s: %.1f\n", name, result.test_last[0]);
  return result.test_last[0];
}

static void what_remembers_finds_its_way_and_what_does_not_guesses(void **state)
{
  (void)state;
  const char *stream = "--offline_rl.eval=stream", *window = "--offline_rl.eval=window";
  const char *all = "--offline_rl.window=6", *part = "--offline_rl.window=4";
  assert_true(score_of("mingru", "--model=mingru", stream, all) > 90);
  assert_true(score_of("minlstm", "--model=minlstm", stream, all) > 90);
  assert_true(fabs(score_of("mlp", "--model=mlp", stream, all)) < 50);
  assert_true(fabs(score_of("transformer, window", "--model=transformer", window, part)) < 50);
  assert_true(score_of("transformer", "--model=transformer", window, all) > 90);
}

static int remove_folder(void **state)
{
  (void)state;
  mr_test_folder_remove();
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_file_tells_scores_and_data),
      cmocka_unit_test(runs_repeat_to_the_bit),
      cmocka_unit_test(what_remembers_finds_its_way_and_what_does_not_guesses),
  };
  return cmocka_run_group_tests(tests, NULL, remove_folder);
}
