/* checkpoint.c — parameters, moments and the place in the run, in one HDF5 file written whole.
 * SPDX-License-Identifier: MIT */
#include "checkpoint.h"
#include <stdio.h>
#include <string.h>
#include "h5file.h"
#include "mem.h"

#define SCHEMA "minrnn-checkpoint 1"
enum { NAME_BYTES = 256 };

static hid_t real_type(void)
{
  return sizeof(mr_real) == sizeof(double) ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT;
}

/* ---- Saving ---------------------------------------------------------------------------------- */

typedef struct key_sink {
  hid_t group;
  const char *path;
} key_sink;

static mr_status put_key(void *ctx, const char *key, const char *value)
{
  key_sink *s = ctx;
  return mr_h5_put_text(s->group, s->path, key, value);
}

static mr_status save_config(hid_t file, const char *path, const mr_config *c)
{
  mr_status st = MR_OK;
  key_sink s = {.group = -1, .path = path};
  MR_TRY(mr_h5_group(file, path, "config", &s.group));
  MR_TRY(mr_config_each(c, put_key, &s));
out:
  return mr_h5_drop(s.group, st, path);
}

/* The view as dataset `name`, by way of the host buffer. */
static mr_status save_view(hid_t group, const char *path, mr_backend *be, const char *name,
                           const mr_view *v, void *host)
{
  mr_status st = MR_OK;
  hid_t space = -1, data = -1;
  hsize_t dim[MR_MAX_RANK];
  for (int i = 0; i < v->shape.rank; i++) dim[i] = (hsize_t)v->shape.dim[i];
  MR_TRY(be->api->download(be, host, v->data, mr_bytes(&v->shape, MR_REAL)));
  if (v->shape.rank == 0)
    MR_H5(space = H5Screate(H5S_SCALAR), "shape a parameter");
  else
    MR_H5(space = H5Screate_simple(v->shape.rank, dim, NULL), "shape a parameter");
  MR_H5(data = H5Dcreate2(group, name, real_type(), space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
        "make a parameter");
  MR_H5(H5Dwrite(data, real_type(), H5S_ALL, H5S_ALL, H5P_DEFAULT, host), "write a parameter");
out:
  st = mr_h5_drop(data, st, path);
  return mr_h5_drop(space, st, path);
}

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
    MR_TRY(save_view(one, path, be, "m", &m, host));
    MR_TRY(save_view(one, path, be, "v", &v, host));
    hid_t done = one;
    one = -1;
    MR_TRY(mr_h5_drop(done, MR_OK, path));
  }
out:
  st = mr_h5_drop(one, st, path);
  return mr_h5_drop(all, st, path);
}

static mr_status save_params(hid_t file, const char *path, mr_backend *be, const mr_slot *slot,
                             int n, void *host)
{
  mr_status st = MR_OK;
  hid_t all = -1;
  MR_TRY(mr_h5_group(file, path, "params", &all));
  for (int i = 0; i < n; i++) MR_TRY(save_view(all, path, be, slot[i].name, &slot[i].value, host));
out:
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
  MR_TRY(mr_h5_put_num(feed, path, "best_loss", p->best_loss));
out:
  return mr_h5_drop(feed, st, path);
}

