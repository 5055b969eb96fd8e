/* h5log_read.c — attributes and tables out of run files. SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "h5log_impl.h"
#include "mem.h"

/* ---- Groups ---------------------------------------------------------------------------------- */

mr_status mr_h5_has_group(hid_t file, const char *path, const char *group, bool *there)
{
  mr_status st = MR_OK;
  htri_t found = 1;
  if (strcmp(group, "/") != 0)
    MR_H5(found = H5Lexists(file, group, H5P_DEFAULT), "look for a group");
  *there = found > 0;
out:
  return st;
}

static mr_status open_group(hid_t file, const char *path, const char *group, hid_t *out)
{
  mr_status st = MR_OK;
  bool there = false;
  MR_TRY(mr_h5_has_group(file, path, group, &there));
  if (!there)
    st = MR_FAIL(MR_ERR_IO, "%s has no group %s", path, group);
  else
    MR_H5(*out = H5Gopen2(file, group, H5P_DEFAULT), "open a group");
out:
  return st;
}

/* The name of member i of `at`, in the given order, in a buffer of MR_LOG_NAME bytes. */
static mr_status member(hid_t at, const char *path, H5_index_t order, hsize_t i, char *name)
{
  mr_status st = MR_OK;
  ssize_t n = 0;
  MR_H5(n = H5Lget_name_by_idx(at, ".", order, H5_ITER_INC, i, name, MR_LOG_NAME, H5P_DEFAULT),
        "list a group");
  if (n >= MR_LOG_NAME) st = MR_FAIL(MR_ERR_IO, "%s: the name %s... is too long", path, name);
out:
  return st;
}

mr_status mr_h5_each_group(hid_t file, const char *path, mr_h5_group_fn fn, void *ctx)
{
  mr_status st = MR_OK;
  H5G_info_t root, inner;
  char name[MR_LOG_NAME];
  MR_H5(H5Gget_info(file, &root), "list the file");
  for (hsize_t i = 0; i < root.nlinks; i++) {
    MR_TRY(member(file, path, H5_INDEX_NAME, i, name));
    MR_H5(H5Gget_info_by_name(file, name, &inner, H5P_DEFAULT), "look at a group");
    MR_TRY(fn(ctx, name, inner.nlinks > 0));
  }
out:
  return st;
}

/* ---- Attributes ------------------------------------------------------------------------------ */

mr_status mr_h5_has_attr(hid_t file, const char *path, const char *group, const char *name,
                         bool *there)
{
  mr_status st = MR_OK;
  htri_t found = 0;
  *there = false;
  MR_TRY(mr_h5_has_group(file, path, group, there));
  if (!*there) goto out;
  MR_H5(found = H5Aexists_by_name(file, group, name, H5P_DEFAULT), "look for an attribute");
  *there = found > 0;
out:
  return st;
}

mr_status mr_h5_attr_from(hid_t file, const char *path, const char *group, const char *name,
                          char *buf, size_t n, mr_h5_kind *kind)
{
  mr_status st = MR_OK;
  hid_t at = -1;
  htri_t there = 0;
  MR_TRY(open_group(file, path, group, &at));
  MR_H5(there = H5Aexists(at, name), "look for an attribute");
  if (!there)
    st = MR_FAIL(MR_ERR_IO, "%s: group %s has no attribute %s", path, group, name);
  else
    MR_TRY(mr_h5_get(at, path, name, buf, n, kind));
out:
  return mr_h5_drop(at, st, path);
}

mr_status mr_h5_attr(const char *path, const char *group, const char *name, char *buf, size_t n)
{
  mr_status st = MR_OK;
  hid_t file = -1;
  MR_TRY(mr_h5_open(&file, path));
  MR_TRY(mr_h5_attr_from(file, path, group, name, buf, n, NULL));
out:
  mr_h5_close(file);
  return st;
}

/* ---- Columns --------------------------------------------------------------------------------- */

/* Cells of a text column, each with room for its end. */
static mr_status read_texts(hid_t data, hid_t type, const char *path, int64_t rows, mr_h5_column *c)
{
  mr_status st = MR_OK;
  hid_t memory = -1;
  size_t size = H5Tget_size(type);
  if (size == 0 || H5Tis_variable_str(type) != 0)
    return MR_FAIL(MR_ERR_IO, "%s: column %s is no text of fixed length", path, c->name);
  c->width = size + 1;
  MR_TRY(mr_calloc((void **)&c->text, (size_t)rows, c->width));
  MR_H5(memory = H5Tcopy(type), "make a text type");
  MR_H5(H5Tset_size(memory, c->width), "make a text type"); /* padded with zeros: ended */
  MR_H5(H5Dread(data, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, c->text), "read a column");
out:
  return mr_h5_drop(memory, st, path);
}

