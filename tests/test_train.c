/* test_train.c — what a training run promises: repeatable, whole, honest about failure.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "runs.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "mem.h"

static int tear_down(void **state)
{
  (void)state;
  mr_test_folder_remove();
  return 0;
}

/* Trains a run of that name and settings to its end. */
static void trained(small_run *r, const char *name, const char *setting, mr_train_result *result)
{
  run_open(r, name, setting != NULL, &setting);
  assert_ok(run_train(r, RUN_NEW, result));
}

static void close_both(small_run *a, small_run *b)
{
  run_close(a);
  run_close(b);
}

/* ---- Repeatable ----------------------------------------------------------------------------- */

static void two_runs_with_one_seed_give_identical_losses(void **state)
{
  small_run a, b;
  (void)state;
  trained(&a, "a", "--dropout=0.2", NULL);
  trained(&b, "b", "--dropout=0.2", NULL);
  assert_true(same_results(a.path, b.path));
  close_both(&a, &b);
}

static void two_runs_with_two_seeds_differ(void **state)
{
  small_run a, b;
  (void)state;
  trained(&a, "a", "--seed=1", NULL);
  trained(&b, "b", "--seed=2", NULL);
  assert_false(same_results(a.path, b.path));
  close_both(&a, &b);
}

/* Loss and gradient norm of step i in a run that logs every step. */
static void step_of(const char *path, int64_t i, double *loss, double *grad_norm)
{
  mr_h5_table t;
  assert_ok(mr_h5_table_read(path, "train", &t));
  assert_true(i < t.table.n_rows);
  *loss = t.table.cell[i * t.table.n_columns + 1];
  *grad_norm = t.table.cell[i * t.table.n_columns + 3];
  mr_h5_table_free(&t);
}

static void a_step_is_the_mean_of_its_micro_batches(void **state)
{
  /* A rate of 0 keeps the network; two steps of 16 then are the micro-batches of one of 32. */
  const char *halves[] = {"--lr=0", "--log_every=1", "--batch=16"};
  const char *both[] = {"--lr=0", "--log_every=1", "--batch=32", "--accum=2"};
  double loss[3], norm[3];
  small_run a, b;
  (void)state;
  run_open(&a, "a", 3, halves);
  run_open(&b, "b", 4, both);
  assert_ok(run_train(&a, RUN_NEW, NULL));
  assert_ok(run_train(&b, RUN_NEW, NULL));
  step_of(a.path, 0, &loss[0], &norm[0]);
  step_of(a.path, 1, &loss[1], &norm[1]);
  step_of(b.path, 0, &loss[2], &norm[2]);
  assert_true(fabs(loss[2] - (loss[0] + loss[1]) / 2) < 1e-5);
  /* Gradients of two random batches point nearly the same way at first: their mean is a little
   * shorter than either, not half as long (one lost) or twice (sum instead of mean). */
  double ratio = norm[2] / ((norm[0] + norm[1]) / 2);
  assert_true(ratio > 0.7 && ratio < 1.001);
  close_both(&a, &b);
}

static void a_validation_in_between_changes_no_later_step(void **state)
{
  small_run a, b;
  mr_train_result x, y;
  (void)state;
  trained(&a, "a", "--eval_every=2", &x);
  trained(&b, "b", "--eval_every=12", &y);
  assert_true(x.test_loss_last == y.test_loss_last);
  close_both(&a, &b);
}

static void steps_allocate_nothing(void **state)
{
  small_run r;
  (void)state;
  trained(&r, "r", "--log_every=1", NULL);
  assert_true(run_number(r.path, "/memory", "step_allocations") == 0);
  run_close(&r);
}

/* ---- Best and last -------------------------------------------------------------------------- */

/* Row of /eval with that step and split, loss into *loss. */
static bool eval_row(const char *path, int64_t step, mr_split split, double *loss)
{
  mr_h5_table e;
  bool found = false;
  assert_ok(mr_h5_table_read(path, "eval", &e));
  for (int64_t i = 0; i < e.table.n_rows; i++) {
    const double *row = e.table.cell + i * e.table.n_columns;
    if (row[0] != (double)step || row[1] != (double)split) continue;
    *loss = row[2];
    found = true;
  }
  mr_h5_table_free(&e);
  return found;
}

