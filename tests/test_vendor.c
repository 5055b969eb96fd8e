/* test_vendor.c — the models on oneDNN give the numbers of ours, or say clearly why they cannot.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include <math.h>
#include <string.h>
#include "mem.h"
#include "nets.h"

/* Sums of a few hundred products in another order, through a dozen steps. */
static const double tolerance = 2e-5;

static const char *const twins[][2] = {{"gru", "gru_vendor"}, {"lstm", "lstm_vendor"}};

#ifdef MR_WITH_DNNL
static const char reason[] = "double precision";
#else
static const char reason[] = "libdnnl-dev";
#endif

static void a_model_that_cannot_run_here_names_what_it_needs(void **state)
{
  (void)state;
  for (int k = 0; k < 2; k++) {
    mr_backend *be = NULL;
    net n;
    assert_ok(mr_backend_open(&be, MR_CPU, 1));
    const mr_status st = net_plan(&n, be, twins[k][1], "");
    if (st != MR_OK) {
      assert_int_equal(st, MR_ERR_UNSUPPORTED);
      assert_holds(mr_error_message(), twins[k][1]);
      assert_holds(mr_error_message(), "oneDNN");
      assert_holds(mr_error_message(), reason);
    }
    net_close(&n);
    mr_backend_close(be);
  }
}

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

/* Loss, outputs and gradients of both, with gradients added up over `passes` passes. */
static void compare(int k, const char *words, int threads, int passes)
{
  mr_backend *be = NULL;
  net ours, theirs;
  const mr_slot *s;
  int n;
  assert_ok(mr_backend_open(&be, MR_CPU, threads));
  assert_ok(net_ready(&ours, be, twins[k][0], words));
  assert_ok(net_ready(&theirs, be, twins[k][1], words));
  net_copy_params(ours.tape, theirs.tape);
  for (int pass = 0; pass < passes; pass++) {
    const double want = net_loss(&ours), got = net_loss(&theirs);
    const mr_shape y = mr_shape_of(ours.tape, ours.n.y);
    assert_true(fabs(want - got) <= tolerance * want);
    assert_true(distance(net_data(theirs.tape, theirs.n.y), net_data(ours.tape, ours.n.y),
                         mr_count(&y)) <= tolerance);
    assert_ok(mr_tape_backward(ours.tape, pass > 0, 1));
    assert_ok(mr_tape_backward(theirs.tape, pass > 0, 1));
  }
  assert_ok(mr_tape_slots(ours.tape, &s, &n));
  for (int i = 0; i < n; i++) {
    const mr_slot *other = net_slot(theirs.tape, s[i].name);
    const double off = distance(other->grad.data, s[i].grad.data, mr_count(&s[i].grad.shape));
    if (!(off <= tolerance))
      fail_msg("%s %s: gradient of %s is off by %.3g", twins[k][1], words, s[i].name, off);
  }
  net_close(&theirs);
  net_close(&ours);
  mr_backend_close(be);
}

static void loss_outputs_and_gradients_are_those_of_our_own(void **state)
{
  static const char *const words[] = {"",
                                      "--h0=zero",
                                      "--batch=1 --length=2",
                                      "--width=48 --expansion=1.5 --batch=7 --length=12",
                                      "--conv=3 --mlp=geglu --norm=layernorm --layers=3",
                                      "--width=33 --expansion=0.5 --h0=zero"};
  (void)state;
  for (int k = 0; k < 2; k++)
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
      compare(k, words[i], 1, 1);
      compare(k, words[i], 2, 1);
    }
}

static void gradients_add_up_over_several_passes(void **state)
{
  (void)state;
  for (int k = 0; k < 2; k++) compare(k, "--width=20", 2, 3);
}

/* More shapes than are kept, then the first again. */
static void a_shape_that_was_forgotten_gives_the_same_bits_again(void **state)
{
  enum { N = 40 };
  mr_backend *be = NULL;
  net n[N];
  double first[N];
  (void)state;
  assert_ok(mr_backend_open(&be, MR_CPU, 1));
  for (int i = 0; i < N; i++) {
    char words[64];
    net_words(words, sizeof words, "--layers=1 --length=%d", 3 + i / 2);
    assert_ok(net_ready(&n[i], be, twins[i % 2][1], words));
    first[i] = net_step(&n[i], 0, 1);
  }
  for (int i = 0; i < N; i++) {
    assert_true(net_step(&n[i], 0, 1) == first[i]);
    net_close(&n[i]);
  }
  mr_backend_close(be);
}

int main(void)
{
  const struct CMUnitTest refusal[] = {
      cmocka_unit_test(a_model_that_cannot_run_here_names_what_it_needs)};
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(loss_outputs_and_gradients_are_those_of_our_own),
      cmocka_unit_test(gradients_add_up_over_several_passes),
      cmocka_unit_test(a_shape_that_was_forgotten_gives_the_same_bits_again),
  };
  const int failed = cmocka_run_group_tests(refusal, NULL, NULL);
  if (failed != 0) return failed;
  if (!net_can_run("gru_vendor")) return MR_TEST_SKIPPED;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
