/* train_paths.c — where a run's files lie, and whether it may be started or gone on with. Nothing
 * here writes. SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "train_impl.h"

static bool ends_in_h5(const char *s)
{
  size_t n = strlen(s);
  return n > 3 && strcmp(s + n - 3, ".h5") == 0 && s[n - 4] != '/';
}

mr_status mr_run_path(const mr_config *c, char *buf, size_t n)
{
  int len;
  if (ends_in_h5(c->out))
    len = snprintf(buf, n, "%s", c->out);
  else
    len = snprintf(buf, n, "%s/%s-%s-d%lld-l%lld-s%lld.h5",
                   c->out[0] != '\0' ? c->out : "results/runs", c->task, c->model,
                   (long long)c->width, (long long)c->layers, (long long)c->seed);
  if (len < 0 || (size_t)len >= n)
    return MR_FAIL(MR_ERR_CONFIG, "out makes a path of %d characters; allowed: at most %zu", len,
                   n - 1);
  return MR_OK;
}

static bool exists(const char *path)
{
  struct stat s;
  return lstat(path, &s) == 0;
}

/* A run file of a skipped run: there is nothing in it to lose. */
static bool was_skipped(const char *path)
{
  char status[32];
  return exists(path) && mr_h5_attr(path, "/", "status", status, sizeof status) == MR_OK &&
         strcmp(status, "skipped") == 0;
}

/* A new run must not meet files of an earlier one. */
static mr_status check_new(const mr_training *t)
{
  const char *path[] = {t->run, t->part, t->last, t->best};
  if (t->o->force || was_skipped(t->run)) return MR_OK;
  if (!exists(t->run) && exists(t->part))
    return MR_FAIL(MR_ERR_CONFIG,
                   "%s is an unfinished run: give --resume to go on or --force to start over",
                   t->part);
  for (int i = 0; i < 4; i++)
    if (exists(path[i]))
      return MR_FAIL(MR_ERR_CONFIG, "%s exists already: give --force to replace it", path[i]);
  return MR_OK;
}

static mr_status check_resume(mr_training *t)
{
  char status[32], reason[512];
  if (!exists(t->run)) {
    if (exists(t->part)) return MR_OK;
    return MR_FAIL(MR_ERR_CONFIG, "there is nothing to resume: neither %s nor %s.part exists",
                   t->run, t->run);
  }
  if (was_skipped(t->run)) return MR_OK;
  MR_CHECK(mr_h5_attr(t->run, "/", "status", status, sizeof status));
  if (strcmp(status, "complete") == 0) {
    t->finished_before = true;
    return MR_OK;
  }
  MR_CHECK(mr_h5_attr(t->run, "/", "reason", reason, sizeof reason));
  return MR_FAIL(MR_ERR_CONFIG, "%s ended as %s (%s): give --force to start over", t->run, status,
                 reason);
}

mr_status mr_training_paths(mr_training *t)
{
  MR_CHECK(mr_run_path(t->c, t->run, sizeof t->run));
  int stem = (int)strlen(t->run) - 3;
  int n = snprintf(t->part, sizeof t->part, "%s.part", t->run);
  int b = snprintf(t->best, sizeof t->best, "%.*s.best.ckpt", stem, t->run);
  int l = snprintf(t->last, sizeof t->last, "%.*s.last.ckpt", stem, t->run);
  if (n < 0 || b < 0 || l < 0 || n >= MR_PATH_BYTES || b >= MR_PATH_BYTES || l >= MR_PATH_BYTES)
    return MR_FAIL(MR_ERR_CONFIG, "the path %s is too long", t->run);
  snprintf(t->r->path, sizeof t->r->path, "%s", t->run);
  return t->o->resume ? check_resume(t) : check_new(t);
}

mr_status mr_training_skip(mr_training *t)
{
  mr_status st = MR_OK;
  mr_log *log = NULL;
  snprintf(t->r->reason, sizeof t->r->reason, "%s", mr_error_message());
  if (exists(t->part) || exists(t->last) || exists(t->best) ||
      (exists(t->run) && !was_skipped(t->run)))
    return MR_FAIL(MR_ERR_CONFIG, "%s", t->r->reason);
  MR_TRY(mr_check_room(t->run, 1 << 16));
  MR_TRY(mr_log_create(&log, t->run, t->c, t->o->command != NULL ? t->o->command : ""));
  MR_TRY(mr_log_finish(log, MR_RUN_SKIPPED, t->r->reason));
  t->r->skipped = true;
out:
  mr_log_destroy(log);
  return st;
}

/* ---- Config of a resumed run ---------------------------------------------------------------- */

/* Text is compared as numbers where both sides are numbers. */
static bool same_value(const char *a, const char *b)
{
  char *end_a, *end_b;
  if (strcmp(a, b) == 0) return true;
  double x = strtod(a, &end_a), y = strtod(b, &end_b);
  return end_a != a && *end_a == '\0' && end_b != b && *end_b == '\0' && x == y;
}

typedef struct comparison {
  const mr_config *c;
  const char *path;
} comparison;

static mr_status compare_key(void *ctx, const char *key, const char *value)
{
  const comparison *k = ctx;
  char before[512];
  if (strcmp(key, "threads") == 0 || strcmp(key, "out") == 0 || strcmp(key, "log_every") == 0)
    return MR_OK;
  MR_CHECK(mr_h5_attr(k->path, "/config", key, before, sizeof before));
  if (same_value(before, value)) return MR_OK;
  if (strcmp(key, "steps") != 0)
    return MR_FAIL(MR_ERR_CONFIG,
                   "%s was %s when the run began and is %s now: a resumed run keeps it", key,
                   before, value);
  /* A longer run begins like the shorter one, unless the learning rate follows its length. */
  if (strcmp(k->c->schedule, "constant") != 0)
    return MR_FAIL(MR_ERR_CONFIG,
                   "steps was %s when the run began and is %s now: schedule=%s depends on it",
                   before, value, k->c->schedule);
  if (strtod(value, NULL) < strtod(before, NULL))
    return MR_FAIL(MR_ERR_CONFIG, "steps was %s when the run began and is %s now: it may only grow",
                   before, value);
  return MR_OK;
}

mr_status mr_check_same_config(const mr_config *c, const char *checkpoint)
{
  comparison k = {c, checkpoint};
  return mr_config_each(c, compare_key, &k);
}
