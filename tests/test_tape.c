/* test_tape.c — recording, planning and running a tape. SPDX-License-Identifier: MIT */
/* labels: unit; real: double */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem.h"
#include "nets.h"
#include "ops.h"
#include "testing.h"

static mr_backend *be;

static mr_tape *new_tape(void)
{
  mr_tape *t = NULL;
  assert_ok(mr_tape_create(&t, be, 11));
  return t;
}

static mr_val x_of(mr_tape *t, const char *name)
{
  return mr_param(t, name, mr_shape2(2, 3), mr_init_normal(1));
}

/* Plans with root, takes memory and poisons. */
static void ready(mr_tape *t, mr_val root, mr_plan_report *rep)
{
  mr_plan_report unused;
  assert_ok(mr_tape_plan(t, root, true, rep ? rep : &unused));
  assert_ok(mr_tape_alloc(t));
  mr_tape_poison(t, true);
  assert_ok(mr_tape_tick(t, 0, true));
}

/* Forward, gradient of the sum of the root, parameter gradients. */
static void step(mr_tape *t, mr_val root, mr_real beta)
{
  mr_view g;
  assert_ok(mr_tape_forward(t));
  assert_ok(mr_tape_grad_view(t, root, &g));
  for (int64_t i = 0; i < mr_count(&g.shape); i++) ((mr_real *)g.data)[i] = 1;
  assert_ok(mr_tape_backward(t, beta, 1));
}

/* ==== Recording ============================================================================== */

static void the_first_error_sticks_and_names_the_op(void **state)
{
  mr_tape *t = new_tape();
  mr_plan_report rep;
  (void)state;
  mr_scope_push(t, "block", 2);
  mr_val a = x_of(t, "a"), b = mr_param(t, "b", mr_shape2(3, 2), mr_init_const(0));
  mr_val bad = mr_mul(t, a, b);
  assert_int_equal(bad.id, 0);
  assert_int_equal(mr_add(t, a, a).id, 0);
  assert_int_equal(x_of(t, "c").id, 0);
  assert_int_equal(mr_input(t, "i", mr_shape1(1), MR_I32).id, 0);
  assert_int_equal(mr_output(t, bad, 0).id, 0);
  assert_int_equal(mr_shape_of(t, bad).rank, 0);
  assert_int_equal(mr_linear(t, bad, "l", 4).id, 0);
  mr_keep(t, bad);
  mr_no_decay(t, bad);
  assert_fails(mr_tape_plan(t, bad, true, &rep), MR_ERR_SHAPE, "mul");
  assert_holds(mr_error_message(), "[3,2]");
  assert_fails(mr_tape_alloc(t), MR_ERR_INTERNAL, NULL);
  mr_tape_destroy(t);
}

static void authors_can_refuse_in_their_own_words(void **state)
{
  mr_tape *t = new_tape();
  (void)state;
  mr_tape_fail(t, MR_ERR_CONFIG, "width is %d; this cell needs an even one", 7);
  mr_tape_fail(t, MR_ERR_ARG, "a later one");
  assert_int_equal(x_of(t, "x").id, 0);
  mr_val none = {0};
  assert_fails(mr_tape_plan(t, none, true, NULL), MR_ERR_CONFIG, "width is 7");
  mr_tape_destroy(t);
}

static void a_name_serves_once(void **state)
{
  mr_tape *t = new_tape();
  (void)state;
  mr_scope_push(t, "in", -1);
  x_of(t, "w");
  x_of(t, "w");
  mr_val none = {0};
  assert_fails(mr_tape_plan(t, none, true, NULL), MR_ERR_ARG, "in.w");
  mr_tape_destroy(t);
}

