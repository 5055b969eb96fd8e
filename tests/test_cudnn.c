/* test_cudnn.c — the vendor layers on CUDA against our own on the CPU, with a stand-in for cuDNN that
 * computes on the host (fake/cudnn.c). SPDX-License-Identifier: MIT */
/* labels: unit; real: both; device: host */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench_impl.h"
#include "check.h"
#include "mem.h"
#include "nets.h"

/* Sums of a few hundred products in another order, through a dozen steps. */
static const double tolerance = sizeof(mr_real) == 8 ? 1e-12 : 2e-5;

static const char *const twins[][2] = {{"gru", "gru_vendor"}, {"lstm", "lstm_vendor"}};

/* |got - want| in norm, relative to |want|. */
static double distance(const mr_real *got, const mr_real *want, int64_t n)
{
  double off = 0, all = 1e-30;
  for (int64_t i = 0; i < n; i++) {
    const double d = (double)got[i] - (double)want[i];
    off += d * d, all += (double)want[i] * (double)want[i];
  }
  return sqrt(off / all);
}

static void open_devices(mr_backend **cpu, mr_backend **cuda)
{
  assert_ok(mr_backend_open(cpu, MR_CPU, 1));
  assert_ok(mr_backend_open(cuda, MR_CUDA, 1));
}

/* n reals of the device in new memory for mr_free. */
static mr_real *fetch(mr_backend *be, const void *from, int64_t n)
{
  void *p = NULL;
  assert_ok(mr_calloc(&p, (size_t)n, sizeof(mr_real)));
  assert_ok(be->api->download(be, p, from, (size_t)n * sizeof(mr_real)));
  return p;
}

/* The same n reals there as in `want`, which is on the CPU. */
static double off_by(mr_backend *cuda, const void *there, const mr_real *want, int64_t n)
{
  mr_real *got = fetch(cuda, there, n);
  const double off = distance(got, want, n);
  mr_free(got);
  return off;
}

/* Parameters of a network on the CPU to one on CUDA. */
static void send_params(const net *from, const net *to)
{
  const mr_slot *s;
  int n;
  assert_ok(mr_tape_slots(from->tape, &s, &n));
  for (int i = 0; i < n; i++)
    assert_ok(to->be->api->upload(to->be, net_slot(to->tape, s[i].name)->value.data,
                                  s[i].value.data, mr_bytes(&s[i].value.shape, MR_REAL)));
}

/* Loss, outputs and gradients of both, with gradients added up over `passes` passes. */
static void compare(int k, const char *words, const char *option, int passes)
{
  mr_backend *cpu = NULL, *cuda = NULL;
  net ours, theirs;
  const mr_slot *s;
  char vendor_words[256];
  int n;
  open_devices(&cpu, &cuda);
  net_words(vendor_words, sizeof vendor_words, "%s%s%s%s", words, *words ? " " : "",
            *option ? "--" : "", "");
  if (*option)
    net_words(vendor_words, sizeof vendor_words, "%s%s--%s.algo=%s", words, *words ? " " : "",
              twins[k][1], option);
  assert_ok(net_ready(&ours, cpu, twins[k][0], words));
  assert_ok(net_ready(&theirs, cuda, twins[k][1], vendor_words));
  send_params(&ours, &theirs);
  for (int pass = 0; pass < passes; pass++) {
    const mr_real loss = (mr_real)net_loss(&ours);
    const mr_shape y = mr_shape_of(ours.tape, ours.n.y);
    assert_ok(mr_tape_forward(theirs.tape));
    assert_true(off_by(cuda, net_data(theirs.tape, theirs.n.loss), &loss, 1) <= tolerance);
    assert_true(off_by(cuda, net_data(theirs.tape, theirs.n.y), net_data(ours.tape, ours.n.y),
                       mr_count(&y)) <= tolerance);
    assert_ok(mr_tape_backward(ours.tape, pass > 0, 1));
    assert_ok(mr_tape_backward(theirs.tape, pass > 0, 1));
  }
  assert_ok(mr_tape_slots(ours.tape, &s, &n));
  for (int i = 0; i < n; i++) {
    const mr_slot *other = net_slot(theirs.tape, s[i].name);
    const double off = off_by(cuda, other->grad.data, s[i].grad.data, mr_count(&s[i].grad.shape));
    if (!(off <= tolerance))
      fail_msg("%s %s: gradient of %s is off by %.3g", twins[k][1], words, s[i].name, off);
  }
  net_close(&theirs);
  net_close(&ours);
  mr_backend_close(cuda);
  mr_backend_close(cpu);
}

