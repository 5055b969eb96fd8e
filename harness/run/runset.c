/* runset.c — what all run files of a folder say, by name. SPDX-License-Identifier: MIT */
#include "runset.h"
#include <errno.h>
#include <fts.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "h5log_impl.h"
#include "mem.h"
#include "stats.h"

enum { NAME_BYTES = 2 * MR_LOG_NAME };

/* ---- Facts ----------------------------------------------------------------------------------- */

/* Room for one more of n elements: 0 or a power of two is full. */
static mr_status grow(void **p, int n, size_t size)
{
  if ((n & (n - 1)) != 0) return MR_OK;
  return mr_regrow(p, n == 0 ? 1 : 2 * (size_t)n, size);
}

static mr_status add_fact(mr_run *r, const char *name, const char *text)
{
  MR_CHECK(grow((void **)&r->fact, r->n_facts, sizeof *r->fact));
  mr_fact *f = &r->fact[r->n_facts++];
  *f = (mr_fact){NULL, NULL};
  MR_CHECK(mr_strdup(&f->name, name));
  return mr_strdup(&f->text, text);
}

static void free_run(mr_run *r)
{
  for (int i = 0; i < r->n_facts; i++) {
    mr_free(r->fact[i].name);
    mr_free(r->fact[i].text);
  }
  for (int i = 0; i < r->n_timings; i++) mr_free(r->timing[i].name);
  mr_free(r->fact);
  mr_free(r->timing);
  mr_free(r->path);
}

/* ---- One file -------------------------------------------------------------------------------- */

typedef struct reader {
  mr_run *run;
  hid_t file;
  const char *path, *group;
} reader;

static mr_status take_attr(void *ctx, const char *name, const char *value, mr_h5_kind kind)
{
  reader *r = ctx;
  char full[NAME_BYTES];
  const bool root = strcmp(r->group, "/") == 0;
  (void)kind;
  (void)snprintf(full, sizeof full, "%s%s%s", root ? "" : r->group, root ? "" : ".", name);
  return add_fact(r->run, full, value);
}

/* Quartiles of the finite ones of n samples, which are sorted. */
static mr_status add_timing(reader *r, const char *column, double *x, int64_t n)
{
  char full[NAME_BYTES];
  int64_t finite = 0;
  for (int64_t i = 0; i < n; i++)
    if (isfinite(x[i])) x[finite++] = x[i];
  if (finite == 0) return MR_OK;
  mr_sort(x, finite);
  MR_CHECK(grow((void **)&r->run->timing, r->run->n_timings, sizeof *r->run->timing));
  mr_timing *t = &r->run->timing[r->run->n_timings++];
  *t = (mr_timing){.name = NULL,
                   .q1 = mr_quantile(x, finite, 0.25),
                   .median = mr_quantile(x, finite, 0.5),
                   .q3 = mr_quantile(x, finite, 0.75)};
  (void)snprintf(full, sizeof full, "%s.%s", r->group, column);
  return mr_strdup(&t->name, full);
}

static mr_status take_timings(reader *r)
{
  mr_status st = MR_OK;
  mr_h5_columns c = {.n = 0};
  MR_TRY(mr_h5_columns_read(r->file, r->path, r->group, &c));
  for (int k = 0; k < c.n; k++) {
    const char *name = c.column[k].name;
    const size_t n = strlen(name);
    if (c.column[k].num == NULL || n < 3 || strcmp(name + n - 3, "_ns") != 0) continue;
    MR_TRY(add_timing(r, name, c.column[k].num, c.rows));
  }
out:
  mr_h5_columns_free(&c);
  return st;
}

/* The tables of training and of ops hold no samples of one quantity. */
static bool holds_samples(const char *group)
{
  static const char *const table[] = {"bench", "prefill", "token"};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(group, table[i]) == 0) return true;
  return false;
}

static mr_status take_group(void *ctx, const char *group, bool columns)
{
  reader *r = ctx;
  mr_status st = MR_OK;
  hid_t at = -1;
  const char *path = r->path;
  r->group = group;
  MR_H5(at = H5Gopen2(r->file, group, H5P_DEFAULT), "open a group");
  MR_TRY(mr_h5_each_attr(at, path, take_attr, r));
  if (columns && holds_samples(group)) MR_TRY(take_timings(r));
out:
  return mr_h5_drop(at, st, path);
}

static mr_status read_run(mr_run *run, const char *path)
{
  mr_status st = MR_OK;
  reader r = {.run = run, .file = -1, .path = path, .group = "/"};
  char schema[64];
  MR_TRY(mr_strdup(&run->path, path));
  MR_TRY(mr_h5_open(&r.file, path));
  MR_TRY(mr_h5_attr_from(r.file, path, "/", "schema", schema, sizeof schema, NULL));
  if (strcmp(schema, MR_LOG_SCHEMA) != 0) {
    st = MR_FAIL(MR_ERR_IO, "%s has the schema %s, this program reads %s", path, schema,
                 MR_LOG_SCHEMA);
    goto out;
  }
  MR_TRY(mr_h5_each_attr(r.file, path, take_attr, &r));
  MR_TRY(mr_h5_each_group(r.file, path, take_group, &r));
out:
  mr_h5_close(r.file);
  return st;
}