static void best_and_last_are_both_scored_on_the_test_split(void **state)
{
  small_run r;
  mr_train_result x;
  double loss;
  const char *wild[] = {"--lr=30", "--clip=0"};
  (void)state;
  run_open(&r, "r", 2, wild);
  assert_ok(run_train(&r, RUN_NEW, &x));
  /* A rate that spoils the network: the first validation stays the best. */
  assert_true(x.best_step < x.steps);
  assert_true(x.valid_loss_best < x.valid_loss_last);
  assert_true(x.test_loss_best != x.test_loss_last);
  assert_true(eval_row(r.path, x.best_step, MR_VALID, &loss) && loss == x.valid_loss_best);
  assert_true(eval_row(r.path, x.steps, MR_VALID, &loss) && loss == x.valid_loss_last);
  assert_true(eval_row(r.path, x.best_step, MR_TEST, &loss) && loss == x.test_loss_best);
  assert_true(eval_row(r.path, x.steps, MR_TEST, &loss) && loss == x.test_loss_last);
  run_close(&r);
}

static void a_run_of_no_steps_scores_the_initial_network(void **state)
{
  small_run r;
  mr_train_result x;
  (void)state;
  trained(&r, "r", "--steps=0", &x);
  assert_int_equal(x.steps, 0);
  assert_int_equal(x.best_step, 0);
  assert_true(x.test_loss_best == x.test_loss_last);
  run_close(&r);
}

static void a_run_may_start_from_the_parameters_of_another(void **state)
{
  small_run a, b;
  mr_train_result x, y;
  const char *settings[] = {"--steps=0", "--seed=1"};
  (void)state;
  trained(&a, "a", "--lr=0.01", &x);
  run_open(&b, "b", 2, settings);
  const mr_train_opts o = {.quiet = true, .init = a.last};
  assert_ok(mr_train(&b.config, &o, &y));
  assert_true(y.test_loss_last == x.test_loss_last);
  close_both(&a, &b);
}

static void a_run_stops_at_its_goal_and_says_so(void **state)
{
  small_run r;
  mr_train_result x;
  (void)state;
  trained(&r, "r", "--stop_loss=1000", &x);
  assert_int_equal(x.steps, 4);
  assert_string_equal(run_attr(r.path, "/", "status"), "complete");
  assert_holds(run_attr(r.path, "/", "reason"), "stop_loss=1000 after step 4");
  run_close(&r);
}

/* ---- Failure -------------------------------------------------------------------------------- */

static void a_non_finite_loss_names_the_step_and_keeps_the_file_as_failed(void **state)
{
  /* Decay of 1000 times the weight in every step: it overflows, and soon. */
  const char *wild[] = {"--lr=100", "--weight_decay=10", "--decay=all", "--clip=0", "--steps=100"};
  small_run r;
  char message[512];
  (void)state;
  run_open(&r, "r", 5, wild);
  assert_fails(run_train(&r, RUN_NEW, NULL), MR_ERR_NUMERIC, " at step ");
  snprintf(message, sizeof message, "%s", mr_error_message());
  assert_false(file_exists(r.part));
  assert_string_equal(run_attr(r.path, "/", "status"), "failed");
  assert_string_equal(run_attr(r.path, "/", "reason"), message);
  assert_fails(run_train(&r, RUN_RESUME, NULL), MR_ERR_CONFIG, "ended as failed");
  assert_fails(run_train(&r, RUN_NEW, NULL), MR_ERR_CONFIG, "--force");
  run_close(&r);
}

