/* bench_subject.c — what is timed: a model's mixers on a fixed input, and a whole training step.
 * SPDX-License-Identifier: MIT */
#include <malloc.h>
#include <stdio.h>
#include "bench_impl.h"
#include "facts.h"
#include "mem.h"
#include "rng.h"

enum { MOST_SAMPLES = 1000 };

/* ---- Plan ----------------------------------------------------------------------------------- */

static mr_status open_task(mr_subject *s)
{
  s->def = mr_find_task(s->c->task);
  if (s->model == NULL || s->def == NULL)
    return MR_FAIL(MR_ERR_CONFIG, "there is no %s, see minrnn list",
                   s->model == NULL ? s->c->model : s->c->task);
  MR_CHECK(s->def->open(&s->task, s->c));
  s->def->info(s->task, &s->info);
  return MR_OK;
}

static mr_status plan_mixer(mr_subject *s)
{
  const mr_config *c = s->c;
  mr_dims d = {
      .B = c->batch, .T = s->row->length, .D = c->width, .H = mr_hidden(c), .L = c->layers};
  MR_CHECK(mr_tape_create(&s->mixer, s->be, (uint64_t)c->seed));
  s->y = mr_build_mixer(s->mixer, c, s->model, d);
  mr_keep(s->mixer, s->y);
  MR_CHECK(mr_tape_plan(s->mixer, s->y, true, &s->mixer_plan));
  for (int32_t i = 0; i < s->mixer_plan.nodes; i++) {
    mr_node_info info;
    MR_CHECK(mr_tape_node(s->mixer, i, &info));
    s->hides_products |= info.hides_products;
  }
  return MR_OK;
}

static mr_status plan_step(mr_subject *s)
{
  MR_CHECK(mr_tape_create(&s->tape, s->be, (uint64_t)s->c->seed));
  mr_build(s->tape, s->c, s->model, &s->info, s->c->batch, &s->net);
  return mr_tape_plan(s->tape, s->net.loss, true, &s->plan);
}

/* What one step's ops must compute and move at least, as in a profile. AdamW reads the gradients
 * twice, and reads and writes parameters and two moments. */
static mr_status count_work(mr_subject *s)
{
  mr_bench_row *r = s->row;
  r->step_flops = 0;
  r->step_bytes = 8 * (double)s->plan.n_params * sizeof(mr_real);
  for (int32_t i = 0; i < s->plan.nodes; i++) {
    mr_node_info info;
    MR_CHECK(mr_tape_node(s->tape, i, &info));
    r->step_flops += info.flops + info.flops_bwd;
    r->step_bytes += info.bytes + info.bytes_bwd;
  }
  return MR_OK;
}

static int64_t slabs(const mr_plan_report *p)
{
  return p->params + p->grads + p->acts_peak;
}

mr_status mr_subject_plan(mr_subject *s, const mr_model_def *m)
{
  mr_bench_row *r = s->row;
  s->model = m;
  MR_CHECK(open_task(s));
  r->length = s->c->length > 0 ? s->c->length : s->info.T;
  r->threads = s->be->threads;
  MR_CHECK(plan_mixer(s));
  MR_CHECK(plan_step(s));
  const int64_t moments = 2 * s->plan.params, copies = s->be->device == MR_CPU ? 2 : 1;
  const mr_shape y = mr_shape_of(s->mixer, s->y);
  r->planned_bytes = mr_planned_bytes(&s->plan, moments);
  r->bound_bytes = r->planned_bytes - s->plan.acts_peak + s->plan.acts_bound;
  r->allowance_bytes = mr_allowance_bytes(s->be->device, r->planned_bytes, s->plan.nodes);
  /* The gate's network keeps nothing for a backward pass and is at most half as long. */
  r->needed_bytes = r->planned_bytes + slabs(&s->mixer_plan) +
                    copies * (int64_t)mr_bytes(&y, MR_REAL) + s->plan.acts_peak / 2;
  return count_work(s);
}

/* ---- Memory --------------------------------------------------------------------------------- */

/* Fills a host array with normal numbers that depend on the seed alone. */
static void draw_normal(uint64_t seed, mr_real *x, int64_t n)
{
  mr_rng r;
  mr_rng_seek(&r, seed, MR_STREAM_CHECK, 0);
  for (int64_t i = 0; i < n; i++) x[i] = (mr_real)mr_rng_normal(&r);
}

static mr_status alloc_mixer(mr_subject *s)
{
  MR_CHECK(mr_tape_alloc(s->mixer));
  MR_CHECK(mr_tape_view(s->mixer, s->y, &s->y_view));
  MR_CHECK(mr_tape_grad_view(s->mixer, s->y, &s->dy_view));
  size_t bytes = mr_bytes(&s->y_view.shape, MR_REAL);
  MR_CHECK(s->be->api->alloc(s->be, bytes, &s->dy));
  MR_CHECK(mr_calloc(&s->host_y, bytes, 1));
  draw_normal((uint64_t)s->c->seed, s->host_y, mr_count(&s->y_view.shape));
  return s->be->api->upload(s->be, s->dy, s->host_y, bytes);
}

