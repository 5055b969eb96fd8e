/* h5log_write.c — a log as one whole HDF5 file. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "h5log_impl.h"
#include "mem.h"

enum { CHUNK_ROWS = 4096, DEFLATE_LEVEL = 1 };
static const double whole_limit =
    9007199254740992.0; /* 2^53: doubles count without gaps up to here */

/* Columns that count something are stored as 64-bit integers. */
static bool counts(const char *name)
{
  static const char *const word[] = {"step", "tokens", "wall_ns", "split", "calls"};
  for (size_t i = 0; i < sizeof word / sizeof *word; i++)
    if (strcmp(name, word[i]) == 0) return true;
  return false;
}

/* One 1-D dataset of n values that can grow, with its unit. It must be dropped by the caller. */
static mr_status put_column(hid_t group, const char *path, const char *name, const char *unit,
                            hid_t type, const void *data, int64_t n, hid_t *out)
{
  mr_status st = MR_OK;
  hid_t space = -1, plist = -1, made = -1;
  hsize_t rows = (hsize_t)n, most = H5S_UNLIMITED, chunk = CHUNK_ROWS;
  MR_H5(space = H5Screate_simple(1, &rows, &most), "shape a column");
  MR_H5(plist = H5Pcreate(H5P_DATASET_CREATE), "make a column");
  MR_H5(H5Pset_chunk(plist, 1, &chunk), "make a column");
  if (H5Zfilter_avail(H5Z_FILTER_DEFLATE) > 0) {
    MR_H5(H5Pset_shuffle(plist), "compress a column");
    MR_H5(H5Pset_deflate(plist, DEFLATE_LEVEL), "compress a column");
  }
  MR_H5(made = H5Dcreate2(group, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT),
        "make a column");
  if (n > 0) MR_H5(H5Dwrite(made, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), "write a column");
  MR_TRY(mr_h5_put_text(made, path, "unit", unit));
  *out = made;
  made = -1;
out:
  st = mr_h5_drop(made, st, path);
  st = mr_h5_drop(plist, st, path);
  return mr_h5_drop(space, st, path);
}

/* Column k of t into `cell`, as int64_t where `whole`, otherwise as double. */
static mr_status gather(const mr_table *t, int k, bool whole, void *cell)
{
  for (int64_t i = 0; i < t->n_rows; i++) {
    double v = t->cell[i * t->n_columns + k];
    if (!whole) {
      ((double *)cell)[i] = v;
    } else if (fabs(v) <= whole_limit && v == floor(v)) {
      ((int64_t *)cell)[i] = (int64_t)v;
    } else {
      return MR_FAIL(MR_ERR_ARG,
                     "column %s of table %s counts something, %g in row %lld is no whole "
                     "number",
                     t->column[k].name, t->name, v, (long long)i);
    }
  }
  return MR_OK;
}

static mr_status write_table(hid_t file, const char *path, const mr_table *t)
{
  mr_status st = MR_OK;
  hid_t group = -1, column = -1;
  void *cell = NULL;
  MR_TRY(mr_h5_group(file, path, t->name, &group));
  MR_TRY(mr_calloc(&cell, (size_t)t->n_rows, sizeof(double)));
  for (int k = 0; k < t->n_columns; k++) {
    const char *name = t->column[k].name;
    bool whole = counts(name);
    MR_TRY(gather(t, k, whole, cell));
    MR_TRY(put_column(group, path, name, t->column[k].unit,
                      whole ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE, cell, t->n_rows, &column));
    if (strcmp(name, "step") == 0) MR_TRY(mr_h5_put_scale(column, path, name));
    if (strcmp(name, "split") == 0)
      MR_TRY(mr_h5_put_text(column, path, "values", "0 train, 1 valid, 2 test"));
    hid_t done = column;
    column = -1;
    MR_TRY(mr_h5_drop(done, MR_OK, path));
  }
out:
  mr_free(cell);
  st = mr_h5_drop(column, st, path);
  return mr_h5_drop(group, st, path);
}

/* ---- /ops ------------------------------------------------------------------------------------ */

static mr_status write_texts(hid_t group, const char *path, const char *name, const char *cell,
                             size_t width, int64_t n)
{
  mr_status st = MR_OK;
  hid_t type = -1, column = -1;
  MR_H5(type = H5Tcopy(H5T_C_S1), "make a text type");
  MR_H5(H5Tset_size(type, width), "make a text type");
  MR_H5(H5Tset_strpad(type, H5T_STR_NULLPAD), "make a text type");
  MR_H5(H5Tset_cset(type, H5T_CSET_UTF8), "make a text type");
  MR_TRY(put_column(group, path, name, "text", type, cell, n, &column));
out:
  st = mr_h5_drop(column, st, path);
  return mr_h5_drop(type, st, path);
}