/* Bytes of the largest parameter and of all. */
static void count_bytes(const mr_slot *slot, int n, size_t *largest, size_t *total)
{
  *largest = *total = 0;
  for (int i = 0; i < n; i++) {
    size_t bytes = mr_bytes(&slot[i].value.shape, MR_REAL);
    if (bytes > *largest) *largest = bytes;
    *total += bytes;
  }
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
  count_bytes(slot, n, &largest, &total);
  MR_TRY(mr_calloc(&host, largest, 1));
  MR_TRY(mr_calloc((void **)&tmp, tmp_bytes, 1));
  (void)snprintf(tmp, tmp_bytes, "%s.tmp", path);
  MR_TRY(mr_make_parents(path));
  MR_TRY(mr_h5_begin(&file, path));
  MR_TRY(mr_h5_put_text(file, path, "schema", SCHEMA));
  MR_TRY(save_config(file, path, c));
  MR_TRY(save_params(file, path, be, slot, n, host));
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
  if (strcmp(schema, SCHEMA) != 0) {
    st = MR_FAIL(MR_ERR_CONFIG,
                 "%s is no checkpoint that this program reads: its schema is %s, not %s", path,
                 schema, SCHEMA);
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

/* Shape and element type of the dataset against what the model wants. */
static mr_status check_data(const source *s, hid_t data, const char *name, const mr_shape *want)
{
  mr_status st = MR_OK;
  const char *path = s->path;
  hid_t space = -1, type = -1;
  mr_shape have = {0};
  hsize_t dim[H5S_MAX_RANK];
  char a[80], b[80];
  int rank = -1;
  MR_H5(space = H5Dget_space(data), "open a parameter");
  MR_H5(type = H5Dget_type(data), "open a parameter");
  MR_H5(rank = H5Sget_simple_extent_dims(space, dim, NULL), "tell a parameter's shape");
  if (rank > MR_MAX_RANK) rank = MR_MAX_RANK;
  have.rank = rank;
  for (int i = 0; i < rank; i++) have.dim[i] = (int64_t)dim[i];
  if (!mr_shape_eq(&have, want))
    st = MR_FAIL(MR_ERR_CONFIG,
                 "%s is of another network (model %s): its parameter %s is %s, this run "
                 "wants %s",
                 path, s->model, name, mr_shape_text(&have, a, sizeof a),
                 mr_shape_text(want, b, sizeof b));
  else if (H5Tget_class(type) != H5T_FLOAT || H5Tget_size(type) != sizeof(mr_real))
    st = MR_FAIL(MR_ERR_CONFIG, "%s: parameter %s has numbers of %zu bytes, this program uses %zu",
                 path, name, H5Tget_size(type), sizeof(mr_real));
out:
  st = mr_h5_drop(type, st, path);
  return mr_h5_drop(space, st, path);
}

/* Dataset `name` of `group` into host, if it is what the model wants. `called` is for messages. */
static mr_status load_data(const source *s, hid_t group, const char *name, const char *called,
                           const mr_shape *want, void *host)
{
  mr_status st = MR_OK;
  const char *path = s->path;
  hid_t data = -1;
  htri_t there = 0;
  MR_H5(there = H5Lexists(group, name, H5P_DEFAULT), "look for a parameter");
  if (!there) {
    st = MR_FAIL(MR_ERR_CONFIG, "%s is of another network (model %s): it has no parameter %s", path,
                 s->model, called);
    goto out;
  }
  MR_H5(data = H5Dopen2(group, name, H5P_DEFAULT), "open a parameter");
  MR_TRY(check_data(s, data, called, want));
  MR_H5(H5Dread(data, real_type(), H5S_ALL, H5S_ALL, H5P_DEFAULT, host), "read a parameter");
out:
  return mr_h5_drop(data, st, path);
}

/* The two moments of a slot into host, one behind the other. */
static mr_status load_moments(const source *s, const mr_slot *slot, unsigned char *host)
{
  mr_status st = MR_OK;
  const char *path = s->path;
  const mr_shape *want = &slot->value.shape;
  hid_t one = -1;
  htri_t there = 0;
  MR_H5(there = H5Lexists(s->moments, slot->name, H5P_DEFAULT), "look for a moment");
  if (!there) {
    st = MR_FAIL(MR_ERR_CONFIG, "%s is of another network (model %s): it has no moments of %s",
                 path, s->model, slot->name);
    goto out;
  }
  MR_H5(one = H5Gopen2(s->moments, slot->name, H5P_DEFAULT), "open a moment");
  MR_TRY(load_data(s, one, "m", slot->name, want, host));
  MR_TRY(load_data(s, one, "v", slot->name, want, host + mr_bytes(want, MR_REAL)));
out:
  return mr_h5_drop(one, st, path);
}

/* Refuses a checkpoint with parameters that none of the n slots has. */
static mr_status check_surplus(const source *s, const mr_slot *slot, int n)
{
  mr_status st = MR_OK;
  const char *path = s->path;
  H5G_info_t info;
  char name[NAME_BYTES];
  MR_H5(H5Gget_info(s->params, &info), "list the parameters");
  for (hsize_t i = 0; i < info.nlinks && info.nlinks > (hsize_t)n; i++) {
    MR_H5(H5Lget_name_by_idx(s->params, ".", H5_INDEX_CRT_ORDER, H5_ITER_INC, i, name, sizeof name,
                             H5P_DEFAULT),
          "list the parameters");
    int k = 0;
    while (k < n && strcmp(slot[k].name, name) != 0) k++;
    if (k < n) continue;
    st = MR_FAIL(MR_ERR_CONFIG,
                 "%s is of another network (model %s): its parameter %s is not in this "
                 "run's",
                 path, s->model, name);
    goto out;
  }
out:
  return st;
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
               {"best_loss", H5T_NATIVE_DOUBLE, &got.best_loss}};
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
  count_bytes(slot, n, &largest, &total);
  MR_TRY(mr_calloc((void **)&host, total, o ? 3 : 1));
  for (int i = 0; i < n; i++) {
    size_t bytes = mr_bytes(&slot[i].value.shape, MR_REAL);
    MR_TRY(load_data(&s, s.params, slot[i].name, slot[i].name, &slot[i].value.shape, host + at));
    if (o) MR_TRY(load_moments(&s, &slot[i], host + at + bytes));
    at += o ? 3 * bytes : bytes;
  }
  MR_TRY(check_surplus(&s, slot, n));
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
