/* train_open.c — opens a run: task, network, memory, then its files, new or gone on from.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "device.h"
#include "facts.h"
#include "h5file.h"
#include "mem.h"
#include "train_impl.h"

/* ---- Network -------------------------------------------------------------------------------- */

static mr_status find(mr_training *t)
{
  const mr_config *c = t->c;
  t->model = mr_find_model(c->model);
  t->def = mr_find_task(c->task);
  if (t->model == NULL || t->def == NULL)
    return MR_FAIL(MR_ERR_CONFIG, "there is no %s, see minrnn list",
                   t->model == NULL ? c->model : c->task);
  MR_CHECK(t->def->open(&t->task, c));
  t->def->info(t->task, &t->info);
  return MR_OK;
}

static mr_status record(mr_training *t)
{
  const mr_config *c = t->c;
  MR_CHECK(mr_device_open(&t->be, c));
  MR_CHECK(mr_tape_create(&t->tape, t->be, (uint64_t)c->seed));
  mr_build(t->tape, c, t->model, &t->info, c->batch / c->accum, &t->net);
  return mr_tape_plan(t->tape, t->net.loss, true, &t->plan);
}

static mr_status allocate(mr_training *t)
{
  MR_CHECK(t->be->api->mem(t->be, &t->before));
  MR_CHECK(mr_tape_alloc(t->tape));
  MR_CHECK(mr_optim_open(&t->optim, t->c, t->be, t->tape));
  MR_CHECK(mr_feed_create(&t->feed, t->be, t->tape, &t->net, t->def, t->task));
  MR_CHECK(mr_step_create(&t->step, t->c, t->be, t->tape, &t->net, t->optim, t->feed, t->run));
  MR_CHECK(t->be->api->mem(t->be, &t->made));
  mr_policy *policy = NULL;
  if (t->def->rollout != NULL) {
    MR_CHECK(mr_player_open(&t->player, t->be, t->c, t->model, &t->info, t->tape));
    policy = mr_player_policy(t->player);
  }
  return mr_eval_create(&t->eval, t->be, t->tape, &t->net, t->def, t->task, t->feed, policy);
}

/* ---- Tables --------------------------------------------------------------------------------- */

/* Rows that the run will need at most, so that steps do not grow the table; long runs double it. */
static mr_status reserve(mr_table *t, int64_t rows)
{
  void *cell = t->cell;
  if (rows > 1 << 16) rows = 1 << 16;
  if (rows <= t->capacity) return MR_OK;
  MR_CHECK(mr_regrow(&cell, (size_t)rows * (size_t)t->n_columns, sizeof *t->cell));
  t->cell = cell;
  t->capacity = rows;
  return MR_OK;
}

static mr_status open_tables(mr_training *t)
{
  static const mr_column train[] = {{"step", "1"},      {"loss", "1"},     {"lr", "1"},
                                    {"grad_norm", "1"}, {"wall_ns", "ns"}, {"tokens", "1"}};
  mr_column eval[4 + MR_MAX_METRICS] = {{"step", "1"}, {"split", "1"}, {"loss", "1"}};
  const int64_t steps = t->c->steps;
  int n = 3;
  for (int i = 0; i < t->info.n_metrics; i++)
    eval[n++] = (mr_column){t->info.metric[i], t->info.unit[i]};
  eval[n++] = (mr_column){"wall_ns", "ns"};
  MR_CHECK(mr_log_table(t->log, "train", train, 6, &t->train_rows));
  MR_CHECK(mr_log_table(t->log, "eval", eval, n, &t->eval_rows));
  MR_CHECK(reserve(t->train_rows, steps / t->c->log_every + steps / t->c->eval_every + 3));
  return reserve(t->eval_rows, steps / t->c->eval_every + 4);
}

/* Forgets the rows behind the checkpoint and the final scores on the test split. */
static void forget_later_rows(mr_table *t, int64_t step, bool splits)
{
  int64_t n = 0;
  while (n < t->n_rows) {
    const double *row = t->cell + n * t->n_columns;
    if (row[0] > (double)step || (splits && (int)row[1] == MR_TEST)) break;
    n++;
  }
  mr_table_truncate(t, n);
}

/* ---- Files ---------------------------------------------------------------------------------- */

static mr_status remove_file(const char *path)
{
  if (unlink(path) == 0 || errno == ENOENT) return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG, "%s cannot be removed: %s", path, strerror(errno));
}

/* Old files go, the one that a --resume would trust first; then the new .part stands at once. */
static mr_status begin(mr_training *t)
{
  MR_CHECK(remove_file(t->last));
  MR_CHECK(remove_file(t->best));
  MR_CHECK(remove_file(t->part));
  MR_CHECK(remove_file(t->run));
  t->started = true;
  return mr_log_flush(t->log);
}

/* Sums over threads, and with them all losses, depend on how many there are. */
static mr_status check_threads(const mr_training *t)
{
  char before[32];
  MR_CHECK(mr_h5_attr(t->part, "/machine", "threads", before, sizeof before));
  if (strtoll(before, NULL, 10) == t->be->threads) return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG,
                 "the run began with %s threads and would go on with %d: give --threads=%s, as its "
                 "losses depend on it",
                 before, t->be->threads, before);
}

