/* test_table.c — tables keep every row, grow, shrink and fail cleanly. SPDX-License-Identifier: MIT */
/* labels: unit */
#include "testing.h"
#include "mem.h"
#include "table.h"

static const mr_column columns[] = {{"step", "1"}, {"loss", "nat"}, {"wall", "ns"}};

static void append(mr_table *t, int64_t i)
{
  const double row[] = {(double)i, 1.0 / (double)(i + 1), (double)i * 1e9};
  assert_ok(mr_table_append(t, row));
}

static void every_appended_row_is_kept_in_order(void **state)
{
  (void)state;
  mr_table t;
  mr_table_init(&t, "train", columns, 3);
  int64_t before = mr_alloc_count();
  for (int64_t i = 0; i < 5000; i++) append(&t, i);
  assert_in_range(mr_alloc_count() - before, 1, 13);
  assert_int_equal(t.n_rows, 5000);
  assert_string_equal(t.name, "train");
  assert_string_equal(t.column[1].name, "loss");
  assert_string_equal(t.column[2].unit, "ns");
  for (int64_t i = 0; i < 5000; i++) {
    const double want[] = {(double)i, 1.0 / (double)(i + 1), (double)i * 1e9};
    assert_close_double(t.cell + 3 * i, want, 3, 0, 0);
  }
  mr_table_free(&t);
  assert_int_equal(t.n_rows, 0);
}

static void truncate_drops_the_last_rows_and_never_adds_any(void **state)
{
  (void)state;
  mr_table t;
  mr_table_init(&t, "eval", columns, 3);
  for (int64_t i = 0; i < 10; i++) append(&t, i);
  mr_table_truncate(&t, 20);
  assert_int_equal(t.n_rows, 10);
  mr_table_truncate(&t, -1);
  assert_int_equal(t.n_rows, 10);
  mr_table_truncate(&t, 4);
  assert_int_equal(t.n_rows, 4);
  append(&t, 77);
  assert_int_equal(t.n_rows, 5);
  assert_true(t.cell[4 * 3] == 77 && t.cell[3 * 3] == 3);
  mr_table_truncate(&t, 0);
  assert_int_equal(t.n_rows, 0);
  mr_table_free(&t);
}

static void a_failed_append_leaves_the_rows_as_they_were(void **state)
{
  (void)state;
  mr_table t;
  const double row[3] = {1, 2, 3};
  mr_table_init(&t, "train", columns, 3);
  mr_alloc_fail_at(1);
  assert_fails(mr_table_append(&t, row), MR_ERR_NOMEM, NULL);
  assert_int_equal(t.n_rows, 0);
  int64_t n = 0;
  do append(&t, n++);
  while (t.n_rows < t.capacity);
  mr_alloc_fail_at(1);
  assert_fails(mr_table_append(&t, row), MR_ERR_NOMEM, NULL);
  assert_int_equal(t.n_rows, n);
  append(&t, n);
  for (int64_t i = 0; i <= n; i++) assert_true(t.cell[3 * i] == (double)i);
  mr_table_free(&t);
  mr_table_free(&t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_appended_row_is_kept_in_order),
      cmocka_unit_test(truncate_drops_the_last_rows_and_never_adds_any),
      cmocka_unit_test(a_failed_append_leaves_the_rows_as_they_were),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
