/* test_bench.c — the benchmark times every model, keeps every sample, and refuses a model whose
 * results cannot be trusted. SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench_impl.h"
#include "nets.h"

enum { MOST_CELLS = 32, MOST_WORDS = 32 };

static mr_cell cell[MOST_CELLS];
static int n_cells;
static mr_bench_row row[MOST_CELLS];

/* Adds the cell of a tiny network with `n` more words of settings. */
static void add(const char *model, int n, const char *const *settings)
{
  static const char *const usual[] = {"--threads=2", "--length=10",
                                      "--width=6",   "--layers=2",
                                      "--batch=3",   "--selective_copy.data_tokens=2"};
  enum { N_USUAL = sizeof usual / sizeof usual[0] };
  const char *word[MOST_WORDS];
  char chosen[64];
  snprintf(chosen, sizeof chosen, "--model=%s", model);
  word[0] = chosen;
  memcpy(word + 1, usual, sizeof usual);
  if (n > 0) memcpy(word + 1 + N_USUAL, settings, (size_t)n * sizeof *settings);
  assert_true(n_cells < MOST_CELLS);
  assert_ok(mr_cell_config(&cell[n_cells].config, NULL, 1 + N_USUAL + n, word));
  cell[n_cells++].cold = false;
}

static int tear_down(void **state)
{
  (void)state;
  while (n_cells > 0) mr_cell_free(&cell[--n_cells]);
  mr_test_folder_remove();
  return 0;
}

/* One for all tests, as the machine's rates are measured once. */
static mr_bench *the_bench;
static mr_bench_opts the_opts;

static int open_bench(void **state)
{
  (void)state;
  return mr_bench_open(&the_bench, &the_opts) != MR_OK;
}

static int close_bench(void **state)
{
  (void)state;
  mr_bench_close(the_bench);
  return 0;
}

/* All cells added so far, as one group. */
static mr_status bench(const mr_bench_opts *o)
{
  the_opts = *o;
  return mr_bench_run(the_bench, cell, n_cells, row);
}

static const mr_bench_opts three = {.samples = 3, .seconds = 1, .command = "minrnn bench"};

/* ---- Times ---------------------------------------------------------------------------------- */

static void every_model_passes_the_gate_and_is_timed(void **state)
{
  (void)state;
  for (int i = 0; i < mr_n_models; i++)
    if (net_can_run(mr_models[i]->name)) add(mr_models[i]->name, 0, NULL);
  assert_ok(bench(&three));
  for (int i = 0; i < n_cells; i++) {
    assert_ptr_equal(row[i].cell, &cell[i]);
    assert_int_equal(row[i].state, MR_CELL_TIMED);
    assert_int_equal(row[i].samples, 3);
    assert_int_equal(row[i].length, 10);
    /* oneDNN makes its products out of sight, so nothing is told of them. */
    const bool hidden = strstr(cell[i].config.model, "_vendor") != NULL;
    assert_true((row[i].gemm_calls > 0) == !hidden && (row[i].gemm_flops > 0) == !hidden);
    assert_true(isnan(row[i].gemm_ratio) == hidden && (hidden || row[i].gemm_ratio > 0));
    assert_true(row[i].gemm_peak_share > 0 && row[i].copy_share > 0 && row[i].launches > 0);
    for (int k = 0; k < MR_N_BENCH_TIMES; k++) {
      const mr_bench_stat *t = &row[i].time[k];
      if (hidden && k == MR_BENCH_GEMM) continue;
      assert_true(t->min > 0 && t->min <= t->p10 && t->p10 <= t->median && t->median <= t->p90);
    }
    assert_false(row[i].mistrusted && strstr(row[i].reason, "planned") != NULL);
    assert_true(llabs(row[i].device_bytes - row[i].planned_bytes) <= row[i].allowance_bytes);
    assert_int_equal(row[i].allowance_bytes, 4 << 10);
    assert_true(row[i].floor > 0 && mr_bench_floor_ratio(&row[i]) > 0);
  }
}