static void scopes_prefix_names_and_nest(void **state)
{
  mr_tape *t = new_tape();
  (void)state;
  x_of(t, "w");
  mr_scope_push(t, "block", 12);
  x_of(t, "w");
  mr_scope_push(t, "mixer", -1);
  mr_val w = x_of(t, "w");
  mr_scope_pop(t);
  x_of(t, "v");
  mr_scope_pop(t);
  mr_scope_push(t, "v2", 0);
  x_of(t, "w");
  mr_scope_pop(t);
  x_of(t, "last");
  for (int i = 0; i < 200; i++) {
    char name[16];
    (void)snprintf(name, sizeof name, "many%d", i);
    x_of(t, name);
  }
  assert_int_equal(mr_tape_find(t, "block.12.mixer.w").id, w.id);
  static const char *const name[] = {"w",    "block.12.w", "block.12.v", "v2.0.w",
                                     "last", "many0",      "many199"};
  for (size_t i = 0; i < sizeof name / sizeof *name; i++)
    assert_int_not_equal(mr_tape_find(t, name[i]).id, 0);
  assert_int_equal(mr_tape_find(t, "block.12.mixer.v").id, 0);
  mr_tape_destroy(t);
}

static void wrong_use_is_refused_with_a_sentence(void **state)
{
  mr_plan_report rep;
  mr_view v;
  (void)state;
  mr_tape *t = new_tape();
  mr_val x = x_of(t, "x"), y = mr_scale(t, x, 2);
  assert_fails(mr_tape_view(t, y, &v), MR_ERR_ARG, "not allocated");
  assert_fails(mr_tape_forward(t), MR_ERR_ARG, "not allocated");
  assert_fails(mr_tape_plan(t, x, true, &rep), MR_ERR_ARG, "root");
  assert_ok(mr_tape_plan(t, y, true, &rep));
  assert_fails(mr_tape_view(t, y, &v), MR_ERR_ARG, "not allocated");
  assert_fails(mr_tape_plan(t, y, true, &rep), MR_ERR_INTERNAL, NULL);
  assert_ok(mr_tape_alloc(t));
  assert_fails(mr_tape_backward(t, (mr_real)0.5, 1), MR_ERR_ARG, "0.5");
  mr_tape_destroy(t);

  t = new_tape(); /* dimensions below 1 */
  mr_input(t, "x", mr_shape2(3, 0), MR_REAL);
  assert_fails(mr_tape_plan(t, x, true, &rep), MR_ERR_SHAPE, "[3,0]");
  mr_tape_destroy(t);

  t = new_tape(); /* one value as both factors */
  x = x_of(t, "x");
  mr_mul(t, x, x);
  assert_fails(mr_tape_plan(t, x, true, &rep), MR_ERR_ARG, "one value");
  mr_tape_destroy(t);

  t = new_tape(); /* nothing to train */
  y = mr_scale(t, mr_input(t, "x", mr_shape1(3), MR_REAL), 2);
  assert_fails(mr_tape_plan(t, y, true, &rep), MR_ERR_ARG, "no parameter");
  mr_tape_destroy(t);
}

/* ==== Running ================================================================================ */

static void a_parameter_used_twice_sums_its_gradients(void **state)
{
  mr_tape *t = new_tape();
  (void)state;
  mr_val x = x_of(t, "x"), y = mr_add(t, mr_scale(t, x, 3), mr_mul(t, x, mr_scale(t, x, 1)));
  ready(t, y, NULL);
  step(t, y, 0);
  const mr_slot *s = net_slot(t, "x");
  mr_real want[6];
  for (int i = 0; i < 6; i++) want[i] = 3 + 2 * ((mr_real *)s->value.data)[i];
  assert_close(s->grad.data, want, 6, 1e-12, 0);
  mr_tape_destroy(t);
}

