/* train_end.c — the end of a run: final scores of best and last, facts for the log, the result.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "facts.h"
#include "machine.h"
#include "train_impl.h"

mr_status mr_training_log_score(mr_training *t, int64_t step, mr_split s, const mr_score *score)
{
  double row[MR_MAX_COLUMNS] = {(double)step, s, score->loss};
  int n = 3;
  for (int i = 0; i < t->info.n_metrics; i++) row[n++] = score->metric[i];
  row[n] = (double)mr_training_wall(t);
  return mr_table_append(t->eval_rows, row);
}

/* Of the parameters in the tape; `known`: their score on the validation split, or NULL. */
static mr_status score_both_splits(mr_training *t, const mr_score *known, double *valid_loss,
                                   double *valid, double *test_loss, double *test)
{
  mr_score v, s;
  if (known != NULL)
    v = *known;
  else
    MR_CHECK(mr_evaluate(t->eval, MR_VALID, t->c->eval_batches, &v));
  if (t->info.n_eval > 0)
    s = v; /* one set is both */
  else
    MR_CHECK(mr_evaluate(t->eval, MR_TEST, t->c->eval_batches, &s));
  *valid_loss = v.loss;
  *test_loss = s.loss;
  memcpy(valid, v.metric, sizeof v.metric);
  memcpy(test, s.metric, sizeof s.metric);
  return MR_OK;
}

static void tell_metrics(mr_training *t)
{
  t->r->n_metrics = t->info.n_metrics;
  memcpy(t->r->metric, t->info.metric, sizeof t->r->metric);
  t->r->bits = t->info.bits;
}

static mr_status log_test(mr_training *t, int64_t step, double loss, const double *metric)
{
  mr_score s = {.loss = loss};
  memcpy(s.metric, metric, sizeof s.metric);
  return mr_training_log_score(t, step, MR_TEST, &s);
}

/* Scores the parameters as they are, then those of the best validation. */
static mr_status final_scores(mr_training *t)
{
  mr_train_result *r = t->r;
  r->steps = t->now.step;
  r->best_step = t->now.best_step;
  r->seconds = (double)t->now.wall_ns / 1e9;
  tell_metrics(t);
  const mr_score *known = t->validated == t->now.step ? &t->valid : NULL;
  MR_CHECK(score_both_splits(t, known, &r->valid_loss_last, r->valid_last, &r->test_loss_last,
                             r->test_last));
  if (r->best_step != r->steps) {
    MR_CHECK(mr_checkpoint_load(t->best, t->be, t->tape, NULL, NULL));
    MR_CHECK(score_both_splits(t, NULL, &r->valid_loss_best, r->valid_best, &r->test_loss_best,
                               r->test_best));
    MR_CHECK(log_test(t, r->best_step, r->test_loss_best, r->test_best));
  } else {
    r->valid_loss_best = r->valid_loss_last;
    r->test_loss_best = r->test_loss_last;
    memcpy(r->valid_best, r->valid_last, sizeof r->valid_best);
    memcpy(r->test_best, r->test_last, sizeof r->test_best);
  }
  return log_test(t, r->steps, r->test_loss_last, r->test_last);
}

/* ---- Result numbers by name, for writing and for reading back ------------------------------- */

typedef mr_status (*number_fn)(void *ctx, const char *name, double *value);

static mr_status each_metric(mr_train_result *r, const char *split, const char *which,
                             double *metric, number_fn fn, void *ctx)
{
  char name[128];
  for (int i = 0; i < r->n_metrics; i++) {
    snprintf(name, sizeof name, "%s_%s_%s", split, r->metric[i], which);
    MR_CHECK(fn(ctx, name, &metric[i]));
  }
  return MR_OK;
}

static mr_status each_number(mr_train_result *r, number_fn fn, void *ctx)
{
  double steps = (double)r->steps, best_step = (double)r->best_step;
  MR_CHECK(fn(ctx, "steps", &steps));
  MR_CHECK(fn(ctx, "best_step", &best_step));
  r->steps = (int64_t)steps;
  r->best_step = (int64_t)best_step;
  MR_CHECK(fn(ctx, "seconds", &r->seconds));
  MR_CHECK(fn(ctx, "valid_loss_best", &r->valid_loss_best));
  MR_CHECK(fn(ctx, "valid_loss_last", &r->valid_loss_last));
  MR_CHECK(fn(ctx, "test_loss_best", &r->test_loss_best));
  MR_CHECK(fn(ctx, "test_loss_last", &r->test_loss_last));
  MR_CHECK(each_metric(r, "valid", "best", r->valid_best, fn, ctx));
  MR_CHECK(each_metric(r, "valid", "last", r->valid_last, fn, ctx));
  MR_CHECK(each_metric(r, "test", "best", r->test_best, fn, ctx));
  return each_metric(r, "test", "last", r->test_last, fn, ctx);
}

