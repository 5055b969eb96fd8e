/* test_bench_clock.c — cold caches are cold, and times that are not of whole steps are noticed.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include "bench_impl.h"

static void cold_caches_are_flushed_before_each_sample(void **state)
{
  mr_backend *be = NULL;
  mr_pace p = {.probe = NULL};
  (void)state;
  assert_ok(mr_backend_open(&be, MR_CPU, 2));
  assert_true(mr_flood_bytes(be) > mr_last_cache_bytes());
  assert_ok(mr_pace_open(&p, be));
  assert_null(p.flood);
  assert_ok(mr_pace_flush(&p));
  assert_ok(mr_pace_flush(&p));
  const unsigned char *x = p.flood;
  for (size_t i = 0; i < p.flood_bytes; i += 64) /* every line was written each time */
    if (x[i] != 3) fail_msg("line %zu was passed by", i / 64);
  mr_pace_close(&p);
  mr_backend_close(be);
}

static void spin(double ns)
{
  const double end = mr_processor_ns() + ns;
  while (mr_processor_ns() < end) continue;
}

static mr_status wait_each_time(void *ctx)
{
  (void)ctx;
  spin(300000);
  return MR_OK;
}

/* Bursts of one call and of two take turns: the second call of a burst costs nothing, as if nobody
 * had waited for it. */
static mr_status wait_once_per_burst(void *ctx)
{
  int *n = ctx;
  if ((*n)++ % 3 != 2) spin(300000);
  return MR_OK;
}

static void work_that_is_waited_for_scales_and_other_work_does_not(void **state)
{
  double ratio;
  int n = 0;
  const mr_work whole = {wait_each_time, NULL, mr_processor_ns, 3e6},
                part = {wait_once_per_burst, &n, mr_processor_ns, 3e6};
  (void)state;
  assert_ok(mr_scaling(&whole, &ratio));
  assert_true(mr_scales(ratio));
  assert_ok(mr_scaling(&part, &ratio));
  assert_false(mr_scales(ratio));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cold_caches_are_flushed_before_each_sample),
      cmocka_unit_test(work_that_is_waited_for_scales_and_other_work_does_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
