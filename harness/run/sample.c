/* sample.c — text from a trained network. SPDX-License-Identifier: MIT */
#include "sample.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "checkpoint.h"
#include "device.h"
#include "h5file.h"
#include "mem.h"
#include "rng.h"
#include "stream.h"

enum { CHUNK = 64 }; /* symbols read at once */

/* ---- One symbol ------------------------------------------------------------------------------ */

static int by_rank(const void *a, const void *b)
{
  const mr_candidate *x = a, *y = b;
  if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
  return x->id < y->id ? -1 : 1;
}

mr_status mr_sample_pick(const mr_sample_opts *o, int64_t place, const mr_real *logit, int64_t n,
                         mr_candidate *scratch, int32_t *id)
{
  mr_rng r;
  double sum = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite((double)logit[i]))
      return MR_FAIL(MR_ERR_NUMERIC,
                     "the network's output for symbol %" PRId64 " is %g, so none can be drawn", i,
                     (double)logit[i]);
    scratch[i] = (mr_candidate){(double)logit[i], (int32_t)i};
  }
  qsort(scratch, (size_t)n, sizeof *scratch, by_rank);
  *id = scratch[0].id;
  if (o->temperature == 0) return MR_OK;
  if (o->top_k > 0 && o->top_k < n) n = o->top_k;
  for (int64_t i = n - 1; i >= 0; i--) {
    scratch[i].logit = exp((scratch[i].logit - scratch[0].logit) / o->temperature);
    sum += scratch[i].logit;
  }
  mr_rng_seek(&r, o->seed, MR_STREAM_SAMPLE, (uint64_t)place);
  double left = mr_rng_uniform(&r) * sum;
  for (int64_t i = 0; i < n && scratch[i].logit > 0; i++) {
    *id = scratch[i].id;
    left -= scratch[i].logit;
    if (left < 0) break;
  }
  return MR_OK;
}

/* ---- Config of a checkpoint ------------------------------------------------------------------ */

typedef struct words {
  char **word;
  int n;
} words;

static mr_status add_word(words *w, const char *key, const char *value)
{
  void *list = w->word;
  char *text = NULL;
  const size_t bytes = strlen(key) + strlen(value) + sizeof "--=";
  MR_CHECK(mr_regrow(&list, (size_t)w->n + 1, sizeof *w->word));
  w->word = list;
  MR_CHECK(mr_calloc((void **)&text, bytes, 1));
  (void)snprintf(text, bytes, "--%s=%s", key, value);
  w->word[w->n++] = text;
  return MR_OK;
}

static void free_words(words *w)
{
  for (int i = 0; i < w->n; i++) mr_free(w->word[i]);
  mr_free(w->word);
}

static mr_status take_key(void *ctx, const char *key, const char *value, mr_h5_kind kind)
{
  (void)kind;
  return add_word(ctx, key, value);
}

static mr_status read_keys(const char *path, words *w)
{
  mr_status st = MR_OK;
  hid_t file = -1, config = -1;
  htri_t there = 0;
  MR_TRY(mr_h5_open(&file, path));
  MR_H5(there = H5Lexists(file, "config", H5P_DEFAULT), "look for the config");
  if (there) MR_H5(there = H5Lexists(file, "params", H5P_DEFAULT), "look for the parameters");
  if (!there) {
    st = MR_FAIL(MR_ERR_CONFIG, "%s is no checkpoint: it lacks a config or parameters", path);
    goto out;
  }
  MR_H5(config = H5Gopen2(file, "config", H5P_DEFAULT), "open the config");
  MR_TRY(mr_h5_each_attr(config, path, take_key, w));
out:
  st = mr_h5_drop(config, st, path);
  mr_h5_close(file);
  return st;
}

/* The checkpoint's keys, then those of the caller. */
static mr_status load_config(mr_config *c, const char *path, int n, const char *const *more)
{
  mr_status st = MR_OK;
  words w = {.n = 0};
  const char **all = NULL;
  MR_TRY(read_keys(path, &w));
  MR_TRY(mr_calloc((void **)&all, (size_t)(w.n + n), sizeof *all));
  for (int i = 0; i < w.n; i++) all[i] = w.word[i];
  for (int i = 0; i < n; i++) all[w.n + i] = more[i];
  MR_TRY(mr_run_config(c, NULL, w.n + n, all));
out:
  mr_free(all);
  free_words(&w);
  return st;
}

/* ---- The network ----------------------------------------------------------------------------- */

typedef struct sampler {
  mr_config c;
  const mr_task_def *def;
  mr_task *task;
  mr_task_info info;
  mr_backend *be;
  mr_streamer *net;
  int32_t *id; /* the prompt, then the last symbols, as many as the model can read */
  int64_t n, n_read, context;
  mr_real *logit;          /* [V] */
  mr_candidate *candidate; /* [V] */
} sampler;

