/* test_h5log.c — what goes into a run file comes out of it, in names, order, types and values.
 * SPDX-License-Identifier: MIT */
/* labels: unit */
#include "testing.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "h5log_impl.h"
#include "mem.h"

static const mr_column eval_columns[] = {
    {"step", "1"}, {"split", "1"}, {"loss", "nat"}, {"accuracy", "1"}};

static mr_config config;
static char path[512], part[600];

static int set_up(void **state)
{
  static const char *const args[] = {"--width=48", "--lr=0.003"};
  (void)state;
  (void)snprintf(path, sizeof path, "%s/deep/er/run.h5", mr_test_folder());
  (void)snprintf(part, sizeof part, "%s.part", path);
  return mr_config_load(&config, NULL, 0, NULL, 2, args) == MR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
  (void)state;
  mr_config_free(&config);
  mr_test_folder_remove();
  return 0;
}

static mr_log *new_log(void)
{
  mr_log *l = NULL;
  assert_ok(mr_log_create(&l, path, &config, "minrnn train --width=48"));
  return l;
}

static void append(mr_table *t, double step, double split, double loss, double accuracy)
{
  const double row[] = {step, split, loss, accuracy};
  assert_ok(mr_table_append(t, row));
}

/* A log with an eval table of three rows, the last one not finite. */
static mr_log *small_log(void)
{
  mr_log *l = new_log();
  mr_table *eval = NULL;
  assert_ok(mr_log_table(l, "eval", eval_columns, 4, &eval));
  append(eval, 100, 1, 0.1, 0.25);
  append(eval, 9007199254740991, 1, -INFINITY, 1.0 / 3);
  append(eval, 200, 2, NAN, 0);
  return l;
}

static const char *attr(const char *file, const char *group, const char *name)
{
  static char text[MR_H5_MAX_TEXT + 1];
  assert_ok(mr_h5_attr(file, group, name, text, sizeof text));
  return text;
}

/* ---- Round trips ----------------------------------------------------------------------------- */

static void tables_come_back_with_names_units_order_and_values(void **state)
{
  (void)state;
  mr_log *l = small_log();
  mr_h5_table got;
  assert_ok(mr_log_flush(l));
  assert_ok(mr_h5_table_read(part, "eval", &got));
  assert_string_equal(got.table.name, "eval");
  assert_int_equal(got.table.n_columns, 4);
  assert_int_equal(got.table.n_rows, 3);
  for (int k = 0; k < 4; k++) {
    assert_string_equal(got.table.column[k].name, eval_columns[k].name);
    assert_string_equal(got.table.column[k].unit, eval_columns[k].unit);
  }
  const double want[] = {100, 1, 0.1, 0.25, 9007199254740991, 1, -INFINITY, 1.0 / 3,
                         200, 2, NAN, 0};
  assert_close_double(got.table.cell, want, 12, 0, 0);
  mr_h5_table_free(&got);
  mr_log_destroy(l);
}

static void tables_longer_than_a_chunk_and_empty_ones_come_back(void **state)
{
  (void)state;
  enum { ROWS = 10000 };
  mr_log *l = small_log();
  mr_table *eval = NULL, *none = NULL;
  mr_h5_table got;
  static const mr_column one = {"loss", "nat"};
  assert_ok(mr_log_table(l, "eval", eval_columns, 4, &eval));
  assert_ok(mr_log_table(l, "none", &one, 1, &none));
  mr_table_truncate(eval, 0);
  for (int i = 0; i < ROWS; i++) append(eval, i, i % 3, 1.0 / (i + 1), sqrt(i));
  assert_ok(mr_log_flush(l));
  assert_ok(mr_h5_table_read(part, "eval", &got));
  assert_int_equal(got.table.n_rows, ROWS);
  assert_close_double(got.table.cell, eval->cell, 4 * ROWS, 0, 0);
  mr_h5_table_free(&got);
  assert_ok(mr_h5_table_read(part, "none", &got));
  assert_int_equal(got.table.n_rows, 0);
  assert_int_equal(got.table.n_columns, 1);
  mr_h5_table_free(&got);
  mr_log_destroy(l);
}

