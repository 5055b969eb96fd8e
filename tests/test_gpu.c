/* test_gpu.c — the CUDA kernels on a real device: every case against its reference and the CPU, every
 * model's steps. Skipped where there is none. SPDX-License-Identifier: MIT */
/* labels: gpu; real: both */
#include <stdio.h>
#include "check.h"
#include "rig.h"

static mr_backend *cpu;

static bool agrees(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  mr_check_result r;
  assert_ok(mr_check_case(c, be, MR_CHECK_FORWARD | MR_CHECK_REPEAT, &r));
  if (r.ok) assert_ok(mr_check_parity(c, be, cpu, &r));
  if (!r.ok) (void)snprintf(text, n, "%s: %s", c->name, r.text);
  return r.ok;
}

static mr_backend *gpu;

static void every_model_trains_as_on_the_cpu_and_as_a_graph(void **state)
{
  mr_check_count n = {0, 0, 0};
  (void)state;
  assert_ok(mr_check_models(NULL, gpu, cpu, stdout, &n));
  assert_true(n.run > 0);
  assert_int_equal(n.failed, 0);
}

int main(void)
{
  const struct CMUnitTest models[] = {
      cmocka_unit_test(every_model_trains_as_on_the_cpu_and_as_a_graph)};
  int failed = 0;
  if (mr_backend_open(&gpu, MR_CUDA, 0) != MR_OK) {
    printf("skipped: %s\n", mr_error_message());
    return MR_TEST_SKIPPED;
  }
  cpu = rig_backend(1);
  failed += rig_run_table("on_the_gpu_equals_reference_and_cpu", agrees, gpu);
  failed += cmocka_run_group_tests(models, NULL, NULL);
  mr_backend_close(cpu);
  mr_backend_close(gpu);
  return failed;
}
