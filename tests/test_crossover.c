/* test_crossover.c — from which length on a model is the faster one: noise, kinks, gaps.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include <stdio.h>
#include <string.h>
#include "crossover.h"
#include "synthetic.h"

static int tear_down(void **state)
{
  (void)state;
  mr_test_folder_remove();
  return 0;
}

/* The outcome of ratios (low, mid, high) at 64, 128, 256 ... */
static const char *outcome_of(int n, const double ratio[][3])
{
  static char text[160];
  mr_crossover c = {.n = n};
  for (int i = 0; i < n; i++)
    c.point[i] = (mr_cross_point){64 << i, {true, ratio[i][0], ratio[i][1], ratio[i][2]}};
  mr_crossover_find(&c);
  mr_crossover_text(&c, text, sizeof text);
  return text;
}

static void the_crossover_lies_between_the_lengths_around_it(void **state)
{
  const double ratio[][3] = {{0.5, 0.6, 0.7}, {0.8, 0.9, 0.95}, {1.1, 1.2, 1.3}, {2, 2.1, 2.2}};
  (void)state;
  assert_string_equal(outcome_of(4, ratio), "between 128 and 256");
}

static void what_is_never_faster_is_told_with_the_range(void **state)
{
  const double ratio[][3] = {{0.5, 0.6, 0.7}, {0.5, 0.6, 0.7}, {0.98, 1.2, 1.5}};
  (void)state;
  assert_string_equal(outcome_of(2, ratio), "not within 64 .. 128");
  assert_string_equal(outcome_of(3, ratio), "not within 64 .. 256"); /* within the noise */
  assert_string_equal(outcome_of(0, ratio), "not measured");
}

static void what_is_faster_from_the_start_says_so(void **state)
{
  const double ratio[][3] = {{1.001, 1.2, 1.4}, {3, 4, 5}};
  (void)state;
  assert_string_equal(outcome_of(2, ratio), "at 64 already, the shortest measured");
}

static void what_falls_back_is_told_too(void **state)
{
  const double ratio[][3] = {{0.5, 0.6, 0.7}, {1.1, 1.2, 1.3}, {0.9, 1, 1.1}, {0.3, 0.4, 0.5}};
  (void)state;
  assert_string_equal(outcome_of(3, ratio), "between 64 and 128");
  assert_string_equal(outcome_of(4, ratio), "between 64 and 128; slower again at 512");
}

/* ---- Run files ------------------------------------------------------------------------------- */

static void put(const char *name, const char *model, int length, int width, double ms)
{
  const fake_timing t = {
      .model = model, .length = length, .batch = 4, .width = width, .step_ms = ms, .spread = 2};
  fake_timing_write(name, &t);
}

static void widths_and_devices_have_crossovers_of_their_own(void **state)
{
  mr_runset s = {.n = 0};
  mr_crossover c;
  int kinds = 0;
  (void)state;
  put("a1", "mingru", 64, 64, 2), put("b1", "gru_vendor", 64, 64, 1);
  put("a2", "mingru", 512, 64, 4), put("b2", "gru_vendor", 512, 64, 8);
  put("a3", "mingru", 64, 128, 2), put("b3", "gru_vendor", 64, 128, 3);
  put("a4", "mingru", 1024, 64, 8); /* without its partner */
  const fake_timing gpu = {.model = "mingru",
                           .length = 64,
                           .batch = 4,
                           .width = 64,
                           .device = "cuda",
                           .mode = "graph",
                           .step_ms = 1};
  fake_timing_write("c1", &gpu);
  const fake_timing bad = {.model = "mingru",
                           .length = 64,
                           .batch = 4,
                           .width = 64,
                           .step_ms = 0.1,
                           .reason = "memory off the plan"};
  fake_timing_write("d1", &bad);
  fake_damaged_write("e1");
  assert_ok(mr_runset_read(&s, mr_test_folder()));
  assert_int_equal(s.n, 9);
  assert_int_equal(s.n_problems, 1);
  for (int i = 0; i < s.n; i++) {
    if (!mr_crossover_opens(&s, i)) continue;
    const bool narrow = strcmp(mr_run_fact(&s.run[i], "width"), "64") == 0;
    const bool cuda = strcmp(mr_run_fact(&s.run[i], "device"), "cuda") == 0;
    mr_crossover_of(&s, i, "mingru", "gru_vendor", &c);
    kinds++;
    if (cuda) {
      assert_int_equal(c.n, 0);
    } else if (narrow) {
      assert_int_equal(c.n, 2);
      assert_int_equal(c.from, 1);
      assert_true(c.point[1].length == 512 && c.point[1].ratio.mid == 2);
      assert_true(c.point[1].ratio.low < 2 && c.point[1].ratio.high > 2);
    } else {
      assert_int_equal(c.n, 1);
      assert_int_equal(c.from, 0);
    }
  }
  assert_int_equal(kinds, 3);
  mr_runset_free(&s);
}

static void timings_with_options_of_the_model_take_no_part(void **state)
{
  fake_timing t = {.model = "mamba", .length = 64, .batch = 4, .width = 64, .step_ms = 3};
  mr_runset s = {.n = 0};
  mr_crossover c;
  (void)state;
  fake_timing_write("a", &t);
  t.step_ms = 1, t.options = ":mamba.state=1";
  fake_timing_write("b", &t);
  t.options = ":dropout=0.1";
  fake_timing_write("c", &t);
  t.model = "gru", t.step_ms = 6, t.options = "";
  fake_timing_write("d", &t);
  assert_ok(mr_runset_read(&s, mr_test_folder()));
  assert_int_equal(s.n, 4);
  assert_true(mr_crossover_opens(&s, 0));
  assert_false(mr_crossover_opens(&s, 1));
  assert_true(mr_crossover_opens(&s, 2)); /* a kind of its own */
  mr_crossover_of(&s, 0, "mamba", "gru", &c);
  assert_int_equal(c.n, 1);
  assert_true(c.point[0].ratio.mid == 2);
  mr_runset_free(&s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_crossover_lies_between_the_lengths_around_it),
      cmocka_unit_test(what_is_never_faster_is_told_with_the_range),
      cmocka_unit_test(what_is_faster_from_the_start_says_so),
      cmocka_unit_test(what_falls_back_is_told_too),
      cmocka_unit_test_teardown(widths_and_devices_have_crossovers_of_their_own, tear_down),
      cmocka_unit_test_teardown(timings_with_options_of_the_model_take_no_part, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