static mr_status open_task(sampler *s, const char *checkpoint)
{
  s->def = mr_find_task(s->c.task);
  if (s->def->encode == NULL || s->def->decode == NULL)
    return MR_FAIL(MR_ERR_CONFIG, "%s was trained on %s, which is no text", checkpoint, s->c.task);
  MR_CHECK(s->def->open(&s->task, &s->c));
  s->def->info(s->task, &s->info);
  return MR_OK;
}

/* The prompt as symbols; an empty one stands for a line break, or the text's first symbol. */
static mr_status read_prompt(sampler *s, const char *prompt)
{
  const size_t bytes = strlen(prompt);
  MR_CHECK(mr_calloc((void **)&s->id, bytes + 1, sizeof *s->id));
  if (bytes > 0) return s->def->encode(s->task, prompt, bytes, s->id, &s->n);
  s->n = 1;
  if (s->def->encode(s->task, "\n", 1, s->id, &s->n) != MR_OK) s->id[0] = 0, s->n = 1;
  return MR_OK;
}

/* Room for the symbols that a model with an end to its context has to read again. */
static mr_status open_memory(sampler *s)
{
  void *id = s->id;
  s->context = mr_streamer_context(s->net);
  if (s->context > s->n) {
    MR_CHECK(mr_regrow(&id, (size_t)s->context, sizeof *s->id));
    s->id = id;
  }
  MR_CHECK(mr_calloc((void **)&s->logit, (size_t)s->info.out_dim, sizeof *s->logit));
  return mr_calloc((void **)&s->candidate, (size_t)s->info.out_dim, sizeof *s->candidate);
}

static mr_status open_sampler(sampler *s, const char *checkpoint, const char *prompt)
{
  const mr_model_def *m = mr_find_model(s->c.model);
  MR_CHECK(open_task(s, checkpoint));
  MR_CHECK(read_prompt(s, prompt));
  MR_CHECK(mr_device_open(&s->be, &s->c));
  /* The prompt is read once, or parts of the text again and again. */
  int64_t chunk = m->context == NULL && s->n < CHUNK ? s->n : CHUNK;
  if (chunk > s->info.T) chunk = s->info.T;
  MR_CHECK(mr_streamer_open(&s->net, s->be, &s->c, m, &s->info, 1, chunk, NULL));
  MR_CHECK(mr_checkpoint_load(checkpoint, s->be, mr_streamer_params(s->net), NULL, NULL));
  return open_memory(s);
}

static void close_sampler(sampler *s)
{
  mr_free(s->candidate);
  mr_free(s->logit);
  mr_free(s->id);
  mr_streamer_close(s->net);
  mr_backend_close(s->be);
  if (s->def != NULL) s->def->close(s->task);
  mr_config_free(&s->c);
}

/* ---- Reading and drawing --------------------------------------------------------------------- */

/* Keeps the last `keep` symbols only, to be read from the start of a sequence. */
static void forget(sampler *s, int64_t keep)
{
  memmove(s->id, s->id + s->n - keep, (size_t)keep * sizeof *s->id);
  s->n = keep;
  s->n_read = 0;
  mr_streamer_restart(s->net);
}

/* Adds a drawn symbol. Where the context ends, its later half begins it anew. */
static void append(sampler *s, int32_t id)
{
  if (s->context == 0)
    s->n = s->n_read = 0;
  else if (s->n == s->context)
    forget(s, s->context / 2);
  s->id[s->n++] = id;
}

static mr_status read_new(sampler *s)
{
  MR_CHECK(mr_streamer_read(s->net, s->id + s->n_read, NULL, s->n - s->n_read));
  s->n_read = s->n;
  return MR_OK;
}

static mr_status draw(sampler *s, const mr_sample_opts *o, mr_text_fn fn, void *ctx)
{
  char text[4];
  int32_t id = 0;
  if (s->context > 0 && s->n > s->context) forget(s, s->context);
  for (int64_t i = 0; i < o->tokens; i++) {
    MR_CHECK(read_new(s));
    MR_CHECK(mr_streamer_last(s->net, s->logit));
    MR_CHECK(mr_sample_pick(o, i, s->logit, s->info.out_dim, s->candidate, &id));
    MR_CHECK(fn(ctx, text, s->def->decode(s->task, id, text)));
    append(s, id);
  }
  return MR_OK;
}

mr_status mr_sample(const char *checkpoint, int n, const char *const *more, const mr_sample_opts *o,
                    mr_text_fn fn, void *ctx)
{
  sampler s;
  memset(&s, 0, sizeof s);
  /* What fails up to here is the user's to mend: no text was made yet. */
  mr_status st = load_config(&s.c, checkpoint, n, more);
  if (st == MR_OK) st = open_sampler(&s, checkpoint, o->prompt);
  if (st == MR_ERR_IO || st == MR_ERR_UNSUPPORTED) st = MR_ERR_CONFIG;
  if (st == MR_OK) st = fn(ctx, o->prompt, (int)strlen(o->prompt));
  if (st == MR_OK) st = draw(&s, o, fn, ctx);
  close_sampler(&s);
  return st;
}