static void after_the_times_the_gradient_norm_is_that_of_the_step_op_by_op(void **state)
{
  (void)state;
  add("gru", 0, NULL);
  assert_ok(bench(&three));
  assert_true(row[0].grad_norm > 0);
  assert_true(fabs(row[0].grad_norm - row[0].grad_norm_check) <= 1e-4 * row[0].grad_norm);
}

static void memory_is_planned_counted_and_bounded(void **state)
{
  (void)state;
  add("mingru", 0, NULL);
  add("lstm_loop", 0, NULL);
  assert_ok(bench(&three));
  for (int i = 0; i < 2; i++) {
    const mr_bench_row *r = &row[i];
    assert_true(r->bound_bytes > 0 && r->bound_bytes <= r->planned_bytes);
    assert_true(r->planned_bytes < r->needed_bytes && r->needed_bytes <= r->free_bytes);
    assert_true(llabs(r->device_bytes - r->planned_bytes) <= r->allowance_bytes);
  }
}

static void a_noisy_machine_still_gets_five_samples_and_an_end(void **state)
{
  const mr_bench_opts o = {.samples = 0, .seconds = 0};
  (void)state;
  add("mingru", 0, NULL);
  assert_ok(bench(&o));
  assert_int_equal(row[0].samples, 5);
}

/* ---- Files ---------------------------------------------------------------------------------- */

static double middle_of_three(double a, double b, double c)
{
  return fmax(fmin(a, b), fmin(fmax(a, b), c));
}

/* The folder of the test as the setting "--out=...". */
static const char *out_word(void)
{
  static char word[600];
  snprintf(word, sizeof word, "--out=%s", mr_test_folder());
  return word;
}

static void every_sample_is_in_the_file(void **state)
{
  static const struct {
    const char *name;
    mr_bench_time time;
  } column[] = {{"fwd_ns", MR_BENCH_FWD},   {"bwd_ns", MR_BENCH_BWD},   {"both_ns", MR_BENCH_BOTH},
                {"gemm_ns", MR_BENCH_GEMM}, {"step_ns", MR_BENCH_STEP}, {"pace_ns", MR_BENCH_PACE}};
  mr_h5_table t;
  (void)state;
  const char *settings[] = {out_word()};
  add("mingru", 1, settings);
  add("lstm", 1, settings);
  assert_ok(bench(&three));
  for (int i = 0; i < 2; i++) {
    assert_ok(mr_h5_table_read(row[i].path, "bench", &t));
    assert_int_equal(t.table.n_rows, 3);
    assert_int_equal(t.table.n_columns, MR_N_SERIES);
    for (size_t k = 0; k < sizeof column / sizeof *column; k++) {
      int at = 0;
      while (strcmp(t.table.column[at].name, column[k].name) != 0) at++;
      const double *x = t.table.cell + at;
      assert_true(middle_of_three(x[0], x[MR_N_SERIES], x[2 * MR_N_SERIES]) ==
                  row[i].time[column[k].time].median);
    }
    mr_h5_table_free(&t);
  }
}

static const char *attr(const char *path, const char *group, const char *name)
{
  static char text[1024];
  assert_ok(mr_h5_attr(path, group, name, text, sizeof text));
  return text;
}

static void the_file_tells_the_cell_its_ops_and_the_measured_rates(void **state)
{
  mr_h5_table t;
  (void)state;
  const char *settings[] = {out_word()};
  add("gru_loop", 1, settings);
  assert_ok(bench(&three));
  const char *path = row[0].path;
  assert_string_equal(attr(path, "/cell", "descriptor"), row[0].descriptor);
  assert_string_equal(attr(path, "/cell", "granularity"), "loop");
  assert_string_equal(attr(path, "/cell", "mode"), "eager");
  assert_string_equal(attr(path, "/", "status"), "complete");
  assert_true(atof(attr(path, "/machine", "copy_bytes_per_s")) > 0);
  assert_true(atof(attr(path, "/machine", "gemm_flop_per_s")) > 0);
  assert_ok(mr_h5_table_read(path, "ops", &t));
  assert_true(t.table.n_rows > 4);
  mr_h5_table_free(&t);
}