static void attributes_of_all_kinds_come_back_and_the_last_value_counts(void **state)
{
  (void)state;
  mr_log *l = new_log();
  char longest[MR_H5_MAX_TEXT + 2];
  memset(longest, 'x', sizeof longest);
  longest[MR_H5_MAX_TEXT] = '\0';
  assert_ok(mr_log_text(l, "machine", "cpu", "µ \"quoted\" \\ \n end"));
  assert_ok(mr_log_text(l, "machine", "flags", longest));
  assert_ok(mr_log_num(l, "result", "third", 3));
  assert_ok(mr_log_num(l, "result", "third", 1.0 / 3));
  assert_ok(mr_log_int(l, "plan", "nodes", INT64_MIN));
  assert_ok(mr_log_num(l, "result", "lost", NAN));
  assert_ok(mr_log_text(l, "/", "trust", "mistrusted"));
  assert_ok(mr_log_flush(l));
  assert_string_equal(attr(part, "machine", "cpu"), "µ \"quoted\" \\ \n end");
  assert_string_equal(attr(part, "/machine", "flags"), longest);
  assert_true(strtod(attr(part, "result", "third"), NULL) == 1.0 / 3);
  assert_string_equal(attr(part, "plan", "nodes"), "-9223372036854775808");
  assert_string_equal(attr(part, "result", "lost"), "nan");
  assert_string_equal(attr(part, "/", "trust"), "mistrusted");
  assert_string_equal(attr(part, "/", "reason"), "");
  longest[MR_H5_MAX_TEXT] = 'x', longest[MR_H5_MAX_TEXT + 1] = '\0';
  assert_fails(mr_log_text(l, "machine", "flags", longest), MR_ERR_ARG, "60000");
  mr_log_destroy(l);
}

static void every_resolved_key_is_an_attribute_of_config(void **state)
{
  (void)state;
  mr_log *l = new_log();
  assert_ok(mr_log_flush(l));
  assert_string_equal(attr(part, "config", "width"), "48");
  assert_string_equal(attr(part, "config", "lr"), "0.003");
  assert_string_equal(attr(part, "config", "model"), config.model);
  assert_string_equal(attr(part, "config", "out"), "");
  mr_log_destroy(l);
}

static void ops_are_columns_of_text_and_rates(void **state)
{
  (void)state;
  static const mr_op_time row[] = {
      {.op = "linear", .calls = 3, .ns = 2e9, .flops = 8e9, .bytes = 4e9},
      {.op = "mingru_seq", .backward = true, .calls = 1, .ns = 1e9, .flops = 5, .bytes = 7}};
  mr_log *l = new_log();
  hid_t file = -1;
  mr_h5_columns c;
  assert_ok(mr_log_ops(l, row, 1)); /* replaced by the next call */
  assert_ok(mr_log_ops(l, row, 2));
  assert_ok(mr_log_flush(l));
  assert_ok(mr_h5_open(&file, part));
  assert_ok(mr_h5_columns_read(file, part, "ops", &c));
  assert_int_equal(c.rows, 2);
  assert_int_equal(c.n, 6);
  assert_string_equal(c.column[0].text, "linear");
  assert_string_equal(c.column[0].text + c.column[0].width, "mingru_seq");
  assert_string_equal(c.column[1].text, "forward");
  assert_string_equal(c.column[1].text + c.column[1].width, "backward");
  const double calls[] = {3, 1}, flops[] = {4e9, 5}, bytes[] = {2e9, 7};
  assert_close_double(c.column[2].num, calls, 2, 0, 0);
  assert_close_double(c.column[4].num, flops, 2, 1e-15, 0);
  assert_close_double(c.column[5].num, bytes, 2, 1e-15, 0);
  mr_h5_columns_free(&c);
  mr_h5_close(file);
  mr_log_destroy(l);
}

/* ---- For other programs ---------------------------------------------------------------------- */

