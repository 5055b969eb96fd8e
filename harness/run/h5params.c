/* h5params.c — configs, arrays and named parameters in HDF5 files. SPDX-License-Identifier: MIT */
#include "h5params.h"
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 256, LIST_BYTES = 700, ITEM_BYTES = NAME_BYTES + 256 };

static hid_t type_of(mr_dtype t)
{
  if (t == MR_I32) return H5T_NATIVE_INT32;
  return sizeof(mr_real) == sizeof(double) ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT;
}

/* ---- Writing --------------------------------------------------------------------------------- */

typedef struct key_sink {
  hid_t group;
  const char *path;
} key_sink;

static mr_status put_key(void *ctx, const char *key, const char *value)
{
  key_sink *s = ctx;
  return mr_h5_put_text(s->group, s->path, key, value);
}

mr_status mr_h5_put_config(hid_t file, const char *path, const mr_config *c)
{
  mr_status st = MR_OK;
  key_sink s = {.group = -1, .path = path};
  MR_TRY(mr_h5_group(file, path, "config", &s.group));
  MR_TRY(mr_config_each(c, put_key, &s));
out:
  return mr_h5_drop(s.group, st, path);
}

mr_status mr_h5_put_view(hid_t at, const char *path, const char *name, mr_backend *be,
                         const mr_view *v, void *host)
{
  mr_status st = MR_OK;
  const hid_t type = type_of(v->dtype);
  hid_t space = -1, data = -1;
  hsize_t dim[MR_MAX_RANK];
  for (int i = 0; i < v->shape.rank; i++) dim[i] = (hsize_t)v->shape.dim[i];
  MR_TRY(be->api->download(be, host, v->data, mr_bytes(&v->shape, v->dtype)));
  if (v->shape.rank == 0)
    MR_H5(space = H5Screate(H5S_SCALAR), "shape an array");
  else
    MR_H5(space = H5Screate_simple(v->shape.rank, dim, NULL), "shape an array");
  MR_H5(data = H5Dcreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
        "make an array");
  MR_H5(H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, host), "write an array");
out:
  st = mr_h5_drop(data, st, path);
  return mr_h5_drop(space, st, path);
}

mr_status mr_h5_put_slots(hid_t file, const char *path, const char *group, mr_backend *be,
                          const mr_slot *slot, int n, bool grads, void *host)
{
  mr_status st = MR_OK;
  hid_t all = -1;
  MR_TRY(mr_h5_group(file, path, group, &all));
  for (int i = 0; i < n; i++)
    MR_TRY(
        mr_h5_put_view(all, path, slot[i].name, be, grads ? &slot[i].grad : &slot[i].value, host));
out:
  return mr_h5_drop(all, st, path);
}

void mr_slot_bytes(const mr_slot *slot, int n, size_t *largest, size_t *total)
{
  *largest = *total = 0;
  for (int i = 0; i < n; i++) {
    size_t bytes = mr_bytes(&slot[i].value.shape, MR_REAL);
    if (bytes > *largest) *largest = bytes;
    *total += bytes;
  }
}

/* ---- Matching -------------------------------------------------------------------------------- */

/* Mismatches found so far, as one list; those that find no room are only counted. */
typedef struct differences {
  char text[LIST_BYTES];
  int left_out;
} differences;

static void add_difference(differences *d, const char *item)
{
  size_t used = strlen(d->text);
  if (used + strlen(item) + sizeof "; " > sizeof d->text)
    d->left_out++;
  else
    (void)snprintf(d->text + used, sizeof d->text - used, "%s%s", used > 0 ? "; " : "", item);
}

