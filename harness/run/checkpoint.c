/* checkpoint.c — parameters, moments and the place in the run, in one HDF5 file written whole.
 * SPDX-License-Identifier: MIT */
#include "checkpoint.h"
#include <stdio.h>
#include <string.h>
#include "h5params.h"
#include "mem.h"

#define SCHEMA      "minrnn-checkpoint 1"
#define DUMP_SCHEMA "minrnn-dump 1" /* parameters in the same place */

/* ---- Saving ---------------------------------------------------------------------------------- */

static mr_status save_moments(hid_t file, const char *path, mr_backend *be, const mr_slot *slot,
                              int n, const mr_optim *o, void *host)
{
  mr_status st = MR_OK;
  hid_t all = -1, one = -1;
  MR_TRY(mr_h5_group(file, path, "moments", &all));
  for (int i = 0; i < n; i++) {
    mr_view m, v;
    mr_optim_moments(o, i, &m, &v);
    MR_TRY(mr_h5_group(all, path, slot[i].name, &one));
    MR_TRY(mr_h5_put_view(one, path, "m", be, &m, host));
    MR_TRY(mr_h5_put_view(one, path, "v", be, &v, host));
    hid_t done = one;
    one = -1;
    MR_TRY(mr_h5_drop(done, MR_OK, path));
  }
out:
  st = mr_h5_drop(one, st, path);
  return mr_h5_drop(all, st, path);
}

static mr_status save_progress(hid_t file, const char *path, const mr_progress *p)
{
  mr_status st = MR_OK;
  hid_t feed = -1;
  MR_TRY(mr_h5_group(file, path, "feed", &feed));
  MR_TRY(mr_h5_put_int(feed, path, "step", p->step));
  MR_TRY(mr_h5_put_int(feed, path, "wall_ns", p->wall_ns));
  MR_TRY(mr_h5_put_int(feed, path, "tokens", p->tokens));
  MR_TRY(mr_h5_put_int(feed, path, "best_step", p->best_step));
  MR_TRY(mr_h5_put_num(feed, path, "best_rank", p->best_rank));
out:
  return mr_h5_drop(feed, st, path);
}

mr_status mr_checkpoint_save(const char *path, const mr_config *c, mr_backend *be, const mr_tape *t,
                             const mr_optim *o, const mr_progress *p)
{
  mr_status st = MR_OK;
  hid_t file = -1;
  void *host = NULL;
  char *tmp = NULL;
  const mr_slot *slot = NULL;
  int n = 0;
  size_t largest, total;
  size_t tmp_bytes = strlen(path) + sizeof ".tmp";
  MR_TRY(mr_tape_slots(t, &slot, &n));
  mr_slot_bytes(slot, n, &largest, &total);
  MR_TRY(mr_calloc(&host, largest, 1));
  MR_TRY(mr_calloc((void **)&tmp, tmp_bytes, 1));
  (void)snprintf(tmp, tmp_bytes, "%s.tmp", path);
  MR_TRY(mr_make_parents(path));
  MR_TRY(mr_h5_begin(&file, path));
  MR_TRY(mr_h5_put_text(file, path, "schema", SCHEMA));
  MR_TRY(mr_h5_put_config(file, path, c));
  MR_TRY(mr_h5_put_slots(file, path, "params", be, slot, n, false, host));
  if (o) MR_TRY(save_moments(file, path, be, slot, n, o, host));
  if (p) MR_TRY(save_progress(file, path, p));
  MR_TRY(mr_h5_commit(file, tmp, path));
out:
  mr_h5_close(file);
  mr_free(tmp);
  mr_free(host);
  return st;
}

/* ---- Loading --------------------------------------------------------------------------------- */

/* An open checkpoint and whose it is. */
typedef struct source {
  hid_t file, params, moments;
  const char *path;
  char model[64];
} source;

static mr_status open_source(source *s)
{
  mr_status st = MR_OK;
  const char *path = s->path;
  char schema[64] = "unknown";
  hid_t config = -1;
  htri_t there = 0;
  MR_TRY(mr_h5_open(&s->file, path));
  MR_H5(there = H5Aexists(s->file, "schema"), "look for the schema");
  if (there) MR_TRY(mr_h5_get(s->file, path, "schema", schema, sizeof schema, NULL));
  if (strcmp(schema, SCHEMA) != 0 && strcmp(schema, DUMP_SCHEMA) != 0) {
    st = MR_FAIL(
        MR_ERR_CONFIG,
        "%s is no checkpoint or dump that this program reads: its schema is %s; allowed: %s, %s",
        path, schema, SCHEMA, DUMP_SCHEMA);
    goto out;
  }
  MR_H5(config = H5Gopen2(s->file, "config", H5P_DEFAULT), "open the config");
  MR_TRY(mr_h5_get(config, path, "model", s->model, sizeof s->model, NULL));
  MR_H5(s->params = H5Gopen2(s->file, "params", H5P_DEFAULT), "open the parameters");
out:
  return mr_h5_drop(config, st, path);
}

static mr_status open_moments(source *s)
{
  mr_status st = MR_OK;
  const char *path = s->path;
  htri_t there = 0;
  MR_H5(there = H5Lexists(s->file, "moments", H5P_DEFAULT), "look for the moments");
  if (!there)
    st = MR_FAIL(MR_ERR_CONFIG, "%s holds no optimizer state, so a run cannot go on from it", path);
  else
    MR_H5(s->moments = H5Gopen2(s->file, "moments", H5P_DEFAULT), "open the moments");
out:
  return st;
}

