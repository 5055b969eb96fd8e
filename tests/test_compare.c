/* test_compare.c — equal work is told equal on a noisy, drifting machine, other work is told apart,
 * and what cannot be compared says why. SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compare.h"
#include "h5log.h"
#include "rng.h"
#include "stats.h"

enum { N = 60, TRIES = 200 };

/* ---- Order statistics ------------------------------------------------------------------------ */

static void quantiles_lie_between_neighbours(void **state)
{
  double x[] = {4, 1, 3, 2};
  (void)state;
  mr_sort(x, 4);
  assert_true(x[0] == 1 && x[3] == 4);
  assert_true(mr_quantile(x, 4, 0) == 1 && mr_quantile(x, 4, 1) == 4);
  assert_true(mr_quantile(x, 4, 0.5) == 2.5);
  assert_true(fabs(mr_quantile(x, 4, 0.1) - 1.3) < 1e-12);
  assert_true(mr_median((double[]){7}, 1) == 7);
}

static void noise_is_the_median_distance_from_the_median(void **state)
{
  double same[] = {5, 5, 5}, x[] = {90, 100, 100, 110, 1000};
  (void)state;
  assert_true(mr_noise(same, 3) == 0);
  assert_true(fabs(mr_noise(x, 5) - 0.1) < 1e-12);
}

/* ---- The rule -------------------------------------------------------------------------------- */

/* N times of work that takes `level`: noise that only adds, with a tail, and a pace that drifts by a
 * random walk of `drift` per sample. */
static void draw(mr_rng *r, double level, double jitter, double drift, double *x)
{
  double pace = 1;
  for (int i = 0; i < N; i++) {
    pace *= 1 + drift * mr_rng_normal(r);
    double late = mr_rng_uniform(r) < 0.1 ? 2 * mr_rng_uniform(r) : 0;
    x[i] = level * pace * (1 + jitter * fabs(mr_rng_normal(r)) + late);
  }
}

/* How often B, `factor` times the work, gets this verdict. */
static int count(double factor, double jitter, double drift, mr_verdict verdict)
{
  double a[N], b[N];
  const double *const value[2] = {a, b};
  const int64_t n[2] = {N, N};
  int hits = 0;
  mr_rng r;
  mr_rng_seek(&r, 7, MR_STREAM_CHECK, 0);
  for (int i = 0; i < TRIES; i++) {
    mr_comparison c = {.verdict = MR_INCOMPARABLE};
    draw(&r, 1, jitter, drift, a);
    draw(&r, factor, jitter, drift, b);
    assert_ok(mr_compare_values(value, n, &c));
    hits += c.verdict == verdict;
  }
  return hits;
}

static void equal_work_is_the_same_in_19_of_20_tries(void **state)
{
  static const double jitter[] = {0, 0.01, 0.05, 0.2}, drift[] = {0, 0.001, 0.003};
  (void)state;
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < 3; k++) {
      const int same = count(1, jitter[i], drift[k], MR_SAME);
      if (same < TRIES * 19 / 20)
        fail_msg("jitter %g, drift %g: %d of %d", jitter[i], drift[k], same, TRIES);
    }
}

static void slower_work_is_found(void **state)
{
  (void)state;
  assert_true(count(1.1, 0.01, 0, MR_SLOWER) > TRIES * 19 / 20);
  assert_true(count(1.15, 0.03, 0.001, MR_SLOWER) > TRIES * 19 / 20);
  assert_true(count(1.2, 0.05, 0.002, MR_SLOWER) > TRIES * 9 / 10);
}

static void faster_work_is_found(void **state)
{
  (void)state;
  assert_true(count(1 / 1.1, 0.01, 0, MR_FASTER) > TRIES * 19 / 20);
  assert_true(count(1 / 1.2, 0.05, 0.002, MR_FASTER) > TRIES * 9 / 10);
}

