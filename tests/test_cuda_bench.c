/* test_cuda_bench.c — mixers timed on the played CUDA device: both passes are one captured graph, which
 * must give what single ops give. SPDX-License-Identifier: MIT */
/* labels: unit; real: float; device: host */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "bench_impl.h"
#include "testing.h"

/* One cell, ready for the gate, on a device whose calls the test may watch. */
typedef struct fixture {
  mr_bench_opts o;
  mr_bench b;
  mr_cell cell;
  mr_bench_row row;
  mr_subject s;
  mr_backend_api api;
} fixture;

static const mr_backend_api *played;
static int launches;

static mr_status counted(mr_backend *be, mr_graph *g)
{
  launches++;
  return played->launch(be, g);
}

static mr_status idle(mr_backend *be, mr_graph *g)
{
  (void)be;
  (void)g;
  return MR_OK;
}

static mr_status refuse(mr_backend *be, mr_graph **out)
{
  assert_ok(played->capture_end(be, out));
  played->free_graph(be, *out);
  *out = NULL;
  return MR_FAIL(MR_ERR_CUDA, "no graph today");
}

static void open_subject(fixture *f, const char *descriptor)
{
  memset(f, 0, sizeof *f);
  f->o = (mr_bench_opts){.samples = 2, .seconds = 1};
  f->b = (mr_bench){.o = &f->o, .device = MR_CUDA, .copy_rate = 1e12, .gemm_rate = 1e12};
  assert_ok(mr_cell_load(&f->cell, descriptor));
  assert_ok(mr_backend_open(&f->b.be, MR_CUDA, 0));
  assert_ok(mr_pace_open(&f->b.pace, f->b.be));
  played = f->b.be->api;
  f->api = *played;
  f->api.launch = counted;
  f->b.be->api = &f->api;
  launches = 0;
  f->row.cell = &f->cell;
  f->s = (mr_subject){.b = &f->b, .c = &f->cell.config, .row = &f->row, .be = f->b.be};
  assert_ok(mr_subject_plan(&f->s, mr_find_model(f->cell.config.model)));
  assert_ok(mr_subject_alloc(&f->s));
}

static void close_subject(fixture *f)
{
  mr_subject_close(&f->s);
  f->b.be->api = played;
  mr_pace_close(&f->b.pace);
  mr_backend_close(f->b.be);
  mr_cell_free(&f->cell);
}

#define CELL(mode) "mingru:b2t12d8l1:cuda:" mode ":selective_copy.data_tokens=2"

static void both_passes_are_one_launch_and_have_a_time_by_either_clock(void **state)
{
  fixture f;
  mr_subject *s = &f.s;
  (void)state;
  open_subject(&f, CELL("graph"));
  assert_ok(mr_subject_gate(s));
  assert_non_null(s->mixer_graph);
  assert_string_equal(f.row.not_captured, "");
  launches = 0;
  assert_ok(mr_mixer_both(s));
  assert_int_equal(launches, 1);
  assert_ok(mr_sample_all(&s, 1));
  mr_summarise(s);
  assert_true(f.row.time[MR_BENCH_BOTH].median > 0);
  assert_true(f.row.both_device > 0);
  close_subject(&f);
}

/* Without h0 two layers and a scan, forward and backward; a product takes longer than its bytes. */
static void the_floor_is_the_sum_over_ops_of_the_larger_share(void **state)
{
  fixture f;
  mr_subject *s = &f.s;
  (void)state;
  open_subject(&f, CELL("graph") ":h0=zero");
  assert_ok(mr_subject_gate(s));
  assert_ok(mr_sample_all(&s, 1));
  mr_summarise(s);
  assert_ok(mr_subject_after(s));
  const double rows = 2 * 12, D = 8, first = rows * 4 * D * D, second = rows * 2 * D * D;
  const double biases = rows * 2 * D + rows * D, real = sizeof(mr_real);
  const double flops = 3 * (first + second) + biases;
  const double bytes = rows * (3 * D + 6 * D) * real; /* pre, h; pre, h, dh, dpre */
  const double floor = 1e9 * (flops / f.b.gemm_rate + bytes / f.b.copy_rate);
  assert_true(fabs(f.row.floor - floor) < 1e-9 * floor);
  assert_true(fabs(mr_bench_floor_ratio(&f.row) * floor / f.row.both_device - 1) < 1e-9);
  close_subject(&f);
}