static void beta_one_adds_up_and_unused_parameters_stay_zero(void **state)
{
  mr_tape *t = new_tape();
  (void)state;
  mr_val x = x_of(t, "x");
  x_of(t, "unused");
  mr_val y = mr_add(t, mr_act(t, x, MR_TANH), mr_act(t, x, MR_GELU));
  ready(t, y, NULL);
  step(t, y, 0);
  mr_real twice[6], zero[6] = {0};
  for (int i = 0; i < 6; i++) twice[i] = 2 * ((mr_real *)net_slot(t, "x")->grad.data)[i];
  step(t, y, 1);
  assert_close(net_slot(t, "x")->grad.data, twice, 6, 1e-14, 0);
  assert_memory_equal(net_slot(t, "unused")->grad.data, zero, sizeof zero);
  step(t, y, 0);
  for (int i = 0; i < 6; i++) twice[i] /= 2;
  assert_close(net_slot(t, "x")->grad.data, twice, 6, 0, 0);
  mr_tape_destroy(t);
}

static void scale_multiplies_the_gradient_of_a_scalar_root(void **state)
{
  mr_tape *t = new_tape();
  (void)state;
  mr_val y = x_of(t, "y"), target = mr_input(t, "target", mr_shape2(2, 3), MR_REAL);
  mr_val w = mr_input(t, "w", mr_shape1(2), MR_REAL), loss = mr_mse(t, y, target, w);
  ready(t, loss, NULL);
  memset(net_data(t, target), 0, 6 * sizeof(mr_real));
  net_data(t, w)[0] = net_data(t, w)[1] = 1;
  assert_ok(mr_tape_forward(t));
  assert_ok(mr_tape_backward(t, 0, (mr_real)0.5));
  mr_real want[6];
  for (int i = 0; i < 6; i++) want[i] = net_data(t, y)[i] / 6;
  assert_close(net_slot(t, "y")->grad.data, want, 6, 1e-12, 0);
  mr_tape_destroy(t);
}

static void kept_values_are_there_after_forward(void **state)
{
  mr_tape *t = new_tape();
  (void)state;
  mr_val x = x_of(t, "x"), mid = mr_scale(t, x, 5), y = mid;
  mr_keep(t, mid);
  for (int i = 0; i < 8; i++) y = mr_scale(t, mr_act(t, y, MR_TANH), 2);
  ready(t, y, NULL);
  assert_ok(mr_tape_forward(t));
  mr_real want[6];
  for (int i = 0; i < 6; i++) want[i] = 5 * net_data(t, x)[i];
  assert_close(net_data(t, mid), want, 6, 0, 0);
  mr_tape_destroy(t);
}

static void a_gradient_through_the_second_output_alone_is_right(void **state)
{
  mr_real grad[2][24];
  (void)state;
  for (int way = 0; way < 2; way++) {
    mr_tape *t = new_tape();
    mr_val xw = mr_param(t, "xw", mr_shape3(1, 2, 12), mr_init_normal(1)), none = {0};
    mr_val u = mr_param(t, "u", mr_shape2(12, 3), mr_init_normal(1));
    mr_val h = mr_lstm_seq(t, xw, u, none, none), c = mr_output(t, h, 1);
    mr_val y = way ? mr_add(t, mr_scale(t, h, 0), c) : c;
    ready(t, y, NULL);
    step(t, y, 0);
    memcpy(grad[way], net_slot(t, "xw")->grad.data, sizeof grad[way]);
    mr_tape_destroy(t);
  }
  assert_close(grad[0], grad[1], 24, 1e-12, 1e-14);
}

static void the_workspace_is_that_of_the_op_that_wants_most(void **state)
{
  mr_tape *t = new_tape();
  const mr_init some = mr_init_const(0.1);
  mr_plan_report rep;
  int64_t most = 0;
  (void)state;
  mr_val xw = mr_param(t, "xw", mr_shape3(2, 5, 12), some);
  mr_val h = mr_gru_seq(t, xw, mr_param(t, "u", mr_shape2(12, 4), some),
                        mr_param(t, "b", mr_shape1(12), some), (mr_val){0}, MR_RESET_AFTER);
  assert_ok(mr_tape_plan(t, mr_act(t, h, MR_TANH), true, &rep));
  for (int32_t i = 0; i < rep.nodes; i++) {
    mr_node_info info;
    assert_ok(mr_tape_node(t, i, &info));
    most = info.work_bytes > most ? info.work_bytes : most;
  }
  assert_true(most > 0 && rep.workspace == most); /* products on the CPU have none */
  mr_tape_destroy(t);
}

