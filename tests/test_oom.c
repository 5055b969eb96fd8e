/* test_oom.c — whichever allocation fails, the failure is reported and nothing leaks.
 * SPDX-License-Identifier: MIT */
/* labels: unit */
#include "check.h"
#include "mem.h"
#include "nets.h"
#include "optim.h"

enum { MOST = 5000 };

/* Builds, plans, allocates and trains one step of a small network, all of it or nothing. */
static mr_status train_one_step(const char *model)
{
  mr_status st = MR_OK;
  mr_backend *be = NULL;
  mr_optim *optim = NULL;
  net n = {0};
  const mr_optim_rule rule = {
      .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .clip = 1, .steps = 1};
  MR_TRY(mr_backend_open(&be, MR_CPU, 2));
  MR_TRY(net_ready(&n, be, model, "--conv=4 --mlp=geglu --dropout=0.1"));
  MR_TRY(mr_optim_create(&optim, be, n.tape, &rule, NULL));
  MR_TRY(mr_tape_forward(n.tape));
  MR_TRY(mr_tape_backward(n.tape, 0, 1));
  MR_TRY(mr_optim_step(optim, 0, NULL));
out:
  mr_optim_destroy(optim);
  net_close(&n);
  mr_backend_close(be);
  return st;
}

static mr_status check_one_op(const char *name)
{
  mr_status st = MR_OK;
  mr_check_count n;
  FILE *nowhere = fopen("/dev/null", "w");
  assert_non_null(nowhere);
  MR_TRY(mr_check_run(name, MR_CPU, MR_CHECK_ALL, false, nowhere, &n));
  assert_int_equal(n.run, 1);
  assert_int_equal(n.failed, 0);
out:
  assert_int_equal(fclose(nowhere), 0);
  return st;
}

/* Fails the first allocation, then the second, ... until none is left to fail. */
static void fail_each(mr_status (*work)(const char *), const char *what)
{
  int n = 0;
  mr_status st = MR_ERR_NOMEM;
  while (st != MR_OK) {
    assert_true(++n < MOST);
    mr_alloc_fail_at(n);
    st = work(what);
    mr_alloc_fail_at(0);
    if (st != MR_OK && st != MR_ERR_NOMEM)
      fail_msg("%s: allocation %d failed and gave: %s", what, n, mr_error_trail());
  }
  assert_true(n > 10);
}

static void training_fails_cleanly_at_every_allocation(void **state)
{
  (void)state;
  fail_each(train_one_step, "mingru");
  fail_each(train_one_step, "minlstm_smallops");
  fail_each(train_one_step, "gru_loop");
  fail_each(train_one_step, "lstm");
}

static void a_check_fails_cleanly_at_every_allocation(void **state)
{
  (void)state;
  fail_each(check_one_op, "gru_seq:B2T5H3:reset=after:h0");
  fail_each(check_one_op, "concat_time:B2x2D3");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(training_fails_cleanly_at_every_allocation),
      cmocka_unit_test(a_check_fails_cleanly_at_every_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
