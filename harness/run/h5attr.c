/* h5attr.c — groups and scalar attributes of HDF5 files. SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "h5file.h"
#include "mem.h"
#include "text.h"

mr_status mr_h5_group(hid_t at, const char *path, const char *name, hid_t *group)
{
  mr_status st = MR_OK;
  hid_t plist = -1;
  htri_t there = 0;
  MR_H5(there = H5Lexists(at, name, H5P_DEFAULT), "look for a group");
  if (there) {
    MR_H5(*group = H5Gopen2(at, name, H5P_DEFAULT), "open a group");
    return MR_OK;
  }
  MR_H5(plist = H5Pcreate(H5P_GROUP_CREATE), "make a group");
  MR_H5(H5Pset_link_creation_order(plist, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED),
        "keep the order of columns");
  MR_H5(*group = H5Gcreate2(at, name, H5P_DEFAULT, plist, H5P_DEFAULT), "make a group");
out:
  return mr_h5_drop(plist, st, path);
}

/* One scalar attribute of `type`. */
static mr_status put(hid_t at, const char *path, const char *name, hid_t type, const void *value)
{
  mr_status st = MR_OK;
  hid_t space = -1, attr = -1;
  MR_H5(space = H5Screate(H5S_SCALAR), "make an attribute");
  MR_H5(attr = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT), "make an attribute");
  MR_H5(H5Awrite(attr, type, value), "write an attribute");
out:
  st = mr_h5_drop(attr, st, path);
  return mr_h5_drop(space, st, path);
}

/* One text attribute of `size` bytes. */
static mr_status put_string(hid_t at, const char *path, const char *name, const char *value,
                            size_t size, H5T_str_t pad, H5T_cset_t cset)
{
  mr_status st = MR_OK;
  hid_t type = -1;
  MR_H5(type = H5Tcopy(H5T_C_S1), "make a text type");
  MR_H5(H5Tset_size(type, size), "make a text type");
  MR_H5(H5Tset_strpad(type, pad), "make a text type");
  MR_H5(H5Tset_cset(type, cset), "make a text type");
  MR_TRY(put(at, path, name, type, value));
out:
  return mr_h5_drop(type, st, path);
}

mr_status mr_h5_put_text(hid_t at, const char *path, const char *name, const char *value)
{
  size_t n = strlen(value);
  if (n > MR_H5_MAX_TEXT)
    return MR_FAIL(MR_ERR_ARG, "%s: attribute %s is %zu bytes long, at most %d are allowed", path,
                   name, n, MR_H5_MAX_TEXT);
  return put_string(at, path, name, value, n > 0 ? n : 1, H5T_STR_NULLPAD, H5T_CSET_UTF8);
}

mr_status mr_h5_put_scale(hid_t dataset, const char *path, const char *name)
{
  static const char class[] = "DIMENSION_SCALE";
  MR_CHECK(
      put_string(dataset, path, "CLASS", class, sizeof class, H5T_STR_NULLTERM, H5T_CSET_ASCII));
  return put_string(dataset, path, "NAME", name, strlen(name) + 1, H5T_STR_NULLTERM,
                    H5T_CSET_ASCII);
}

mr_status mr_h5_put_num(hid_t at, const char *path, const char *name, double value)
{
  return put(at, path, name, H5T_NATIVE_DOUBLE, &value);
}

mr_status mr_h5_put_int(hid_t at, const char *path, const char *name, int64_t value)
{
  return put(at, path, name, H5T_NATIVE_INT64, &value);
}

/* Reads a fixed-length text attribute of this file type. */
static mr_status get_text(hid_t attr, hid_t type, const char *path, const char *name, char *buf,
                          size_t n)
{
  mr_status st = MR_OK;
  hid_t memory = -1;
  size_t size = H5Tget_size(type);
  if (size == 0 || size >= n)
    return MR_FAIL(MR_ERR_IO, "%s: attribute %s is %zu bytes long, there is room for %zu", path,
                   name, size, n - 1);
  MR_H5(memory = H5Tcopy(type), "make a text type");
  MR_H5(H5Aread(attr, memory, buf), "read an attribute");
  buf[size] = '\0';
out:
  return mr_h5_drop(memory, st, path);
}

mr_status mr_h5_get(hid_t at, const char *path, const char *name, char *buf, size_t n,
                    mr_h5_kind *kind)
{
  mr_status st = MR_OK;
  hid_t attr = -1, type = -1, space = -1;
  H5T_class_t class;
  int64_t whole = 0;
  double real = 0;
  htri_t there = 0;
  MR_H5(there = H5Aexists(at, name), "look for an attribute");
  if (!there) {
    st = MR_FAIL(MR_ERR_IO, "%s has no attribute %s where it was looked for", path, name);
    goto out;
  }
  MR_H5(attr = H5Aopen(at, name, H5P_DEFAULT), "open an attribute");
  MR_H5(type = H5Aget_type(attr), "open an attribute");
  MR_H5(space = H5Aget_space(attr), "open an attribute");
  class = H5Tget_class(type);
  if (H5Sget_simple_extent_npoints(space) != 1 || H5Tis_variable_str(type) != 0 ||
      (class != H5T_STRING && class != H5T_INTEGER && class != H5T_FLOAT)) {
    st = MR_FAIL(MR_ERR_IO, "%s: attribute %s is neither a number nor a text", path, name);
  } else if (class == H5T_STRING) {
    MR_TRY(get_text(attr, type, path, name, buf, n));
  } else if (class == H5T_INTEGER) {
    MR_H5(H5Aread(attr, H5T_NATIVE_INT64, &whole), "read an attribute");
    (void)snprintf(buf, n, "%" PRId64, whole);
  } else {
    MR_H5(H5Aread(attr, H5T_NATIVE_DOUBLE, &real), "read an attribute");
    (void)mr_num_text(real, buf, n);
  }
  if (kind) *kind = class == H5T_STRING ? MR_H5_TEXT : class == H5T_INTEGER ? MR_H5_INT : MR_H5_NUM;
out:
  st = mr_h5_drop(space, st, path);
  st = mr_h5_drop(type, st, path);
  return mr_h5_drop(attr, st, path);
}

/* What a walk over attributes carries. */
typedef struct walk {
  const char *path;
  mr_h5_attr_fn fn;
  void *ctx;
  char *buf;
  mr_status st;
} walk;

static herr_t visit(hid_t at, const char *name, const H5A_info_t *info, void *data)
{
  walk *w = data;
  mr_h5_kind kind = MR_H5_TEXT;
  (void)info;
  w->st = mr_h5_get(at, w->path, name, w->buf, MR_H5_MAX_TEXT + 1, &kind);
  if (w->st == MR_OK) w->st = w->fn(w->ctx, name, w->buf, kind);
  return w->st == MR_OK ? 0 : -1;
}

mr_status mr_h5_each_attr(hid_t at, const char *path, mr_h5_attr_fn fn, void *ctx)
{
  mr_status st = MR_OK;
  walk w = {.path = path, .fn = fn, .ctx = ctx, .st = MR_OK};
  hsize_t from = 0;
  MR_TRY(mr_calloc((void **)&w.buf, MR_H5_MAX_TEXT + 1, 1));
  if (H5Aiterate2(at, H5_INDEX_NAME, H5_ITER_INC, &from, visit, &w) < 0 && w.st == MR_OK)
    w.st = MR_FAIL(MR_ERR_IO, "%s: HDF5 could not list attributes", path);
  MR_TRY(w.st);
out:
  mr_free(w.buf);
  return st;
}
