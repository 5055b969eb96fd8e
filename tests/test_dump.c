/* test_dump.c — a dump holds what one batch gave, starts other runs, and refuses what does not fit.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include <stdio.h>
#include <string.h>
#include "checkpoint.h"
#include "dump.h"
#include "h5params.h"
#include "mem.h"
#include "nets.h"
#include "runs.h"

static mr_backend *be;
static net whole; /* the network that is dumped, run here */
static char path[512];

static int set_up(void **state)
{
  (void)state;
  (void)snprintf(path, sizeof path, "%s/deep/dump.h5", mr_test_folder());
  assert_ok(mr_backend_open(&be, MR_CPU, 1));
  assert_ok(net_ready(&whole, be, "gru", "--threads=1"));
  return 0;
}

static int tear_down(void **state)
{
  (void)state;
  net_close(&whole);
  mr_backend_close(be);
  mr_test_folder_remove();
  return 0;
}

/* Dumps the network of `model` with `words` to `to`. */
static mr_status dump(const char *model, const char *words, const char *to, const mr_dump_opts *o,
                      mr_dump_result *r)
{
  mr_status st = MR_OK;
  net n;
  char all[1200];
  net_words(all, sizeof all, "--threads=1 %s --out=%s", words, to);
  MR_TRY(net_config(&n, be, model, all));
  MR_TRY(mr_dump(&n.c, o, r));
out:
  net_close(&n);
  return st;
}

static mr_status dump_plain(const char *model, const char *words)
{
  const mr_dump_opts o = {.command = "minrnn dump", .force = true};
  mr_dump_result r;
  return dump(model, words, path, &o, &r);
}

/* Dataset `name` of a dump holds exactly these bytes. */
static void assert_dataset(hid_t file, const char *name, hid_t type, const void *want, size_t bytes)
{
  void *got = NULL;
  const hid_t data = H5Dopen2(file, name, H5P_DEFAULT);
  if (data < 0) fail_msg("the dump has no %s", name);
  assert_int_equal(H5Dget_storage_size(data), bytes);
  assert_ok(mr_calloc(&got, bytes, 1));
  assert_true(H5Dread(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, got) >= 0);
  if (memcmp(got, want, bytes) != 0) fail_msg("%s of the dump is not what was computed", name);
  mr_free(got);
  assert_ok(mr_h5_drop(data, MR_OK, path));
}

static hid_t real_type(void)
{
  return sizeof(mr_real) == sizeof(double) ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT;
}

static void assert_view(hid_t file, const char *name, const mr_view *v)
{
  assert_dataset(file, name, v->dtype == MR_I32 ? H5T_NATIVE_INT32 : real_type(), v->data,
                 mr_bytes(&v->shape, v->dtype));
}

static void assert_value(hid_t file, const char *name, mr_val v)
{
  mr_view view;
  assert_ok(mr_tape_view(whole.tape, v, &view));
  assert_view(file, name, &view);
}

static void batch_parameters_outputs_loss_and_gradients_are_those_of_the_network(void **state)
{
  const mr_slot *s;
  hid_t file = -1;
  int n;
  char name[128], model[64];
  (void)state;
  assert_ok(dump_plain("gru", "--dropout=0.5"));
  assert_ok(mr_h5_open(&file, path));
  (void)net_loss(&whole);
  assert_value(file, "/batch/token", whole.n.token);
  assert_value(file, "/batch/label", whole.n.label);
  assert_value(file, "/y", whole.n.y);
  assert_value(file, "/loss", whole.n.loss);
  assert_ok(mr_tape_backward(whole.tape, 0, 1));
  assert_ok(mr_tape_slots(whole.tape, &s, &n));
  for (int i = 0; i < n; i++) {
    net_words(name, sizeof name, "/params/%s", s[i].name);
    assert_view(file, name, &s[i].value);
    net_words(name, sizeof name, "/grads/%s", s[i].name);
    assert_view(file, name, &s[i].grad);
  }
  mr_h5_close(file);
  assert_ok(mr_h5_attr(path, "/config", "model", model, sizeof model));
  assert_string_equal(model, "gru");
  assert_ok(mr_h5_attr(path, "/", "dropout_drawn", model, sizeof model));
  assert_string_equal(model, "0");
}

static void masks_are_drawn_only_when_asked_for(void **state)
{
  mr_dump_opts o = {.force = true};
  mr_dump_result off, on;
  char text[16];
  (void)state;
  assert_ok(dump("gru", "--dropout=0.5", path, &o, &off));
  o.dropout = true;
  assert_ok(dump("gru", "--dropout=0.5", path, &o, &on));
  assert_true(on.loss != off.loss);
  assert_ok(mr_h5_attr(path, "/", "dropout_drawn", text, sizeof text));
  assert_string_equal(text, "1");
}

