/* test_bench_cell.c — a cell's descriptor replays the cell, and says what is wrong with it.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include <stdio.h>
#include <string.h>
#include "bench_cell.h"

static void describe(int n, const char *const *word, bool cold, int threads, char *text)
{
  mr_cell c = {.cold = cold};
  assert_ok(mr_cell_config(&c.config, NULL, n, word));
  assert_ok(mr_cell_describe(&c, c.config.length, threads, text));
  mr_cell_free(&c);
}

/* The descriptor of the cell that `text` describes. */
static void describe_again(const char *text, char *again)
{
  mr_cell c;
  assert_ok(mr_cell_load(&c, text));
  assert_ok(mr_cell_describe(&c, c.config.length, (int)c.config.threads, again));
  mr_cell_free(&c);
}

static void a_descriptor_names_model_shape_arithmetic_mode_and_device(void **state)
{
  const char *const word[] = {"--model=gru", "--batch=4", "--length=100", "--width=16",
                              "--layers=2",  "--steps=7", "--lr=0.5"};
  char text[MR_CELL_TEXT];
  (void)state;
  describe(7, word, false, 2, text);
  assert_string_equal(text, "gru:b4t100d16l2:f32:eager:hot:cpu2");
  describe(7, word, true, 16, text);
  assert_string_equal(text, "gru:b4t100d16l2:f32:eager:cold:cpu16");
}

static void on_a_gpu_the_mode_is_that_of_the_key_graph(void **state)
{
  const char *const word[] = {"--device=cuda", "--math=tf32", "--length=64", "--graph=0"};
  char text[MR_CELL_TEXT];
  (void)state;
  describe(3, word, false, 1, text);
  assert_string_equal(text, "mingru:b64t64d64l3:tf32:graph:hot:cuda");
  describe(4, word, false, 1, text);
  assert_string_equal(text, "mingru:b64t64d64l3:tf32:eager:hot:cuda");
}

static void settings_that_change_the_work_are_part_of_it_and_others_are_not(void **state)
{
  const char *const word[] = {"--length=64",
                              "--expansion=2",
                              "--mingru.form=log",
                              "--gru.reset=before",
                              "--selective_copy.data_tokens=1",
                              "--clip=0"};
  char text[MR_CELL_TEXT];
  (void)state;
  describe(6, word, false, 1, text);
  assert_string_equal(text, "mingru:b64t64d64l3:f32:eager:hot:cpu1:expansion=2:mingru.form=log:"
                            "selective_copy.data_tokens=1");
}

static void what_only_a_gpu_has_means_one_where_no_device_is_named(void **state)
{
  static const char *const cell[][2] = {
      {"mingru:b64t4096d128l3:tf32:graph:hot", "mingru:b64t4096d128l3:tf32:graph:hot:cuda"},
      {"mingru:b64t4096d128l3:bf16:eager", "mingru:b64t4096d128l3:bf16:eager:hot:cuda"},
      {"mingru:b64t4096d128l3:graph", "mingru:b64t4096d128l3:f32:graph:hot:cuda"},
      {"mingru:b64t4096d128l3:graph:cpu2", "mingru:b64t4096d128l3:f32:eager:hot:cpu2"},
      {"mingru:b64t4096d128l3:eager", "mingru:b64t4096d128l3:f32:eager:hot:cpu0"}};
  char text[MR_CELL_TEXT];
  (void)state;
  for (size_t i = 0; i < sizeof cell / sizeof *cell; i++) {
    describe_again(cell[i][0], text);
    assert_string_equal(text, cell[i][1]);
  }
}

static void what_a_descriptor_says_comes_back(void **state)
{
  static const char *const cell[] = {
      "gru:b4t100d16l2:f32:eager:cold:cpu2",
      "mingru:b64t4096d128l3:tf32:graph:hot:cuda:expansion=1.5:mlp=geglu",
      "mingru:b1t8d8l1:f32:eager:hot:cpu1:task=shakespeare:shakespeare.file=a%3ab%25c.txt"};
  char text[MR_CELL_TEXT];
  mr_cell c;
  (void)state;
  for (size_t i = 0; i < sizeof cell / sizeof *cell; i++) {
    describe_again(cell[i], text);
    assert_string_equal(text, cell[i]);
  }
  assert_ok(mr_cell_load(&c, cell[2]));
  assert_string_equal(mr_option_text(&c.config, "shakespeare", "file"), "a:b%c.txt");
  mr_cell_free(&c);
}

