/* test_cuda_fibers.c — the played CUDA device runs a right kernel right and reports each wrong one.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: both; device: host */
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "running_sum.h"
#include "testing.h"

enum { N = 3 * SUM_TILE + 17, BYTES = N * sizeof(mr_real) };
/* Launches, each in another order of fibers, in which a fault must show. */
enum { TRIES = 20 };

typedef struct rig {
  mr_backend *be;
  void *x, *y; /* [N] on the device */
  mr_real host[N];
} rig;

static void open_rig(rig *r)
{
  assert_ok(mr_backend_open(&r->be, MR_CUDA, 0));
  assert_ok(r->be->api->alloc(r->be, BYTES, &r->x));
  assert_ok(r->be->api->alloc(r->be, BYTES, &r->y));
  for (int i = 0; i < N; i++) r->host[i] = (mr_real)(i % 7 - 2);
  assert_ok(r->be->api->upload(r->be, r->x, r->host, BYTES));
}

static void close_rig(rig *r)
{
  r->be->api->release(r->be, r->x);
  r->be->api->release(r->be, r->y);
  mr_backend_close(r->be);
}

/* Runs the kernel with a fault on n numbers; the failure, or whether y is right. */
static mr_status sum(rig *r, running_sum_fault fault, int64_t n, bool *right)
{
  mr_real y[N];
  double want = 0;
  assert_ok(r->be->api->fill(r->be, r->y, 0xff, BYTES));
  assert_ok(running_sum(r->be, r->x, r->y, n, fault));
  const mr_status st = r->be->api->download(r->be, y, r->y, BYTES);
  *right = st == MR_OK;
  for (int64_t i = 0; i < n && st == MR_OK; i++) {
    want += (double)r->host[i];
    if (!((double)y[i] == want)) *right = false;
  }
  return st;
}

static void a_right_kernel_is_right_in_any_order(void **state)
{
  rig r;
  bool right;
  (void)state;
  open_rig(&r);
  /* Every launch has another order of fibers. */
  for (int64_t n = 1; n <= N; n += 8) {
    assert_ok(sum(&r, SUM_RIGHT, n, &right));
    assert_true(right);
  }
  close_rig(&r);
}

static void wrong_numbers_show(void **state)
{
  static const running_sum_fault fault[] = {SUM_NO_BARRIER, SUM_NO_BARRIER_BEHIND, SUM_SHORT_TILE,
                                            SUM_OLD_CARRY, SUM_UNSET};
  rig r;
  bool right;
  (void)state;
  open_rig(&r);
  for (size_t i = 0; i < sizeof fault / sizeof *fault; i++) {
    int tries = 0;
    do assert_ok(sum(&r, fault[i], N, &right));
    while (right && ++tries < TRIES);
    if (right) fail_msg("fault %d went unseen", (int)fault[i]);
  }
  close_rig(&r);
}

static void threads_that_do_not_meet_are_reported_with_kernel_and_block(void **state)
{
  static const running_sum_fault fault[] = {SUM_IDLE_LEAVES, SUM_IDLE_LANES, SUM_TWO_BARRIERS};
  rig r;
  bool right;
  (void)state;
  open_rig(&r);
  for (size_t i = 0; i < sizeof fault / sizeof *fault; i++) {
    assert_int_equal(sum(&r, fault[i], N, &right), MR_ERR_CUDA);
    assert_holds(mr_error_message(), "kernel sum");
    assert_holds(mr_error_message(), "block (0,0,0)");
    /* The device goes on after a failure. */
    assert_ok(sum(&r, SUM_RIGHT, N, &right));
    assert_true(right);
  }
  close_rig(&r);
}

static void launches_that_no_device_takes_are_refused(void **state)
{
  rig r;
  (void)state;
  open_rig(&r);
  assert_ok(running_sum_launch(r.be, 1, 2000, 0));
  assert_fails(r.be->api->sync(r.be), MR_ERR_CUDA, "2000");
  assert_ok(running_sum_launch(r.be, 1, 64, (size_t)1 << 20));
  assert_fails(r.be->api->sync(r.be), MR_ERR_CUDA, "1048576");
  close_rig(&r);
}

/* Memory of the device ends the process that reads it as its own. */
static void the_host_cannot_read_device_memory(void **state)
{
  rig r;
  int how;
  (void)state;
  open_rig(&r);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    (void)signal(SIGSEGV, SIG_DFL); /* not the sanitizers' */
    const volatile mr_real *x = r.x;
    _exit(isnan(*x) ? 1 : 0);
  }
  assert_int_equal(waitpid(child, &how, 0), child);
  assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGSEGV);
  close_rig(&r);
}

static void work_waits_until_somebody_waits_for_it(void **state)
{
  rig r;
  mr_real old[N], y[N];
  (void)state;
  open_rig(&r);
  memcpy(old, r.host, sizeof old);
  assert_ok(r.be->api->upload(r.be, r.y, r.host, BYTES));
  /* What was uploaded is what stood there then. */
  memset(r.host, 0, sizeof r.host);
  assert_ok(r.be->api->download(r.be, y, r.y, BYTES));
  assert_memory_equal(y, old, sizeof y);
  close_rig(&r);
}

static void a_graph_does_again_what_was_captured(void **state)
{
  rig r;
  mr_real y[N];
  mr_graph *g = NULL;
  (void)state;
  open_rig(&r);
  const mr_backend_api *api = r.be->api;
  assert_ok(api->fill(r.be, r.y, 0, BYTES));
  assert_ok(api->capture_begin(r.be));
  assert_fails(api->upload(r.be, r.x, r.host, BYTES), MR_ERR_CUDA, "upload");
  assert_fails(api->sync(r.be), MR_ERR_CUDA, "waiting");
  assert_fails(api->capture_begin(r.be), MR_ERR_CUDA, "second");
  assert_ok(running_sum(r.be, r.x, r.y, N, SUM_RIGHT));
  assert_ok(api->capture_end(r.be, &g));
  assert_ok(api->download(r.be, y, r.y, BYTES));
  assert_true(y[N - 1] == 0); /* captured, not done */
  for (int again = 1; again <= 2; again++) {
    double want = 0;
    for (int i = 0; i < N; i++) r.host[i] = (mr_real)again, want += again;
    assert_ok(api->upload(r.be, r.x, r.host, BYTES));
    assert_ok(api->launch(r.be, g));
    assert_ok(api->download(r.be, y, r.y, BYTES));
    assert_true((double)y[N - 1] == want);
  }
  api->free_graph(r.be, g);
  close_rig(&r);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_right_kernel_is_right_in_any_order),
      cmocka_unit_test(wrong_numbers_show),
      cmocka_unit_test(threads_that_do_not_meet_are_reported_with_kernel_and_block),
      cmocka_unit_test(launches_that_no_device_takes_are_refused),
      cmocka_unit_test(the_host_cannot_read_device_memory),
      cmocka_unit_test(work_waits_until_somebody_waits_for_it),
      cmocka_unit_test(a_graph_does_again_what_was_captured),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