static void counts_are_integers_and_step_is_a_dimension_scale(void **state)
{
  (void)state;
  mr_log *l = small_log();
  hid_t file = -1;
  char text[64];
  assert_ok(mr_log_flush(l));
  assert_ok(mr_h5_open(&file, part));
  hid_t step = H5Dopen2(file, "eval/step", H5P_DEFAULT);
  hid_t loss = H5Dopen2(file, "eval/loss", H5P_DEFAULT);
  hid_t split = H5Dopen2(file, "eval/split", H5P_DEFAULT);
  hid_t step_type = H5Dget_type(step), loss_type = H5Dget_type(loss);
  hid_t space = H5Dget_space(loss);
  hsize_t now, most;
  assert_true(H5Tequal(step_type, H5T_STD_I64LE) > 0);
  assert_true(H5Tequal(loss_type, H5T_IEEE_F64LE) > 0);
  assert_int_equal(H5Sget_simple_extent_dims(space, &now, &most), 1);
  assert_true(most == H5S_UNLIMITED);
  assert_ok(mr_h5_get(step, part, "CLASS", text, sizeof text, NULL));
  assert_string_equal(text, "DIMENSION_SCALE");
  assert_ok(mr_h5_get(step, part, "NAME", text, sizeof text, NULL));
  assert_string_equal(text, "step");
  assert_ok(mr_h5_get(split, part, "values", text, sizeof text, NULL));
  assert_string_equal(text, "0 train, 1 valid, 2 test");
  assert_ok(
      mr_h5_drop(space, mr_h5_drop(loss_type, mr_h5_drop(step_type, MR_OK, part), part), part));
  assert_ok(mr_h5_drop(split, mr_h5_drop(loss, mr_h5_drop(step, MR_OK, part), part), part));
  mr_h5_close(file);
  mr_log_destroy(l);
}

static void h5dump_opens_the_file_and_shows_its_values(void **state)
{
  (void)state;
  if (system("command -v h5dump > /dev/null") != 0) skip();
  mr_log *l = small_log();
  char command[4000];
  assert_ok(mr_log_flush(l));
  (void)snprintf(command, sizeof command,
                 "h5dump '%s' > '%s.txt' 2>&1 && grep -q DIMENSION_SCALE '%s.txt' && "
                 "grep -q '100, 9007199254740991, 200' '%s.txt' && grep -q interrupted '%s.txt'",
                 part, part, part, part, part);
  assert_int_equal(system(command), 0);
  mr_log_destroy(l);
}

/* ---- The life of a file ---------------------------------------------------------------------- */

static void nothing_is_written_before_the_first_flush(void **state)
{
  (void)state;
  mr_log *l = small_log();
  assert_int_not_equal(access(path, F_OK), 0);
  assert_int_not_equal(access(part, F_OK), 0);
  mr_log_destroy(l);
  assert_int_not_equal(access(part, F_OK), 0);
}

static void a_part_is_interrupted_until_finish_replaces_it(void **state)
{
  (void)state;
  mr_log *l = small_log();
  assert_ok(mr_log_flush(l));
  assert_string_equal(attr(part, "/", "schema"), "minrnn-run 1");
  assert_string_equal(attr(part, "/", "status"), "interrupted");
  assert_string_equal(attr(part, "/", "trust"), "trusted");
  assert_string_equal(attr(part, "/", "finished"), "");
  assert_string_equal(attr(part, "/", "command"), "minrnn train --width=48");
  assert_ok(mr_log_finish(l, MR_RUN_FAILED, "loss is nan at step 7"));
  assert_int_not_equal(access(part, F_OK), 0);
  assert_string_equal(attr(path, "/", "status"), "failed");
  assert_string_equal(attr(path, "/", "reason"), "loss is nan at step 7");
  int year, month, day, hour, minute, second;
  assert_int_equal(sscanf(attr(path, "/", "finished"), "%d-%d-%dT%d:%d:%dZ", &year, &month, &day,
                          &hour, &minute, &second),
                   6);
  assert_true(year >= 2024 && month <= 12 && day <= 31 && hour < 24 && minute < 60 && second < 61);
  mr_log_destroy(l);
}