static mr_status go_on(mr_training *t)
{
  MR_CHECK(mr_check_same_config(t->c, t->last));
  MR_CHECK(check_threads(t));
  MR_CHECK(mr_checkpoint_load(t->last, t->be, t->tape, t->optim, &t->now));
  if (t->now.best_step >= 0 && access(t->best, R_OK) != 0)
    return MR_FAIL(MR_ERR_CONFIG, "%s cannot be read: %s", t->best, strerror(errno));
  MR_CHECK(mr_log_restore(t->log, t->part));
  MR_CHECK(open_tables(t));
  forget_later_rows(t->train_rows, t->now.step, false);
  forget_later_rows(t->eval_rows, t->now.step, true);
  t->started = true;
  return MR_OK;
}

static mr_status log_fact(void *ctx, const char *name, const char *text, double number)
{
  return text != NULL ? mr_log_text(ctx, "data", name, text)
                      : mr_log_num(ctx, "data", name, number);
}

/* The first command stays beside that of this sitting. */
static mr_status log_commands(mr_training *t)
{
  mr_status st = MR_OK;
  char *first = NULL;
  const char *path = access(t->run, F_OK) == 0 ? t->run : t->part;
  if (!t->o->resume) return MR_OK;
  MR_TRY(mr_calloc((void **)&first, MR_H5_MAX_TEXT + 1, 1));
  MR_TRY(mr_h5_attr(path, "/", "command", first, MR_H5_MAX_TEXT + 1));
  MR_TRY(mr_log_text(t->log, "/", "command", first));
  MR_TRY(mr_log_text(t->log, "/", "resumed", t->o->command != NULL ? t->o->command : ""));
out:
  mr_free(first);
  return st;
}

/* A result that was reached before. A longer run is another one, unless it too had met its goal. */
static mr_status tell_finished(mr_training *t)
{
  char before[32];
  MR_CHECK(mr_check_same_config(t->c, t->run));
  MR_CHECK(mr_training_read_result(t));
  MR_CHECK(mr_h5_attr(t->run, "/config", "steps", before, sizeof before));
  const int64_t steps = strtoll(before, NULL, 10);
  if (t->c->steps <= steps || t->r->steps < steps) return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG,
                 "%s is complete after %lld steps and steps is %lld now: give --force to train it "
                 "anew",
                 t->run, (long long)steps, (long long)t->c->steps);
}

static bool has_checkpoint(const mr_training *t)
{
  return t->o->resume && access(t->last, F_OK) == 0;
}

/* Until the lock is held, another process may have begun, ended or removed the run. */
static mr_status own(mr_training *t, bool going_on)
{
  MR_CHECK(mr_training_lock(t));
  MR_CHECK(mr_training_paths(t));
  if (t->finished_before || going_on != has_checkpoint(t))
    return MR_FAIL(MR_ERR_CONFIG, "another process has just changed %s: give the command again",
                   t->run);
  return MR_OK;
}

static mr_status prepare(mr_training *t)
{
  MR_CHECK(mr_training_paths(t));
  mr_status st = find(t);
  if (st == MR_ERR_IO) return mr_training_skip(t);
  MR_CHECK(st);
  MR_CHECK(record(t));
  if (t->finished_before) return tell_finished(t);
  /* A run killed before its first checkpoint starts again. */
  const bool going_on = has_checkpoint(t);
  /* Three times the parameters in the last checkpoint and its successor, once in the best. */
  MR_CHECK(mr_check_room(t->run, 7 * t->plan.params + (1 << 20)));
  MR_CHECK(allocate(t));
  t->now.best_step = t->validated = -1;
  t->now.best_rank = INFINITY;
  if (t->init[0] != '\0' && !going_on)
    MR_CHECK(mr_checkpoint_load(t->init, t->be, t->tape, NULL, NULL));
  MR_CHECK(mr_log_create(&t->log, t->run, t->c, t->o->command != NULL ? t->o->command : ""));
  MR_CHECK(mr_log_machine(t->log, t->be));
  MR_CHECK(mr_log_plan(t->log, &t->plan, mr_optim_bytes(t->optim)));
  MR_CHECK(mr_log_nodes(t->log, t->tape, t->plan.nodes));
  if (t->init[0] != '\0') MR_CHECK(mr_log_text(t->log, "/", "init", t->init));
  if (t->def->facts != NULL) MR_CHECK(t->def->facts(t->task, log_fact, t->log));
  MR_CHECK(log_commands(t));
  MR_CHECK(own(t, going_on));
  if (going_on) return go_on(t);
  MR_CHECK(open_tables(t));
  return begin(t);
}

mr_status mr_training_open(mr_training *t, const mr_config *c, const mr_train_opts *o,
                           mr_train_result *r)
{
  t->c = c;
  t->o = o;
  t->r = r;
  t->lock = -1;
  memset(r, 0, sizeof *r);
  mr_status st = prepare(t);
  /* An unreadable checkpoint or an absent device is the user's to mend: nothing was written yet. */
  if (!t->started && (st == MR_ERR_IO || st == MR_ERR_UNSUPPORTED)) return MR_ERR_CONFIG;
  return st;
}

void mr_training_close(mr_training *t)
{
  mr_training_unlock(t);
  mr_log_destroy(t->log);
  mr_eval_destroy(t->eval);
  mr_player_close(t->player);
  mr_step_destroy(t->step);
  mr_feed_destroy(t->feed);
  mr_optim_destroy(t->optim);
  mr_tape_destroy(t->tape);
  mr_backend_close(t->be);
  if (t->def != NULL) t->def->close(t->task);
}
