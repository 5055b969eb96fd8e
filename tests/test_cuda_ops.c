/* test_cuda_ops.c — the CUDA kernels, on the played device, compute the equations of ops.h, do it twice
 * the same, and agree with the CPU's. SPDX-License-Identifier: MIT */
/* labels: unit; real: both; device: host */
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "rig.h"
#include "rnn_steps.h"

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

static bool is_rnn(const mr_case *c)
{
  return strcmp(c->op->name, "gru_seq") == 0 || strcmp(c->op->name, "lstm_seq") == 0;
}

/* The CPU's backward is held against differences by tests of its own. */
static bool equals_cpu(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  mr_check_result r;
  assert_ok(mr_check_parity(c, be, cpu, &r));
  if (r.ok && is_rnn(c)) assert_ok(mr_check_parity_small(c, be, cpu, &r));
  return tell(c, &r, text, n);
}

/* Cases whose backward takes several stretches where there is one multiprocessor, by op and by where
 * the weights are. */
static mr_status count_cut(void *ctx, const mr_case *c)
{
  int(*cut)[2] = ctx;
  if (!is_rnn(c)) return MR_OK;
  const int gru = strcmp(c->op->name, "gru_seq") == 0;
  const int64_t B = c->in[0].shape.dim[0], T = c->in[0].shape.dim[1], H = c->in[1].shape.dim[1];
  const bool on_chip = mr_rnn_cuda_padded(T, H, gru ? 3 : 4, 227 << 10) > 0;
  cut[gru][on_chip] += mr_rnn_cuda_stretch(1, B, T) < T;
  return MR_OK;
}

static void backward_in_several_stretches_is_among_the_cases(void **state)
{
  int cut[2][2] = {{0}};
  (void)state;
  assert_ok(mr_cases_each(count_cut, cut));
  for (int i = 0; i < 4; i++) assert_true(cut[i / 2][i % 2] > 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(backward_in_several_stretches_is_among_the_cases)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  mr_backend *be = NULL;
  assert_ok(mr_backend_open(&be, MR_CUDA, 0));
  cpu = rig_backend(1);
  failed += rig_run_table("on_cuda_equals_its_reference", agrees, be);
  failed += rig_run_table("on_cuda_equals_the_cpu", equals_cpu, be);
  mr_backend_close(cpu);
  mr_backend_close(be);
  return failed;
}