static void borrowed_parameters_are_the_owner_s(void **state)
{
  mr_tape *own = new_tape(), *lent = new_tape();
  mr_plan_report rep;
  (void)state;
  mr_val y = mr_act(own, x_of(own, "x"), MR_TANH);
  ready(own, y, NULL);
  mr_tape_borrow(lent, own);
  mr_val x = x_of(lent, "x"), z = mr_scale(lent, x, 2);
  assert_ok(mr_tape_plan(lent, z, false, &rep));
  assert_ok(mr_tape_alloc(lent));
  assert_ptr_equal(net_data(lent, x), net_slot(own, "x")->value.data);
  ((mr_real *)net_slot(own, "x")->value.data)[4] = 21;
  assert_ok(mr_tape_forward(lent));
  assert_true(net_data(lent, z)[4] == 42);
  mr_tape_destroy(lent);

  assert_ok(mr_tape_create(&lent, be, 1));
  mr_tape_borrow(lent, own);
  mr_val none = {0};
  x_of(lent, "y");
  assert_fails(mr_tape_plan(lent, none, false, &rep), MR_ERR_ARG, "parameter y");
  mr_tape_destroy(lent);
  mr_tape_destroy(own);
}

static void dropout_rests_outside_training(void **state)
{
  enum { N = 20000 };
  mr_tape *t = new_tape();
  (void)state;
  mr_val x = mr_param(t, "x", mr_shape1(N), mr_init_const(1)), y = mr_dropout(t, x, 0.25);
  mr_keep(t, y);
  ready(t, y, NULL);
  int zeros[3];
  void *first = NULL;
  assert_ok(mr_calloc(&first, N, sizeof(mr_real)));
  for (int s = 0; s < 3; s++) { /* steps 0, 1, 0 */
    assert_ok(mr_tape_tick(t, s % 2, true));
    step(t, y, 0);
    zeros[s] = 0;
    for (int i = 0; i < N; i++) zeros[s] += net_data(t, y)[i] == 0;
    assert_true(abs(zeros[s] - N / 4) < 300); /* five deviations */
    assert_memory_equal(net_slot(t, "x")->grad.data, net_data(t, y), N * sizeof(mr_real));
    if (s == 0) memcpy(first, net_data(t, y), N * sizeof(mr_real));
    if (s == 1) assert_memory_not_equal(first, net_data(t, y), N * sizeof(mr_real));
    if (s == 2) assert_memory_equal(first, net_data(t, y), N * sizeof(mr_real));
  }
  mr_free(first);
  assert_ok(mr_tape_tick(t, 2, false));
  assert_ok(mr_tape_forward(t));
  for (int i = 0; i < N; i++) assert_true(net_data(t, y)[i] == 1);
  mr_tape_destroy(t);
}

static void steps_allocate_nothing(void **state)
{
  net n;
  (void)state;
  net_open(&n, be);
  for (int s = 0; s < 3; s++) {
    int64_t before = mr_alloc_count();
    assert_ok(mr_tape_tick(n.tape, (uint64_t)s, true));
    assert_ok(mr_tape_forward(n.tape));
    assert_ok(mr_tape_backward(n.tape, s > 0, 1));
    assert_int_equal(mr_alloc_count(), before);
  }
  net_close(&n);
}

