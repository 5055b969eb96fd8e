/* train.c — the training loop: feed, forward, backward, optimizer; validation and checkpoints on the
 * way. SPDX-License-Identifier: MIT */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "machine.h"
#include "mem.h"
#include "train_impl.h"

/* Between checkpoints where validations are far apart. */
#define SYNC_NS 10000000000

/* ---- Signals: the step in hand is finished, then the run is put down cleanly ---------------- */

static volatile sig_atomic_t stop_signal;

static void note_signal(int number)
{
  stop_signal = number;
}

typedef struct old_signals {
  struct sigaction interrupt, terminate;
} old_signals;

/* A signal that the caller has turned off, as for jobs in the background, stays off. */
static bool catch_signal(int number, const struct sigaction *a, struct sigaction *old)
{
  if (sigaction(number, NULL, old) != 0) return false;
  return old->sa_handler == SIG_IGN || sigaction(number, a, NULL) == 0;
}

/* A second signal of the same kind ends the process at once. */
static mr_status catch_signals(old_signals *old)
{
  struct sigaction a;
  memset(&a, 0, sizeof a);
  a.sa_handler = note_signal;
  a.sa_flags = (int)SA_RESETHAND;
  stop_signal = 0;
  if (sigemptyset(&a.sa_mask) != 0 || !catch_signal(SIGINT, &a, &old->interrupt) ||
      !catch_signal(SIGTERM, &a, &old->terminate))
    return MR_FAIL(MR_ERR_INTERNAL, "signals cannot be caught");
  return MR_OK;
}

static void release_signals(const old_signals *old)
{
  /* Only invalid arguments fail here, and these were accepted before. */
  (void)sigaction(SIGINT, &old->interrupt, NULL);
  (void)sigaction(SIGTERM, &old->terminate, NULL);
}

/* ---- One step ------------------------------------------------------------------------------- */

static bool validation_due(const mr_training *t)
{
  return t->now.step % t->c->eval_every == 0 || t->now.step == t->c->steps;
}

static bool row_due(const mr_training *t)
{
  return t->now.step % t->c->log_every == 0 || t->now.step == 1 || validation_due(t);
}

/* A step is looked at, and on CUDA waited for, where somebody wants to know. */
static mr_status one_step(mr_training *t)
{
  mr_step_row s;
  MR_CHECK(mr_step_run(t->step, t->now.step));
  t->now.step++;
  t->now.tokens += t->c->batch * t->info.T;
  if (!row_due(t) && !mr_meter_due(&t->meter)) return MR_OK;
  MR_CHECK(mr_step_read(t->step, &s));
  mr_meter_step(&t->meter, t->now.step, s.loss, s.lr);
  if (!row_due(t)) return MR_OK;
  const double row[] = {
      (double)t->now.step,  s.loss, s.lr, s.grad_norm, (double)mr_training_wall(t),
      (double)t->now.tokens};
  return mr_table_append(t->train_rows, row);
}

/* ---- Records -------------------------------------------------------------------------------- */

int64_t mr_training_wall(const mr_training *t)
{
  return t->earlier_ns + mr_now_ns() - t->start_ns;
}

/* The log first: it must reach at least as far as the checkpoint that a --resume starts from. */
static mr_status save(mr_training *t)
{
  mr_step_row row;
  MR_CHECK(mr_step_read(t->step, &row)); /* what is kept is finite */
  t->now.wall_ns = mr_training_wall(t);
  MR_CHECK(mr_log_flush(t->log));
  MR_CHECK(mr_checkpoint_save(t->last, t->c, t->be, t->tape, t->optim, &t->now));
  t->synced_ns = mr_now_ns();
  return MR_OK;
}

static mr_status validate(mr_training *t)
{
  mr_score s;
  MR_CHECK(mr_evaluate(t->eval, MR_VALID, t->c->eval_batches, &s));
  t->valid = s;
  t->validated = t->now.step;
  if (!isfinite(s.loss))
    return MR_FAIL(MR_ERR_NUMERIC, "the validation loss is %g at step %lld of %s", s.loss,
                   (long long)t->now.step, t->run);
  MR_CHECK(mr_training_log_score(t, t->now.step, MR_VALID, &s));
  /* Where the network acts, how well it does is the goal. */
  const double rank = t->def->rollout != NULL ? -s.metric[0] : s.loss;
  if (rank < t->now.best_rank) {
    t->now.best_rank = rank;
    t->now.best_step = t->now.step;
    MR_CHECK(mr_checkpoint_save(t->best, t->c, t->be, t->tape, NULL, &t->now));
  }
  if (t->info.n_metrics > 0)
    mr_meter_say(&t->meter, "step %lld/%lld  validation loss %.4g  %s %.4f", (long long)t->now.step,
                 (long long)t->c->steps, s.loss, t->info.metric[0], s.metric[0]);
  else
    mr_meter_say(&t->meter, "step %lld/%lld  validation loss %.4g", (long long)t->now.step,
                 (long long)t->c->steps, s.loss);
  return save(t);
}

