/* test_models.c — every registered model: gradient, carried state, batch, twins, learning, plan.
 * SPDX-License-Identifier: MIT */
/* labels: grad; real: double */
#include <math.h>
#include <string.h>
#include "mem.h"
#include "nets.h"
#include "optim.h"

static mr_backend *be;

static void open_net(net *n, const char *model, const char *words)
{
  mr_status st = net_ready(n, be, model, words);
  if (st != MR_OK) print_error("%s %s: %s\n", model, words, mr_error_trail());
  assert_int_equal(st, MR_OK);
}

/* |got - want| within rtol of each number and of their norm; says which when not. */
static void close_to(const char *model, const char *words, const char *what, const mr_real *got,
                     const mr_real *want, int64_t n, double rtol)
{
  double top = 1e-3, off2 = 0, want2 = 0;
  for (int64_t i = 0; i < n; i++) {
    double e = (double)got[i] - (double)want[i];
    top = fmax(top, fabs((double)want[i]));
    off2 += e * e, want2 += (double)want[i] * (double)want[i];
  }
  for (int64_t i = 0; i < n; i++)
    if (!(fabs((double)got[i] - (double)want[i]) <= rtol * (fabs((double)want[i]) + 0.1 * top)))
      fail_msg("%s %s: %s at %lld: got %.12g, want %.12g", model, words, what, (long long)i,
               (double)got[i], (double)want[i]);
  if (!(sqrt(off2) <= rtol * fmax(sqrt(want2), 1e-3)))
    fail_msg("%s %s: %s is off by %.3g in norm", model, words, what, sqrt(off2 / want2));
}

/* ==== Gradient =============================================================================== */

static void gradient_of(const char *model, const char *words)
{
  net n;
  const mr_slot *s;
  int n_slots;
  open_net(&n, model, words);
  (void)net_step(&n, 0, 1);
  assert_ok(mr_tape_slots(n.tape, &s, &n_slots));
  for (int k = 0; k < n_slots; k++) {
    int64_t count = mr_count(&s[k].value.shape);
    mr_real *x = s[k].value.data;
    void *p = NULL;
    assert_ok(mr_calloc(&p, (size_t)count, sizeof(mr_real)));
    mr_real *want = p;
    for (int64_t i = 0; i < count; i++) {
      mr_real old = x[i], h = (mr_real)(1e-5 * fmax(1, fabs((double)old)));
      volatile mr_real up = old + h, down = old - h;
      x[i] = up;
      double change = net_loss(&n);
      x[i] = down;
      change -= net_loss(&n);
      x[i] = old;
      want[i] = (mr_real)(change / ((double)up - (double)down));
    }
    close_to(model, words, s[k].name, s[k].grad.data, want, count, 1e-6);
    mr_free(p);
  }
  net_close(&n);
}

static void gradients_match_differences(void **state)
{
  (void)state;
  net_each_variant(gradient_of);
}

/* ==== Carried state ========================================================================== */

/* A stretch of T steps in recurrent mode, over the parameters of `whole`. */
typedef struct stretch {
  mr_tape *tape;
  mr_net n;
  mr_state state[2];
} stretch;

static void open_stretch(stretch *s, const net *whole, int64_t T)
{
  mr_plan_report plan;
  memset(s, 0, sizeof *s);
  assert_ok(mr_tape_create(&s->tape, be, 1));
  mr_tape_borrow(s->tape, whole->tape);
  mr_build_step(s->tape, &whole->c, whole->model, &whole->info, whole->c.batch, T, &s->n, s->state);
  assert_ok(mr_tape_plan(s->tape, s->n.y, false, &plan));
  assert_ok(mr_tape_alloc(s->tape));
  mr_tape_poison(s->tape, true);
  assert_ok(mr_tape_tick(s->tape, 0, false));
}

