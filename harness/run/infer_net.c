/* infer_net.c — one network that reads contexts and goes on step by step, and what it must show before
 * its times are believed. SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "infer_impl.h"
#include "machine.h"
#include "facts.h"
#include "mem.h"
#include "rng.h"

enum { MOST_CHUNK = 2048, MOST_SAMPLES = 1000 };
/* Largest difference from the whole-sequence form, in parts of the largest output: products of other
 * sizes add up in another order. */
#define WHOLE_TOLERANCE (sizeof(mr_real) == sizeof(double) ? 1e-9 : 1e-3)

int64_t mr_infer_chunk(int64_t context)
{
  int64_t chunk = context < MOST_CHUNK ? context : MOST_CHUNK;
  while (context % chunk != 0) chunk--;
  return chunk;
}

int64_t mr_infer_state_bytes(const mr_config *c, const mr_model_def *m, int64_t context)
{
  mr_shape shape[MR_MAX_STATE];
  const mr_dims d = {1, 1, c->width, mr_hidden(c), c->layers, 0, context};
  const int n = m->state(c, d, shape);
  int64_t each = c->conv > 1 ? (c->conv - 1) * c->width : 0;
  for (int i = 0; i < n; i++) each += mr_count(&shape[i]);
  return c->layers * each * (int64_t)sizeof(mr_real);
}

/* ---- Planning -------------------------------------------------------------------------------- */

/* What the task's steps look like; how many there are is not the task's to say here. */
static mr_status read_task(mr_speaker *s)
{
  mr_config c = s->cell->config;
  mr_task *task = NULL;
  const mr_task_def *def = mr_find_task(c.task);
  s->model = mr_find_model(c.model);
  c.length = 0;
  const mr_status st = def->open(&task, &c);
  if (st == MR_ERR_IO) return MR_ERR_UNSUPPORTED; /* its data are not on this machine */
  MR_CHECK(st);
  def->info(task, &s->info);
  def->close(task);
  if (s->info.vocab > 0 && s->info.in_dim > 0)
    return MR_FAIL(MR_ERR_UNSUPPORTED, "task %s has two kinds of input, and inference reads one",
                   c.task);
  return MR_OK;
}