static void a_dump_gives_its_parameters_to_a_run_and_to_another_dump(void **state)
{
  static char other[600];
  mr_dump_opts o = {.init = path};
  mr_dump_result r;
  net n;
  (void)state;
  assert_ok(dump_plain("gru", ""));
  assert_ok(net_ready(&n, be, "gru_loop", "--threads=1 --seed=9"));
  assert_true(net_loss(&n) != net_loss(&whole));
  assert_ok(mr_checkpoint_load(path, be, n.tape, NULL, NULL));
  assert_memory_equal(net_slot(n.tape, "block.1.mixer.u.weight")->value.data,
                      net_slot(whole.tape, "block.1.mixer.u.weight")->value.data,
                      mr_bytes(&net_slot(n.tape, "block.1.mixer.u.weight")->value.shape, MR_REAL));
  net_close(&n);
  net_words(other, sizeof other, "%s/other.h5", mr_test_folder());
  assert_ok(dump("gru", "--gru.reset=before", other, &o, &r));
  const double reset_before = r.loss;
  o.init = other, o.force = true;
  assert_ok(dump("gru", "", other, &o, &r));
  assert_true(r.loss == net_loss(&whole) && r.loss != reset_before);
}

static void a_dump_of_another_network_names_every_mismatch(void **state)
{
  static const char *const want[] = {"model gru", "in.weight is [15,4], this run wants [20,4]",
                                     "u.weight is [15,5], this run wants [20,5]",
                                     "it has no parameter block.0.mixer.c0",
                                     "its parameter block.0.mixer.u.bias is not in this run"};
  char kept[1024];
  net n;
  (void)state;
  assert_ok(dump_plain("gru", "--layers=1"));
  assert_ok(net_ready(&n, be, "lstm", "--layers=1"));
  assert_fails(mr_checkpoint_load(path, be, n.tape, NULL, NULL), MR_ERR_CONFIG, want[0]);
  net_words(kept, sizeof kept, "%s", mr_error_message());
  for (size_t i = 1; i < sizeof want / sizeof *want; i++) assert_holds(kept, want[i]);
  net_close(&n);
  assert_ok(net_ready(&n, be, "lstm", "--layers=12"));
  assert_fails(mr_checkpoint_load(path, be, n.tape, NULL, NULL), MR_ERR_CONFIG, "more differences");
  net_close(&n);
}

static void what_cannot_be_dumped_is_refused_before_anything_is_written(void **state)
{
  const mr_dump_opts o = {.force = false};
  mr_dump_opts init = {.init = path};
  mr_dump_result r;
  char other[600];
  const int before = folder_entries();
  (void)state;
  assert_fails(dump("gru", "", "", &o, &r), MR_ERR_CONFIG, "--out=FILE.h5");
  assert_fails(dump("gru", "", "some.txt", &o, &r), MR_ERR_CONFIG, "ends in .h5");
  assert_fails(dump("gru", "--accum=2", path, &o, &r), MR_ERR_CONFIG, "accum is 2");
  assert_fails(dump("gru", "", "/proc/some.h5", &o, &r), MR_ERR_CONFIG, "/proc");
  assert_fails(dump("gru", "", path, &init, &r), MR_ERR_CONFIG, "No such file");
  assert_int_equal(folder_entries(), before);
  assert_ok(dump("gru", "", path, &o, &r));
  assert_fails(dump("gru", "", path, &o, &r), MR_ERR_CONFIG, "exists already");
  net_words(other, sizeof other, "%s/other.h5", mr_test_folder());
  assert_fails(dump("lstm", "", other, &init, &r), MR_ERR_CONFIG, "another network");
  assert_false(file_exists(other));
}

static void without_memory_a_dump_fails_cleanly_and_leaves_no_file(void **state)
{
  mr_status st = MR_ERR_NOMEM;
  int n = 0;
  (void)state;
  while (st != MR_OK) {
    assert_in_range(++n, 1, 2000);
    mr_alloc_fail_at(n);
    st = dump_plain("gru", "--layers=1");
    mr_alloc_fail_at(0);
    if (st != MR_OK) assert_int_equal(st, MR_ERR_NOMEM);
    assert_int_equal(file_exists(path), st == MR_OK);
  }
  assert_true(n > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(batch_parameters_outputs_loss_and_gradients_are_those_of_the_network),
      TEST(masks_are_drawn_only_when_asked_for),
      TEST(a_dump_gives_its_parameters_to_a_run_and_to_another_dump),
      TEST(a_dump_of_another_network_names_every_mismatch),
      TEST(what_cannot_be_dumped_is_refused_before_anything_is_written),
      TEST(without_memory_a_dump_fails_cleanly_and_leaves_no_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
