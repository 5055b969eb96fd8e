/* test_tape_graphs.c — gradients of random graphs, where sharing of memory between gradients goes wrong
 * first. SPDX-License-Identifier: MIT */
/* labels: grad; real: double */
#include <string.h>
#include "nets.h"
#include "ops.h"
#include "rng.h"

static mr_backend *be;

enum { N_LEAVES = 3, N_VALUES = 24, LEAF = 6 };

static mr_val leaf(mr_tape *t, const char *name)
{
  return mr_param(t, name, mr_shape2(2, 3), mr_init_normal(1));
}

/* A random expression over earlier values, each as likely. */
static mr_val grow(mr_tape *t, mr_rng *r, const mr_val *v, int n, mr_val w)
{
  static const mr_act_kind kind[] = {MR_TANH, MR_SIGMOID, MR_GELU, MR_SILU};
  mr_val none = {0};
  int a = (int)mr_rng_below(r, (uint32_t)n), b = (int)mr_rng_below(r, (uint32_t)n);
  if (a == b) b = (b + 1) % n;
  switch (mr_rng_below(r, 8)) {
  case 0:
  case 1:
  case 2:
    return mr_add(t, v[a], v[b]);
  case 3:
    return mr_sub(t, v[a], v[b]);
  case 4:
    return mr_mul(t, v[a], mr_act(t, v[b], MR_TANH));
  case 5:
    return mr_scale(t, v[a], 0.75);
  case 6:
    return mr_act(t, mr_linear_with(t, v[a], w, none), MR_TANH);
  default:
    return mr_act(t, v[a], kind[mr_rng_below(r, 4)]);
  }
}

static double sum_of(mr_tape *t, mr_val root)
{
  double sum = 0;
  assert_ok(mr_tape_forward(t));
  for (int i = 0; i < LEAF; i++) sum += (double)net_data(t, root)[i];
  return sum;
}

/* Plans, takes memory, poisons it and runs forward and backward of the sum of the root. */
static void gradient_of_sum(mr_tape *t, mr_val root)
{
  mr_plan_report plan;
  mr_view g;
  assert_ok(mr_tape_plan(t, root, true, &plan));
  assert_ok(mr_tape_alloc(t));
  mr_tape_poison(t, true);
  assert_ok(mr_tape_tick(t, 0, true));
  assert_ok(mr_tape_forward(t));
  assert_ok(mr_tape_grad_view(t, root, &g));
  for (int64_t i = 0; i < mr_count(&g.shape); i++) ((mr_real *)g.data)[i] = 1;
  assert_ok(mr_tape_backward(t, 0, 1));
}

static void gradients_of_random_graphs_match_differences(void **state)
{
  const double h = 1e-5;
  (void)state;
  for (uint64_t seed = 0; seed < 400; seed++) {
    mr_rng r;
    mr_rng_seek(&r, seed, MR_STREAM_CHECK, 9);
    mr_tape *t = NULL;
    assert_ok(mr_tape_create(&t, be, 11));
    mr_val v[N_VALUES] = {leaf(t, "a"), leaf(t, "b"), leaf(t, "c")};
    mr_val w = mr_param(t, "w", mr_shape2(3, 3), mr_init_normal(0.5));
    int n = N_LEAVES + 3 + (int)mr_rng_below(&r, N_VALUES - N_LEAVES - 3);
    for (int i = N_LEAVES; i < n; i++) v[i] = grow(t, &r, v, i, w);
    /* The root joins the last ones, so that little of the graph is dead. */
    mr_val root = v[n - 1];
    for (int i = n - 2; i >= N_LEAVES && i > n - 6; i--) root = mr_add(t, root, v[i]);
    if (root.id == v[n - 1].id) root = mr_scale(t, root, 1);
    mr_keep(t, root);
    gradient_of_sum(t, root);
    for (int i = 0; i < N_LEAVES; i++) {
      const mr_slot *s = net_slot(t, (const char *[]){"a", "b", "c"}[i]);
      mr_real *x = s->value.data, want[LEAF], got[LEAF];
      memcpy(got, s->grad.data, sizeof got);
      for (int j = 0; j < LEAF; j++) {
        mr_real old = x[j];
        x[j] = old + (mr_real)h;
        double up = sum_of(t, root);
        x[j] = old - (mr_real)h;
        want[j] = (mr_real)((up - sum_of(t, root)) / (2 * h));
        x[j] = old;
      }
      assert_close(got, want, LEAF, 1e-6, 1e-7);
    }
    mr_tape_destroy(t);
  }
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
      cmocka_unit_test(gradients_of_random_graphs_match_differences),
  };
  return cmocka_run_group_tests(tests, open_backend, close_backend);
}