static void a_sweep_that_was_cut_goes_on_where_it_stopped(void **state)
{
  mr_bench_opts o = three;
  (void)state;
  const char *settings[] = {out_word()};
  add("mingru", 1, settings);
  assert_ok(bench(&o));
  add("gru", 1, settings);
  assert_ok(bench(&o));
  assert_int_equal(row[0].state, MR_CELL_KEPT);
  assert_int_equal(row[1].state, MR_CELL_TIMED);
  o.force = true;
  assert_ok(bench(&o));
  assert_int_equal(row[0].state, MR_CELL_TIMED);
}

static void the_file_of_a_single_cell_is_not_written_over(void **state)
{
  char out[600];
  mr_bench_opts o = three;
  (void)state;
  snprintf(out, sizeof out, "--out=%s/one.h5", mr_test_folder());
  const char *settings[] = {out};
  add("mingru", 1, settings);
  assert_ok(bench(&o));
  assert_fails(bench(&o), MR_ERR_CONFIG, "exists already");
  o.force = true;
  assert_ok(bench(&o));
}

static void a_cell_that_is_named_twice_cannot_have_one_file(void **state)
{
  (void)state;
  const char *settings[] = {out_word()};
  add("mingru", 1, settings);
  add("mingru", 1, settings);
  assert_fails(bench(&three), MR_ERR_CONFIG, "named twice");
}

static void micro_batches_cannot_be_timed(void **state)
{
  const char *settings[] = {"--batch=4", "--accum=2"};
  (void)state;
  add("mingru", 2, settings);
  assert_fails(bench(&three), MR_ERR_CONFIG, "accum");
}

/* ---- What does not fit or run --------------------------------------------------------------- */

static void a_cell_that_does_not_fit_is_skipped_with_the_bytes_it_would_need(void **state)
{
  mr_bench_opts o = three;
  (void)state;
  const char *settings[] = {out_word()};
  const char *large[] = {out_word(), "--width=64"};
  add("mingru", 1, settings);
  add("mingru", 2, large);
  assert_ok(bench(&o));
  o.limit = (double)row[1].needed_bytes - 1;
  o.force = true;
  const int64_t needed = row[1].needed_bytes;
  assert_true(needed > row[0].needed_bytes);
  assert_ok(bench(&o));
  assert_int_equal(row[0].state, MR_CELL_TIMED);
  assert_int_equal(row[1].state, MR_CELL_SKIPPED);
  assert_int_equal(row[1].needed_bytes, needed);
  assert_int_equal(atoll(attr(row[1].path, "/memory", "needed_bytes")), needed);
  assert_string_equal(attr(row[1].path, "/", "status"), "skipped");
  assert_holds(attr(row[1].path, "/", "reason"), "bytes");
}

static void nothing_large_is_allocated_for_a_cell_that_does_not_fit(void **state)
{
  const mr_bench_opts o = {.samples = 1, .limit = 1e6};
  const char *settings[] = {"--width=1024", "--batch=512", "--length=4096"}; /* about 100 GB */
  (void)state;
  add("mingru", 3, settings);
  assert_ok(bench(&o));
  assert_int_equal(row[0].state, MR_CELL_SKIPPED);
  assert_true(row[0].planned_bytes > (int64_t)20 << 30);
}

static void cells_that_do_not_fit_together_are_timed_one_after_the_other(void **state)
{
  mr_bench_opts o = three;
  (void)state;
  add("mingru", 0, NULL);
  add("gru", 0, NULL);
  assert_ok(bench(&o));
  o.limit = (double)row[0].needed_bytes + (double)row[1].needed_bytes - 1;
  assert_ok(bench(&o));
  assert_int_equal(row[0].state, MR_CELL_TIMED);
  assert_int_equal(row[1].state, MR_CELL_TIMED);
}

static void a_device_that_is_absent_skips_its_cells(void **state)
{
  const char *settings[] = {out_word(), "--device=cuda"};
  mr_backend *be = NULL;
  (void)state;
  if (mr_backend_open(&be, MR_CUDA, 0) == MR_OK) {
    mr_backend_close(be);
    skip();
  }
  add("mingru", 2, settings);
  assert_ok(bench(&three));
  assert_int_equal(row[0].state, MR_CELL_SKIPPED);
  assert_holds(attr(row[0].path, "/", "reason"), "cuda");
}