/* Copies states; from == NULL: those at the start of a sequence. */
static void hand_over(const net *whole, const stretch *from, stretch *to)
{
  if (!from) assert_ok(mr_tape_forward(to->tape)); /* makes the initial states */
  for (int64_t l = 0; l < whole->c.layers; l++)
    for (int i = 0; i < to->state[l].n; i++) {
      mr_shape s = mr_shape_of(to->tape, to->state[l].in[i]);
      mr_real *in = net_data(to->tape, to->state[l].in[i]);
      if (from)
        memmove(in, net_data(from->tape, from->state[l].out[i]), mr_bytes(&s, MR_REAL));
      else if (to->state[l].initial[i].id)
        memcpy(in, net_data(to->tape, to->state[l].initial[i]), mr_bytes(&s, MR_REAL));
      else
        memset(in, 0, mr_bytes(&s, MR_REAL));
    }
}

/* Runs steps from .. from + T of all sequences, and puts their outputs into y [B,all,V]. */
static void run_stretch(const net *whole, stretch *s, const int32_t *token, int64_t from,
                        mr_real *y)
{
  int64_t T = s->n.dims.T, all = whole->info.T, V = whole->info.out_dim;
  mr_view in;
  assert_ok(mr_tape_view(s->tape, s->n.token, &in));
  for (int64_t b = 0; b < whole->c.batch; b++)
    memcpy((int32_t *)in.data + b * T, token + b * all + from, (size_t)T * sizeof *token);
  assert_ok(mr_tape_forward(s->tape));
  for (int64_t b = 0; b < whole->c.batch; b++)
    memcpy(y + (b * all + from) * V, net_data(s->tape, s->n.y) + b * T * V,
           (size_t)(T * V) * sizeof *y);
}

/* The whole sequence in stretches of `first` steps and then `each`. */
static void in_stretches(const net *whole, const int32_t *token, int64_t first, int64_t each,
                         mr_real *y)
{
  stretch a, b;
  open_stretch(&a, whole, first);
  open_stretch(&b, whole, each);
  hand_over(whole, NULL, &a);
  run_stretch(whole, &a, token, 0, y);
  for (int64_t from = first; from < whole->info.T; from += each) {
    hand_over(whole, from == first ? &a : &b, &b);
    run_stretch(whole, &b, token, from, y);
  }
  mr_tape_destroy(a.tape);
  mr_tape_destroy(b.tape);
}

static void stretches_of(const char *model, const char *words)
{
  static const int64_t way[][2] = {{3, 4}, {5, 2}, {1, 6}, {1, 1}};
  net n;
  mr_plan_report plan;
  mr_view token, label;
  void *p = NULL;
  assert_ok(net_config(&n, be, model, words));
  n.info.from = 0; /* outputs at every step */
  assert_ok(mr_tape_create(&n.tape, be, 5));
  mr_build(n.tape, &n.c, n.model, &n.info, n.c.batch, &n.n);
  assert_ok(mr_tape_plan(n.tape, n.n.loss, true, &plan));
  assert_ok(mr_tape_alloc(n.tape));
  assert_ok(mr_tape_tick(n.tape, 0, false));
  assert_ok(mr_tape_view(n.tape, n.n.token, &token));
  assert_ok(mr_tape_view(n.tape, n.n.label, &label));
  memset(label.data, 0xff, mr_bytes(&label.shape, MR_I32));
  for (int64_t i = 0; i < mr_count(&token.shape); i++)
    ((int32_t *)token.data)[i] = (int32_t)(7 * i * i % n.info.vocab);
  assert_ok(mr_tape_forward(n.tape));
  int64_t count = n.c.batch * n.info.T * n.info.out_dim;
  assert_ok(mr_calloc(&p, (size_t)count, sizeof(mr_real)));
  for (int w = 0; w < 4; w++) {
    memset(p, 0xff, (size_t)count * sizeof(mr_real));
    in_stretches(&n, token.data, way[w][0], way[w][1], p);
    close_to(model, words, "output in stretches", p, net_data(n.tape, n.n.y), count, 1e-10);
  }
  mr_free(p);
  net_close(&n);
}

static void stretches_and_single_steps_equal_whole_sequences(void **state)
{
  (void)state;
  net_each_variant(stretches_of);
}

/* ==== Batch ================================================================================== */

