/* test_infer.c — inference is timed for every model, by what the model really does, and not for one that
 * cannot be trusted. SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include "testing.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "h5log.h"
#include "infer_impl.h"
#include "mem.h"
#include "nets.h"

enum { MOST_CELLS = 32, MOST_WORDS = 16 };

static mr_cell cell[MOST_CELLS];
static int n_cells;
static mr_infer_row row[MOST_CELLS];

/* Adds a cell of a tiny network; `words` are more settings, split by blanks. */
static void add(const char *model, const char *words)
{
  char text[512], *rest = text;
  const char *word[MOST_WORDS];
  int n = 0;
  snprintf(text, sizeof text,
           "--model=%s --threads=1 --length=6 --width=6 --layers=2 --batch=3%s%s", model,
           *words != '\0' ? " " : "", words);
  while (rest != NULL && n < MOST_WORDS) word[n++] = strsep(&rest, " ");
  assert_true(n_cells < MOST_CELLS);
  memset(&cell[n_cells], 0, sizeof cell[0]);
  assert_ok(mr_cell_config(&cell[n_cells].config, NULL, n, word));
  n_cells++;
}

static int tear_down(void **state)
{
  (void)state;
  while (n_cells > 0) mr_cell_free(&cell[--n_cells]);
  mr_test_folder_remove();
  return 0;
}

/* ---- Times ----------------------------------------------------------------------------------- */

static void every_model_passes_the_gate_and_is_timed(void **state)
{
  static const char *const words[] = {"", "--conv=4 --mlp=geglu", "--h0=zero --batch=1"};
  const mr_infer_opts o = {.tokens = 3, .samples = 2};
  (void)state;
  for (int w = 0; w < 3; w++) {
    for (int i = 0; i < mr_n_models; i++)
      if (net_can_run(mr_models[i]->name)) add(mr_models[i]->name, words[w]);
    assert_ok(mr_infer(cell, n_cells, &o, row));
    for (int i = 0; i < n_cells; i++) {
      const mr_bench_stat *const both[] = {&row[i].prefill, &row[i].token};
      if (row[i].state != MR_CELL_TIMED) print_message("%s\n", row[i].reason);
      assert_int_equal(row[i].state, MR_CELL_TIMED);
      assert_int_equal(row[i].samples, 2);
      assert_int_equal(row[i].chunk, 6);
      assert_true(llabs(row[i].device_bytes - row[i].planned_bytes) <= row[i].allowance_bytes);
      for (int k = 0; k < 2; k++)
        assert_true(both[k]->min > 0 && both[k]->min <= both[k]->p10 &&
                    both[k]->p10 <= both[k]->median && both[k]->median <= both[k]->p90);
    }
    assert_int_equal(tear_down(NULL), 0);
  }
}

static void a_context_is_read_in_chunks(void **state)
{
  mr_infer_opts o = {.tokens = 2, .samples = 1, .chunk = 2};
  (void)state;
  add("mingru", "");
  add("transformer", "");
  add("gru_loop", "");
  assert_ok(mr_infer(cell, 3, &o, row));
  for (int i = 0; i < 3; i++) {
    assert_int_equal(row[i].state, MR_CELL_TIMED);
    assert_int_equal(row[i].chunk, 2);
  }
  o.chunk = 4; /* and the last two steps one by one */
  assert_ok(mr_infer(cell, 3, &o, row));
  for (int i = 0; i < 3; i++) assert_int_equal(row[i].state, MR_CELL_TIMED);
  assert_int_equal(mr_infer_chunk(2048), 2048);
  assert_int_equal(mr_infer_chunk(8192), 2048);
  assert_int_equal(mr_infer_chunk(6000), 2000);
  assert_int_equal(mr_infer_chunk(2 * 2053), 2);
  assert_int_equal(mr_infer_chunk(1), 1);
}

static void a_noisy_machine_still_gets_five_samples_and_an_end(void **state)
{
  const mr_infer_opts o = {.tokens = 1, .seconds = 0};
  (void)state;
  add("mingru", "");
  assert_ok(mr_infer(cell, 1, &o, row));
  assert_int_equal(row[0].samples, 5);
}

