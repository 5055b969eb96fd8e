/* test_ops_grad.c — backward is the derivative of the equation, to 1e-6, by central differences.
 * SPDX-License-Identifier: MIT */
/* labels: grad; real: double */
#include <stdio.h>
#include "check.h"
#include "rig.h"

static bool agrees(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  mr_check_result r;
  assert_ok(mr_check_case(c, be, MR_CHECK_BACKWARD, &r));
  if (!r.ok) (void)snprintf(text, n, "%s: %s", c->name, r.text);
  return r.ok;
}

int main(void)
{
  int failed = 0;
  for (int threads = 1; threads <= 2; threads++) {
    mr_backend *be = rig_backend(threads);
    failed += rig_run_table(threads == 1 ? "backward_matches_differences"
                                         : "backward_on_two_threads_matches_them_too",
                            agrees, be);
    mr_backend_close(be);
  }
  return failed;
}
