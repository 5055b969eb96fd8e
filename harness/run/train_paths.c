/* train_paths.c — where a run's files lie, and whether it may be started or gone on with. Nothing
 * here writes. SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "config_impl.h"
#include "h5log_impl.h"
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

/* The parameters that a resumed run began with are those that its file tells. */
static mr_status read_init(mr_training *t, const char *path)
{
  mr_status st = MR_OK;
  hid_t file = -1;
  bool there;
  t->init[0] = '\0';
  MR_TRY(mr_h5_open(&file, path));
  MR_TRY(mr_h5_has_attr(file, path, "/", "init", &there));
  if (there) MR_TRY(mr_h5_attr_from(file, path, "/", "init", t->init, sizeof t->init, NULL));
  if (t->o->init != NULL && strcmp(t->o->init, t->init) != 0)
    st = MR_FAIL(MR_ERR_CONFIG,
                 "init was %s when the run began and is %s now: a resumed run keeps it",
                 there ? t->init : "not given", t->o->init);
out:
  mr_h5_close(file);
  return st;
}

static mr_status check_resume(mr_training *t)
{
  char status[32], reason[512];
  if (!exists(t->run)) {
    if (exists(t->part)) return read_init(t, t->part);
    return MR_FAIL(MR_ERR_CONFIG, "there is nothing to resume: neither %s nor %s.part exists",
                   t->run, t->run);
  }
  MR_CHECK(read_init(t, t->run));
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
  int k = snprintf(t->lock_path, sizeof t->lock_path, "%s.lock", t->run);
  int i = snprintf(t->init, sizeof t->init, "%s", t->o->init != NULL ? t->o->init : "");
  if (k < 0 || k >= MR_PATH_BYTES) return MR_FAIL(MR_ERR_CONFIG, "the path %s is too long", t->run);
  if (i < 0 || i >= MR_INIT_BYTES)
    return MR_FAIL(MR_ERR_CONFIG, "init is %d characters long; allowed: at most %d", i,
                   MR_INIT_BYTES - 1);
  if (t->o->init != NULL && i == 0)
    return MR_FAIL(MR_ERR_CONFIG, "init is empty; allowed: the path of a checkpoint or dump");
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
  if (t->init[0] != '\0') MR_TRY(mr_log_text(log, "/", "init", t->init));
  MR_TRY(mr_log_finish(log, MR_RUN_SKIPPED, t->r->reason));
  t->r->skipped = true;
out:
  mr_log_destroy(log);
  return st;
}

/* ---- Config of a resumed run ---------------------------------------------------------------- */

static bool same_value(mr_kind kind, const char *a, const char *b)
{
  if (kind == MR_KIND_INT) return strtoll(a, NULL, 10) == strtoll(b, NULL, 10);
  if (kind == MR_KIND_NUM) return strtod(a, NULL) == strtod(b, NULL);
  return strcmp(a, b) == 0;
}

typedef struct comparison {
  const mr_config *c;
  const char *path;
  hid_t file;
} comparison;

/* Finds the key; false when it says nothing about this run: an option of another model or task. */
static bool field_of(const mr_config *c, const char *key, mr_field *f)
{
  const int i = mr_config_index(c, key);
  if (i < MR_N_KEYS) {
    mr_config_field(i, f);
    return true;
  }
  const mr_option_value *v = &c->option[i - MR_N_KEYS];
  mr_config_option_field(v->owner, v->opt, f);
  return strcmp(v->owner, c->model) == 0 || strcmp(v->owner, c->task) == 0;
}

/* The value that the run began with. A key that did not exist yet had its default. */
static mr_status value_before(const comparison *k, const mr_field *f, char *buf, size_t n)
{
  bool there;
  MR_CHECK(mr_h5_has_attr(k->file, k->path, "config", f->key, &there));
  if (there) return mr_h5_attr_from(k->file, k->path, "config", f->key, buf, n, NULL);
  snprintf(buf, n, "%s", f->dflt);
  return MR_OK;
}

static mr_status compare_key(void *ctx, const char *key, const char *value)
{
  const comparison *k = ctx;
  mr_field f;
  char before[512];
  if (strcmp(key, "threads") == 0 || strcmp(key, "out") == 0 || strcmp(key, "log_every") == 0)
    return MR_OK;
  if (!field_of(k->c, key, &f)) return MR_OK;
  MR_CHECK(value_before(k, &f, before, sizeof before));
  if (same_value(f.kind, before, value)) return MR_OK;
  if (strcmp(key, "steps") != 0)
    return MR_FAIL(MR_ERR_CONFIG,
                   "%s was %s when the run began and is %s now: a resumed run keeps it", key,
                   before, value);
  /* A longer run begins like the shorter one, unless the learning rate follows its length. */
  if (strcmp(k->c->schedule, "constant") != 0)
    return MR_FAIL(MR_ERR_CONFIG,
                   "steps was %s when the run began and is %s now: schedule=%s depends on it",
                   before, value, k->c->schedule);
  if (strtoll(value, NULL, 10) < strtoll(before, NULL, 10))
    return MR_FAIL(MR_ERR_CONFIG, "steps was %s when the run began and is %s now: it may only grow",
                   before, value);
  return MR_OK;
}

mr_status mr_check_same_config(const mr_config *c, const char *path)
{
  mr_status st = MR_OK;
  comparison k = {c, path, -1};
  bool there;
  MR_TRY(mr_h5_open(&k.file, path));
  MR_TRY(mr_h5_has_group(k.file, path, "config", &there));
  if (there)
    st = mr_config_each(c, compare_key, &k);
  else
    st = MR_FAIL(MR_ERR_CONFIG, "%s does not say which settings it was made with", path);
out:
  mr_h5_close(k.file);
  return st;
}