static void memory_that_runs_out_anywhere_is_one_clean_failure(void **state)
{
  small_run r;
  mr_status st;
  int64_t n = 0;
  (void)state;
  run_open(&r, "r", 0, NULL);
  do {
    mr_alloc_fail_at(++n);
    st = run_train(&r, RUN_FORCE, NULL);
    mr_alloc_fail_at(0);
    assert_true(st == MR_ERR_NOMEM || st == MR_OK);
  } while (st != MR_OK);
  assert_true(n > 100);
  assert_string_equal(run_attr(r.path, "/", "status"), "complete");
  run_close(&r);
}

static void wrong_use_fails(const char *setting, run_mode mode, const char *word)
{
  small_run r;
  run_open(&r, "r", setting != NULL, &setting);
  int before = folder_entries();
  assert_fails(run_train(&r, mode, NULL), MR_ERR_CONFIG, word);
  assert_int_equal(folder_entries(), before);
  run_close(&r);
}

static void existing_output_is_left_alone(void **state)
{
  small_run r;
  (void)state;
  trained(&r, "r", NULL, NULL);
  run_close(&r);
  wrong_use_fails(NULL, RUN_NEW, "exists already");
  wrong_use_fails("--seed=2", RUN_NEW, "exists already");
}

static void an_output_below_a_file_is_refused(void **state)
{
  char setting[600];
  (void)state;
  snprintf(setting, sizeof setting, "--out=%s/run.h5", mr_test_file("plain", "x", 1));
  wrong_use_fails(setting, RUN_NEW, "not a folder");
}

/* Starts a run "b" of `setting` from the checkpoint of run "a" or from `file`. */
static void init_fails(const char *setting, const char *file, const char *word)
{
  small_run b;
  mr_train_result x;
  const mr_train_opts o = {.quiet = true, .init = file};
  run_open(&b, "b", setting != NULL, &setting);
  int before = folder_entries();
  assert_fails(mr_train(&b.config, &o, &x), MR_ERR_CONFIG, word);
  assert_int_equal(folder_entries(), before);
  run_close(&b);
}

static void a_checkpoint_of_another_network_is_refused(void **state)
{
  small_run a;
  (void)state;
  trained(&a, "a", NULL, NULL);
  init_fails("--model=gru", a.last, "another network");
  init_fails("--layers=2", a.last, "another network");
  init_fails("--width=16", a.last, "another network");
  run_close(&a);
}

static void a_missing_or_damaged_checkpoint_is_refused(void **state)
{
  char path[600];
  (void)state;
  snprintf(path, sizeof path, "%s/missing.ckpt", mr_test_folder());
  init_fails(NULL, path, "missing.ckpt");
  init_fails(NULL, mr_test_file("damaged.ckpt", "no checkpoint", 13), "damaged.ckpt");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(two_runs_with_one_seed_give_identical_losses, tear_down),
      cmocka_unit_test_teardown(two_runs_with_two_seeds_differ, tear_down),
      cmocka_unit_test_teardown(a_step_is_the_mean_of_its_micro_batches, tear_down),
      cmocka_unit_test_teardown(a_validation_in_between_changes_no_later_step, tear_down),
      cmocka_unit_test_teardown(steps_allocate_nothing, tear_down),
      cmocka_unit_test_teardown(best_and_last_are_both_scored_on_the_test_split, tear_down),
      cmocka_unit_test_teardown(a_run_of_no_steps_scores_the_initial_network, tear_down),
      cmocka_unit_test_teardown(a_run_may_start_from_the_parameters_of_another, tear_down),
      cmocka_unit_test_teardown(a_run_stops_at_its_goal_and_says_so, tear_down),
      cmocka_unit_test_teardown(a_non_finite_loss_names_the_step_and_keeps_the_file_as_failed,
                                tear_down),
      cmocka_unit_test_teardown(memory_that_runs_out_anywhere_is_one_clean_failure, tear_down),
      cmocka_unit_test_teardown(existing_output_is_left_alone, tear_down),
      cmocka_unit_test_teardown(an_output_below_a_file_is_refused, tear_down),
      cmocka_unit_test_teardown(a_checkpoint_of_another_network_is_refused, tear_down),
      cmocka_unit_test_teardown(a_missing_or_damaged_checkpoint_is_refused, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
