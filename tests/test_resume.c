/* test_resume.c — what going on with a run promises: the same run, or one sentence why not.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "runs.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "h5file.h"
#include "train_impl.h"

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

static void wrong_use_fails(const char *setting, run_mode mode, const char *word)
{
  small_run r;
  run_open(&r, "r", setting != NULL, &setting);
  int before = folder_entries();
  assert_fails(run_train(&r, mode, NULL), MR_ERR_CONFIG, word);
  assert_int_equal(folder_entries(), before);
  run_close(&r);
}

static void a_run_that_is_complete_is_not_run_again(void **state)
{
  small_run r;
  mr_train_result first, again;
  struct stat before, after;
  (void)state;
  trained(&r, "r", NULL, &first);
  assert_int_equal(stat(r.path, &before), 0);
  assert_ok(run_train(&r, RUN_RESUME, &again));
  assert_int_equal(stat(r.path, &after), 0);
  assert_int_equal(before.st_ino, after.st_ino);
  assert_true(again.test_loss_best == first.test_loss_best && again.steps == first.steps);
  assert_true(again.test_best[0] == first.test_best[0]);
  run_close(&r);
}

static void there_must_be_something_to_resume(void **state)
{
  (void)state;
  wrong_use_fails(NULL, RUN_RESUME, "nothing to resume");
}

/* What a run killed in its last moment leaves: all but the run file. */
static void leave_unfinished(small_run *r, const char *setting)
{
  trained(r, "r", setting, NULL);
  assert_int_equal(rename(r->path, r->part), 0);
}

static void a_resumed_run_keeps_its_settings(void **state)
{
  small_run r;
  (void)state;
  leave_unfinished(&r, NULL);
  run_close(&r);
  wrong_use_fails("--lr=0.5", RUN_RESUME, "lr was 0.001 when the run began and is 0.5 now");
  wrong_use_fails("--model=gru", RUN_RESUME, "model was mingru when the run began and is gru now");
  wrong_use_fails("--selective_copy.data_tokens=3", RUN_RESUME, "data_tokens was 2");
  wrong_use_fails("--steps=8", RUN_RESUME, "steps was 12");
}

static void a_resumed_run_may_grow_longer(void **state)
{
  const char *longer[] = {"--steps=24", "--log_every=4"};
  small_run r, more, whole;
  (void)state;
  leave_unfinished(&r, NULL);
  run_open(&more, "r", 2, longer);
  run_open(&whole, "whole", 2, longer);
  assert_ok(run_train(&more, RUN_RESUME, NULL));
  assert_ok(run_train(&whole, RUN_NEW, NULL));
  assert_true(same_results(more.path, whole.path));
  run_close(&r);
  close_both(&more, &whole);
}

static void a_schedule_that_depends_on_the_length_cannot_grow(void **state)
{
  const char *longer[] = {"--schedule=cosine", "--steps=24"};
  small_run r, more;
  (void)state;
  leave_unfinished(&r, "--schedule=cosine");
  run_open(&more, "r", 2, longer);
  assert_fails(run_train(&more, RUN_RESUME, NULL), MR_ERR_CONFIG, "schedule=cosine");
  close_both(&r, &more);
}

/* Writes a file that tells these settings and no others. */
static void write_settings(const char *path, int n, const char *const (*setting)[2])
{
  char tmp[700];
  hid_t file = -1, config = -1;
  snprintf(tmp, sizeof tmp, "%s.tmp", path);
  assert_ok(mr_h5_begin(&file, path));
  assert_ok(mr_h5_group(file, path, "config", &config));
  for (int i = 0; i < n; i++) assert_ok(mr_h5_put_text(config, path, setting[i][0], setting[i][1]));
  assert_ok(mr_h5_drop(config, MR_OK, path));
  assert_ok(mr_h5_commit(file, tmp, path));
  mr_h5_close(file);
}

/* Compares the settings of a run with those in the file. */
static mr_status compared(const char *path, const char *setting)
{
  mr_config c;
  assert_ok(mr_run_config(&c, NULL, setting != NULL, &setting));
  mr_status st = mr_check_same_config(&c, path);
  mr_config_free(&c);
  return st;
}

static void a_setting_that_is_newer_than_the_run_had_its_default(void **state)
{
  static const char *const old[][2] = {{"task", "selective_copy"}, {"model", "mingru"}};
  char path[600];
  (void)state;
  snprintf(path, sizeof path, "%s/old.ckpt", mr_test_folder());
  write_settings(path, 2, old);
  assert_ok(compared(path, NULL));
  assert_ok(compared(path, "--lr=0.00100"));
  assert_fails(compared(path, "--lr=0.5"), MR_ERR_CONFIG, "lr was 1e-3");
}

static void options_of_other_models_do_not_count(void **state)
{
  static const char *const old[][2] = {
      {"task", "selective_copy"}, {"model", "mingru"}, {"gru.reset", "before"}};
  char path[600];
  (void)state;
  snprintf(path, sizeof path, "%s/old.ckpt", mr_test_folder());
  write_settings(path, 3, old);
  assert_ok(compared(path, "--gru.reset=after"));
  assert_ok(compared(path, "--gru.reset=before"));
  assert_ok(compared(path, "--mingru.form=linear"));
  assert_fails(compared(path, "--mingru.form=log"), MR_ERR_CONFIG, "mingru.form was linear");
}

