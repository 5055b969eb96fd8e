/* test_cuda_ops.c — the CUDA kernels, on the played device, compute the equations of ops.h, do it twice
 * the same, and agree with the CPU's. SPDX-License-Identifier: MIT */
/* labels: unit; real: both; device: host */
#include <stdio.h>
#include "check.h"
#include "rig.h"

static mr_backend *cpu;

static bool tell(const mr_case *c, const mr_check_result *r, char *text, size_t n)
{
  if (!r->ok) (void)snprintf(text, n, "%s: %s", c->name, r->text);
  return r->ok;
}

static bool agrees(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  mr_check_result r;
  assert_ok(mr_check_case(c, be, MR_CHECK_FORWARD | MR_CHECK_REPEAT, &r));
  return tell(c, &r, text, n);
}

/* The CPU's backward is held against differences by tests of its own. */
static bool equals_cpu(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  mr_check_result r;
  assert_ok(mr_check_parity(c, be, cpu, &r));
  return tell(c, &r, text, n);
}

int main(void)
{
  int failed = 0;
  mr_backend *be = NULL;
  assert_ok(mr_backend_open(&be, MR_CUDA, 0));
  cpu = rig_backend(1);
  failed += rig_run_table("on_cuda_equals_its_reference", agrees, be);
  failed += rig_run_table("on_cuda_equals_the_cpu", equals_cpu, be);
  mr_backend_close(cpu);
  mr_backend_close(be);
  return failed;
}