static void the_verdict_of_b_against_a_is_the_reverse_of_a_against_b(void **state)
{
  double a[N], b[N];
  const double *const forth[2] = {a, b}, *const back[2] = {b, a};
  const int64_t n[2] = {N, N};
  mr_rng r;
  (void)state;
  mr_rng_seek(&r, 3, MR_STREAM_CHECK, 0);
  for (int i = 0; i < TRIES; i++) {
    mr_comparison x = {.verdict = MR_SAME}, y = x;
    draw(&r, 1, 0.05, 0.001, a);
    draw(&r, 1 + 0.3 * mr_rng_uniform(&r), 0.05, 0.001, b);
    assert_ok(mr_compare_values(forth, n, &x));
    assert_ok(mr_compare_values(back, n, &y));
    assert_true((x.verdict == MR_SLOWER) == (y.verdict == MR_FASTER));
  }
}

static void a_difference_within_the_noise_is_unclear(void **state)
{
  double a[N], b[N];
  const double *const value[2] = {a, b};
  const int64_t n[2] = {N, N};
  mr_comparison c = {.verdict = MR_SLOWER};
  (void)state;
  for (int i = 0; i < N; i++) { /* the pace of both halves on the way */
    a[i] = 1 - 0.5 * i / N;
    b[i] = 1.1 * a[i];
  }
  assert_ok(mr_compare_values(value, n, &c));
  assert_int_equal(c.verdict, MR_SAME);
  assert_true(c.unclear && c.threshold > 0.1);
  assert_ok(mr_compare_values((const double *const[]){a, a}, n, &c));
  assert_false(c.unclear);
}

/* ---- Files ----------------------------------------------------------------------------------- */

typedef struct fake {
  const char *cell, *cpu, *clock, *status, *trust;
  int samples;
  double step; /* us; the pace is 1 ms */
  double preempted;
} fake;

static const fake usual = {.cell = "gru:b1t8d8l1:f32:eager:hot:cpu2",
                           .cpu = "a",
                           .clock = "wall",
                           .status = "complete",
                           .trust = "trusted",
                           .samples = 20,
                           .step = 3000};

static const char *write_file(const char *name, fake f)
{
  static char path[2][600];
  static int turn;
  static const mr_column column[] = {{"at_ns", "ns"},       {"preempted", "1"},
                                     {"pace_ns", "ns"},     {"step_ns", "ns"},
                                     {"pace_cpu_ns", "ns"}, {"step_cpu_ns", "ns"}};
  mr_config config;
  mr_log *l = NULL;
  mr_table *t;
  char *at = path[turn++ % 2];
  snprintf(at, 600, "%s/%s.h5", mr_test_folder(), name);
  assert_ok(mr_config_load(&config, NULL, 0, NULL, 0, NULL));
  assert_ok(mr_log_create(&l, at, &config, "minrnn bench"));
  assert_ok(mr_log_text(l, "cell", "descriptor", f.cell));
  assert_ok(mr_log_text(l, "cell", "clock", f.clock));
  const char *const fact[] = {"cores", "threads", "binding", "gpu", "sm_count"};
  assert_ok(mr_log_text(l, "/", "trust", f.trust));
  assert_ok(mr_log_text(l, "machine", "cpu", f.cpu));
  for (int i = 0; i < 5; i++) assert_ok(mr_log_text(l, "machine", fact[i], "none"));
  assert_ok(mr_log_table(l, "bench", column, 4, &t));
  for (int i = 0; i < f.samples; i++)
    assert_ok(mr_table_append(t, (double[]){i * 1e9, f.preempted, 1e6, (f.step + i % 3) * 1e3}));
  assert_ok(mr_log_finish(l, strcmp(f.status, "complete") == 0 ? MR_RUN_COMPLETE : MR_RUN_SKIPPED,
                          strcmp(f.status, "complete") == 0 ? "" : "no room"));
  mr_log_destroy(l);
  mr_config_free(&config);
  return at;
}

static mr_comparison compare(fake a, fake b)
{
  mr_comparison c;
  const char *pa = write_file("a", a), *pb = write_file("b", b);
  assert_ok(mr_compare_files(pa, pb, &c));
  return c;
}

static void files_are_compared_in_units_of_pace(void **state)
{
  fake other = usual;
  (void)state;
  mr_comparison c = compare(usual, other);
  assert_int_equal(c.verdict, MR_SAME);
  assert_string_equal(c.cell, usual.cell);
  assert_true(fabs(c.step_ms[0] - 3.001) < 1e-9 && c.seconds == 19);
  other.step = 4000;
  assert_int_equal(compare(usual, other).verdict, MR_SLOWER);
  assert_int_equal(compare(other, usual).verdict, MR_FASTER);
}