/* ---- The gate ------------------------------------------------------------------------------- */

/* An op that copies its input, with a fault. */
typedef enum fault { FAULT_NONE, FAULT_DRIFT, FAULT_NAN, FAULT_STALE } fault;
static fault the_fault;
static int calls;

static mr_status copy_infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                            mr_need *need)
{
  (void)attr, (void)n_in, (void)site;
  need->out[0] = in[0].shape;
  need->passes = 1;
  return MR_OK;
}

static mr_status copy_fwd(mr_backend *be, const mr_call *c)
{
  (void)be;
  const mr_real stale = MR_OUT(c, 0)[0]; /* what lies there before it is written */
  memcpy(c->out[0].data, c->in[0].data, mr_bytes(&c->in[0].shape, MR_REAL));
  if (the_fault == FAULT_STALE) MR_OUT(c, 0)[0] += 0 * stale;
  if (the_fault == FAULT_DRIFT) calls++;
  for (int64_t i = 0; the_fault == FAULT_DRIFT && i < mr_count(&c->in[0].shape); i++)
    MR_OUT(c, 0)[i] += (mr_real)(calls % 7 * (i % 5));
  if (the_fault == FAULT_NAN) MR_OUT(c, 0)[0] = (mr_real)NAN;
  return MR_OK;
}

static mr_status copy_bwd(mr_backend *be, const mr_call *c)
{
  int64_t n = mr_count(&c->in[0].shape);
  (void)be;
  for (int64_t i = 0; i < n; i++)
    MR_DIN(c, 0)[i] = MR_DOUT(c, 0)[i] + (c->beta[0] != 0 ? MR_DIN(c, 0)[i] : 0);
  return MR_OK;
}

static const mr_op copy_op = {"copy", 1, 1, 0, copy_infer, {copy_fwd, NULL}, {copy_bwd, NULL}};

static mr_val faulty_mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  mr_val y = mr_find_model("mingru")->mixer(t, c, d, x, st);
  return mr_apply(t, &copy_op, NULL, &y, 1);
}

/* Starts every stretch anew. */
static mr_val forgetful_mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  const mr_val none = {0};
  mr_val y = mr_find_model("mingru")->mixer(t, c, d, x, NULL);
  (void)mr_carry(st, 0, none);
  mr_carry_last(t, st, 0, y);
  return y;
}

static const mr_model_def faulty = {
    .name = "faulty", .summary = "", .mixer = faulty_mixer, .state = mr_state_h};
static const mr_model_def forgetful = {
    .name = "forgetful", .summary = "", .mixer = forgetful_mixer, .state = mr_state_h};

/* What planning, memory and gate say of a model. */
static mr_status gate(const mr_model_def *m)
{
  mr_bench_row r = {.cell = &cell[0]};
  mr_backend *be = NULL;
  the_opts = three;
  assert_ok(mr_backend_open(&be, MR_CPU, 2));
  mr_subject s = {.b = the_bench, .c = &cell[0].config, .be = be, .row = &r};
  mr_status st = mr_subject_plan(&s, m);
  if (st == MR_OK) st = mr_subject_alloc(&s);
  if (st == MR_OK) st = mr_subject_gate(&s);
  mr_subject_close(&s);
  mr_backend_close(be);
  return st;
}

/* What the checks say that follow the timing of a model, without the gate. */
static mr_status after(const mr_model_def *m)
{
  mr_bench_row r = {.cell = &cell[0]};
  assert_ok(bench(&three)); /* opens the device */
  mr_subject s = {.b = the_bench, .c = &cell[0].config, .be = the_bench->be, .row = &r};
  mr_subject *all = &s;
  mr_status st = mr_subject_plan(&s, m);
  if (st == MR_OK) st = mr_subject_alloc(&s);
  if (st == MR_OK) st = mr_sample_all(&all, 1);
  if (st == MR_OK) mr_summarise(&s);
  if (st == MR_OK) st = mr_subject_after(&s);
  mr_subject_close(&s);
  return st;
}