static void loss_outputs_and_gradients_are_those_of_our_own(void **state)
{
  static const char *const words[] = {"", "--h0=zero", "--batch=1 --length=2",
                                      "--width=20 --expansion=1.5 --batch=3 --length=9",
                                      "--conv=3 --mlp=geglu --norm=layernorm --layers=3"};
  (void)state;
  for (int k = 0; k < 2; k++)
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) compare(k, words[i], "", 1);
}

static void gradients_add_up_over_several_passes(void **state)
{
  (void)state;
  for (int k = 0; k < 2; k++) compare(k, "--width=6", "", 3);
}

static void every_algorithm_can_be_forced(void **state)
{
  static const char *const names[] = {"standard", "persist_static", "persist_static_small_h",
                                      "persist_dynamic"};
  (void)state;
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < 4; i++) compare(k, "--width=8", names[i], 1);
}

/* The variant that the plan names, "" when the network cannot be planned. */
static void planned_algo(const char *model, const char *words, char *out, size_t bytes)
{
  mr_backend *cuda = NULL;
  net n;
  *out = '\0';
  assert_ok(mr_backend_open(&cuda, MR_CUDA, 1));
  if (net_plan(&n, cuda, model, words) == MR_OK)
    for (int32_t i = 0; i < n.plan.nodes; i++) {
      mr_node_info info;
      assert_ok(mr_tape_node(n.tape, i, &info));
      if (strcmp(info.op, model) == 0) net_words(out, bytes, "%s", info.variant);
    }
  net_close(&n);
  mr_backend_close(cuda);
}

#define LIBRARY ", cuDNN 9.1.0, CUBLAS_WORKSPACE_CONFIG=:4096:2"

/* The stand-in computes up to 16 hidden units with its small kernels and up to 24 with persistent ones. */
static void the_algorithm_taken_is_the_first_that_works_and_is_told(void **state)
{
  static const struct {
    const char *model, *words, *algo;
  } expected[] = {
      {"gru_vendor", "--width=16 --expansion=1", "persist_static_small_h" LIBRARY},
      {"gru_vendor", "--width=20 --expansion=1", "persist_dynamic" LIBRARY},
      {"gru_vendor", "--width=20 --expansion=1 --gru_vendor.algo=persist_static",
       "persist_static" LIBRARY},
      {"gru_vendor", "--width=30 --expansion=1", "standard" LIBRARY},
      {"lstm_vendor", "--width=20 --expansion=1", "persist_static" LIBRARY},
  };
  char algo[160];
  (void)state;
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
    planned_algo(expected[i].model, expected[i].words, algo, sizeof algo);
    assert_string_equal(algo, expected[i].algo);
  }
}

static void an_algorithm_that_cannot_do_it_is_refused(void **state)
{
  char algo[64];
  (void)state;
  planned_algo("gru_vendor", "--width=30 --expansion=1 --gru_vendor.algo=persist_static_small_h",
               algo, sizeof algo);
  assert_string_equal(algo, "");
  assert_holds(mr_error_message(), "cuDNN cannot describe a recurrent layer");
}

static void without_the_library_the_sentence_says_how_to_get_it(void **state)
{
  mr_backend *cuda = NULL;
  net n;
  (void)state;
  assert_int_equal(setenv("MINRNN_CUDNN", "/nowhere/libcudnn.so.9", 1), 0);
  assert_ok(mr_backend_open(&cuda, MR_CUDA, 1));
  assert_fails(net_plan(&n, cuda, "gru_vendor", ""), MR_ERR_UNSUPPORTED, "MINRNN_CUDNN");
  net_close(&n);
  mr_backend_close(cuda);
}

