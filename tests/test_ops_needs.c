/* test_ops_needs.c — what ops declare that backward reads is what it reads, no less and no more.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: double */
#include <string.h>
#include "rig.h"

/* Cases in which a declared buffer cannot matter, so that only undeclared reads are looked for. */
static bool exempt(const mr_case *c)
{
  static const char *const name[] = {
      "act:relu:N1",                   /* its one input is negative: the gradient is 0 either way */
      "softmax_xent:N10V7:unlabelled", /* nothing is scored: all gradients are 0                  */
  };
  for (size_t i = 0; i < sizeof name / sizeof *name; i++)
    if (strcmp(c->name, name[i]) == 0) return true;
  /* Declarations hold for any T; outputs before the first step are not read when T is 1. */
  return c->along_time && c->in[0].shape.dim[1] == 1;
}

static bool exact(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  return rig_needs(c, be, !exempt(c), text, n);
}

int main(void)
{
  mr_backend *be = rig_backend(2);
  int failed = rig_run_table("declares_exactly_what_backward_reads", exact, be);
  mr_backend_close(be);
  return failed;
}