/* Column c->name of an open group; *rows is its length: it must be `wanted` unless that is -1. */
static mr_status read_column(hid_t group, const char *path, int64_t wanted, int64_t *rows,
                             mr_h5_column *c)
{
  mr_status st = MR_OK;
  hid_t data = -1, type = -1, space = -1;
  H5T_class_t class;
  MR_H5(data = H5Dopen2(group, c->name, H5P_DEFAULT), "open a column");
  MR_H5(type = H5Dget_type(data), "open a column");
  MR_H5(space = H5Dget_space(data), "open a column");
  *rows = H5Sget_simple_extent_npoints(space);
  if (H5Sget_simple_extent_ndims(space) != 1 || *rows < 0 || (wanted >= 0 && *rows != wanted)) {
    st = MR_FAIL(MR_ERR_IO, "%s: %s is no column, or its length differs from its neighbours'", path,
                 c->name);
    goto out;
  }
  MR_TRY(mr_h5_get(data, path, "unit", c->unit, sizeof c->unit, NULL));
  class = H5Tget_class(type);
  if (class == H5T_STRING) {
    MR_TRY(read_texts(data, type, path, *rows, c));
  } else if (class == H5T_INTEGER || class == H5T_FLOAT) {
    MR_TRY(mr_calloc((void **)&c->num, (size_t)*rows, sizeof *c->num));
    MR_H5(H5Dread(data, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, c->num), "read a column");
  } else {
    st = MR_FAIL(MR_ERR_IO, "%s: column %s is neither numbers nor text", path, c->name);
  }
out:
  st = mr_h5_drop(space, st, path);
  st = mr_h5_drop(type, st, path);
  return mr_h5_drop(data, st, path);
}

mr_status mr_h5_columns_read(hid_t file, const char *path, const char *group, mr_h5_columns *out)
{
  mr_status st = MR_OK;
  hid_t at = -1;
  H5G_info_t info;
  *out = (mr_h5_columns){.rows = -1};
  MR_TRY(open_group(file, path, group, &at));
  MR_H5(H5Gget_info(at, &info), "list a group");
  if (info.nlinks < 1 || info.nlinks > MR_MAX_COLUMNS) {
    st = MR_FAIL(MR_ERR_IO, "%s: group %s has %llu columns, 1 to %d can be read", path, group,
                 (unsigned long long)info.nlinks, MR_MAX_COLUMNS);
    goto out;
  }
  for (; out->n < (int)info.nlinks; out->n++) {
    mr_h5_column *c = &out->column[out->n];
    MR_TRY(member(at, path, H5_INDEX_CRT_ORDER, (hsize_t)out->n, c->name));
    st = read_column(at, path, out->rows, &out->rows, c);
    if (st != MR_OK) {
      out->n++; /* what it holds so far is freed with the others */
      goto out;
    }
  }
out:
  st = mr_h5_drop(at, st, path);
  if (st != MR_OK) mr_h5_columns_free(out);
  return st;
}

void mr_h5_columns_free(mr_h5_columns *c)
{
  for (int i = 0; i < c->n; i++) {
    mr_free(c->column[i].num);
    mr_free(c->column[i].text);
  }
  *c = (mr_h5_columns){.n = 0};
}

/* ---- Tables ---------------------------------------------------------------------------------- */

mr_status mr_h5_table_from(hid_t file, const char *path, const char *group, mr_h5_table *out)
{
  mr_status st = MR_OK;
  mr_h5_columns c;
  mr_column head[MR_MAX_COLUMNS];
  const double *number[MR_MAX_COLUMNS];
  double row[MR_MAX_COLUMNS];
  int n = 0;
  *out = (mr_h5_table){.names = NULL};
  MR_CHECK(mr_h5_columns_read(file, path, group, &c));
  for (int i = 0; i < c.n; i++) {
    if (!c.column[i].num) continue;
    head[n] = (mr_column){c.column[i].name, c.column[i].unit};
    number[n++] = c.column[i].num;
  }
  MR_TRY(mr_table_init_owned(&out->table, &out->names, group, head, n));
  for (int64_t i = 0; i < c.rows; i++) {
    for (int k = 0; k < n; k++) row[k] = number[k][i];
    MR_TRY(mr_table_append(&out->table, row));
  }
out:
  mr_h5_columns_free(&c);
  if (st != MR_OK) mr_h5_table_free(out);
  return st;
}

mr_status mr_h5_table_read(const char *path, const char *group, mr_h5_table *out)
{
  mr_status st = MR_OK;
  hid_t file = -1;
  *out = (mr_h5_table){.names = NULL};
  MR_TRY(mr_h5_open(&file, path));
  MR_TRY(mr_h5_table_from(file, path, group, out));
out:
  mr_h5_close(file);
  return st;
}

void mr_h5_table_free(mr_h5_table *t)
{
  mr_table_free(&t->table);
  mr_free(t->names);
  t->names = NULL;
}