/* What the stand-in is told: each pass gives results larger by this share than the one before. */
static void vary(double share)
{
  void (*tell)(double);
  void *library = dlopen(getenv("MINRNN_CUDNN"), RTLD_NOW | RTLD_LOCAL);
  assert_non_null(library);
  *(void **)&tell = dlsym(library, "fake_cudnn_vary");
  assert_non_null(tell);
  tell(share);
  assert_int_equal(dlclose(library), 0); /* the program keeps it open */
}

static const double little = sizeof(mr_real) == 8 ? 1e-13 : 1e-6, much = 1e-2;

static void checked(double share, int failed, const char *told)
{
  mr_backend *cpu = NULL, *cuda = NULL;
  mr_check_count n = {0, 0, 0};
  char text[4096] = "";
  FILE *f = tmpfile();
  assert_non_null(f);
  open_devices(&cpu, &cuda);
  vary(share);
  assert_ok(mr_check_models("model:gru_vendor:algo=standard", cuda, cpu, f, &n));
  vary(0);
  rewind(f);
  assert_true(fread(text, 1, sizeof text - 1, f) > 0);
  assert_int_equal(fclose(f), 0);
  assert_int_equal(n.run, 1);
  assert_int_equal(n.failed, failed);
  assert_holds(text, told);
  mr_backend_close(cuda);
  mr_backend_close(cpu);
}

static void the_check_notes_last_bits_that_vary_and_refuses_more(void **state)
{
  (void)state;
  checked(little, 0, "note: 3 steps");
  checked(much, 1, "FAIL");
}

/* What the benchmark's gate says; the largest difference of two runs into *off. */
static mr_status gate(double share, double *off)
{
  static const char *const words[] = {"--model=gru_vendor",
                                      "--device=cuda",
                                      "--length=6",
                                      "--width=6",
                                      "--layers=1",
                                      "--batch=2",
                                      "--selective_copy.data_tokens=2"};
  const mr_bench_opts opts = {.samples = 3};
  mr_bench b = {.o = &opts};
  mr_bench_row row = {.repeat_error = -1};
  mr_cell cell = {.cold = false};
  mr_subject s = {.b = &b, .c = &cell.config, .row = &row};
  row.cell = &cell;
  assert_ok(mr_cell_config(&cell.config, NULL, sizeof words / sizeof *words, words));
  assert_ok(mr_backend_open(&s.be, MR_CUDA, 1));
  assert_ok(mr_subject_plan(&s, mr_find_model("gru_vendor")));
  assert_ok(mr_subject_alloc(&s));
  vary(share);
  const mr_status st = mr_subject_gate(&s);
  vary(0);
  *off = row.repeat_error;
  mr_backend *be = s.be;
  mr_subject_close(&s);
  mr_backend_close(be);
  mr_cell_free(&cell);
  return st;
}

static void the_benchmark_tells_last_bits_that_vary_and_refuses_more(void **state)
{
  double off;
  (void)state;
  assert_ok(gate(0, &off));
  assert_true(off == 0);
  assert_ok(gate(little, &off));
  assert_true(off > 0 && off < 100 * little);
  assert_fails(gate(much, &off), MR_ERR_NUMERIC, "two runs of its mixer differ");
}

int main(void)
{
  const struct CMUnitTest missing[] = {
      cmocka_unit_test(without_the_library_the_sentence_says_how_to_get_it)};
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(loss_outputs_and_gradients_are_those_of_our_own),
      cmocka_unit_test(gradients_add_up_over_several_passes),
      cmocka_unit_test(every_algorithm_can_be_forced),
      cmocka_unit_test(the_algorithm_taken_is_the_first_that_works_and_is_told),
      cmocka_unit_test(an_algorithm_that_cannot_do_it_is_refused),
      cmocka_unit_test(the_check_notes_last_bits_that_vary_and_refuses_more),
      cmocka_unit_test(the_benchmark_tells_last_bits_that_vary_and_refuses_more),
  };
  char path[1024];
  const char *folder = getenv("MINRNN_BUILD_DIR");
  if (folder == NULL || !net_can_run("gru")) return MR_TEST_SKIPPED;
  const int failed = cmocka_run_group_tests(missing, NULL, NULL);
  net_words(path, sizeof path, "%s/tests/libfake_cudnn.so", folder);
  if (setenv("MINRNN_CUDNN", path, 1) != 0) return 1;
  return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