static void the_plan_counts_what_it_makes(void **state)
{
  mr_tape *t = new_tape();
  mr_plan_report rep;
  (void)state;
  mr_val x = x_of(t, "x"), y = mr_linear(t, x, "l", 4);
  mr_val z = mr_act(t, y, MR_TANH);
  assert_ok(mr_tape_plan(t, z, true, &rep));
  assert_int_equal(rep.n_params, 6 + 12 + 4);
  assert_int_equal(rep.nodes, 2);
  assert_int_equal(rep.op_calls, 4);
  assert_true(rep.flops >= 2 * 2 * 3 * 4);
  assert_true(rep.params >= rep.n_params * (int64_t)sizeof(mr_real));
  assert_true(rep.acts_peak >= rep.acts_bound && rep.acts_bound >= 8 * (int64_t)sizeof(mr_real));
  mr_tape_destroy(t);
}

/* x [2,3]; weights [3,3]. */
static void backward_costs_what_it_computes_and_moves(void **state)
{
  enum { ROWS = 2, K = 3, PRODUCT = 2 * ROWS * K * K };
  const double real = sizeof(mr_real);
  mr_tape *t = new_tape();
  mr_node_info linear, act, add, first;
  mr_op_time time[16];
  int n = 16;
  double flops = 0, bytes = 0;
  (void)state;
  mr_val x = mr_input(t, "x", mr_shape2(ROWS, K), MR_REAL), y = mr_linear(t, x, "in", K);
  mr_val z = mr_add(t, y, mr_act(t, mr_linear(t, y, "l", K), MR_TANH));
  assert_ok(mr_tape_plan(t, z, true, NULL));
  assert_ok(mr_tape_node(t, 0, &first));
  assert_ok(mr_tape_node(t, 1, &linear));
  assert_ok(mr_tape_node(t, 2, &act));
  assert_ok(mr_tape_node(t, 3, &add));
  /* Nothing, where both gradients may lie in the memory of the sum's; else one of them is written. */
  assert_true(add.flops_bwd == 0 && add.bytes_bwd <= 2 * ROWS * K * real);
  /* Of the first layer nobody wants the gradient of the input: x, w, dy are read, dw and db written. */
  assert_true(first.flops_bwd == PRODUCT + ROWS * K);
  assert_true(first.bytes_bwd == (2 * ROWS * K + 2 * K * K + K) * real);
  /* The second adds to dy what the sum's other branch left there. */
  assert_true(linear.flops_bwd == 2 * PRODUCT + 2 * ROWS * K);
  assert_true(linear.bytes_bwd == (4 * ROWS * K + 2 * K * K + K) * real);
  assert_true(act.bytes_bwd == 3 * ROWS * K * real);
  assert_ok(mr_tape_alloc(t));
  assert_ok(mr_tape_profile(t, NULL, NULL, time, &n));
  for (int i = 0; i < n; i++)
    if (time[i].backward) flops += time[i].flops, bytes += time[i].bytes;
  assert_true(flops == first.flops_bwd + linear.flops_bwd + act.flops_bwd + add.flops_bwd);
  assert_true(bytes == first.bytes_bwd + linear.bytes_bwd + act.bytes_bwd + add.bytes_bwd);
  mr_tape_destroy(t);
}

/* Each step's slice of x adds its share to the gradient of all of x. */
static void a_slice_that_is_added_to_costs_its_own_size(void **state)
{
  enum { T = 50, D = 4 };
  mr_tape *t = new_tape();
  mr_node_info slice;
  mr_val part[T];
  (void)state;
  mr_val x = mr_input(t, "x", mr_shape3(1, T, D), MR_REAL);
  mr_val y = mr_linear(t, x, "l", D);
  for (int i = 0; i < T; i++) part[i] = mr_slice_time(t, y, i, 1);
  assert_ok(mr_tape_plan(t, mr_concat_time(t, part, T), true, NULL));
  assert_ok(mr_tape_node(t, 1, &slice));
  assert_true(slice.bytes_bwd == 3 * D * (double)sizeof(mr_real));
  assert_ok(mr_tape_node(t, T, &slice)); /* the first to write fills the rest with zeros */
  assert_true(slice.bytes_bwd == (D + T * D) * (double)sizeof(mr_real));
  mr_tape_destroy(t);
}

