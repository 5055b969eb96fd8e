/* test_bench.c — the benchmark times every model, keeps every sample, and refuses a model whose
 * results cannot be trusted. SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "bench_impl.h"
#include "nets.h"

enum { MOST_MODELS = 32, MOST_WORDS = 32 };

static mr_config config[MOST_MODELS];
static int n_configs;

/* Adds the config of a tiny network with `n` more words of settings. */
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
  assert_true(n_configs < MOST_MODELS);
  assert_ok(mr_run_config(&config[n_configs], NULL, 1 + N_USUAL + n, word));
  n_configs++;
}

static int tear_down(void **state)
{
  (void)state;
  while (n_configs > 0) mr_config_free(&config[--n_configs]);
  mr_test_folder_remove();
  return 0;
}

/* ---- Times ---------------------------------------------------------------------------------- */

static void every_model_passes_the_gate_and_is_timed(void **state)
{
  const mr_bench_opts o = {.samples = 3, .seconds = 1};
  mr_bench_row row[MOST_MODELS];
  (void)state;
  for (int i = 0; i < mr_n_models; i++)
    if (net_can_run(mr_models[i]->name)) add(mr_models[i]->name, 0, NULL);
  assert_ok(mr_bench(config, n_configs, &o, row));
  for (int i = 0; i < n_configs; i++) {
    assert_ptr_equal(row[i].config, &config[i]);
    assert_int_equal(row[i].samples, 3);
    assert_int_equal(row[i].length, 10);
    assert_true(row[i].planned_bytes > 0);
    assert_true(row[i].gemm_calls > 0 && row[i].gemm_flops > 0 && row[i].gemm_ratio > 0);
    for (int k = 0; k < MR_N_BENCH_TIMES; k++) {
      const mr_bench_stat *t = &row[i].time[k];
      assert_true(t->min > 0 && t->min <= t->p10 && t->p10 <= t->median && t->median <= t->p90);
    }
  }
}

static void a_noisy_machine_still_gets_five_samples_and_an_end(void **state)
{
  const mr_bench_opts o = {.samples = 0, .seconds = 0};
  mr_bench_row row;
  (void)state;
  add("mingru", 0, NULL);
  assert_ok(mr_bench(config, 1, &o, &row));
  assert_int_equal(row.samples, 5);
}

static double middle_of_three(double a, double b, double c)
{
  return fmax(fmin(a, b), fmin(fmax(a, b), c));
}

static void every_sample_is_in_the_file(void **state)
{
  const mr_bench_opts o = {.samples = 3, .seconds = 1, .command = "minrnn bench"};
  static const char *const name[] = {"fwd_ns", "bwd_ns", "gemm_ns", "step_ns"};
  char out[600], path[600];
  mr_bench_row row[2];
  mr_h5_table t;
  (void)state;
  snprintf(out, sizeof out, "--out=%s/times.h5", mr_test_folder());
  const char *settings[] = {out};
  add("mingru", 1, settings);
  add("lstm", 1, settings);
  assert_ok(mr_bench(config, 2, &o, row));
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/times-%s.h5", mr_test_folder(), config[i].model);
    assert_ok(mr_h5_table_read(path, "bench", &t));
    assert_int_equal(t.table.n_rows, 3);
    assert_int_equal(t.table.n_columns, MR_N_BENCH_TIMES);
    for (int k = 0; k < MR_N_BENCH_TIMES; k++) {
      const double *x = t.table.cell + k;
      assert_string_equal(t.table.column[k].name, name[k]);
      assert_true(middle_of_three(x[0], x[4], x[8]) == row[i].time[k].median);
    }
    mr_h5_table_free(&t);
  }
  assert_fails(mr_bench(config, 2, &o, row), MR_ERR_CONFIG, "exists already");
}

static void micro_batches_cannot_be_timed(void **state)
{
  const mr_bench_opts o = {.samples = 3, .seconds = 1};
  const char *settings[] = {"--batch=4", "--accum=2"};
  mr_bench_row row;
  (void)state;
  add("mingru", 2, settings);
  assert_fails(mr_bench(config, 1, &o, &row), MR_ERR_CONFIG, "accum");
}

/* ---- The gate ------------------------------------------------------------------------------- */

/* An op that copies its input, with a fault: the k-th call is off. */
typedef enum fault { FAULT_NONE, FAULT_DRIFT, FAULT_NAN } fault;
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
  memcpy(c->out[0].data, c->in[0].data, mr_bytes(&c->in[0].shape, MR_REAL));
  if (the_fault == FAULT_DRIFT) MR_OUT(c, 0)[0] += (mr_real)calls++;
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

/* What opening and gate say of a model. */
static mr_status gate(const mr_model_def *m)
{
  const mr_bench_opts o = {.samples = 1};
  mr_bench_row row = {.config = NULL};
  mr_subject s = {.c = &config[0], .o = &o, .row = &row};
  mr_backend *be = NULL;
  assert_ok(mr_backend_open(&be, MR_CPU, 2));
  mr_status st = mr_subject_open(&s, be, m);
  if (st == MR_OK) st = mr_subject_gate(&s);
  mr_subject_close(&s);
  mr_backend_close(be);
  return st;
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
      cmocka_unit_test_teardown(a_noisy_machine_still_gets_five_samples_and_an_end, tear_down),
      cmocka_unit_test_teardown(every_sample_is_in_the_file, tear_down),
      cmocka_unit_test_teardown(micro_batches_cannot_be_timed, tear_down),
      cmocka_unit_test_teardown(the_gate_lets_a_sound_model_through, tear_down),
      cmocka_unit_test_teardown(the_gate_refuses_a_model_that_gives_other_bits_the_second_time,
                                tear_down),
      cmocka_unit_test_teardown(the_gate_refuses_a_model_that_gives_nan, tear_down),
      cmocka_unit_test_teardown(the_gate_refuses_a_model_that_forgets_its_state, tear_down),
      cmocka_unit_test_teardown(the_gate_takes_sequences_of_prime_length_step_by_step, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