static mr_real *all_gradients(const mr_tape *t, int64_t *n)
{
  const mr_slot *s;
  int n_slots;
  void *p = NULL;
  assert_ok(mr_tape_slots(t, &s, &n_slots));
  *n = 0;
  for (int k = 0; k < n_slots; k++) *n += mr_count(&s[k].grad.shape);
  assert_ok(mr_calloc(&p, (size_t)*n, sizeof(mr_real)));
  mr_real *to = p;
  for (int k = 0; k < n_slots; k++) {
    memcpy(to, s[k].grad.data, mr_bytes(&s[k].grad.shape, MR_REAL));
    to += mr_count(&s[k].grad.shape);
  }
  return p;
}

static void halves_of(const char *model, const char *words)
{
  net n, half;
  int64_t count;
  char more[512];
  /* Masks of dropout depend on the place in the batch. */
  net_words(more, sizeof more, "%s --batch=4 --dropout=0", words);
  open_net(&n, model, more);
  double loss = net_loss(&n), halves = 0;
  int64_t n_y = 2 * (n.info.T - n.info.from) * n.info.out_dim; /* of half the batch */
  void *y_copy = NULL;
  assert_ok(mr_calloc(&y_copy, 2 * (size_t)n_y, sizeof(mr_real)));
  memcpy(y_copy, net_data(n.tape, n.n.y), 2 * (size_t)n_y * sizeof(mr_real));
  const mr_real *y = y_copy;
  assert_ok(mr_tape_backward(n.tape, 0, 1));
  mr_real *want = all_gradients(n.tape, &count);
  net_words(more, sizeof more, "%s --batch=2 --dropout=0", words);
  open_net(&half, model, more);
  net_copy_params(n.tape, half.tape);
  for (int part = 0; part < 2; part++) {
    const struct {
      mr_val from, to;
    } input[] = {{n.n.token, half.n.token}, {n.n.label, half.n.label}};
    for (int i = 0; i < 2; i++) {
      mr_view from, to;
      assert_ok(mr_tape_view(n.tape, input[i].from, &from));
      assert_ok(mr_tape_view(half.tape, input[i].to, &to));
      memcpy(to.data, (int32_t *)from.data + part * mr_count(&to.shape),
             mr_bytes(&to.shape, MR_I32));
    }
    halves += net_loss(&half) / 2;
    close_to(model, words, "output of half the batch", net_data(half.tape, half.n.y),
             y + part * n_y, n_y, 1e-10);
    assert_ok(mr_tape_backward(half.tape, (mr_real)part, (mr_real)0.5));
  }
  mr_real *got = all_gradients(half.tape, &count);
  assert_true(fabs(loss - halves) <= 1e-12 * loss);
  close_to(model, words, "gradient of both halves", got, want, count, 1e-10);
  mr_free(want);
  mr_free(got);
  mr_free(y_copy);
  net_close(&n);
  net_close(&half);
}

static void both_halves_of_a_batch_add_up_to_the_whole(void **state)
{
  (void)state;
  net_each_variant(halves_of);
}

/* ==== Twins ================================================================================== */

static void same_function(const char *model, const char *words, const char *other,
                          const char *other_words)
{
  net a, b;
  const mr_slot *s;
  int n_slots;
  open_net(&a, model, words);
  open_net(&b, other, other_words);
  net_copy_params(a.tape, b.tape);
  double loss = net_step(&a, 0, 1), twin = net_step(&b, 0, 1);
  if (!(fabs(loss - twin) <= 1e-10 * loss))
    fail_msg("%s %s has loss %.15g, %s %s %.15g", model, words, loss, other, other_words, twin);
  assert_ok(mr_tape_slots(a.tape, &s, &n_slots));
  for (int k = 0; k < n_slots; k++)
    close_to(other, other_words, s[k].name, net_slot(b.tape, s[k].name)->grad.data, s[k].grad.data,
             mr_count(&s[k].grad.shape), 1e-9);
  net_close(&a);
  net_close(&b);
}