static double op_number(const mr_log_op *o, int what)
{
  double seconds = o->ns * 1e-9;
  switch (what) {
  case 0:
    return (double)o->calls;
  case 1:
    return o->ns;
  case 2:
    return o->flops / seconds;
  default:
    return o->bytes / seconds;
  }
}

/* The columns name and pass; cell has n * MR_LOG_NAME zeroed bytes. */
static mr_status write_op_names(hid_t group, const mr_log *l, const char *path, char *cell)
{
  size_t width = 1;
  for (int i = 0; i < l->n_ops; i++)
    if (strlen(l->op[i].name) > width) width = strlen(l->op[i].name);
  for (int i = 0; i < l->n_ops; i++)
    memcpy(cell + (size_t)i * width, l->op[i].name, strlen(l->op[i].name));
  MR_CHECK(write_texts(group, path, "name", cell, width, l->n_ops));
  enum { PASS_WIDTH = 8 };
  for (int i = 0; i < l->n_ops; i++)
    memcpy(cell + (size_t)i * PASS_WIDTH, l->op[i].backward ? "backward" : "forward\0", PASS_WIDTH);
  return write_texts(group, path, "pass", cell, PASS_WIDTH, l->n_ops);
}

static mr_status write_ops(hid_t file, const mr_log *l, const char *path)
{
  static const mr_column number[] = {
      {"calls", "1"}, {"ns", "ns"}, {"flops_per_s", "flop/s"}, {"bytes_per_s", "byte/s"}};
  enum { N_NUMBERS = sizeof number / sizeof *number };
  mr_status st = MR_OK;
  hid_t group = -1;
  char *cell = NULL;
  mr_table t;
  mr_table_init(&t, "ops", number, N_NUMBERS);
  MR_TRY(mr_calloc((void **)&cell, (size_t)l->n_ops, MR_LOG_NAME));
  MR_TRY(mr_h5_group(file, path, "ops", &group));
  MR_TRY(write_op_names(group, l, path, cell));
  for (int i = 0; i < l->n_ops; i++) {
    double row[N_NUMBERS];
    for (int k = 0; k < N_NUMBERS; k++) row[k] = op_number(&l->op[i], k);
    MR_TRY(mr_table_append(&t, row));
  }
  MR_TRY(write_table(file, path, &t));
out:
  mr_table_free(&t);
  mr_free(cell);
  return mr_h5_drop(group, st, path);
}

/* ---- The file -------------------------------------------------------------------------------- */

static mr_status write_attr(hid_t file, const mr_log_attr *a, const char *path)
{
  mr_status st = MR_OK;
  hid_t group = -1;
  hid_t at = file;
  if (strcmp(a->group, "/") != 0) {
    MR_TRY(mr_h5_group(file, path, a->group, &group));
    at = group;
  }
  switch (a->kind) {
  case MR_H5_TEXT:
    MR_TRY(mr_h5_put_text(at, path, a->name, a->text));
    break;
  case MR_H5_NUM:
    MR_TRY(mr_h5_put_num(at, path, a->name, a->num));
    break;
  case MR_H5_INT:
    MR_TRY(mr_h5_put_int(at, path, a->name, a->whole));
    break;
  }
out:
  return mr_h5_drop(group, st, path);
}

static mr_status write_file(const mr_log *l, const char *tmp, const char *path)
{
  mr_status st = MR_OK;
  hid_t file = -1;
  MR_TRY(mr_h5_begin(&file, path));
  for (int i = 0; i < l->n_attrs; i++) MR_TRY(write_attr(file, &l->attr[i], path));
  for (int i = 0; i < l->n_tables; i++) MR_TRY(write_table(file, path, &l->table[i]));
  if (l->n_ops > 0) MR_TRY(write_ops(file, l, path));
  MR_TRY(mr_h5_commit(file, tmp, path));
out:
  mr_h5_close(file);
  return st;
}

mr_status mr_log_flush(mr_log *l)
{
  return write_file(l, l->part_tmp, l->part);
}

mr_status mr_log_finish(mr_log *l, mr_run_status status, const char *reason)
{
  static const char *const word[] = {[MR_RUN_INTERRUPTED] = "interrupted",
                                     [MR_RUN_COMPLETE] = "complete",
                                     [MR_RUN_FAILED] = "failed",
                                     [MR_RUN_SKIPPED] = "skipped"};
  MR_CHECK(mr_log_text(l, "/", "status", word[status]));
  if (*reason) MR_CHECK(mr_log_text(l, "/", "reason", reason));
  MR_CHECK(mr_log_stamp(l, "finished"));
  MR_CHECK(write_file(l, l->path_tmp, l->path));
  if (unlink(l->part) != 0 && errno != ENOENT)
    return MR_FAIL(MR_ERR_IO, "cannot remove %s: %s", l->part, strerror(errno));
  return MR_OK;
}