static void whole_numbers_are_compared_to_the_last_digit(void **state)
{
  static const char *const old[][2] = {
      {"task", "selective_copy"}, {"model", "mingru"}, {"seed", "9007199254740992"}};
  char path[600];
  (void)state;
  snprintf(path, sizeof path, "%s/old.ckpt", mr_test_folder());
  write_settings(path, 3, old);
  assert_ok(compared(path, "--seed=9007199254740992"));
  assert_fails(compared(path, "--seed=9007199254740993"), MR_ERR_CONFIG, "seed was");
}

static void a_complete_run_does_not_grow_unless_it_had_met_its_goal(void **state)
{
  const char *longer[] = {"--steps=24", "--stop_loss=1000"};
  small_run r, goal, more;
  mr_train_result x;
  (void)state;
  trained(&r, "r", NULL, NULL);
  run_close(&r);
  wrong_use_fails("--steps=24", RUN_RESUME,
                  "complete after 12 steps and steps is 24 now: give --force");
  trained(&goal, "goal", "--stop_loss=1000", NULL);
  run_open(&more, "goal", 2, longer);
  assert_ok(run_train(&more, RUN_RESUME, &x));
  assert_int_equal(x.steps, 4);
  close_both(&goal, &more);
}

static void a_resumed_run_starts_from_the_same_parameters_again(void **state)
{
  small_run a, whole, r;
  mr_train_result x;
  (void)state;
  trained(&a, "a", "--lr=0.01", NULL);
  const mr_train_opts from_a = {.quiet = true, .init = a.last, .command = "first"};
  const mr_train_opts from_b = {.quiet = true, .init = a.best, .resume = true};
  run_open(&whole, "whole", 0, NULL);
  run_open(&r, "r", 0, NULL);
  assert_ok(mr_train(&whole.config, &from_a, &x));
  assert_ok(mr_train(&r.config, &from_a, &x));
  assert_string_equal(run_attr(r.path, "/", "init"), a.last);
  /* As if killed before the first checkpoint. */
  assert_int_equal(rename(r.path, r.part), 0);
  assert_int_equal(unlink(r.last), 0);
  assert_fails(mr_train(&r.config, &from_b, &x), MR_ERR_CONFIG, "init was");
  assert_ok(run_train(&r, RUN_RESUME, &x));
  assert_true(same_results(whole.path, r.path));
  assert_string_equal(run_attr(r.path, "/", "init"), a.last);
  assert_string_equal(run_attr(r.path, "/", "command"), "first");
  assert_string_equal(run_attr(r.path, "/", "resumed"), "minrnn train");
  assert_int_equal(rename(r.path, r.part), 0);
  /* A checkpoint stands for all that was before it. */
  assert_int_equal(unlink(a.last), 0);
  assert_ok(run_train(&r, RUN_RESUME, &x));
  assert_true(same_results(whole.path, r.path));
  assert_string_equal(run_attr(r.path, "/", "command"), "first");
  assert_int_equal(rename(r.path, r.part), 0);
  assert_int_equal(unlink(r.last), 0);
  assert_fails(run_train(&r, RUN_RESUME, &x), MR_ERR_CONFIG, "a.last.ckpt");
  run_close(&a);
  close_both(&whole, &r);
}

static void a_resumed_run_keeps_its_number_of_threads(void **state)
{
  small_run r;
  (void)state;
  leave_unfinished(&r, NULL);
  run_close(&r);
  wrong_use_fails("--threads=2", RUN_RESUME,
                  "began with 1 threads and would go on with 2: give --threads=1");
}

static void two_processes_do_not_train_into_one_run(void **state)
{
  small_run r;
  char path[600];
  (void)state;
  leave_unfinished(&r, NULL);
  snprintf(path, sizeof path, "%s.lock", r.path);
  int fd = open(path, O_RDWR | O_CREAT, 0600);
  assert_true(fd >= 0);
  assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
  run_close(&r);
  wrong_use_fails(NULL, RUN_RESUME, "another process is training into this run");
  wrong_use_fails(NULL, RUN_FORCE, "another process is training into this run");
  /* What a killed process leaves is no obstacle, and is tidied away. */
  assert_int_equal(close(fd), 0);
  run_open(&r, "r", 0, NULL);
  assert_ok(run_train(&r, RUN_RESUME, NULL));
  assert_false(file_exists(path));
  run_close(&r);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(a_run_that_is_complete_is_not_run_again, tear_down),
      cmocka_unit_test_teardown(there_must_be_something_to_resume, tear_down),
      cmocka_unit_test_teardown(a_resumed_run_keeps_its_settings, tear_down),
      cmocka_unit_test_teardown(a_resumed_run_may_grow_longer, tear_down),
      cmocka_unit_test_teardown(a_schedule_that_depends_on_the_length_cannot_grow, tear_down),
      cmocka_unit_test_teardown(a_setting_that_is_newer_than_the_run_had_its_default, tear_down),
      cmocka_unit_test_teardown(options_of_other_models_do_not_count, tear_down),
      cmocka_unit_test_teardown(whole_numbers_are_compared_to_the_last_digit, tear_down),
      cmocka_unit_test_teardown(a_complete_run_does_not_grow_unless_it_had_met_its_goal, tear_down),
      cmocka_unit_test_teardown(a_resumed_run_starts_from_the_same_parameters_again, tear_down),
      cmocka_unit_test_teardown(a_resumed_run_keeps_its_number_of_threads, tear_down),
      cmocka_unit_test_teardown(two_processes_do_not_train_into_one_run, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
