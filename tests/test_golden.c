/* test_golden.c — nothing drifts: the first losses of every model against a stored table.
 * labels: unit; real: float
 * SPDX-License-Identifier: MIT
 *
 * tests/golden.tsv holds the training losses of steps 1 to 20 of a small network on a fixed seed. It
 * was written by this test with GOLDEN=write, gcc 12, x86-64 with AVX-512; a change of the numbers
 * must be meant. Tolerance 5e-4: rounding differs between compilers and instruction sets by about
 * 1e-7 per operation and grows over 20 optimizer steps; a changed formula shows far above it. A model
 * without rows, as one dropped in by a user, is left out with a message. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "nets.h"
#include "rule.h"

enum { STEPS = 20 };
static const double tolerance = 5e-4;

static void train(mr_backend *be, const char *model, double *loss)
{
  net n;
  mr_optim *o = NULL;
  assert_ok(net_ready(&n, be, model,
                      "--length=24 --selective_copy.data_tokens=4 --batch=4 --width=8 --lr=5e-3"));
  assert_ok(mr_optim_open(&o, &n.c, be, n.tape));
  for (int s = 0; s < STEPS; s++) {
    assert_ok(mr_feed_next(n.feed, MR_TRAIN, (uint64_t)s));
    assert_ok(mr_tape_tick(n.tape, (uint64_t)s, true));
    loss[s] = net_step(&n, 0, 1);
    assert_ok(mr_optim_step(o, s, NULL));
  }
  mr_optim_destroy(o);
  net_close(&n);
}

/* Losses of `model` from the table; returns how many it has. */
static int stored(const char *path, const char *model, double *loss)
{
  char name[128];
  double x;
  int n = 0, step;
  FILE *f = fopen(path, "r");
  if (f == NULL) fail_msg("%s cannot be read", path);
  if (fscanf(f, "%*[^\n]") != 0) fail_msg("%s has no header", path);
  while (fscanf(f, "%127s %d %lf", name, &step, &x) == 3)
    if (strcmp(name, model) == 0 && step == n + 1 && n < STEPS) loss[n++] = x;
  assert_int_equal(fclose(f), 0);
  return n;
}

static void the_first_losses_of_every_model_are_the_stored_ones(void **state)
{
  mr_backend *be = *state;
  const char *write = getenv("GOLDEN");
  char path[1024];
  FILE *f = NULL;
  const char *source = getenv("MINRNN_SOURCE_DIR");
  int compared = 0;
  snprintf(path, sizeof path, "%s/tests/golden.tsv", source != NULL ? source : ".");
  if (write != NULL && strcmp(write, "write") == 0) {
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "model\tstep\tloss\n");
  }
  for (int m = 0; m < mr_n_models; m++) {
    const char *model = mr_models[m]->name;
    double got[STEPS], want[STEPS];
    if (!net_can_run(model)) continue;
    train(be, model, got);
    for (int s = 0; f != NULL && s < STEPS; s++) fprintf(f, "%s\t%d\t%.9g\n", model, s + 1, got[s]);
    if (f != NULL) continue;
    if (stored(path, model, want) < STEPS) {
      print_message("%s has no rows in tests/golden.tsv\n", model);
      continue;
    }
    compared++;
    for (int s = 0; s < STEPS; s++)
      if (!(fabs(got[s] - want[s]) <= tolerance * fabs(want[s])))
        fail_msg("%s, step %d: loss %.9g, stored %.9g", model, s + 1, got[s], want[s]);
  }
  if (f != NULL)
    assert_int_equal(fclose(f), 0);
  else
    assert_true(compared >= 8);
}

static int open_backend(void **state)
{
  mr_backend *be = NULL;
  if (mr_backend_open(&be, MR_CPU, 1) != MR_OK) return -1;
  *state = be;
  return 0;
}

static int close_backend(void **state)
{
  mr_backend_close(*state);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_losses_of_every_model_are_the_stored_ones),
  };
  return cmocka_run_group_tests(tests, open_backend, close_backend);
}
