/* test_h5log_crash.c — tries to lose or spoil run files by kills, full disks, damage, no memory.
 * SPDX-License-Identifier: MIT */
/* labels: unit */
#include "testing.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "h5log.h"
#include "mem.h"
#include "rng.h"

static const mr_column columns[] = {{"step", "1"}, {"loss", "nat"}};
static mr_config config;
static char path[512], part[600];

static int set_up(void **state)
{
  (void)state;
  (void)snprintf(path, sizeof path, "%s/run.h5", mr_test_folder());
  (void)snprintf(part, sizeof part, "%s.part", path);
  return mr_config_load(&config, NULL, 0, NULL, 0, NULL) == MR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
  (void)state;
  mr_config_free(&config);
  mr_test_folder_remove();
  return 0;
}

static double loss_of(int64_t step)
{
  return 1.0 / (double)(step + 1);
}

static mr_status add_rows(mr_log *l, int64_t n)
{
  mr_table *t = NULL;
  MR_CHECK(mr_log_table(l, "train", columns, 2, &t));
  for (int64_t i = 0; i < n; i++) {
    const double row[] = {(double)t->n_rows, loss_of(t->n_rows)};
    MR_CHECK(mr_table_append(t, row));
  }
  return MR_OK;
}

/* The whole life of a small log. */
static mr_status log_life(void)
{
  mr_status st = MR_OK;
  mr_log *l = NULL;
  MR_TRY(mr_log_create(&l, path, &config, "test"));
  MR_TRY(add_rows(l, 100));
  MR_TRY(mr_log_num(l, "result", "loss", 1));
  MR_TRY(mr_log_flush(l));
  MR_TRY(mr_log_finish(l, MR_RUN_COMPLETE, ""));
out:
  mr_log_destroy(l);
  return st;
}

/* Rows 0 .. n-1 of the table stand in `file`; returns n. */
static int64_t check_prefix(const char *file)
{
  mr_h5_table got;
  assert_ok(mr_h5_table_read(file, "train", &got));
  for (int64_t i = 0; i < got.table.n_rows; i++) {
    assert_true(got.table.cell[2 * i] == (double)i);
    assert_true(got.table.cell[2 * i + 1] == loss_of(i));
  }
  int64_t n = got.table.n_rows;
  mr_h5_table_free(&got);
  return n;
}

/* ---- SIGKILL --------------------------------------------------------------------------------- */

/* Logs and flushes for ever, with one byte into the pipe after each flush. Never returns. */
static void write_for_ever(int told)
{
  mr_log *l = NULL;
  mr_status st = mr_log_create(&l, path, &config, "test");
  while (st == MR_OK) {
    st = add_rows(l, 50);
    if (st == MR_OK) st = mr_log_flush(l);
    if (st == MR_OK && write(told, "x", 1) != 1) break;
  }
  _exit(1);
}

static void a_run_killed_at_any_moment_leaves_a_whole_file(void **state)
{
  (void)state;
  enum { ROUNDS = 20, LONGEST_US = 12000 };
  mr_rng r;
  mr_rng_seek(&r, 1, MR_STREAM_CHECK, 0);
  for (int i = 0; i < ROUNDS; i++) {
    int pipe_fd[2], status;
    char told;
    assert_int_equal(pipe(pipe_fd), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) write_for_ever(pipe_fd[1]);
    assert_int_equal(close(pipe_fd[1]), 0);
    int flushes = 1 + i % 3;
    for (int k = 0; k < flushes; k++) assert_int_equal(read(pipe_fd[0], &told, 1), 1);
    struct timespec wait = {.tv_nsec = 1000 * (long)mr_rng_below(&r, LONGEST_US)};
    assert_int_equal(nanosleep(&wait, NULL), 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(close(pipe_fd[0]), 0);
    int64_t n = check_prefix(part);
    assert_true(n >= 50 * flushes && n % 50 == 0);
  }
}

/* ---- Full disk ------------------------------------------------------------------------------- */

/* In a child whose files may not grow: 0 when flush and finish fail as they should. */
static int fail_to_grow(mr_log *l)
{
  const struct rlimit small = {.rlim_cur = 3000, .rlim_max = 3000};
  if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &small) != 0) return 10;
  if (add_rows(l, 50) != MR_OK) return 11;
  if (mr_log_flush(l) != MR_ERR_IO) return 12;
  if (!strstr(mr_error_message(), part) || !strstr(mr_error_message(), strerror(EFBIG))) return 13;
  if (mr_log_finish(l, MR_RUN_COMPLETE, "") != MR_ERR_IO) return 14;
  return 0;
}

static void a_full_disk_is_told_and_the_last_part_stays(void **state)
{
  (void)state;
  mr_log *l = NULL;
  char tmp[700];
  int status;
  assert_ok(mr_log_create(&l, path, &config, "test"));
  assert_ok(add_rows(l, 50));
  assert_ok(mr_log_flush(l));
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) _exit(fail_to_grow(l));
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  assert_int_equal(check_prefix(part), 50);
  assert_int_not_equal(access(path, F_OK), 0);
  (void)snprintf(tmp, sizeof tmp, "%s.tmp", part);
  assert_int_not_equal(access(tmp, F_OK), 0);
  mr_log_destroy(l);
}