/* ---- States ---------------------------------------------------------------------------------- */

static int64_t state_bytes(int i, int64_t context)
{
  const mr_config *c = &cell[i].config;
  return mr_infer_state_bytes(c, mr_find_model(c->model), context);
}

static void a_recurrent_state_stays_as_it_is_and_a_cache_grows(void **state)
{
  const int64_t real = sizeof(mr_real), L = 2, D = 6;
  (void)state;
  add("mingru", "");
  add("lstm", "");
  add("mingru", "--conv=4");
  add("transformer", "");
  add("transformer", "--transformer.context=64");
  assert_int_equal(state_bytes(0, 10), L * D * real);
  assert_int_equal(state_bytes(0, 1000), L * D * real);
  assert_int_equal(state_bytes(1, 1000), L * 2 * D * real);
  assert_int_equal(state_bytes(2, 1000), L * (D + 3 * D) * real);
  assert_int_equal(state_bytes(3, 10), L * (10 * 2 * D + 1) * real);
  assert_int_equal(state_bytes(3, 1000) - state_bytes(3, 999), L * 2 * D * real);
  assert_int_equal(state_bytes(4, 10), state_bytes(4, 20));
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void every_sample_is_in_the_file_and_a_finished_cell_is_kept(void **state)
{
  char text[64];
  mr_h5_table t;
  mr_infer_opts o = {.tokens = 4, .samples = 3, .command = "minrnn infer"};
  (void)state;
  o.folder = mr_test_folder();
  add("gru", "");
  assert_ok(mr_infer(cell, 1, &o, row));
  assert_ok(mr_h5_table_read(row[0].path, "prefill", &t));
  assert_int_equal(t.table.n_rows, 3);
  mr_h5_table_free(&t);
  assert_ok(mr_h5_table_read(row[0].path, "token", &t));
  assert_int_equal(t.table.n_rows, 12);
  const double *last = t.table.cell + (int64_t)11 * t.table.n_columns;
  assert_true(last[0] == 2 && last[1] == 9); /* round, position */
  assert_true(last[2] > 0 && last[3] > 0);
  mr_h5_table_free(&t);
  assert_ok(mr_h5_attr(row[0].path, "cell", "descriptor", text, sizeof text));
  assert_string_equal(text, "gru:b3t6d6l2:f32:eager:hot:cpu1:infer4");
  assert_ok(mr_infer(cell, 1, &o, row));
  assert_int_equal(row[0].state, MR_CELL_KEPT);
  o.force = true;
  assert_ok(mr_infer(cell, 1, &o, row));
  assert_int_equal(row[0].state, MR_CELL_TIMED);
}

static void what_does_not_fit_is_skipped_with_its_bytes_and_tried_again(void **state)
{
  char text[256];
  mr_infer_opts o = {.tokens = 2, .samples = 1, .limit = 1000};
  (void)state;
  o.folder = mr_test_folder();
  add("mingru", "");
  add("gru", "");
  assert_ok(mr_infer(cell, 2, &o, row));
  for (int i = 0; i < 2; i++) {
    assert_int_equal(row[i].state, MR_CELL_SKIPPED);
    assert_int_equal(row[i].free_bytes, 1000);
    assert_true(row[i].needed_bytes > 1000);
    assert_holds(row[i].reason, "bytes where 1000 are free");
    assert_ok(mr_h5_attr(row[i].path, "/", "status", text, sizeof text));
    assert_string_equal(text, "skipped");
  }
  /* Room for one of them at a time. */
  o.limit = (double)(row[0].needed_bytes > row[1].needed_bytes ? row[0].needed_bytes
                                                               : row[1].needed_bytes);
  assert_ok(mr_infer(cell, 2, &o, row));
  for (int i = 0; i < 2; i++) assert_int_equal(row[i].state, MR_CELL_TIMED);
}

static void what_cannot_run_here_is_skipped_and_the_others_go_on(void **state)
{
  const mr_infer_opts o = {.tokens = 2, .samples = 1};
  (void)state;
  add("transformer", "--transformer.context=4");
  add("mingru", "");
  assert_ok(mr_infer(cell, 2, &o, row));
  assert_int_equal(row[0].state, MR_CELL_SKIPPED);
  assert_holds(row[0].reason, "transformer.context is 4");
  assert_int_equal(row[1].state, MR_CELL_TIMED);
}

static void a_file_that_cannot_be_read_is_replaced_and_another_cells_is_not(void **state)
{
  char name[256], text[MR_CELL_TEXT];
  mr_infer_opts o = {.tokens = 2, .samples = 1};
  (void)state;
  add("mingru", "");
  assert_ok(mr_infer_describe(&cell[0], &o, 1, text));
  mr_cell_file(text, name);
  o.folder = mr_test_folder();
  (void)mr_test_file(name, "no run", 6);
  assert_ok(mr_infer(cell, 1, &o, row));
  assert_int_equal(row[0].state, MR_CELL_TIMED);
  add("gru", "");
  char from[1024], to[1024];
  snprintf(from, sizeof from, "%s", row[0].path);
  assert_ok(mr_infer(cell + 1, 1, &o, row));
  snprintf(to, sizeof to, "%s", row[0].path);
  assert_int_equal(rename(from, to), 0);
  assert_fails(mr_infer(cell + 1, 1, &o, row), MR_ERR_CONFIG, "is of the cell");
}

static void a_device_that_is_absent_skips_its_cells(void **state)
{
  char text[256];
  mr_infer_opts o = {.tokens = 2, .samples = 1};
  mr_backend *be = NULL;
  (void)state;
  if (mr_backend_open(&be, MR_CUDA, 0) == MR_OK) {
    mr_backend_close(be);
    skip();
  }
  o.folder = mr_test_folder();
  add("mingru", "--device=cuda");
  add("gru", "--device=cuda");
  assert_ok(mr_infer(cell, 2, &o, row));
  for (int i = 0; i < 2; i++) {
    assert_int_equal(row[i].state, MR_CELL_SKIPPED);
    assert_ok(mr_h5_attr(row[i].path, "/", "status", text, sizeof text));
    assert_string_equal(text, "skipped");
    assert_ok(mr_h5_attr(row[i].path, "/", "reason", text, sizeof text));
    assert_holds(text, "cuda");
  }
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

static void a_descriptor_makes_the_cell_that_made_it(void **state)
{
  char text[MR_CELL_TEXT], again[MR_CELL_TEXT];
  mr_infer_opts o = {.tokens = 7, .chunk = 3}, read = {.tokens = 1};
  mr_cell c = {.cold = false};
  (void)state;
  add("mingru", "--mingru.form=log --conv=4");
  assert_ok(mr_infer_describe(&cell[0], &o, 1, text));
  assert_holds(text, ":infer7c3");
  assert_ok(mr_infer_load(&c, &read, text));
  assert_true(read.tokens == 7 && read.chunk == 3);
  assert_ok(mr_infer_describe(&c, &read, 1, again));
  assert_string_equal(text, again);
  mr_cell_free(&c);
  memset(&c, 0, sizeof c);
  assert_ok(mr_infer_load(&c, &read, "gru:b3t6d6l2:f32:eager:hot:cpu1"));
  assert_true(read.tokens == 7);
  mr_cell_free(&c);
}

static void a_descriptor_that_is_not_understood_is_refused(void **state)
{
  static const char *const wrong[] = {"gru:b3t6d6l2:f32:infer",     "gru:b3t6d6l2:f32:infer0",
                                      "gru:b3t6d6l2:f32:infer4x",   "gru:b3t6d6l2:f32:infer4c",
                                      "gru:b3t6d6l2:f32:infer4c0",  "gru:b3t6d6l2:f32:infer4:hot",
                                      "gru:b3t6d6l2:f32:inferfour", "gru:b3t6d6l2:f32:infer4c2c3"};
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    mr_infer_opts o = {.tokens = 1};
    mr_cell c = {.cold = false};
    assert_fails(mr_infer_load(&c, &o, wrong[i]), MR_ERR_CONFIG, "is not understood");
  }
}

/* ---- The gate -------------------------------------------------------------------------------- */

/* Starts every stretch anew. */
static mr_val forgetful_mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  const mr_val none = {0};
  const mr_val y = mr_find_model("mingru")->mixer(t, c, d, x, NULL);
  (void)mr_carry(st, 0, none);
  mr_carry_last(t, st, 0, y);
  return y;
}

