/* test_train_crash.c — kills training at every touch of the disk and stops it by signals: what is
 * resumed must end as if nothing had happened. SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "runs.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The program's calls that change the disk, counted ------------------------------------- */

static int touches;       /* so far                                          */
static int signal_touch;  /* at which one to raise; 0: never                 */
static int signal_number; /* what                                            */
static bool signal_after; /* behind the call, not in front of it             */

static void touch(bool after)
{
  if (!after) touches++;
  if (touches == signal_touch && after == signal_after) (void)raise(signal_number);
}

/* These stand in front of the C library's own. */
int rename(const char *from, const char *to)
{
  touch(false);
  long rc = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  touch(true);
  return (int)rc;
}

int unlink(const char *path)
{
  touch(false);
  long rc = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  touch(true);
  return (int)rc;
}

int remove(const char *path)
{
  if (unlink(path) == 0) return 0;
  return errno == EISDIR ? rmdir(path) : -1;
}

int fsync(int fd)
{
  touch(false);
  touch(true);
  return (int)syscall(SYS_fsync, fd);
}

static void signal_at(int n, int number, bool after)
{
  touches = 0;
  signal_touch = n;
  signal_number = number;
  signal_after = after;
}

/* ---- Helpers -------------------------------------------------------------------------------- */

static void remove_run(const small_run *r)
{
  const char *path[] = {r->path, r->part, r->best, r->last};
  for (int i = 0; i < 4; i++) assert_true(unlink(path[i]) == 0 || errno == ENOENT);
}

/* Trains in a child that dies at its n-th touch. Returns false when it lived to the end. */
static bool killed_at(const small_run *r, run_mode mode, int n, bool after)
{
  int status;
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    signal_at(n, SIGKILL, after);
    _exit(run_train(r, mode, NULL) == MR_OK ? 0 : 1);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  if (WIFSIGNALED(status)) {
    assert_int_equal(WTERMSIG(status), SIGKILL);
    return true;
  }
  assert_int_equal(WEXITSTATUS(status), 0);
  return false;
}

static bool anything_left(const small_run *r)
{
  return file_exists(r->path) || file_exists(r->part);
}

static int tear_down(void **state)
{
  (void)state;
  signal_at(0, 0, false);
  mr_test_folder_remove();
  return 0;
}

/* ---- Tests ---------------------------------------------------------------------------------- */

/* Kills at touch n, resumes (or starts again where nothing was left), compares. Returns whether the
 * run was long enough to be killed there. */
static bool survives(const small_run *whole, small_run *r, int n, bool after)
{
  remove_run(r);
  bool killed = killed_at(r, RUN_NEW, n, after);
  signal_at(0, 0, false);
  if (killed) {
    if (file_exists(r->part)) assert_string_equal(run_attr(r->part, "/", "status"), "interrupted");
    assert_ok(run_train(r, anything_left(r) ? RUN_RESUME : RUN_NEW, NULL));
  }
  assert_string_equal(run_attr(r->path, "/", "status"), "complete");
  assert_true(same_results(whole->path, r->path));
  return killed;
}

static void a_run_killed_at_any_moment_and_resumed_ends_like_an_uninterrupted_one(void **state)
{
  small_run whole, r;
  (void)state;
  run_open(&whole, "whole", 0, NULL);
  run_open(&r, "killed", 0, NULL);
  assert_ok(run_train(&whole, RUN_NEW, NULL));
  int n = 1;
  while (survives(&whole, &r, n, false)) assert_true(survives(&whole, &r, n++, true));
  assert_true(n > 20); /* each validation alone renames two or three files */
  run_close(&whole);
  run_close(&r);
}

static void a_run_killed_again_and_again_still_ends_like_an_uninterrupted_one(void **state)
{
  const char *often[] = {"--eval_every=2"};
  small_run whole, r;
  (void)state;
  run_open(&whole, "whole", 1, often);
  run_open(&r, "killed", 1, often);
  assert_ok(run_train(&whole, RUN_NEW, NULL));
  /* Each time just far enough to reach the next checkpoint. */
  int kills = 0;
  while (killed_at(&r, anything_left(&r) ? RUN_RESUME : RUN_NEW, 16, false)) {
    kills++;
    assert_true(kills < 50);
  }
  assert_true(kills >= 2);
  assert_true(same_results(whole.path, r.path));
  run_close(&whole);
  run_close(&r);
}

static void a_forced_run_killed_at_any_moment_never_mixes_with_the_old_one(void **state)
{
  const char *other[] = {"--seed=2"};
  small_run old, whole, r;
  (void)state;
  run_open(&old, "killed", 1, other);
  run_open(&whole, "whole", 0, NULL);
  run_open(&r, "killed", 0, NULL);
  assert_ok(run_train(&whole, RUN_NEW, NULL));
  for (int n = 1; n < 12; n++) {
    assert_ok(run_train(&old, RUN_FORCE, NULL));
    assert_true(killed_at(&r, RUN_FORCE, n, true));
    signal_at(0, 0, false);
    /* Either the old run still stands whole, or the new one can be gone on with. */
    if (file_exists(r.path)) {
      assert_int_equal((int)run_number(r.path, "/config", "seed"), 2);
      continue;
    }
    assert_ok(run_train(&r, anything_left(&r) ? RUN_RESUME : RUN_FORCE, NULL));
    assert_true(same_results(whole.path, r.path));
  }
  run_close(&old);
  run_close(&whole);
  run_close(&r);
}

static void stopped_by(int number)
{
  small_run whole, r;
  run_open(&whole, "whole", 0, NULL);
  run_open(&r, "stopped", 0, NULL);
  assert_ok(run_train(&whole, RUN_NEW, NULL));
  signal_at(16, number, true);
  assert_fails(run_train(&r, RUN_NEW, NULL), MR_ERR_INTERRUPTED,
               "go on with: minrnn train --resume");
  signal_at(0, 0, false);
  assert_false(file_exists(r.path));
  assert_string_equal(run_attr(r.part, "/", "status"), "interrupted");
  assert_fails(run_train(&r, RUN_NEW, NULL), MR_ERR_CONFIG, "--resume");
  assert_ok(run_train(&r, RUN_RESUME, NULL));
  assert_true(same_results(whole.path, r.path));
  run_close(&whole);
  run_close(&r);
}

static void a_run_stopped_by_sigterm_names_the_resume_command_and_goes_on(void **state)
{
  (void)state;
  stopped_by(SIGTERM);
}

static void a_run_stopped_by_sigint_names_the_resume_command_and_goes_on(void **state)
{
  (void)state;
  stopped_by(SIGINT);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(
          a_run_killed_at_any_moment_and_resumed_ends_like_an_uninterrupted_one, tear_down),
      cmocka_unit_test_teardown(a_run_killed_again_and_again_still_ends_like_an_uninterrupted_one,
                                tear_down),
      cmocka_unit_test_teardown(a_forced_run_killed_at_any_moment_never_mixes_with_the_old_one,
                                tear_down),
      cmocka_unit_test_teardown(a_run_stopped_by_sigterm_names_the_resume_command_and_goes_on,
                                tear_down),
      cmocka_unit_test_teardown(a_run_stopped_by_sigint_names_the_resume_command_and_goes_on,
                                tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