static void a_second_sitting_takes_up_rows_and_texts_of_the_first(void **state)
{
  (void)state;
  mr_log *l = small_log();
  mr_table *eval = NULL;
  assert_ok(mr_log_text(l, "/", "started", "2020-02-02T02:02:02Z"));
  assert_ok(mr_log_text(l, "machine", "cpu", "old cpu"));
  assert_ok(mr_log_text(l, "machine", "kernel", "old kernel"));
  assert_ok(mr_log_flush(l));
  mr_log_destroy(l);
  l = new_log();
  assert_ok(mr_log_text(l, "machine", "cpu", "new cpu"));
  assert_ok(mr_log_restore(l, part));
  assert_ok(mr_log_table(l, "eval", eval_columns, 4, &eval));
  assert_int_equal(eval->n_rows, 3);
  append(eval, 300, 2, 0.5, 0.5);
  assert_ok(mr_log_finish(l, MR_RUN_COMPLETE, ""));
  mr_log_destroy(l);
  mr_h5_table got;
  assert_ok(mr_h5_table_read(path, "eval", &got));
  assert_int_equal(got.table.n_rows, 4);
  assert_true(got.table.cell[4 * 3] == 300 && got.table.cell[0] == 100);
  mr_h5_table_free(&got);
  assert_string_equal(attr(path, "/", "started"), "2020-02-02T02:02:02Z");
  assert_string_equal(attr(path, "/", "status"), "complete");
  assert_string_equal(attr(path, "machine", "cpu"), "new cpu");
  assert_string_equal(attr(path, "machine", "kernel"), "old kernel");
}

/* ---- Refusals -------------------------------------------------------------------------------- */

static void wrong_use_is_refused_in_a_sentence(void **state)
{
  (void)state;
  mr_log *l = NULL;
  mr_table *t = NULL;
  assert_fails(mr_log_create(&l, "run.hdf", &config, ""), MR_ERR_ARG, "run.hdf");
  assert_fails(mr_log_create(&l, "folder/.h5", &config, ""), MR_ERR_ARG, ".h5");
  l = small_log();
  assert_fails(mr_log_table(l, "eval", eval_columns, 3, &t), MR_ERR_CONFIG, "eval");
  assert_fails(mr_log_table(l, "a/b", eval_columns, 3, &t), MR_ERR_ARG, "a/b");
  assert_fails(mr_log_table(l, "wide", eval_columns, MR_MAX_COLUMNS + 1, &t), MR_ERR_ARG, "17");
  assert_fails(mr_log_num(l, "result", "a/b", 1), MR_ERR_ARG, "a/b");
  assert_ok(mr_log_table(l, "eval", eval_columns, 4, &t));
  append(t, 0.5, 0, 0, 0);
  assert_fails(mr_log_flush(l), MR_ERR_ARG, "0.5");
  mr_log_destroy(l);
}

static void reading_what_is_not_there_names_it(void **state)
{
  (void)state;
  char buf[8];
  mr_h5_table t;
  mr_log *l = small_log();
  assert_fails(mr_h5_table_read(part, "eval", &t), MR_ERR_IO, "No such file");
  assert_ok(mr_log_flush(l));
  mr_log_destroy(l);
  assert_fails(mr_h5_table_read(part, "bench", &t), MR_ERR_IO, "bench");
  assert_fails(mr_h5_table_read(part, "config", &t), MR_ERR_IO, "0 columns");
  assert_fails(mr_h5_attr(part, "/", "colour", buf, sizeof buf), MR_ERR_IO, "colour");
  assert_fails(mr_h5_attr(part, "result", "x", buf, sizeof buf), MR_ERR_IO, "result");
  assert_fails(mr_h5_attr(part, "/", "status", buf, sizeof buf), MR_ERR_IO, "room for 7");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(tables_come_back_with_names_units_order_and_values, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(tables_longer_than_a_chunk_and_empty_ones_come_back, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(attributes_of_all_kinds_come_back_and_the_last_value_counts,
                                      set_up, tear_down),
      cmocka_unit_test_setup_teardown(every_resolved_key_is_an_attribute_of_config, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(ops_are_columns_of_text_and_rates, set_up, tear_down),
      cmocka_unit_test_setup_teardown(counts_are_integers_and_step_is_a_dimension_scale, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(h5dump_opens_the_file_and_shows_its_values, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(nothing_is_written_before_the_first_flush, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_part_is_interrupted_until_finish_replaces_it, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(a_second_sitting_takes_up_rows_and_texts_of_the_first, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(wrong_use_is_refused_in_a_sentence, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reading_what_is_not_there_names_it, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
