/* test_ops_ref.c — CPU kernels compute the equations of ops.h, twice the same.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include <stdio.h>
#include "check.h"
#include "rig.h"

/* In double, gradients have a test of their own. */
static bool agrees(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  mr_check_result r;
  int what = MR_CHECK_FORWARD | MR_CHECK_REPEAT;
  if (sizeof(mr_real) == sizeof(float)) what |= MR_CHECK_BACKWARD;
  assert_ok(mr_check_case(c, be, what, &r));
  if (!r.ok) (void)snprintf(text, n, "%s: %s", c->name, r.text);
  return r.ok;
}

int main(void)
{
  int failed = 0;
  for (int threads = 1; threads <= 2; threads++) {
    mr_backend *be = rig_backend(threads);
    failed += rig_run_table(threads == 1 ? "equals_its_reference" : "on_two_threads_equals_it_too",
                            agrees, be);
    mr_backend_close(be);
  }
  return failed;
}
