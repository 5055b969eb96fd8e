/* bench_subject.c — what is timed: a model's mixers on a fixed input, and a whole training step.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "bench_impl.h"
#include "facts.h"
#include "mem.h"
#include "rng.h"

enum { MOST_SAMPLES = 1000 };

/* Fills a host array with normal numbers that depend on the seed alone. */
static void draw_normal(uint64_t seed, mr_real *x, int64_t n)
{
  mr_rng r;
  mr_rng_seek(&r, seed, MR_STREAM_CHECK, 0);
  for (int64_t i = 0; i < n; i++) x[i] = (mr_real)mr_rng_normal(&r);
}

static mr_status open_mixer(mr_subject *s)
{
  const mr_config *c = s->c;
  mr_dims d = {
      .B = c->batch, .T = s->row->length, .D = c->width, .H = mr_hidden(c), .L = c->layers};
  MR_CHECK(mr_tape_create(&s->mixer, s->be, (uint64_t)c->seed));
  s->y = mr_build_mixer(s->mixer, c, s->model, d);
  mr_keep(s->mixer, s->y);
  MR_CHECK(mr_tape_plan(s->mixer, s->y, true, NULL));
  MR_CHECK(mr_tape_alloc(s->mixer));
  MR_CHECK(mr_tape_view(s->mixer, s->y, &s->y_view));
  MR_CHECK(mr_tape_grad_view(s->mixer, s->y, &s->dy_view));
  size_t bytes = mr_bytes(&s->y_view.shape, MR_REAL);
  MR_CHECK(mr_calloc(&s->host_dy, bytes, 1));
  MR_CHECK(mr_calloc(&s->host_y, bytes, 1));
  draw_normal((uint64_t)c->seed, s->host_dy, mr_count(&s->y_view.shape));
  return MR_OK;
}

/* The device's own count of a whole step is its growth from before the slabs to after a step. */
static mr_status open_step(mr_subject *s)
{
  mr_device_mem before, after;
  MR_CHECK(mr_tape_create(&s->tape, s->be, (uint64_t)s->c->seed));
  mr_build(s->tape, s->c, s->model, &s->info, s->c->batch, &s->net);
  MR_CHECK(mr_tape_plan(s->tape, s->net.loss, true, &s->plan));
  MR_CHECK(s->be->api->mem(s->be, &before));
  MR_CHECK(mr_tape_alloc(s->tape));
  MR_CHECK(mr_optim_open(&s->optim, s->c, s->be, s->tape));
  MR_CHECK(mr_feed_create(&s->feed, s->be, s->tape, &s->net, s->def, s->task));
  MR_CHECK(
      mr_step_create(&s->step, s->c, s->be, s->tape, &s->net, s->optim, NULL, "the benchmark"));
  MR_CHECK(mr_feed_next(s->feed, MR_TRAIN, 0));
  MR_CHECK(mr_subject_step(s));
  MR_CHECK(s->be->api->mem(s->be, &after));
  s->row->planned_bytes = mr_planned_bytes(&s->plan, mr_optim_bytes(s->optim));
  s->row->device_bytes = after.used_bytes - before.used_bytes;
  return MR_OK;
}

static mr_status open_samples(mr_subject *s)
{
  void *p;
  s->capacity = s->o->samples > 0 ? s->o->samples : MOST_SAMPLES;
  for (int i = 0; i < MR_N_BENCH_TIMES; i++) {
    MR_CHECK(mr_calloc(&p, (size_t)s->capacity, sizeof(double)));
    s->sample[i] = p;
  }
  MR_CHECK(mr_calloc(&p, (size_t)s->capacity, sizeof(double)));
  s->sorted = p;
  return MR_OK;
}

mr_status mr_subject_open(mr_subject *s, mr_backend *be, const mr_model_def *m)
{
  s->be = be;
  s->model = m;
  s->def = mr_find_task(s->c->task);
  if (s->model == NULL || s->def == NULL)
    return MR_FAIL(MR_ERR_CONFIG, "there is no %s, see minrnn list",
                   s->model == NULL ? s->c->model : s->c->task);
  const mr_status st = s->def->open(&s->task, s->c);
  if (st == MR_ERR_IO) return MR_ERR_CONFIG; /* data that are missing are the user's to get */
  MR_CHECK(st);
  s->def->info(s->task, &s->info);
  s->row->config = s->c;
  s->row->length = s->c->length > 0 ? s->c->length : s->info.T;
  s->row->threads = be->threads;
  MR_CHECK(open_samples(s));
  MR_CHECK(open_mixer(s));
  return open_step(s);
}

void mr_subject_close(mr_subject *s)
{
  for (int i = 0; i < MR_N_BENCH_TIMES; i++) mr_free(s->sample[i]);
  mr_free(s->sorted);
  mr_free(s->host_dy);
  mr_free(s->host_y);
  mr_step_destroy(s->step);
  mr_feed_destroy(s->feed);
  mr_optim_destroy(s->optim);
  mr_tape_destroy(s->tape);
  mr_tape_destroy(s->mixer);
  if (s->def != NULL) s->def->close(s->task);
}

mr_status mr_mixer_forward(mr_subject *s)
{
  MR_CHECK(mr_tape_forward(s->mixer));
  return s->be->api->sync(s->be);
}

/* The gradient that starts the pass, whose memory other values use meanwhile. */
mr_status mr_mixer_seed(mr_subject *s)
{
  size_t bytes = mr_bytes(&s->dy_view.shape, MR_REAL);
  MR_CHECK(s->be->api->upload(s->be, s->dy_view.data, s->host_dy, bytes));
  return s->be->api->sync(s->be);
}

mr_status mr_mixer_backward(mr_subject *s)
{
  MR_CHECK(mr_tape_backward(s->mixer, 0, 1));
  return s->be->api->sync(s->be);
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
  return told(s, mr_step_read(s->step, &row));
}
