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
  /* Five are more than most cases have rows to share out. */
  const struct {
    int threads;
    const char *what;
  } run[] = {{1, "equals_its_reference"},
             {2, "on_two_threads_equals_it_too"},
             {5, "on_five_threads_equals_it_too"}};
  int failed = 0;
  for (int i = 0; i < 3; i++) {
    mr_backend *be = rig_backend(run[i].threads);
    failed += rig_run_table(run[i].what, agrees, be);
    mr_backend_close(be);
  }
  return failed;
}