/* Shape and type of the dataset against the slot's. */
static mr_status match_data(hid_t data, const char *path, const mr_slot *slot, differences *d)
{
  mr_status st = MR_OK;
  hid_t space = -1, type = -1;
  mr_shape have = {0};
  hsize_t dim[H5S_MAX_RANK];
  char item[ITEM_BYTES] = "", a[80], b[80];
  int rank = -1;
  MR_H5(space = H5Dget_space(data), "open a parameter");
  MR_H5(type = H5Dget_type(data), "open a parameter");
  MR_H5(rank = H5Sget_simple_extent_dims(space, dim, NULL), "tell a parameter's shape");
  have.rank = rank < MR_MAX_RANK ? rank : MR_MAX_RANK;
  for (int i = 0; i < have.rank; i++) have.dim[i] = (int64_t)dim[i];
  if (!mr_shape_eq(&have, &slot->value.shape))
    (void)snprintf(item, sizeof item, "its parameter %s is %s, this run wants %s", slot->name,
                   mr_shape_text(&have, a, sizeof a),
                   mr_shape_text(&slot->value.shape, b, sizeof b));
  else if (H5Tget_class(type) != H5T_FLOAT || H5Tget_size(type) != sizeof(mr_real))
    (void)snprintf(item, sizeof item,
                   "its parameter %s has numbers of %zu bytes, this program uses %zu", slot->name,
                   H5Tget_size(type), sizeof(mr_real));
  if (item[0] != '\0') add_difference(d, item);
out:
  st = mr_h5_drop(type, st, path);
  return mr_h5_drop(space, st, path);
}

static mr_status match_slot(hid_t params, const char *path, const mr_slot *slot, differences *d)
{
  mr_status st = MR_OK;
  hid_t data = -1;
  htri_t there = 0;
  char item[ITEM_BYTES];
  MR_H5(there = H5Lexists(params, slot->name, H5P_DEFAULT), "look for a parameter");
  if (!there) {
    (void)snprintf(item, sizeof item, "it has no parameter %s", slot->name);
    add_difference(d, item);
    goto out;
  }
  MR_H5(data = H5Dopen2(params, slot->name, H5P_DEFAULT), "open a parameter");
  MR_TRY(match_data(data, path, slot, d));
out:
  return mr_h5_drop(data, st, path);
}

/* Parameters of the file that none of the n slots has. */
static mr_status match_surplus(hid_t params, const char *path, const mr_slot *slot, int n,
                               differences *d)
{
  mr_status st = MR_OK;
  H5G_info_t info;
  char name[NAME_BYTES], item[ITEM_BYTES];
  MR_H5(H5Gget_info(params, &info), "list the parameters");
  for (hsize_t i = 0; i < info.nlinks; i++) {
    MR_H5(H5Lget_name_by_idx(params, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name,
                             H5P_DEFAULT),
          "list the parameters");
    int k = 0;
    while (k < n && strcmp(slot[k].name, name) != 0) k++;
    if (k < n) continue;
    (void)snprintf(item, sizeof item, "its parameter %s is not in this run", name);
    add_difference(d, item);
  }
out:
  return st;
}

mr_status mr_h5_match_slots(hid_t params, const char *path, const char *model, const mr_slot *slot,
                            int n)
{
  differences d = {.left_out = 0};
  char more[48] = "";
  for (int i = 0; i < n; i++) MR_CHECK(match_slot(params, path, &slot[i], &d));
  MR_CHECK(match_surplus(params, path, slot, n, &d));
  if (d.text[0] == '\0') return MR_OK;
  if (d.left_out > 0) (void)snprintf(more, sizeof more, "; and %d more differences", d.left_out);
  return MR_FAIL(MR_ERR_CONFIG, "%s is of another network (model %s): %s%s", path, model, d.text,
                 more);
}

/* ---- Reading --------------------------------------------------------------------------------- */

mr_status mr_h5_get_reals(hid_t at, const char *path, const char *name, void *host)
{
  mr_status st = MR_OK;
  hid_t data = -1;
  MR_H5(data = H5Dopen2(at, name, H5P_DEFAULT), "open a parameter");
  MR_H5(H5Dread(data, type_of(MR_REAL), H5S_ALL, H5S_ALL, H5P_DEFAULT, host), "read a parameter");
out:
  return mr_h5_drop(data, st, path);
}
