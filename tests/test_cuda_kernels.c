/* test_cuda_kernels.c — what the op case table cannot say of the CUDA kernels: the optimizer's, labels
 * that no symbol has, more parts than one launch takes. On the played device.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: both; device: host */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "adamw.h"
#include "mem.h"
#include "ops.h"
#include "rng.h"
#include "testing.h"

static mr_backend *open_cuda(void)
{
  mr_backend *be = NULL;
  assert_ok(mr_backend_open(&be, MR_CUDA, 0));
  return be;
}

static void draw(mr_real *x, int64_t n, uint64_t index)
{
  mr_rng r;
  mr_rng_seek(&r, 7, MR_STREAM_CHECK, index);
  for (int64_t i = 0; i < n; i++) x[i] = (mr_real)mr_rng_normal(&r);
}

/* ==== AdamW ================================================================================== */

/* Pieces of odd sizes, at addresses of every remainder by 16 bytes. */
static const int64_t piece_size[] = {1, 2, 3, 5, 255, 1027, 4096, 8191};
enum { PIECES = sizeof piece_size / sizeof *piece_size, REALS = 13680, ARRAYS = 4 };

/* value, m, v and grad of all pieces, one array behind the other. */
typedef struct shelf {
  mr_real x[ARRAYS][REALS];
  mr_piece piece[PIECES];
  mr_pieces all;
} shelf;

static void fill_shelf(shelf *s)
{
  for (int a = 0; a < ARRAYS; a++) draw(s->x[a], REALS, (uint64_t)a);
  for (int64_t i = 0; i < REALS; i++) s->x[2][i] = (mr_real)fabs((double)s->x[2][i]); /* v */
}

/* Pieces of the arrays that start at `from`. */
static void cut(shelf *s, mr_real *from)
{
  int64_t at = 0;
  for (int i = 0; i < PIECES; i++) {
    mr_real *x = from + at;
    s->piece[i] =
        (mr_piece){x, x + REALS, x + 2 * REALS, x + 3 * REALS, piece_size[i], i % 2 ? 0.125 : 0};
    at += piece_size[i] + 1;
  }
  assert_true(at <= REALS);
  s->all = (mr_pieces){s->piece, PIECES, REALS};
}

static const mr_adamw_in numbers = {.a = {.lr = 0.01,
                                          .beta1 = 0.9,
                                          .beta2 = 0.99,
                                          .eps = 1e-8,
                                          .scale = NAN,
                                          .unbias1 = 2,
                                          .unbias2 = 3},
                                    .clip = 5,
                                    .step = 41};

/* One step of CUDA on a copy of the shelf; its arrays are copied back. */
static mr_adamw_out step_on_cuda(mr_backend *be, shelf *s, const mr_adamw_in *in)
{
  const mr_backend_api *api = be->api;
  void *x, *piece, *part, *din, *dout;
  mr_adamw_out out = {NAN, NAN, -1};
  assert_ok(api->alloc(be, sizeof s->x, &x));
  assert_ok(api->alloc(be, sizeof s->piece, &piece));
  assert_ok(api->alloc(be, PIECES * sizeof(double), &part));
  assert_ok(api->alloc(be, sizeof *in, &din));
  assert_ok(api->alloc(be, sizeof out, &dout));
  cut(s, x);
  assert_ok(api->upload(be, x, s->x, sizeof s->x));
  assert_ok(api->upload(be, piece, s->piece, sizeof s->piece));
  assert_ok(api->upload(be, din, in, sizeof *in));
  assert_ok(api->upload(be, dout, &out, sizeof out));
  s->all.piece = piece;
  assert_ok(mr_adamw_norm_cuda(be, &s->all, part, din, dout));
  assert_ok(mr_adamw_step_cuda(be, &s->all, din, dout));
  assert_ok(api->download(be, s->x, x, sizeof s->x));
  assert_ok(api->download(be, &out, dout, sizeof out));
  void *const all[] = {x, piece, part, din, dout};
  for (int i = 0; i < 5; i++) api->release(be, all[i]);
  return out;
}

static void adamw_steps_as_on_the_cpu(void **state)
{
  static shelf got, want;
  double part[PIECES];
  mr_backend *be = open_cuda(), *cpu = NULL;
  const double tolerance = sizeof(mr_real) == sizeof(double) ? 1e-13 : 1e-6;
  (void)state;
  assert_ok(mr_backend_open(&cpu, MR_CPU, 1));
  for (int clipped = 0; clipped < 2; clipped++) {
    mr_adamw_in in = numbers;
    in.clip = clipped ? numbers.clip : 0;
    fill_shelf(&got);
    fill_shelf(&want);
    const mr_adamw_out out = step_on_cuda(be, &got, &in);
    cut(&want, want.x[0]);
    const double norm = sqrt(mr_adamw_square_sum_cpu(cpu, &want.all, part));
    const double scale = clipped ? in.clip / (norm + 1e-6) : 1;
    in.a.scale = scale;
    mr_adamw_step_cpu(cpu, &want.all, &in.a);
    assert_close_double(&out.norm, &norm, 1, 1e-13, 0);
    assert_close_double(&out.scale, &scale, 1, 1e-13, 0);
    assert_int_equal(out.bad, -1);
    assert_close(got.x[0], want.x[0], ARRAYS * REALS, tolerance, tolerance);
  }
  mr_backend_close(cpu);
  mr_backend_close(be);
}