typedef struct result_visit {
  mr_result_fn fn;
  void *ctx;
} result_visit;

static mr_status visit_number(void *ctx, const char *name, double *value)
{
  const result_visit *v = ctx;
  return v->fn(v->ctx, name, *value);
}

/* The losses in bits, which nobody needs to read back. */
static mr_status each_in_bits(const mr_train_result *r, mr_result_fn fn, void *ctx)
{
  const struct {
    const char *split, *which;
    double loss;
  } of[] = {{"valid", "best", r->valid_loss_best},
            {"valid", "last", r->valid_loss_last},
            {"test", "best", r->test_loss_best},
            {"test", "last", r->test_loss_last}};
  char name[128];
  for (int i = 0; i < 4 && r->bits != NULL; i++) {
    snprintf(name, sizeof name, "%s_%s_%s", of[i].split, r->bits, of[i].which);
    MR_CHECK(fn(ctx, name, of[i].loss / log(2)));
  }
  return MR_OK;
}

mr_status mr_train_result_each(const mr_train_result *r, mr_result_fn fn, void *ctx)
{
  mr_train_result copy = *r;
  result_visit v = {fn, ctx};
  MR_CHECK(each_number(&copy, visit_number, &v));
  return each_in_bits(r, fn, ctx);
}

static mr_status read_number(void *ctx, const char *name, double *value)
{
  char text[64];
  const char *path = ctx;
  MR_CHECK(mr_h5_attr(path, "/result", name, text, sizeof text));
  *value = strtod(text, NULL);
  return MR_OK;
}

mr_status mr_training_read_result(mr_training *t)
{
  tell_metrics(t);
  return each_number(t->r, read_number, t->run);
}

/* ---- Facts ---------------------------------------------------------------------------------- */

static mr_status log_number(void *ctx, const char *name, double value)
{
  return mr_log_num(ctx, "result", name, value);
}

static mr_status log_memory(const mr_training *t)
{
  const int64_t moments = mr_optim_bytes(t->optim), planned = mr_planned_bytes(&t->plan, moments);
  const mr_device where = t->be->device;
  /* On the CPU without what validation takes; a GPU tells more once it has run. */
  const int64_t used = where == MR_CPU ? t->made.used_bytes : t->after.used_bytes;
  const mr_growth g = {planned, mr_allowance_bytes(where, planned, t->plan.nodes),
                       used - t->before.used_bytes, t->after.other_bytes - t->before.other_bytes,
                       t->be->threads};
  MR_CHECK(mr_log_growth(t->log, &g));
  MR_CHECK(mr_log_int(t->log, "memory", "rss_peak_bytes", mr_rss_peak()));
  return mr_log_int(t->log, "memory", "step_allocations", t->step_allocs);
}

static mr_status log_mode(const mr_training *t)
{
  const char *why, *mode = mr_step_mode(t->step, &why);
  MR_CHECK(mr_log_text(t->log, "plan", "mode", mode));
  MR_CHECK(mr_log_int(t->log, "plan", "f32_products", t->be->f32_products));
  return *why != '\0' ? mr_log_text(t->log, "plan", "not_captured", why) : MR_OK;
}

/* One more step without the optimizer, with a time mark round each call. */
static mr_status log_profile(mr_training *t)
{
  mr_op_time row[128];
  int n = sizeof row / sizeof row[0];
  MR_CHECK(mr_feed_next(t->feed, MR_TRAIN, 0));
  MR_CHECK(mr_tape_tick(t->tape, 0, true));
  MR_CHECK(mr_tape_profile(t->tape, NULL, NULL, row, &n));
  return mr_log_ops(t->log, row, n);
}

mr_status mr_training_end(mr_training *t, const char *reason)
{
  MR_CHECK(final_scores(t));
  MR_CHECK(mr_train_result_each(t->r, log_number, t->log));
  MR_CHECK(log_memory(t));
  MR_CHECK(log_mode(t));
  MR_CHECK(log_profile(t));
  return mr_log_finish(t->log, MR_RUN_COMPLETE, reason);
}
