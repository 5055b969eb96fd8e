/* test_cuda_models.c — training steps of every model on the played CUDA device: the CPU's, the same
 * twice, the same as graphs; and what happens when numbers go wrong. SPDX-License-Identifier: MIT */
/* labels: unit; real: both; device: host */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "check.h"
#include "mem.h"
#include "nets.h"
#include "rule.h"
#include "step.h"

/* The vendor layers then run too, in double as well, which the CPU's do not have. */
static bool cudnn_stands_in(void)
{
  const char *path = getenv("MINRNN_CUDNN");
  return path != NULL && access(path, R_OK) == 0;
}

static void every_model_trains_as_on_the_cpu_and_as_a_graph(void **state)
{
  mr_backend *be = NULL, *cpu = NULL;
  mr_check_count n = {0, 0, 0};
  (void)state;
  assert_ok(mr_backend_open(&be, MR_CUDA, 0));
  assert_ok(mr_backend_open(&cpu, MR_CPU, 1));
  assert_ok(mr_check_models(NULL, be, cpu, stdout, &n));
  assert_true(n.run >= 2 * (mr_n_models - n.skipped) && n.run >= 2 * mr_n_paper_models);
  assert_int_equal(n.failed, 0);
  if (cudnn_stands_in()) assert_int_equal(n.skipped, 0);
  mr_backend_close(be);
  mr_backend_close(cpu);
}

/* A network with optimizer and step on the played device. */
typedef struct trainee {
  mr_backend *be;
  net n;
  mr_optim *optim;
  mr_step *step;
} trainee;

static void open_trainee(trainee *t, const char *words)
{
  assert_ok(mr_backend_open(&t->be, MR_CUDA, 0));
  assert_ok(net_ready(&t->n, t->be, "mingru", words));
  assert_ok(mr_optim_open(&t->optim, &t->n.c, t->be, t->n.tape));
  assert_ok(
      mr_step_create(&t->step, &t->n.c, t->be, t->n.tape, &t->n.n, t->optim, t->n.feed, "it"));
}

static void close_trainee(trainee *t)
{
  mr_step_destroy(t->step);
  mr_optim_destroy(t->optim);
  net_close(&t->n);
  mr_backend_close(t->be);
}

static void slot_bytes(const trainee *t, mr_real *to, size_t bytes)
{
  const mr_slot *s = net_slot(t->n.tape, "embed.weight");
  assert_true(mr_bytes(&s->value.shape, MR_REAL) == bytes);
  assert_ok(t->be->api->download(t->be, to, s->value.data, bytes));
}

/* From the bad step on nothing moves, and the first look at the numbers tells which step it was. */
static void a_step_that_is_not_finite_changes_nothing(void **state)
{
  trainee t;
  mr_step_row row;
  (void)state;
  for (int graph = 0; graph < 2; graph++) {
    char words[32];
    (void)snprintf(words, sizeof words, "--graph=%d", graph);
    open_trainee(&t, words);
    const mr_slot *s = net_slot(t.n.tape, "embed.weight"),
                  *head = net_slot(t.n.tape, "head.weight");
    const size_t bytes = mr_bytes(&s->value.shape, MR_REAL);
    void *before = NULL, *after = NULL;
    assert_ok(mr_calloc(&before, bytes, 1));
    assert_ok(mr_calloc(&after, bytes, 1));
    for (int64_t step = 0; step < 3; step++) assert_ok(mr_step_run(t.step, step));
    assert_ok(mr_step_read(t.step, &row));
    assert_true(isfinite(row.loss) && row.grad_norm > 0 && row.lr > 0);
    slot_bytes(&t, before, bytes);
    const mr_real bad = (mr_real)NAN;
    assert_ok(t.be->api->upload(t.be, head->value.data, &bad, sizeof bad));
    for (int64_t step = 3; step < 6; step++) assert_ok(mr_step_run(t.step, step));
    assert_fails(mr_step_read(t.step, &row), MR_ERR_NUMERIC, "at step 4 of it");
    slot_bytes(&t, after, bytes);
    assert_memory_equal(before, after, bytes);
    mr_free(before);
    mr_free(after);
    close_trainee(&t);
  }
}

static const mr_backend_api *played;

/* A device that refuses what was recorded. */
static mr_status refuse(mr_backend *be, mr_graph **out)
{
  assert_ok(played->capture_end(be, out));
  played->free_graph(be, *out);
  *out = NULL;
  return MR_FAIL(MR_ERR_CUDA, "no graph today");
}

static void a_step_that_cannot_be_captured_goes_on_op_by_op_and_says_why(void **state)
{
  mr_backend_api refusing;
  trainee t;
  mr_real weight[2][128];
  const char *why;
  (void)state;
  for (int refused = 0; refused < 2; refused++) {
    open_trainee(&t, "--batch=4 --accum=2");
    played = t.be->api;
    refusing = *played;
    refusing.capture_end = refuse;
    if (refused) t.be->api = &refusing;
    for (int64_t step = 0; step < 4; step++) assert_ok(mr_step_run(t.step, step));
    assert_string_equal(mr_step_mode(t.step, &why), refused ? "eager" : "graph");
    assert_string_equal(why, refused ? "no graph today" : "");
    const mr_slot *s = net_slot(t.n.tape, "embed.weight");
    assert_in_range(mr_count(&s->value.shape), 2, 128);
    slot_bytes(&t, weight[refused], mr_bytes(&s->value.shape, MR_REAL));
    if (refused) assert_memory_equal(weight[0], weight[1], mr_bytes(&s->value.shape, MR_REAL));
    t.be->api = played;
    close_trainee(&t);
  }
}

static void steps_allocate_nothing_once_they_are_captured(void **state)
{
  trainee t;
  (void)state;
  open_trainee(&t, "--batch=2 --accum=1");
  for (int64_t step = 0; step < 2; step++) assert_ok(mr_step_run(t.step, step));
  const int64_t allocations = mr_alloc_count();
  for (int64_t step = 2; step < 5; step++) assert_ok(mr_step_run(t.step, step));
  assert_int_equal(mr_alloc_count(), allocations);
  close_trainee(&t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_model_trains_as_on_the_cpu_and_as_a_graph),
      cmocka_unit_test(a_step_that_is_not_finite_changes_nothing),
      cmocka_unit_test(a_step_that_cannot_be_captured_goes_on_op_by_op_and_says_why),
      cmocka_unit_test(steps_allocate_nothing_once_they_are_captured),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