/* ---- A folder -------------------------------------------------------------------------------- */

static mr_status add_problem(mr_runset *s)
{
  MR_CHECK(grow((void **)&s->problem, s->n_problems, sizeof *s->problem));
  s->problem[s->n_problems] = NULL;
  return mr_strdup(&s->problem[s->n_problems++], mr_error_message());
}

static mr_status add_run(mr_runset *s, const char *path)
{
  MR_CHECK(grow((void **)&s->run, s->n, sizeof *s->run));
  mr_run *r = &s->run[s->n];
  memset(r, 0, sizeof *r);
  const mr_status st = read_run(r, path);
  if (st == MR_OK) {
    s->n++;
    return MR_OK;
  }
  free_run(r);
  return st == MR_ERR_NOMEM ? st : add_problem(s);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
  return strcmp((*a)->fts_name, (*b)->fts_name);
}

mr_status mr_runset_read(mr_runset *s, const char *folder)
{
  mr_status st = MR_OK;
  char *top = NULL;
  FTS *walk = NULL;
  MR_TRY(mr_strdup(&top, folder));
  char *const roots[] = {top, NULL};
  walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
  if (walk == NULL) {
    st = MR_FAIL(MR_ERR_IO, "folder %s cannot be read: %s", folder, strerror(errno));
    goto out;
  }
  for (FTSENT *e = fts_read(walk); e != NULL; e = fts_read(walk)) {
    const size_t n = e->fts_namelen;
    if (e->fts_info == FTS_NS || e->fts_info == FTS_DNR || e->fts_info == FTS_ERR ||
        (e->fts_level == 0 && e->fts_info == FTS_F)) {
      st = MR_FAIL(MR_ERR_IO, "folder %s cannot be read: %s", e->fts_path,
                   e->fts_info == FTS_F ? "it is a file" : strerror(e->fts_errno));
      goto out;
    }
    if (e->fts_info == FTS_F && n > 3 && strcmp(e->fts_name + n - 3, ".h5") == 0)
      MR_TRY(add_run(s, e->fts_path));
  }
out:
  if (walk != NULL) (void)fts_close(walk); /* only read from */
  mr_free(top);
  return st;
}

void mr_runset_free(mr_runset *s)
{
  for (int i = 0; i < s->n; i++) free_run(&s->run[i]);
  for (int i = 0; i < s->n_problems; i++) mr_free(s->problem[i]);
  mr_free(s->run);
  mr_free(s->problem);
  *s = (mr_runset){.n = 0};
}

/* ---- Looking up ------------------------------------------------------------------------------ */

static const char *exactly(const mr_run *r, const char *group, const char *name)
{
  const size_t n = strlen(group);
  for (int i = 0; i < r->n_facts; i++)
    if (strncmp(r->fact[i].name, group, n) == 0 && strcmp(r->fact[i].name + n, name) == 0)
      return r->fact[i].text;
  return NULL;
}

const char *mr_run_fact(const mr_run *r, const char *name)
{
  static const char *const group[] = {"", "cell.", "config."};
  const char *text = NULL;
  for (size_t i = 0; i < sizeof group / sizeof *group && text == NULL; i++)
    text = exactly(r, group[i], name);
  return text;
}

bool mr_run_number(const mr_run *r, const char *name, double *out)
{
  char *end;
  const char *text = mr_run_fact(r, name);
  if (text == NULL) return false;
  *out = strtod(text, &end);
  return end != text && *end == '\0' && isfinite(*out);
}

const mr_timing *mr_run_timing(const mr_run *r, const char *name)
{
  for (int i = 0; i < r->n_timings; i++)
    if (strcmp(r->timing[i].name, name) == 0) return &r->timing[i];
  return NULL;
}

const char *mr_run_settings(const mr_run *r)
{
  const char *descriptor = exactly(r, "cell.", "descriptor");
  const char *at = descriptor != NULL ? strchr(descriptor, '=') : NULL;
  while (at != NULL && at > descriptor && *at != ':') at--;
  return at != NULL ? at : "";
}

const char *mr_run_kind(const mr_run *r)
{
  const char *mode = exactly(r, "cell.", "mode");
  if (mode == NULL) return "train";
  return strcmp(mode, "infer") == 0 ? "infer" : "bench";
}

bool mr_run_counts(const mr_run *r)
{
  const char *status = mr_run_fact(r, "status"), *trust = mr_run_fact(r, "trust");
  return status != NULL && strcmp(status, "complete") == 0 &&
         (trust == NULL || strcmp(trust, "trusted") == 0);
}