static void a_folder_that_cannot_be_made_or_written_is_named(void **state)
{
  (void)state;
  mr_log *l = NULL;
  char under[700];
  const char *file = mr_test_file("plain", "x", 1);
  (void)snprintf(under, sizeof under, "%s/run.h5", file);
  assert_fails(mr_log_create(&l, under, &config, "test"), MR_ERR_IO, "plain");
  (void)snprintf(under, sizeof under, "%s/deep/run.h5", file);
  assert_fails(mr_log_create(&l, under, &config, "test"), MR_ERR_IO, "plain");
  assert_fails(mr_log_create(&l, "/proc/none/run.h5", &config, "test"), MR_ERR_IO, "/proc/none");
  /* The folder goes away under a log's feet. */
  (void)snprintf(under, sizeof under, "%s/gone/run.h5", mr_test_folder());
  assert_ok(mr_log_create(&l, under, &config, "test"));
  (void)snprintf(under, sizeof under, "%s/gone", mr_test_folder());
  assert_int_equal(rmdir(under), 0);
  assert_fails(mr_log_flush(l), MR_ERR_IO, "No such file");
  mr_log_destroy(l);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

static unsigned char *whole_file(const char *name, size_t *n)
{
  void *bytes = NULL;
  FILE *f = fopen(name, "rb");
  assert_non_null(f);
  assert_int_equal(fseek(f, 0, SEEK_END), 0);
  *n = (size_t)ftell(f);
  rewind(f);
  assert_ok(mr_calloc(&bytes, *n, 1));
  assert_int_equal(fread(bytes, 1, *n, f), *n);
  assert_int_equal(fclose(f), 0);
  return bytes;
}

static void assert_refused(const char *file)
{
  mr_h5_table t;
  char text[64];
  assert_fails(mr_h5_table_read(file, "train", &t), MR_ERR_IO, file);
  assert_fails(mr_h5_attr(file, "/", "status", text, sizeof text), MR_ERR_IO, file);
}

static void a_file_cut_off_anywhere_is_refused(void **state)
{
  (void)state;
  size_t n;
  assert_ok(log_life());
  unsigned char *bytes = whole_file(path, &n);
  for (size_t k = 0; k < n; k += 64) assert_refused(mr_test_file("cut.h5", bytes, k));
  for (size_t k = n - 64; k < n; k++) assert_refused(mr_test_file("cut.h5", bytes, k));
  assert_int_equal(check_prefix(mr_test_file("cut.h5", bytes, n)), 100);
  mr_free(bytes);
}

static void a_file_with_any_byte_changed_is_refused(void **state)
{
  (void)state;
  size_t n;
  assert_ok(log_life());
  unsigned char *bytes = whole_file(path, &n);
  for (size_t k = 0; k < n; k += k < n - 64 ? 61 : 1) {
    bytes[k] ^= (unsigned char)(1u << k % 8);
    assert_refused(mr_test_file("flip.h5", bytes, n));
    bytes[k] ^= (unsigned char)(1u << k % 8);
  }
  mr_free(bytes);
}

static void what_is_no_run_file_is_refused(void **state)
{
  (void)state;
  assert_refused(mr_test_file("empty.h5", "", 0));
  assert_refused(mr_test_file("text.h5", "step,loss\n1,2\n", 14));
  assert_refused(mr_test_folder());
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static mr_status read_life(void)
{
  mr_status st = MR_OK;
  mr_log *l = NULL;
  mr_h5_table t = {.names = NULL};
  MR_TRY(mr_log_create(&l, part, &config, "test"));
  MR_TRY(mr_log_restore(l, path));
  MR_TRY(mr_h5_table_read(path, "train", &t));
out:
  mr_h5_table_free(&t);
  mr_log_destroy(l);
  return st;
}

/* Every allocation fails once; returns how many there were. */
static int64_t starve(mr_status (*life)(void))
{
  for (int64_t n = 1;; n++) {
    mr_alloc_fail_at(n);
    mr_status st = life();
    mr_alloc_fail_at(0);
    if (st == MR_OK) return n - 1;
    assert_int_equal(st, MR_ERR_NOMEM);
    assert_in_range(n, 1, 10000);
  }
}

static void a_log_without_memory_fails_cleanly_at_every_allocation(void **state)
{
  (void)state;
  assert_in_range(starve(log_life), 40, 9999);
  (void)snprintf(part, sizeof part, "%s/other.h5", mr_test_folder());
  assert_in_range(starve(read_life), 40, 9999);
  assert_int_equal(check_prefix(path), 100);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_run_killed_at_any_moment_leaves_a_whole_file, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(a_full_disk_is_told_and_the_last_part_stays, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(a_folder_that_cannot_be_made_or_written_is_named, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(a_file_cut_off_anywhere_is_refused, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_file_with_any_byte_changed_is_refused, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_no_run_file_is_refused, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_log_without_memory_fails_cleanly_at_every_allocation,
                                      set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
