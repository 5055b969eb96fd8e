/* test_machine.c — facts have names and values, clocks go forward, measured rates are possible.
 * SPDX-License-Identifier: MIT */
/* labels: unit */
#include "testing.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "machine.h"
#include "machine_impl.h"
#include "mem.h"

static mr_backend *be;
static int n_cores; /* before the backend pins anything */

static int set_up(void **state)
{
  cpu_set_t set;
  (void)state;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return -1;
  n_cores = CPU_COUNT(&set);
  return mr_backend_open(&be, MR_CPU, 0) == MR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
  (void)state;
  mr_backend_close(be);
  return 0;
}

typedef struct facts {
  int n;
  char name[64][32], value[64][1024];
} facts;

static mr_status note(void *ctx, const char *name, const char *value)
{
  facts *f = ctx;
  assert_in_range(f->n, 0, 63);
  assert_true(strlen(name) > 0 && strlen(value) > 0);
  assert_null(strchr(value, '\n'));
  for (int i = 0; i < f->n; i++) assert_string_not_equal(f->name[i], name);
  (void)snprintf(f->name[f->n], sizeof f->name[0], "%s", name);
  (void)snprintf(f->value[f->n++], sizeof f->value[0], "%s", value);
  return MR_OK;
}

static const char *value_of(const facts *f, const char *name)
{
  for (int i = 0; i < f->n; i++)
    if (strcmp(f->name[i], name) == 0) return f->value[i];
  print_error("there is no fact %s\n", name);
  fail();
  return "";
}

static void every_fact_is_told_once_in_one_line(void **state)
{
  (void)state;
  static const char *const wanted[] = {"cpu",      "cores",  "load",       "binding",  "ram_bytes",
                                       "gpu",      "driver", "cuda",       "openblas", "hdf5",
                                       "compiler", "flags",  "git_commit", "dirty",    "kernel"};
  static facts f;
  f.n = 0;
  assert_ok(mr_machine_each(be, note, &f));
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) (void)value_of(&f, wanted[i]);
  assert_string_equal(value_of(&f, "gpu"), "none");
  assert_int_equal(atoi(value_of(&f, "threads")), be->threads);
  assert_int_equal(atoi(value_of(&f, "cores")), n_cores);
  assert_in_range(atoll(value_of(&f, "ram_bytes")), 1 << 20, INT64_MAX);
  assert_holds(value_of(&f, "openblas"), "OpenBLAS");
  assert_holds(value_of(&f, "hdf5"), "1.");
  assert_holds(value_of(&f, "kernel"), "Linux");
  assert_holds(value_of(&f, "flags"), "-std=c11");
  assert_string_not_equal(value_of(&f, "compiler"), "unknown");
}

static mr_status refuse(void *ctx, const char *name, const char *value)
{
  (void)ctx, (void)value;
  return strcmp(name, "kernel") == 0 ? MR_FAIL(MR_ERR_IO, "no more") : MR_OK;
}

static void an_error_of_the_reader_stops_the_telling(void **state)
{
  (void)state;
  assert_fails(mr_machine_each(be, refuse, NULL), MR_ERR_IO, "no more");
}

static void the_clock_counts_nanoseconds(void **state)
{
  (void)state;
  const struct timespec wait = {.tv_nsec = 20000000};
  int64_t start = mr_now_ns();
  assert_int_equal(nanosleep(&wait, NULL), 0);
  assert_in_range(mr_now_ns() - start, 20000000, 5000000000);
}

/* Writes to every page of n bytes and gives them back. */
static void touch(size_t n)
{
  unsigned char *p = NULL;
  assert_ok(mr_alloc_slab((void **)&p, n));
  memset(p, 1, n);
  assert_int_equal(p[n - 1], 1);
  mr_free(p);
}

static void the_peak_of_the_resident_set_is_in_bytes_and_stays(void **state)
{
  (void)state;
  const size_t n = 96 << 20;
  int64_t before = mr_rss_peak();
  assert_in_range(before, 1 << 20, 1LL << 40);
  touch(n);
  int64_t after = mr_rss_peak();
  assert_in_range(after, (int64_t)n, before + 2 * (int64_t)n);
}

static void rates_are_possible_and_leave_no_memory_behind(void **state)
{
  (void)state;
  double copy = 0, gemm = 0;
  touch(96 << 20);
  assert_ok(mr_machine_rates(be, &copy, &gemm));
  assert_true(copy > 1e8 && copy < 1e13);
  assert_true(gemm > 1e8 && gemm < 1e15);
  /* AddressSanitizer holds freed memory back. */
#ifndef __SANITIZE_ADDRESS__
  if (access("/proc/self/clear_refs", W_OK) == 0) /* the peak counts anew without those blocks */
    assert_true(mr_rss_peak() < mr_rate_block_bytes(be));
#endif
}

static void rates_without_memory_fail_cleanly(void **state)
{
  (void)state;
  double copy, gemm;
  static const int nth[] = {1, 2, 4}; /* a block, the other, a matrix */
  for (int i = 0; i < 3; i++) {
    mr_alloc_fail_at(nth[i]);
    assert_fails(mr_machine_rates(be, &copy, &gemm), MR_ERR_NOMEM, NULL);
    mr_alloc_fail_at(0);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_fact_is_told_once_in_one_line),
      cmocka_unit_test(an_error_of_the_reader_stops_the_telling),
      cmocka_unit_test(the_clock_counts_nanoseconds),
      cmocka_unit_test(the_peak_of_the_resident_set_is_in_bytes_and_stays),
      cmocka_unit_test(rates_are_possible_and_leave_no_memory_behind),
      cmocka_unit_test(rates_without_memory_fail_cleanly),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