static void fused_models_equal_their_small_op_twins(void **state)
{
  (void)state;
  for (int zero = 0; zero < 2; zero++) {
    char a[128], b[128];
    const char *h0 = zero ? "--h0=zero" : "--h0=learned";
    same_function("mingru", h0, "mingru_smallops", h0);
    same_function("lstm", h0, "lstm_loop", h0);
    net_words(a, sizeof a, "%s --mingru.form=log", h0);
    same_function("mingru", h0, "mingru", a);
    for (int normalise = 0; normalise < 2; normalise++) {
      net_words(a, sizeof a, "%s --minlstm.normalise=%d", h0, normalise);
      net_words(b, sizeof b, "%s --minlstm_smallops.normalise=%d", h0, normalise);
      same_function("minlstm", a, "minlstm_smallops", b);
      net_words(b, sizeof b, "%s --minlstm.form=log", a);
      same_function("minlstm", a, "minlstm", b);
    }
    for (int before = 0; before < 2; before++) {
      net_words(a, sizeof a, "%s --gru.reset=%s", h0, before ? "before" : "after");
      net_words(b, sizeof b, "%s --gru_loop.reset=%s", h0, before ? "before" : "after");
      same_function("gru", a, "gru_loop", b);
    }
  }
}

/* ==== Learning and planning ================================================================== */

static void every_model_with_a_state_learns_four_sequences_by_heart(void **state)
{
  const mr_optim_rule rule = {.lr = 0.01,
                              .schedule = MR_CONSTANT,
                              .beta1 = 0.9,
                              .beta2 = 0.999,
                              .eps = 1e-8,
                              .clip = 1,
                              .steps = 400};
  (void)state;
  for (int i = 0; i < mr_n_models; i++) {
    net n;
    mr_optim *optim = NULL;
    if (!net_can_run(mr_models[i]->name)) continue;
    open_net(&n, mr_models[i]->name, "--batch=4 --width=16 --expansion=1 --length=6");
    mr_tape_poison(n.tape, false);
    assert_ok(mr_optim_create(&optim, be, n.tape, &rule, NULL));
    double first = net_step(&n, 0, 1), loss = first;
    int step = 0;
    for (; step < 400 && loss > 0.1 * first; step++) {
      assert_ok(mr_optim_step(optim, step, NULL));
      loss = net_step(&n, 0, 1);
    }
    /* What is asked for lies steps back, so nobody can answer who carries nothing. */
    mr_shape shape[MR_MAX_STATE];
    const bool remembers = n.model->state(&n.c, n.n.dims, shape) > 0;
    if ((loss <= 0.1 * first) != remembers)
      fail_msg("%s: loss went from %g to %g", mr_models[i]->name, first, loss);
    mr_optim_destroy(optim);
    net_close(&n);
  }
}

static void planned_memory_is_within_two_percent_of_the_bound(void **state)
{
  (void)state;
  for (int i = 0; i < mr_n_models; i++) {
    net n;
    if (!net_can_run(mr_models[i]->name)) continue;
    assert_ok(net_plan(&n, be, mr_models[i]->name,
                       "--batch=8 --length=56 --selective_copy.data_tokens=8 --width=32 "
                       "--expansion=1 --layers=3"));
    if (!((double)n.plan.acts_peak <= 1.02 * (double)n.plan.acts_bound))
      fail_msg("%s: %lld bytes planned, at most %lld live", mr_models[i]->name,
               (long long)n.plan.acts_peak, (long long)n.plan.acts_bound);
    assert_true(n.plan.acts_peak >= n.plan.acts_bound && n.plan.acts_bound > 0);
    net_close(&n);
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
      cmocka_unit_test(gradients_match_differences),
      cmocka_unit_test(stretches_and_single_steps_equal_whole_sequences),
      cmocka_unit_test(both_halves_of_a_batch_add_up_to_the_whole),
      cmocka_unit_test(fused_models_equal_their_small_op_twins),
      cmocka_unit_test(every_model_with_a_state_learns_four_sequences_by_heart),
      cmocka_unit_test(planned_memory_is_within_two_percent_of_the_bound),
  };
  return cmocka_run_group_tests(tests, open_backend, close_backend);
}
