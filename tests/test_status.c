/* test_status.c — statuses have texts; failures leave one sentence and their way.
 * SPDX-License-Identifier: MIT */
/* labels: unit */
#include "testing.h"
#include <stdio.h>
#include <string.h>
#include "status.h"

static void every_status_has_a_text_of_its_own(void **state)
{
  (void)state;
  for (int a = 0; a < MR_STATUS_COUNT; a++)
    for (int b = 0; b < a; b++)
      assert_string_not_equal(mr_status_text((mr_status)a), mr_status_text((mr_status)b));
#define X(code, text) assert_string_equal(mr_status_text(code), text);
  MR_STATUS_MAP(X)
#undef X
  assert_string_equal(mr_status_text(MR_STATUS_COUNT), "unknown status");
}

static void a_failure_returns_its_code_and_keeps_its_sentence(void **state)
{
  (void)state;
  assert_int_equal(MR_FAIL(MR_ERR_SHAPE, "x is %d but w wants %s", 7, "eight"), MR_ERR_SHAPE);
  assert_string_equal(mr_error_message(), "x is 7 but w wants eight");
}

static mr_status inner(void)
{
  return MR_FAIL(MR_ERR_IO, "no file %s", "a.cfg");
}

static mr_status middle(int *cleaned)
{
  mr_status st = MR_OK;
  MR_TRY(inner());
  *cleaned = -1; /* never reached */
out:
  (*cleaned)++;
  return st;
}

static mr_status outer(int *cleaned)
{
  MR_CHECK(middle(cleaned));
  return MR_OK;
}

static void the_trail_names_the_places_innermost_first(void **state)
{
  (void)state;
  int cleaned = 0;
  assert_int_equal(outer(&cleaned), MR_ERR_IO);
  assert_int_equal(cleaned, 1);
  assert_string_equal(mr_error_message(), "no file a.cfg");
  const char *trail = mr_error_trail();
  assert_ptr_equal(strstr(trail, "no file a.cfg"), trail);
  const char *at = strstr(trail, "at test_status.c:");
  assert_non_null(at);
  const char *via = strstr(at, "via test_status.c:");
  assert_non_null(via);
  assert_non_null(strstr(via + 1, "via test_status.c:"));
}

static void a_sentence_can_hold_the_one_before(void **state)
{
  (void)state;
  (void)MR_FAIL(MR_ERR_IO, "inner %d", 1);
  (void)MR_FAIL(MR_ERR_CONFIG, "a.cfg:3: %s", mr_error_message());
  assert_string_equal(mr_error_message(), "a.cfg:3: inner 1");
}

static void a_new_failure_forgets_the_old_places(void **state)
{
  (void)state;
  int cleaned = 0;
  assert_int_equal(outer(&cleaned), MR_ERR_IO);
  (void)MR_FAIL(MR_ERR_ARG, "new");
  assert_null(strstr(mr_error_trail(), "via"));
  assert_null(strstr(mr_error_trail(), "a.cfg"));
}

static void endless_sentences_and_trails_are_cut_not_overrun(void **state)
{
  (void)state;
  char text[5000];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  (void)MR_FAIL(MR_ERR_ARG, "%s", text);
  size_t n = strlen(mr_error_message());
  assert_in_range(n, 500, sizeof text - 2);
  for (int i = 0; i < 1000; i++) mr_trace_at("some/folder/file.c", i);
  assert_in_range(strlen(mr_error_trail()), n, 4095);
}

static void threads_do_not_see_each_others_failures(void **state)
{
  (void)state;
  int mixed = 0;
#ifdef _OPENMP
#pragma omp parallel for num_threads(4) schedule(static, 1) reduction(+ : mixed)
#endif
  for (int i = 0; i < 400; i++) {
    char want[32];
    (void)snprintf(want, sizeof want, "number %d", i);
    (void)MR_FAIL(MR_ERR_ARG, "number %d", i);
    mixed += strcmp(mr_error_message(), want) != 0;
  }
  assert_int_equal(mixed, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_status_has_a_text_of_its_own),
      cmocka_unit_test(a_failure_returns_its_code_and_keeps_its_sentence),
      cmocka_unit_test(the_trail_names_the_places_innermost_first),
      cmocka_unit_test(a_sentence_can_hold_the_one_before),
      cmocka_unit_test(a_new_failure_forgets_the_old_places),
      cmocka_unit_test(endless_sentences_and_trails_are_cut_not_overrun),
      cmocka_unit_test(threads_do_not_see_each_others_failures),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