static void the_products_alone_have_a_time_where_they_can_be_seen(void **state)
{
  fixture f;
  mr_subject *s = &f.s;
  (void)state;
  open_subject(&f, CELL("graph") ":h0=zero");
  assert_ok(mr_subject_gate(s));
  assert_ok(mr_sample_all(&s, 1));
  mr_summarise(s);
  /* Two layers, each forward, for the gradient of its input and for that of its weight. */
  const double rows = 2 * 12, D = 8;
  assert_int_equal(f.row.gemm_calls, 6);
  assert_true(f.row.gemm_flops == 3 * 2 * rows * (2 * D * D + D * D));
  assert_true(f.row.time[MR_BENCH_GEMM].median > 0);
  assert_true(f.row.gemm_ratio == f.row.both_device / f.row.time[MR_BENCH_GEMM].median);
  close_subject(&f);
  /* The kernel with its weights on chip multiplies by itself. */
  open_subject(&f, "gru:b2t12d8l1:cuda:eager:selective_copy.data_tokens=2");
  assert_true(s->hides_products);
  assert_ok(mr_sample_all(&s, 1));
  mr_summarise(s);
  assert_true(isnan(f.row.gemm_ratio) && f.row.gemm_calls == 0);
  close_subject(&f);
}

/* Kernels, products and the optimizer's own count, also where a captured step hides them later; and
 * what an op queues step by step is as many launches as steps. */
static void launches_are_counted_as_they_are_queued(void **state)
{
  fixture f;
  int32_t launched[2];
  (void)state;
  for (int graph = 0; graph < 2; graph++) {
    open_subject(&f, graph ? CELL("graph") : CELL("eager"));
    launched[graph] = f.row.launches;
    assert_true(f.row.launches >
                f.s.plan.op_calls); /* clip and AdamW, products with two gradients */
    close_subject(&f);
  }
  assert_int_equal(launched[0], launched[1]);
  for (int i = 0; i < 2; i++) { /* a state of 256 does not fit on chip */
    char cell[128];
    snprintf(cell, sizeof cell, "gru:b2t%dd256l1:cuda:eager:selective_copy.data_tokens=%d",
             5 + 6 * i, 1);
    open_subject(&f, cell);
    launched[i] = f.row.launches;
    close_subject(&f);
  }
  assert_true(launched[1] >= launched[0] + 6);
}

static void without_graphs_they_run_op_by_op(void **state)
{
  fixture f;
  (void)state;
  open_subject(&f, CELL("eager"));
  assert_ok(mr_subject_gate(&f.s));
  assert_null(f.s.mixer_graph);
  assert_ok(mr_mixer_both(&f.s));
  assert_int_equal(launches, 0);
  close_subject(&f);
}

static void a_mixer_that_cannot_be_captured_runs_op_by_op_and_says_why(void **state)
{
  fixture f;
  (void)state;
  open_subject(&f, CELL("graph"));
  f.api.capture_end = refuse;
  assert_ok(mr_subject_gate(&f.s));
  assert_null(f.s.mixer_graph);
  assert_string_equal(f.row.not_captured, "its mixers: no graph today");
  close_subject(&f);
}

static void a_graph_that_leaves_gradients_unwritten_is_not_timed(void **state)
{
  fixture f;
  (void)state;
  open_subject(&f, CELL("graph"));
  f.api.launch = idle;
  assert_fails(mr_subject_gate(&f.s), MR_ERR_NUMERIC, "its mixer gives");
  close_subject(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_passes_are_one_launch_and_have_a_time_by_either_clock),
      cmocka_unit_test(the_floor_is_the_sum_over_ops_of_the_larger_share),
      cmocka_unit_test(the_products_alone_have_a_time_where_they_can_be_seen),
      cmocka_unit_test(launches_are_counted_as_they_are_queued),
      cmocka_unit_test(without_graphs_they_run_op_by_op),
      cmocka_unit_test(a_mixer_that_cannot_be_captured_runs_op_by_op_and_says_why),
      cmocka_unit_test(a_graph_that_leaves_gradients_unwritten_is_not_timed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