/* Loss of the validation made after the step in hand; NaN if there was none. Read from the log, so
 * that a resumed run knows it too. */
static double validated_loss(const mr_training *t)
{
  const mr_table *e = t->eval_rows;
  if (e->n_rows == 0) return NAN;
  const double *row = e->cell + (e->n_rows - 1) * e->n_columns;
  return row[0] == (double)t->now.step && (int)row[1] == MR_VALID ? row[2] : NAN;
}

static bool goal_reached(const mr_training *t)
{
  return t->c->stop_loss > 0 && validated_loss(t) <= t->c->stop_loss;
}

/* ---- The loop ------------------------------------------------------------------------------- */

static mr_status interrupted(mr_training *t)
{
  const char *command = t->o->command != NULL ? t->o->command : "minrnn train";
  const bool whole = t->o->again != NULL || t->o->resume;
  MR_CHECK(save(t));
  return MR_FAIL(MR_ERR_INTERRUPTED, "stopped by a signal after step %lld; go on with: %s%s",
                 (long long)t->now.step, t->o->again != NULL ? t->o->again : command,
                 whole ? "" : " --resume");
}

static mr_status run_steps(mr_training *t)
{
  while (t->now.step < t->c->steps && !goal_reached(t)) {
    if (stop_signal != 0) return interrupted(t);
    int64_t allocs = mr_alloc_count();
    MR_CHECK(one_step(t));
    t->step_allocs += mr_alloc_count() - allocs;
    if (validation_due(t))
      MR_CHECK(validate(t));
    else if (mr_now_ns() - t->synced_ns > SYNC_NS)
      MR_CHECK(save(t));
  }
  /* No step was taken at all. */
  if (isnan(validated_loss(t))) MR_CHECK(validate(t));
  return MR_OK;
}

static mr_status run(mr_training *t)
{
  char reason[128] = "";
  t->earlier_ns = t->now.wall_ns;
  t->start_ns = t->synced_ns = mr_now_ns();
  mr_meter_begin(&t->meter, t->o->quiet, t->now.step, t->c->steps, t->c->batch * t->info.T);
  MR_CHECK(run_steps(t));
  MR_CHECK(t->be->api->mem(t->be, &t->after));
  t->now.wall_ns = mr_training_wall(t);
  if (t->now.step < t->c->steps)
    snprintf(reason, sizeof reason, "the validation loss reached stop_loss=%g after step %lld",
             t->c->stop_loss, (long long)t->now.step);
  return mr_training_end(t, reason);
}

/* Keeps a run whose numbers went wrong, with the reason. */
static mr_status keep_failed(mr_training *t)
{
  char reason[512];
  snprintf(reason, sizeof reason, "%s", mr_error_message());
  MR_CHECK(mr_log_finish(t->log, MR_RUN_FAILED, reason));
  return MR_FAIL(MR_ERR_NUMERIC, "%s", reason);
}

mr_status mr_train(const mr_config *c, const mr_train_opts *o, mr_train_result *r)
{
  mr_status st = MR_OK;
  mr_training t;
  old_signals old;
  memset(&t, 0, sizeof t);
  MR_TRY(mr_training_open(&t, c, o, r));
  if (r->skipped) goto out;
  if (t.finished_before) {
    mr_meter_begin(&t.meter, o->quiet, 0, 0, 0);
    mr_meter_say(&t.meter, "%s is complete already: nothing to do", t.run);
    goto out;
  }
  MR_TRY(catch_signals(&old));
  st = run(&t);
  release_signals(&old);
  mr_meter_end(&t.meter);
  if (st == MR_ERR_NUMERIC) st = keep_failed(&t);
out:
  mr_training_close(&t);
  return st;
}