static void adamw_changes_nothing_once_a_norm_is_not_finite(void **state)
{
  static shelf got, want;
  mr_backend *be = open_cuda();
  (void)state;
  for (int i = 0; i < 2; i++) {
    fill_shelf(&got);
    got.x[3][REALS - 2 * i - 100] = i ? (mr_real)NAN : (mr_real)INFINITY;
    memcpy(want.x, got.x, sizeof want.x);
    const mr_adamw_out out = step_on_cuda(be, &got, &numbers);
    assert_int_equal(out.bad, numbers.step);
    assert_false(isfinite(out.norm));
    assert_memory_equal(got.x, want.x, sizeof want.x);
  }
  mr_backend_close(be);
}

/* ==== Ops on a tape ========================================================================== */

/* A tape, and what it is asked for, on one device. */
typedef struct run {
  mr_backend *be;
  mr_tape *t;
} run;

static void open_run(run *r, mr_device device)
{
  r->be = NULL;
  assert_ok(mr_backend_open(&r->be, device, device == MR_CPU ? 1 : 0));
  assert_ok(mr_tape_create(&r->t, r->be, 3));
}

static void plan_run(run *r, mr_val root)
{
  assert_ok(mr_tape_plan(r->t, root, true, NULL));
  assert_ok(mr_tape_alloc(r->t));
  mr_tape_poison(r->t, true);
  assert_ok(mr_tape_tick(r->t, 5, true));
}

static void close_run(run *r)
{
  mr_tape_destroy(r->t);
  mr_backend_close(r->be);
}

static void get(const run *r, mr_real *to, const mr_view *v)
{
  assert_ok(r->be->api->download(r->be, to, v->data, mr_bytes(&v->shape, MR_REAL)));
}

static mr_real loss_with_label(run *r, int32_t label, mr_real *gradient)
{
  const int32_t labels[] = {1, label, -1};
  mr_view v;
  mr_real loss;
  const mr_slot *slot;
  int n;
  mr_val x = mr_param(r->t, "logits", mr_shape2(3, 5), mr_init_normal(1));
  mr_val y = mr_input(r->t, "label", mr_shape1(3), MR_I32);
  mr_val root = mr_softmax_xent(r->t, x, y);
  plan_run(r, root);
  assert_ok(mr_tape_view(r->t, y, &v));
  assert_ok(r->be->api->upload(r->be, v.data, labels, sizeof labels));
  assert_ok(mr_tape_forward(r->t));
  assert_ok(mr_tape_view(r->t, root, &v));
  get(r, &loss, &v);
  assert_ok(mr_tape_backward(r->t, 0, 1));
  assert_ok(mr_tape_slots(r->t, &slot, &n));
  get(r, gradient, &slot[0].grad);
  return loss;
}

static void a_label_that_no_symbol_has_makes_the_loss_nan(void **state)
{
  (void)state;
  for (int32_t label = 4; label < 6; label++) {
    run r;
    mr_real gradient[15];
    open_run(&r, MR_CUDA);
    const mr_real loss = loss_with_label(&r, label, gradient);
    assert_int_equal(isnan(loss), label == 5);
    for (int i = 0; i < 15; i++) assert_int_equal(isnan(gradient[i]), label == 5 && i / 5 == 1);
    close_run(&r);
  }
}

enum { STEPS = 130, B = 2, D = 3 };

/* STEPS values, the first of them in every seventh place, joined and dropped out: result [B,STEPS,D]
 * and the gradients of all values. */
static void join(mr_device device, mr_real *y, mr_real *gradients)
{
  run r;
  mr_val x[STEPS], part[STEPS];
  mr_view v;
  const mr_slot *slot;
  int n;
  open_run(&r, device);
  for (int i = 0; i < STEPS; i++) {
    char name[16];
    (void)snprintf(name, sizeof name, "x%d", i);
    x[i] = mr_param(r.t, name, mr_shape3(B, 1, D), mr_init_normal(1));
    part[i] = i % 7 == 0 ? x[0] : x[i];
  }
  const mr_val root = mr_dropout(r.t, mr_concat_time(r.t, part, STEPS), 0.25);
  mr_keep(r.t, root);
  plan_run(&r, root);
  assert_ok(mr_tape_forward(r.t));
  assert_ok(mr_tape_view(r.t, root, &v));
  get(&r, y, &v);
  mr_real dy[B * STEPS * D];
  draw(dy, B * STEPS * D, 9);
  assert_ok(mr_tape_grad_view(r.t, root, &v));
  assert_ok(r.be->api->upload(r.be, v.data, dy, sizeof dy));
  assert_ok(mr_tape_backward(r.t, 0, 1));
  assert_ok(mr_tape_slots(r.t, &slot, &n));
  for (int i = 0; i < STEPS; i++) get(&r, gradients + i * B * D, &slot[i].grad);
  close_run(&r);
}

static void joins_more_parts_than_a_launch_takes_with_the_masks_of_the_cpu(void **state)
{
  static mr_real y[2][B * STEPS * D], g[2][STEPS * B * D];
  (void)state;
  for (int device = MR_CPU; device <= MR_CUDA; device++)
    join((mr_device)device, y[device], g[device]);
  assert_memory_equal(y[MR_CUDA], y[MR_CPU], sizeof y[0]);
  assert_close(g[MR_CUDA], g[MR_CPU], STEPS * B * D, 1e-6, 1e-6);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(adamw_steps_as_on_the_cpu),
      cmocka_unit_test(adamw_changes_nothing_once_a_norm_is_not_finite),
      cmocka_unit_test(a_label_that_no_symbol_has_makes_the_loss_nan),
      cmocka_unit_test(joins_more_parts_than_a_launch_takes_with_the_masks_of_the_cpu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
