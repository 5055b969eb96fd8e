/* test_memory.c — the processor's count of memory is exact, and what is off the plan is doubted.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include "facts.h"

static void memory_off_the_plan_is_told_and_libraries_may_take_some(void **state)
{
  char why[160];
  mr_growth g = {
      .planned = 1000, .allowance = 100, .device = 1100, .other = 64 << 20, .threads = 2};
  (void)state;
  assert_false(mr_off_plan(&g, why, sizeof why));
  g.device = 900;
  assert_false(mr_off_plan(&g, why, sizeof why));
  g.device = 1101;
  assert_true(mr_off_plan(&g, why, sizeof why));
  assert_string_equal(why, "the device counts 1101 bytes where 1000 were planned");
  g.device = 899;
  assert_true(mr_off_plan(&g, why, sizeof why));
  g = (mr_growth){
      .planned = 1000, .allowance = 100, .device = 1000, .other = -1000000000, .threads = 2};
  assert_false(mr_off_plan(&g, why, sizeof why)); /* asked for, not written */
  g.other = (64 << 20) + 1;
  assert_true(mr_off_plan(&g, why, sizeof why));
  assert_holds(why, "libraries took");
  assert_true(mr_allowance_bytes(MR_CPU, 1 << 30, 1000000) == 4 << 10);
}

static void the_processor_counts_what_it_was_asked_for(void **state)
{
  mr_backend *be = NULL;
  mr_device_mem before, after;
  void *slab, *small;
  (void)state;
  assert_ok(mr_backend_open(&be, MR_CPU, 1));
  assert_ok(be->api->mem(be, &before));
  assert_ok(be->api->alloc(be, 5 << 20, &slab));
  assert_ok(be->api->alloc(be, 1000, &small));
  assert_ok(be->api->mem(be, &after));
  assert_int_equal(after.used_bytes - before.used_bytes, (5 << 20) + 1000);
  assert_int_equal(after.peak_bytes, after.used_bytes);
  be->api->release(be, slab);
  be->api->release(be, small);
  assert_ok(be->api->mem(be, &after));
  assert_int_equal(after.used_bytes, before.used_bytes);
  mr_backend_close(be);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(memory_off_the_plan_is_told_and_libraries_may_take_some),
      cmocka_unit_test(the_processor_counts_what_it_was_asked_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