static void a_busy_machine_tells_nothing_by_wall_time(void **state)
{
  fake other = usual;
  (void)state;
  other.step = 9000, other.preempted = 1; /* 3 ms of 10 */
  mr_comparison c = compare(usual, other);
  assert_int_equal(c.verdict, MR_INCOMPARABLE);
  assert_true(c.disturbed);
  assert_holds(c.reason, "+199.9 %");
  other.step = usual.step;
  c = compare(usual, other);
  assert_int_equal(c.verdict, MR_SAME);
  assert_true(c.disturbed);
  other.step = 99000; /* 3 ms of 100 */
  c = compare(usual, other);
  assert_int_equal(c.verdict, MR_SLOWER);
  assert_false(c.disturbed);
}

static void of_processor_time_others_take_nothing(void **state)
{
  fake one = usual, other;
  (void)state;
  one.clock = "processor", one.preempted = 30;
  other = one;
  mr_comparison c = compare(one, other);
  assert_int_equal(c.verdict, MR_SAME);
  assert_true(c.processor_time && !c.disturbed);
  other.step = 4000;
  assert_int_equal(compare(one, other).verdict, MR_SLOWER);
}

static void what_cannot_be_compared_says_why(void **state)
{
  fake other = usual;
  mr_comparison c;
  (void)state;
  other.cell = "gru:b1t8d8l2:f32:eager:hot:cpu2";
  c = compare(usual, other);
  assert_int_equal(c.verdict, MR_INCOMPARABLE);
  assert_holds(c.reason, "d8l2");
  other = usual, other.cpu = "b";
  c = compare(usual, other);
  assert_int_equal(c.verdict, MR_INCOMPARABLE);
  assert_holds(c.reason, "cpu is a and b");
  other = usual, other.samples = MR_COMPARE_SAMPLES - 1;
  c = compare(usual, other);
  assert_int_equal(c.verdict, MR_INCOMPARABLE);
  assert_holds(c.reason, "4 samples");
  other = usual, other.status = "skipped";
  c = compare(usual, other);
  assert_int_equal(c.verdict, MR_INCOMPARABLE);
  assert_holds(c.reason, "no room");
  assert_true(c.timed[0] && !c.timed[1]);
  other = usual, other.trust = "mistrusted";
  c = compare(usual, other);
  assert_int_equal(c.verdict, MR_INCOMPARABLE);
  assert_holds(c.reason, "mistrusted");
  assert_true(c.timed[1]);
}

static void a_file_that_is_no_timing_is_an_error(void **state)
{
  mr_comparison c;
  (void)state;
  const char *a = write_file("a", usual), *b = mr_test_file("b.h5", "text", 4);
  assert_fails(mr_compare_files(a, b, &c), MR_ERR_IO, "b.h5");
  assert_fails(mr_compare_files("absent.h5", a, &c), MR_ERR_IO, "absent.h5");
}

static int tear_down(void **state)
{
  (void)state;
  mr_test_folder_remove();
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(quantiles_lie_between_neighbours),
      cmocka_unit_test(noise_is_the_median_distance_from_the_median),
      cmocka_unit_test(equal_work_is_the_same_in_19_of_20_tries),
      cmocka_unit_test(slower_work_is_found),
      cmocka_unit_test(faster_work_is_found),
      cmocka_unit_test(the_verdict_of_b_against_a_is_the_reverse_of_a_against_b),
      cmocka_unit_test(a_difference_within_the_noise_is_unclear),
      cmocka_unit_test_teardown(files_are_compared_in_units_of_pace, tear_down),
      cmocka_unit_test_teardown(a_busy_machine_tells_nothing_by_wall_time, tear_down),
      cmocka_unit_test_teardown(of_processor_time_others_take_nothing, tear_down),
      cmocka_unit_test_teardown(what_cannot_be_compared_says_why, tear_down),
      cmocka_unit_test_teardown(a_file_that_is_no_timing_is_an_error, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