static void parts_may_be_left_out_and_come_in_any_order(void **state)
{
  mr_cell c;
  (void)state;
  assert_ok(mr_cell_load(&c, "lstm:b3t5d7l9"));
  assert_string_equal(c.config.model, "lstm");
  assert_int_equal(c.config.batch, 3);
  assert_int_equal(c.config.length, 5);
  assert_int_equal(c.config.width, 7);
  assert_int_equal(c.config.layers, 9);
  assert_false(c.cold);
  mr_cell_free(&c);
  assert_ok(mr_cell_load(&c, "mingru:b64t4096d128l3:cuda:cold:graph:tf32"));
  assert_string_equal(c.config.math, "tf32");
  assert_true(c.cold);
  mr_cell_free(&c);
}

static void a_part_that_is_wrong_is_named(void **state)
{
  static const struct {
    const char *cell, *word;
  } wrong[] = {{"gru", "\"gru\" in cell"},
               {"gru:b4t100d16", "b4t100d16"},
               {"gru:b4t100d16l2x", "l2x"},
               {"gru:t100b4d16l2", "t100b4d16l2"},
               {"gru:b4t100d16l2:warm", "\"warm\""},
               {"gru:b4t100d16l2:", "\"\" in cell"},
               {"gru:b4t100d16l2:cpu2x", "cpu2x"},
               {"gru:b4t100d16l2:=3", "\"=3\""},
               {"gru:b4t100d16l2:task=a%zz", "%zz"},
               {"gru:b4t100d16l2:lenght=3", "lenght"},
               {"gru:b0t100d16l2", "batch"},
               {"nosuch:b4t100d16l2", "nosuch"},
               {"gru:b4t100d16l2:tf32:cpu1", "math is tf32"}};
  mr_cell c;
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_fails(mr_cell_load(&c, wrong[i].cell), MR_ERR_CONFIG, wrong[i].word);
}

static void descriptors_of_any_length_are_read_or_refused(void **state)
{
  char text[2 * MR_CELL_TEXT];
  mr_cell c;
  (void)state;
  for (size_t n = 16; n < sizeof text - 1; n += 7) {
    memset(text, 'x', n);
    memcpy(text, "gru:b4t100d16l2:", 16);
    text[n] = '\0';
    assert_fails(mr_cell_load(&c, text), MR_ERR_CONFIG, NULL);
    text[16] = '=';
    assert_fails(mr_cell_load(&c, text), MR_ERR_CONFIG, NULL);
    memset(text + 16, ':', n - 16);
    assert_fails(mr_cell_load(&c, text), MR_ERR_CONFIG, NULL);
  }
}

static void a_descriptor_makes_a_file_name(void **state)
{
  char name[256], other[256], text[MR_CELL_TEXT];
  (void)state;
  mr_cell_file("gru:b4t100d16l2:f32:eager:hot:cpu2:a.b=c/d", name);
  assert_string_equal(name, "gru-b4t100d16l2-f32-eager-hot-cpu2-a.b=c-d.h5");
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  mr_cell_file(text, name);
  assert_true(strlen(name) < 250);
  text[sizeof text - 2] = 'y';
  mr_cell_file(text, other);
  assert_string_not_equal(name, other);
}

static void granularity_is_told_by_the_ending_of_a_name(void **state)
{
  (void)state;
  assert_string_equal(mr_granularity("gru"), "fused");
  assert_string_equal(mr_granularity("gru_loop"), "loop");
  assert_string_equal(mr_granularity("lstm_vendor"), "vendor");
  assert_string_equal(mr_granularity("mingru_smallops"), "smallops");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_descriptor_names_model_shape_arithmetic_mode_and_device),
      cmocka_unit_test(on_a_gpu_the_mode_is_that_of_the_key_graph),
      cmocka_unit_test(settings_that_change_the_work_are_part_of_it_and_others_are_not),
      cmocka_unit_test(what_only_a_gpu_has_means_one_where_no_device_is_named),
      cmocka_unit_test(what_a_descriptor_says_comes_back),
      cmocka_unit_test(parts_may_be_left_out_and_come_in_any_order),
      cmocka_unit_test(a_part_that_is_wrong_is_named),
      cmocka_unit_test(descriptors_of_any_length_are_read_or_refused),
      cmocka_unit_test(a_descriptor_makes_a_file_name),
      cmocka_unit_test(granularity_is_told_by_the_ending_of_a_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