static void a_timed_step_that_is_not_the_one_op_by_op_is_refused(void **state)
{
  (void)state;
  add("mingru", 0, NULL);
  the_fault = FAULT_NONE;
  assert_ok(after(&faulty));
  the_fault = FAULT_DRIFT;
  assert_fails(after(&faulty), MR_ERR_NUMERIC, "op by op");
  the_fault = FAULT_STALE;
  assert_fails(after(&faulty), MR_ERR_NUMERIC, "no time is told");
}

static void the_gate_lets_a_sound_model_through(void **state)
{
  (void)state;
  add("mingru", 0, NULL);
  the_fault = FAULT_NONE;
  assert_ok(gate(&faulty));
}

static void the_gate_refuses_a_model_that_gives_other_bits_the_second_time(void **state)
{
  (void)state;
  add("mingru", 0, NULL);
  the_fault = FAULT_DRIFT;
  assert_fails(gate(&faulty), MR_ERR_NUMERIC, "two runs of its mixer differ");
}

static void the_gate_refuses_a_model_that_gives_nan(void **state)
{
  (void)state;
  add("mingru", 0, NULL);
  the_fault = FAULT_NAN;
  assert_fails(gate(&faulty), MR_ERR_NUMERIC, "no time is told");
}

static void the_gate_refuses_a_model_that_forgets_its_state(void **state)
{
  (void)state;
  add("mingru", 0, NULL);
  assert_fails(gate(&forgetful), MR_ERR_NUMERIC, "carried state");
}

static void the_gate_takes_sequences_of_prime_length_step_by_step(void **state)
{
  const char *settings[] = {"--length=11", "--h0=zero", "--conv=4"}; /* T = 13 */
  (void)state;
  add("mingru", 3, settings);
  the_fault = FAULT_NONE;
  assert_ok(gate(&faulty));
  assert_fails(gate(&forgetful), MR_ERR_NUMERIC, "stretches of 1 steps");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(every_model_passes_the_gate_and_is_timed, tear_down),
      cmocka_unit_test_teardown(after_the_times_the_gradient_norm_is_that_of_the_step_op_by_op,
                                tear_down),
      cmocka_unit_test_teardown(memory_is_planned_counted_and_bounded, tear_down),
      cmocka_unit_test_teardown(a_noisy_machine_still_gets_five_samples_and_an_end, tear_down),
      cmocka_unit_test_teardown(every_sample_is_in_the_file, tear_down),
      cmocka_unit_test_teardown(the_file_tells_the_cell_its_ops_and_the_measured_rates, tear_down),
      cmocka_unit_test_teardown(a_sweep_that_was_cut_goes_on_where_it_stopped, tear_down),
      cmocka_unit_test_teardown(the_file_of_a_single_cell_is_not_written_over, tear_down),
      cmocka_unit_test_teardown(a_cell_that_is_named_twice_cannot_have_one_file, tear_down),
      cmocka_unit_test_teardown(micro_batches_cannot_be_timed, tear_down),
      cmocka_unit_test_teardown(a_cell_that_does_not_fit_is_skipped_with_the_bytes_it_would_need,
                                tear_down),
      cmocka_unit_test_teardown(nothing_large_is_allocated_for_a_cell_that_does_not_fit, tear_down),
      cmocka_unit_test_teardown(cells_that_do_not_fit_together_are_timed_one_after_the_other,
                                tear_down),
      cmocka_unit_test_teardown(a_device_that_is_absent_skips_its_cells, tear_down),
      cmocka_unit_test_teardown(a_timed_step_that_is_not_the_one_op_by_op_is_refused, tear_down),
      cmocka_unit_test_teardown(the_gate_lets_a_sound_model_through, tear_down),
      cmocka_unit_test_teardown(the_gate_refuses_a_model_that_gives_other_bits_the_second_time,
                                tear_down),
      cmocka_unit_test_teardown(the_gate_refuses_a_model_that_gives_nan, tear_down),
      cmocka_unit_test_teardown(the_gate_refuses_a_model_that_forgets_its_state, tear_down),
      cmocka_unit_test_teardown(the_gate_takes_sequences_of_prime_length_step_by_step, tear_down),
  };
  return cmocka_run_group_tests(tests, open_bench, close_bench);
}