/* The device's own count of a whole step is its growth from before the slabs to after a step. */
static mr_status alloc_step(mr_subject *s)
{
  mr_device_mem before, after;
  (void)malloc_trim(0); /* or what other cells gave back would hide some of it */
  MR_CHECK(s->be->api->mem(s->be, &before));
  MR_CHECK(mr_tape_alloc(s->tape));
  MR_CHECK(mr_optim_open(&s->optim, s->c, s->be, s->tape));
  MR_CHECK(mr_feed_create(&s->feed, s->be, s->tape, &s->net, s->def, s->task));
  MR_CHECK(
      mr_step_create(&s->step, s->c, s->be, s->tape, &s->net, s->optim, NULL, "the benchmark"));
  MR_CHECK(mr_feed_next(s->feed, MR_TRAIN, 0));
  const int64_t launches = s->be->launches;
  MR_CHECK(mr_subject_step(s)); /* op by op, also where later ones are captured */
  s->row->launches =
      s->be->device == MR_CPU ? s->plan.op_calls : (int32_t)(s->be->launches - launches);
  MR_CHECK(s->be->api->mem(s->be, &after));
  s->row->device_bytes = after.used_bytes - before.used_bytes;
  s->row->other_bytes = after.other_bytes - before.other_bytes;
  return MR_OK;
}

mr_growth mr_bench_growth(const mr_bench_row *r)
{
  return (mr_growth){r->planned_bytes, r->allowance_bytes, r->device_bytes, r->other_bytes,
                     r->threads};
}

static mr_status alloc_series(mr_subject *s)
{
  void *p;
  s->capacity = s->b->o->samples > 0 ? s->b->o->samples : MOST_SAMPLES;
  for (int i = 0; i < MR_N_SERIES; i++) {
    MR_CHECK(mr_calloc(&p, (size_t)s->capacity, sizeof(double)));
    s->series[i] = p;
  }
  MR_CHECK(mr_calloc(&p, (size_t)s->capacity, sizeof(double)));
  s->scratch = p;
  return MR_OK;
}

mr_status mr_subject_alloc(mr_subject *s)
{
  MR_CHECK(alloc_series(s));
  MR_CHECK(alloc_mixer(s));
  return alloc_step(s);
}

void mr_subject_close(mr_subject *s)
{
  for (int i = 0; i < MR_N_SERIES; i++) {
    mr_free(s->series[i]);
    s->series[i] = NULL;
  }
  mr_free(s->scratch);
  if (s->be != NULL) mr_trace_free(s->be, s->products);
  s->products = NULL;
  if (s->mixer_graph != NULL) s->be->api->free_graph(s->be, s->mixer_graph);
  if (s->be != NULL) s->be->api->release(s->be, s->dy);
  mr_free(s->host_y);
  mr_step_destroy(s->step);
  mr_feed_destroy(s->feed);
  mr_optim_destroy(s->optim);
  mr_tape_destroy(s->tape);
  mr_tape_destroy(s->mixer);
  if (s->def != NULL) s->def->close(s->task);
  s->scratch = NULL, s->dy = s->host_y = NULL, s->mixer_graph = NULL;
  s->step = NULL, s->feed = NULL, s->optim = NULL;
  s->tape = s->mixer = NULL, s->task = NULL;
}

/* ---- Passes --------------------------------------------------------------------------------- */

mr_status mr_mixer_forward(mr_subject *s)
{
  return mr_tape_forward(s->mixer);
}

/* The gradient that starts the pass, whose memory other values use meanwhile. */
mr_status mr_mixer_seed(mr_subject *s)
{
  size_t bytes = mr_bytes(&s->dy_view.shape, MR_REAL);
  return s->be->api->copy(s->be, s->dy_view.data, s->dy, bytes);
}

mr_status mr_mixer_backward(mr_subject *s)
{
  return mr_tape_backward(s->mixer, 0, 1);
}

static mr_status queue_both(void *subject)
{
  mr_subject *s = subject;
  MR_CHECK(mr_mixer_forward(s));
  MR_CHECK(mr_mixer_seed(s));
  return mr_mixer_backward(s);
}

mr_status mr_mixer_both(mr_subject *s)
{
  return s->mixer_graph != NULL ? s->be->api->launch(s->be, s->mixer_graph) : queue_both(s);
}

void mr_mixer_capture(mr_subject *s)
{
  mr_bench_row *r = s->row;
  if (s->c->graph == 0 || s->be->api->capture_begin == NULL) return;
  if (mr_backend_capture(s->be, queue_both, s, &s->mixer_graph) != MR_OK)
    (void)snprintf(r->not_captured, sizeof r->not_captured, "its mixers: %s", mr_error_message());
}

/* A step's failure, told as what it means here. */
static mr_status told(const mr_subject *s, mr_status st)
{
  char why[512];
  if (st != MR_ERR_NUMERIC) return st;
  (void)snprintf(why, sizeof why, "%s", mr_error_message());
  return MR_FAIL(st, "%s: %s, so no time is told", s->model->name, why);
}

mr_status mr_subject_step(mr_subject *s)
{
  const mr_status st = mr_step_run(s->step, s->steps++);
  return st == MR_OK ? s->be->api->sync(s->be) : told(s, st);
}

mr_status mr_subject_check(mr_subject *s)
{
  mr_step_row row;
  MR_CHECK(told(s, mr_step_read(s->step, &row)));
  s->grad_norm = row.grad_norm;
  return MR_OK;
}
