/* test_judge.c — the rules by which claims are judged, at and around their thresholds.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include <math.h>
#include <string.h>
#include "judge.h"

static mr_measure exactly(double x)
{
  const mr_measure m = {true, x, x, x};
  return m;
}

static mr_measure between(double low, double mid, double high)
{
  const mr_measure m = {true, low, mid, high};
  return m;
}

static const mr_measure nothing = {.there = false};

static mr_band band(const char *rule, double value)
{
  mr_band b;
  assert_ok(mr_band_of(rule, value, &b));
  return b;
}

/* ---- Bands ----------------------------------------------------------------------------------- */

static void a_value_on_the_edge_of_its_band_counts_and_one_beside_it_does_not(void **state)
{
  const double least = 0.5 * 175;
  (void)state;
  assert_int_equal(mr_answer_of(exactly(least), band("at_least 0.5", 175)), MR_ANSWER_YES);
  assert_int_equal(mr_answer_of(exactly(nextafter(least, 0)), band("at_least 0.5", 175)),
                   MR_ANSWER_NO);
  assert_int_equal(mr_answer_of(exactly(1e9), band("at_least 0.5", 175)), MR_ANSWER_YES);
  assert_int_equal(mr_answer_of(exactly(94), band("within 2", 96)), MR_ANSWER_YES);
  assert_int_equal(mr_answer_of(exactly(98), band("within 2", 96)), MR_ANSWER_YES);
  assert_int_equal(mr_answer_of(exactly(98.001), band("within 2", 96)), MR_ANSWER_NO);
  assert_int_equal(mr_answer_of(exactly(93.999), band("within 2", 96)), MR_ANSWER_NO);
  assert_int_equal(mr_answer_of(exactly(-3), band("within 5", -3.6)), MR_ANSWER_YES);
  assert_int_equal(mr_answer_of(exactly(2), band("factor 2", 4)), MR_ANSWER_YES);
  assert_int_equal(mr_answer_of(exactly(8), band("factor 2", 4)), MR_ANSWER_YES);
  assert_int_equal(mr_answer_of(exactly(1.999), band("factor 2", 4)), MR_ANSWER_NO);
  assert_int_equal(mr_answer_of(exactly(8.001), band("factor 2", 4)), MR_ANSWER_NO);
}

static void noise_across_an_edge_is_too_close_to_tell(void **state)
{
  const mr_band b = band("at_least 0.5", 175); /* 87.5 or more */
  (void)state;
  assert_int_equal(mr_answer_of(between(87, 88, 89), b), MR_ANSWER_CLOSE);
  assert_int_equal(mr_answer_of(between(86, 87, 88), b), MR_ANSWER_CLOSE);
  assert_int_equal(mr_answer_of(between(87.5, 88, 89), b), MR_ANSWER_YES);
  assert_int_equal(mr_answer_of(between(80, 85, 87.4), b), MR_ANSWER_NO);
  assert_int_equal(mr_answer_of(between(90, 96, 102), band("within 2", 96)), MR_ANSWER_CLOSE);
  assert_int_equal(mr_answer_of(nothing, b), MR_ANSWER_ABSENT);
}

static void a_rule_that_is_not_understood_is_refused(void **state)
{
  static const char *const wrong[] = {"",         "at_least",    "at_least x", "at_least 0",
                                      "within",   "within -1",   "within 1 2", "factor 0.5",
                                      "nearly 3", "at_least 1%", "factor inf", "within nan"};
  mr_band b;
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_fails(mr_band_of(wrong[i], 5, &b), MR_ERR_CONFIG, "is not understood");
  assert_fails(mr_band_of("factor 2", -5, &b), MR_ERR_CONFIG, "is not understood");
}

/* ---- Quantities ------------------------------------------------------------------------------ */