/* The two moments of a slot into host, one behind the other. */
static mr_status load_moments(const source *s, const mr_slot *slot, unsigned char *host)
{
  mr_status st = MR_OK;
  const char *path = s->path;
  const size_t bytes = mr_bytes(&slot->value.shape, MR_REAL);
  mr_slot both[] = {*slot, *slot}; /* m and v, shaped as the value */
  hid_t one = -1;
  htri_t there = 0;
  MR_H5(there = H5Lexists(s->moments, slot->name, H5P_DEFAULT), "look for a moment");
  if (!there) {
    st = MR_FAIL(MR_ERR_CONFIG, "%s is of another network (model %s): it has no moments of %s",
                 path, s->model, slot->name);
    goto out;
  }
  MR_H5(one = H5Gopen2(s->moments, slot->name, H5P_DEFAULT), "open a moment");
  both[0].name = "m", both[1].name = "v";
  MR_TRY(mr_h5_match_slots(one, path, s->model, both, 2));
  MR_TRY(mr_h5_get_reals(one, path, "m", host));
  MR_TRY(mr_h5_get_reals(one, path, "v", host + bytes));
out:
  return mr_h5_drop(one, st, path);
}

static mr_status load_progress(const source *s, mr_progress *p)
{
  mr_status st = MR_OK;
  const char *path = s->path;
  hid_t feed = -1, attr = -1;
  mr_progress got = {0};
  const struct {
    const char *name;
    hid_t type;
    void *to;
  } field[] = {{"step", H5T_NATIVE_INT64, &got.step},
               {"wall_ns", H5T_NATIVE_INT64, &got.wall_ns},
               {"tokens", H5T_NATIVE_INT64, &got.tokens},
               {"best_step", H5T_NATIVE_INT64, &got.best_step},
               {"best_rank", H5T_NATIVE_DOUBLE, &got.best_rank}};
  htri_t there = 0;
  MR_H5(there = H5Lexists(s->file, "feed", H5P_DEFAULT), "look for the place in the run");
  if (!there) {
    st = MR_FAIL(MR_ERR_CONFIG, "%s does not say how far its run had come", path);
    goto out;
  }
  MR_H5(feed = H5Gopen2(s->file, "feed", H5P_DEFAULT), "open the place in the run");
  for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
    MR_H5(attr = H5Aopen(feed, field[i].name, H5P_DEFAULT), "open the place in the run");
    MR_H5(H5Aread(attr, field[i].type, field[i].to), "read the place in the run");
    hid_t done = attr;
    attr = -1;
    MR_TRY(mr_h5_drop(done, MR_OK, path));
  }
  *p = got;
out:
  st = mr_h5_drop(attr, st, path);
  return mr_h5_drop(feed, st, path);
}

/* What has been read and checked, to the device. */
static mr_status upload_all(mr_backend *be, const mr_slot *slot, int n, const mr_optim *o,
                            const unsigned char *host)
{
  mr_status st = MR_OK;
  for (int i = 0; i < n; i++) {
    size_t bytes = mr_bytes(&slot[i].value.shape, MR_REAL);
    MR_TRY(be->api->upload(be, slot[i].value.data, host, bytes));
    host += bytes;
    if (!o) continue;
    mr_view m, v;
    mr_optim_moments(o, i, &m, &v);
    MR_TRY(be->api->upload(be, m.data, host, bytes));
    MR_TRY(be->api->upload(be, v.data, host + bytes, bytes));
    host += 2 * bytes;
  }
out:
  return st;
}

mr_status mr_checkpoint_load(const char *path, mr_backend *be, const mr_tape *t, const mr_optim *o,
                             mr_progress *p)
{
  mr_status st = MR_OK;
  source s = {.file = -1, .params = -1, .moments = -1, .path = path};
  unsigned char *host = NULL;
  const mr_slot *slot = NULL;
  int n = 0;
  size_t largest, total, at = 0;
  mr_progress place = {0};
  MR_TRY(mr_tape_slots(t, &slot, &n));
  MR_TRY(open_source(&s));
  if (o) MR_TRY(open_moments(&s));
  MR_TRY(mr_h5_match_slots(s.params, path, s.model, slot, n));
  mr_slot_bytes(slot, n, &largest, &total);
  MR_TRY(mr_calloc((void **)&host, total, o ? 3 : 1));
  for (int i = 0; i < n; i++) {
    size_t bytes = mr_bytes(&slot[i].value.shape, MR_REAL);
    MR_TRY(mr_h5_get_reals(s.params, path, slot[i].name, host + at));
    if (o) MR_TRY(load_moments(&s, &slot[i], host + at + bytes));
    at += o ? 3 * bytes : bytes;
  }
  if (p) MR_TRY(load_progress(&s, &place));
  MR_TRY(upload_all(be, slot, n, o, host));
  if (p) *p = place;
out:
  mr_free(host);
  st = mr_h5_drop(s.moments, st, path);
  st = mr_h5_drop(s.params, st, path);
  mr_h5_close(s.file);
  return st;
}