/* Sees one step ahead inside a stretch, where there is one. */
static mr_val peeking_mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  if (d.T > 1) {
    const mr_val turned[] = {mr_slice_time(t, x, 1, d.T - 1), mr_slice_time(t, x, 0, 1)};
    x = mr_concat_time(t, turned, 2);
  }
  return mr_find_model("mingru")->mixer(t, c, d, x, st);
}

static const mr_model_def forgetful = {
    .name = "forgetful", .summary = "", .mixer = forgetful_mixer, .state = mr_state_h};
static const mr_model_def peeking = {
    .name = "peeking", .summary = "", .mixer = peeking_mixer, .state = mr_state_h};

/* What the gate says of a model in the place of cell 0's own. */
static mr_status gate(const mr_model_def *m)
{
  const mr_infer_opts o = {.tokens = 3, .samples = 1};
  mr_backend *be = NULL;
  assert_ok(mr_backend_open(&be, MR_CPU, 1));
  memset(&row[0], 0, sizeof row[0]);
  mr_speaker s = {.cell = &cell[0], .o = &o, .row = &row[0], .be = be};
  assert_ok(mr_speaker_plan(&s));
  if (m != NULL) s.model = m;
  assert_ok(mr_speaker_open(&s));
  const mr_status st = mr_speaker_gate(&s);
  mr_speaker_close(&s);
  mr_backend_close(be);
  return st;
}