static void ratios_take_the_noise_of_both_sides(void **state)
{
  const mr_measure ours = between(8, 10, 16), reference = between(80, 100, 160);
  (void)state;
  mr_measure m = mr_combine(MR_FORM_TIMES, ours, reference);
  assert_true(m.low == 5 && m.mid == 10 && m.high == 20);
  m = mr_combine(MR_FORM_SHARE, ours, reference);
  assert_true(m.low == 5 && m.mid == 10 && m.high == 20);
  m = mr_combine(MR_FORM_MORE, exactly(188), exactly(100));
  assert_true(fabs(m.mid - 88) < 1e-9 && m.low == m.high);
  m = mr_combine(MR_FORM_MORE, ours, reference);
  assert_true(fabs(m.low + 95) < 1e-9 && fabs(m.mid + 90) < 1e-9 && fabs(m.high + 80) < 1e-9);
  m = mr_combine(MR_FORM_FASTER, exactly(100), exactly(119.6));
  assert_true(fabs(m.mid - 19.6) < 1e-9);
  m = mr_combine(MR_FORM_FASTER, ours, reference);
  assert_true(fabs(m.low - 400) < 1e-9 && fabs(m.mid - 900) < 1e-9 && fabs(m.high - 1900) < 1e-9);
  m = mr_combine(MR_FORM_VALUE, ours, nothing);
  assert_true(m.low == 8 && m.mid == 10 && m.high == 16);
}

static void a_missing_part_leaves_nothing(void **state)
{
  (void)state;
  assert_false(mr_combine(MR_FORM_VALUE, nothing, exactly(1)).there);
  assert_false(mr_combine(MR_FORM_TIMES, nothing, exactly(1)).there);
  assert_false(mr_combine(MR_FORM_TIMES, exactly(1), nothing).there);
  assert_false(mr_combine(MR_FORM_SHARE, exactly(1), exactly(0)).there);
}

/* ---- Verdicts -------------------------------------------------------------------------------- */

static void each_pair_of_answers_has_its_verdict(void **state)
{
  static const struct {
    mr_answer paper, fair;
    mr_ruling verdict;
  } want[] = {
      {MR_ANSWER_YES, MR_ANSWER_YES, MR_REPRODUCED},
      {MR_ANSWER_YES, MR_ANSWER_UNUSED, MR_REPRODUCED},
      {MR_ANSWER_NO, MR_ANSWER_NO, MR_NOT_REPRODUCED},
      {MR_ANSWER_NO, MR_ANSWER_UNUSED, MR_NOT_REPRODUCED},
      {MR_ANSWER_YES, MR_ANSWER_NO, MR_METHOD_DEPENDENT},
      {MR_ANSWER_NO, MR_ANSWER_YES, MR_METHOD_DEPENDENT},
      {MR_ANSWER_CLOSE, MR_ANSWER_YES, MR_UNDECIDED},
      {MR_ANSWER_CLOSE, MR_ANSWER_CLOSE, MR_UNDECIDED},
      {MR_ANSWER_CLOSE, MR_ANSWER_UNUSED, MR_UNDECIDED},
      {MR_ANSWER_NO, MR_ANSWER_CLOSE, MR_UNDECIDED},
      {MR_ANSWER_YES, MR_ANSWER_ABSENT, MR_NOT_RUN},
      {MR_ANSWER_ABSENT, MR_ANSWER_YES, MR_NOT_RUN},
      {MR_ANSWER_ABSENT, MR_ANSWER_UNUSED, MR_NOT_RUN},
      {MR_ANSWER_CLOSE, MR_ANSWER_ABSENT, MR_NOT_RUN},
      {MR_ANSWER_ABSENT, MR_ANSWER_ABSENT, MR_NOT_RUN},
  };
  (void)state;
  for (size_t i = 0; i < sizeof want / sizeof *want; i++)
    assert_int_equal(mr_ruling_of(want[i].paper, want[i].fair), want[i].verdict);
}

static void nothing_is_called_reproduced_away_from_the_papers_scale(void **state)
{
  (void)state;
  for (int v = 0; v < MR_N_RULINGS; v++) {
    const char *text = mr_ruling_text((mr_ruling)v, false);
    assert_null(strstr(text, "reproduced"));
    if (v != MR_NOT_RUN) assert_holds(text, "at reduced scale");
    assert_null(strstr(mr_ruling_text((mr_ruling)v, true), "scale"));
  }
  assert_string_equal(mr_ruling_text(MR_REPRODUCED, true), "reproduced");
  assert_string_equal(mr_ruling_text(MR_NOT_REPRODUCED, true), "not reproduced");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_value_on_the_edge_of_its_band_counts_and_one_beside_it_does_not),
      cmocka_unit_test(noise_across_an_edge_is_too_close_to_tell),
      cmocka_unit_test(a_rule_that_is_not_understood_is_refused),
      cmocka_unit_test(ratios_take_the_noise_of_both_sides),
      cmocka_unit_test(a_missing_part_leaves_nothing),
      cmocka_unit_test(each_pair_of_answers_has_its_verdict),
      cmocka_unit_test(nothing_is_called_reproduced_away_from_the_papers_scale),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