static void the_dump_is_a_table_with_every_node(void **state)
{
  net n;
  char path[512], line[512];
  static const char *const op[] = {"embed",      "rmsnorm", "linear",
                                   "mingru_seq", "add",     "softmax_xent"};
  bool seen[6] = {false};
  (void)state;
  net_open(&n, be);
  (void)snprintf(path, sizeof path, "%s/dump.tsv", mr_test_folder());
  assert_ok(mr_tape_dump(n.tape, path));
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  int tabs = -1, rows = 0;
  while (fgets(line, sizeof line, f)) {
    int here = 0;
    for (const char *p = line; *p; p++) here += *p == '\t';
    if (tabs < 0) tabs = here;
    assert_int_equal(here, tabs);
    for (int i = 0; i < 6; i++) seen[i] = seen[i] || strstr(line, op[i]);
    rows++;
  }
  assert_int_equal(fclose(f), 0);
  assert_true(rows > 10);
  for (int i = 0; i < 6; i++) assert_true(seen[i]);
  assert_fails(mr_tape_dump(n.tape, "/nowhere/dump.tsv"), MR_ERR_IO, "/nowhere/dump.tsv");
  net_close(&n);
  mr_test_folder_remove();
}

static mr_status count_call(void *ctx)
{
  ++*(int64_t *)ctx;
  return MR_OK;
}

static void a_profile_names_every_op_both_ways_and_queues_other_work_in_front_of_each(void **state)
{
  net n;
  mr_op_time rows[64];
  int64_t calls = 0, before = 0;
  int n_rows = 64, back = 0, few = 1;
  (void)state;
  net_open(&n, be);
  assert_ok(mr_tape_tick(n.tape, 0, true));
  assert_ok(mr_tape_profile(n.tape, count_call, &before, rows, &n_rows));
  for (int i = 0; i < n_rows; i++) {
    assert_true(rows[i].calls > 0 && rows[i].ns >= 0);
    back += rows[i].backward, calls += rows[i].calls;
  }
  assert_int_equal(before, calls);
  assert_int_equal(2 * back, n_rows);
  assert_fails(mr_tape_profile(n.tape, NULL, NULL, rows, &few), MR_ERR_ARG, "rows");
  net_close(&n);
}

static int open_backend(void **state)
{
  (void)state;
  assert_ok(mr_backend_open(&be, MR_CPU, 2));
  return 0;
}

static int close_backend(void **state)
{
  (void)state;
  mr_backend_close(be);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_error_sticks_and_names_the_op),
      cmocka_unit_test(authors_can_refuse_in_their_own_words),
      cmocka_unit_test(a_name_serves_once),
      cmocka_unit_test(scopes_prefix_names_and_nest),
      cmocka_unit_test(wrong_use_is_refused_with_a_sentence),
      cmocka_unit_test(a_parameter_used_twice_sums_its_gradients),
      cmocka_unit_test(beta_one_adds_up_and_unused_parameters_stay_zero),
      cmocka_unit_test(scale_multiplies_the_gradient_of_a_scalar_root),
      cmocka_unit_test(kept_values_are_there_after_forward),
      cmocka_unit_test(a_gradient_through_the_second_output_alone_is_right),
      cmocka_unit_test(the_workspace_is_that_of_the_op_that_wants_most),
      cmocka_unit_test(borrowed_parameters_are_the_owner_s),
      cmocka_unit_test(dropout_rests_outside_training),
      cmocka_unit_test(steps_allocate_nothing),
      cmocka_unit_test(the_plan_counts_what_it_makes),
      cmocka_unit_test(backward_costs_what_it_computes_and_moves),
      cmocka_unit_test(a_slice_that_is_added_to_costs_its_own_size),
      cmocka_unit_test(the_dump_is_a_table_with_every_node),
      cmocka_unit_test(a_profile_names_every_op_both_ways_and_queues_other_work_in_front_of_each),
  };
  return cmocka_run_group_tests(tests, open_backend, close_backend);
}