static void the_gate_refuses_a_model_whose_steps_differ_from_the_whole_sequence(void **state)
{
  (void)state;
  add("mingru", "");
  assert_ok(gate(NULL));
  assert_fails(gate(&forgetful), MR_ERR_NUMERIC, "differ from the whole sequence");
  assert_fails(gate(&peeking), MR_ERR_NUMERIC, "differ from the whole sequence");
}

static void a_starved_opening_fails_cleanly(void **state)
{
  const mr_infer_opts o = {.tokens = 2, .samples = 1};
  mr_status st = MR_ERR_NOMEM;
  (void)state;
  add("mingru", "");
  for (int64_t i = 1; st == MR_ERR_NOMEM || row[0].state != MR_CELL_TIMED; i++) {
    assert_in_range(i, 1, 10000);
    mr_alloc_fail_at(i);
    st = mr_infer(cell, 1, &o, row);
    mr_alloc_fail_at(0);
    assert_true(st == MR_OK || st == MR_ERR_NOMEM);
  }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(every_model_passes_the_gate_and_is_timed),
      TEST(a_context_is_read_in_chunks),
      TEST(a_noisy_machine_still_gets_five_samples_and_an_end),
      TEST(a_recurrent_state_stays_as_it_is_and_a_cache_grows),
      TEST(every_sample_is_in_the_file_and_a_finished_cell_is_kept),
      TEST(what_does_not_fit_is_skipped_with_its_bytes_and_tried_again),
      TEST(what_cannot_run_here_is_skipped_and_the_others_go_on),
      TEST(a_file_that_cannot_be_read_is_replaced_and_another_cells_is_not),
      TEST(a_device_that_is_absent_skips_its_cells),
      TEST(a_descriptor_makes_the_cell_that_made_it),
      TEST(a_descriptor_that_is_not_understood_is_refused),
      TEST(the_gate_refuses_a_model_whose_steps_differ_from_the_whole_sequence),
      TEST(a_starved_opening_fails_cleanly),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