mr_status mr_speaker_plan(mr_speaker *s)
{
  const mr_config *c = &s->cell->config;
  mr_infer_row *r = s->row;
  int64_t in, out;
  MR_CHECK(read_task(s));
  s->context = c->length;
  s->tokens = s->o->tokens;
  s->info.T = s->context + s->tokens;
  s->info.from = s->context - 1;
  r->chunk = s->o->chunk > 0 ? s->o->chunk : mr_infer_chunk(s->context);
  if (r->chunk > s->context) r->chunk = s->context;
  r->state_bytes = mr_infer_state_bytes(c, s->model, s->context);
  r->state_step_bytes = mr_infer_state_bytes(c, s->model, s->context + 1) - r->state_bytes;
  MR_CHECK(mr_streamer_bytes(s->be, c, s->model, &s->info, c->batch, r->chunk, &r->planned_bytes));
  r->allowance_bytes = mr_allowance_bytes(s->be->device, r->planned_bytes, 0);
  s->capacity = s->o->samples > 0 ? s->o->samples : MOST_SAMPLES;
  in = c->batch * s->info.T * (s->info.vocab > 0 ? 4 : s->info.in_dim * (int64_t)sizeof(mr_real));
  out = c->batch * s->info.out_dim * (int64_t)sizeof(mr_real);
  r->needed_bytes = r->planned_bytes + 3 * in + out * (s->tokens + 2) +
                    s->capacity * (3 * s->tokens + 2) * (int64_t)sizeof(double);
  return MR_OK;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* Symbols or numbers that depend on the seed alone. */
static void draw(const mr_speaker *s, int64_t n)
{
  mr_rng r;
  mr_rng_seek(&r, (uint64_t)s->cell->config.seed, MR_STREAM_CHECK, 0);
  if (s->info.vocab > 0) {
    int32_t *token = s->x;
    for (int64_t i = 0; i < n; i++) token[i] = (int32_t)mr_rng_below(&r, (uint32_t)s->info.vocab);
  } else {
    mr_real *value = s->x;
    for (int64_t i = 0; i < n * s->info.in_dim; i++) value[i] = (mr_real)mr_rng_normal(&r);
  }
}

static size_t step_bytes(const mr_speaker *s)
{
  return s->info.vocab > 0 ? sizeof(int32_t) : (size_t)s->info.in_dim * sizeof(mr_real);
}

static mr_status open_inputs(mr_speaker *s)
{
  const size_t B = (size_t)s->cell->config.batch, step = step_bytes(s), T = (size_t)s->info.T;
  const size_t context = (size_t)s->context;
  MR_CHECK(mr_calloc(&s->x, B * T, step));
  MR_CHECK(mr_calloc(&s->contexts, B * context, step));
  MR_CHECK(mr_calloc(&s->steps, B * (size_t)s->tokens, step));
  draw(s, (int64_t)(B * T));
  for (size_t b = 0; b < B; b++) {
    const char *row = (const char *)s->x + b * T * step;
    memcpy((char *)s->contexts + b * context * step, row, context * step);
    for (size_t t = context; t < T; t++)
      memcpy((char *)s->steps + ((t - context) * B + b) * step, row + t * step, step);
  }
  return MR_OK;
}

mr_status mr_speaker_open(mr_speaker *s)
{
  const mr_config *c = &s->cell->config;
  const size_t out = (size_t)(c->batch * s->info.out_dim), tokens = (size_t)s->tokens;
  const size_t room = (size_t)s->capacity;
  MR_CHECK(mr_streamer_open(&s->net, s->be, c, s->model, &s->info, c->batch, s->row->chunk, NULL));
  MR_CHECK(open_inputs(s));
  MR_CHECK(mr_calloc((void **)&s->y, out, sizeof *s->y));
  MR_CHECK(mr_calloc((void **)&s->first, out * (tokens + 1), sizeof *s->first));
  MR_CHECK(mr_calloc((void **)&s->prefill, room, sizeof *s->prefill));
  MR_CHECK(mr_calloc((void **)&s->token, room * tokens, sizeof *s->token));
  return mr_calloc((void **)&s->sorted, room * tokens, sizeof *s->sorted);
}

void mr_speaker_close(mr_speaker *s)
{
  mr_streamer_close(s->net);
  mr_free(s->x);
  mr_free(s->contexts);
  mr_free(s->steps);
  mr_free(s->y);
  mr_free(s->first);
  mr_free(s->prefill);
  mr_free(s->token);
  mr_free(s->sorted);
}

/* ---- One round ------------------------------------------------------------------------------- */

/* Reads n steps of all sequences and takes their last outputs; how long that took. */
static mr_status read_steps(mr_speaker *s, const void *x, int64_t n, mr_span *span)
{
  const double cpu = mr_processor_ns();
  const int64_t start = mr_now_ns();
  const bool ids = s->info.vocab > 0;
  MR_CHECK(mr_streamer_read(s->net, ids ? x : NULL, ids ? NULL : x, n));
  MR_CHECK(mr_streamer_last(s->net, s->y)); /* waits for the device */
  span->wall = (double)(mr_now_ns() - start);
  span->told = mr_is_one_cpu_thread(s->be) ? mr_processor_ns() - cpu : span->wall;
  return MR_OK;
}

mr_status mr_speaker_round(mr_speaker *s, mr_span *prefill, mr_span *token, mr_real *first)
{
  const size_t B = (size_t)s->cell->config.batch, out = B * (size_t)s->info.out_dim;
  const size_t step = B * step_bytes(s);
  mr_streamer_rewind(s->net);
  MR_CHECK(read_steps(s, s->contexts, s->context, prefill));
  if (first != NULL) memcpy(first, s->y, out * sizeof *first);
  for (size_t t = 0; t < (size_t)s->tokens; t++) {
    MR_CHECK(read_steps(s, (const char *)s->steps + t * step, 1, &token[t]));
    if (first != NULL) memcpy(first + (t + 1) * out, s->y, out * sizeof *first);
  }
  return MR_OK;
}

/* ---- The gate -------------------------------------------------------------------------------- */

/* Compares what sequence b gave with the whole-sequence form. */
static mr_status check_whole(mr_speaker *s, mr_real *whole, int64_t b)
{
  const int64_t B = s->cell->config.batch, dim = s->info.out_dim;
  double worst = 0, size = 0;
  const char *x = (const char *)s->x + (size_t)(b * s->info.T) * step_bytes(s);
  const bool ids = s->info.vocab > 0;
  MR_CHECK(
      mr_streamer_whole(s->net, ids ? (const void *)x : NULL, ids ? NULL : (const void *)x, whole));
  for (int64_t t = 0; t <= s->tokens; t++)
    for (int64_t i = 0; i < dim; i++) {
      const double want = (double)whole[t * dim + i];
      const double d = fabs((double)s->first[(t * B + b) * dim + i] - want);
      if (!isnan(worst) && !(d <= worst)) worst = d; /* NaN comes and stays */
      if (fabs(want) > size) size = fabs(want);
    }
  if (worst <= WHOLE_TOLERANCE * size) return MR_OK;
  return MR_FAIL(MR_ERR_NUMERIC,
                 "%s: a context of %" PRId64 " steps and single steps behind it differ from the "
                 "whole sequence by %g of %g, so no time is told",
                 s->model->name, s->context, worst, size);
}

/* The second round is warm, and must give the same bits. */
static mr_status check_repeats(mr_speaker *s)
{
  const size_t out = (size_t)(s->cell->config.batch * s->info.out_dim) * sizeof *s->y;
  mr_span prefill;
  MR_CHECK(mr_speaker_round(s, &prefill, s->token, NULL));
  if (memcmp(s->y, (const char *)s->first + (size_t)s->tokens * out, out) == 0) return MR_OK;
  return MR_FAIL(MR_ERR_NUMERIC,
                 "%s: the same context read twice gives other outputs, so no time "
                 "is told",
                 s->model->name);
}

mr_status mr_speaker_gate(mr_speaker *s)
{
  mr_status st = MR_OK;
  const int64_t B = s->cell->config.batch;
  mr_real *whole = NULL;
  mr_span prefill;
  MR_TRY(mr_calloc((void **)&whole, (size_t)((s->tokens + 1) * s->info.out_dim), sizeof *whole));
  MR_TRY(mr_speaker_round(s, &prefill, s->token, s->first));
  MR_TRY(check_whole(s, whole, 0));
  if (B > 1) MR_TRY(check_whole(s, whole, B - 1));
  MR_TRY(check_repeats(s));
out:
  mr_free(whole);
  return st;
}
