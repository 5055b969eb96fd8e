/* d4rl_load.c — the arrays of a D4RL file through the HDF5 library. SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "d4rl_impl.h"
#include "h5file.h"
#include "mem.h"

/* No file has more; products of these stay far below the range of 64 bits. */
enum { MOST_STEPS = 1 << 30, MOST_COLUMNS = 1 << 12, DEFLATE = 1100, SLACK = 1 << 20 };

typedef struct array {
  const char *name;
  bool flags;           /* truth values, else numbers                       */
  int64_t rows, *width; /* rows < 0: any number; width NULL: one per step */
} array;

static mr_status check_type(hid_t set, const char *path, const array *a)
{
  mr_status st = MR_OK;
  hid_t type = -1;
  H5T_class_t class;
  MR_H5(type = H5Dget_type(set), "tell the type of an array");
  class = H5Tget_class(type);
  const bool whole = class == H5T_INTEGER || (a->flags && class == H5T_ENUM);
  if (!whole && (class != H5T_FLOAT || a->flags))
    st = MR_FAIL(MR_ERR_CONFIG, "%s: %s holds no %s", path, a->name,
                 a->flags ? "truth values" : "numbers");
out:
  return mr_h5_drop(type, st, path);
}

/* Bytes that the array takes in memory must be possible for what it takes in the file. */
static mr_status check_size(hid_t set, const char *path, const array *a, const hsize_t *dim)
{
  const double rows = (double)dim[0], columns = (double)dim[1];
  if (dim[0] == 0) return MR_FAIL(MR_ERR_CONFIG, "%s: %s has no rows", path, a->name);
  if (dim[0] > MOST_STEPS || dim[1] == 0 || dim[1] > MOST_COLUMNS)
    return MR_FAIL(MR_ERR_CONFIG,
                   "%s: %s is %.0f x %.0f, allowed are 1 to %d rows of 1 to %d numbers", path,
                   a->name, rows, columns, MOST_STEPS, MOST_COLUMNS);
  if (rows * columns > DEFLATE * (double)H5Dget_storage_size(set) + SLACK)
    return MR_FAIL(MR_ERR_CONFIG,
                   "%s: %s claims %.0f x %.0f numbers, but only %.0f bytes of the file are its",
                   path, a->name, rows, columns, (double)H5Dget_storage_size(set));
  return MR_OK;
}

/* Checks shape and type of an open array; *rows of them and *a->width columns. */
static mr_status check_array(hid_t set, const char *path, const array *a, int64_t *rows)
{
  mr_status st = MR_OK;
  hid_t space = -1;
  hsize_t dim[2] = {0, 1};
  int rank = 0;
  MR_TRY(check_type(set, path, a));
  MR_H5(space = H5Dget_space(set), "tell the shape of an array");
  MR_H5(rank = H5Sget_simple_extent_ndims(space), "tell the shape of an array");
  if (rank < 1 || rank > 2) {
    st = MR_FAIL(MR_ERR_CONFIG, "%s: %s has %d dimensions, wanted are %s", path, a->name, rank,
                 a->width ? "rows and columns" : "rows");
    goto out;
  }
  MR_H5(H5Sget_simple_extent_dims(space, dim, NULL), "tell the shape of an array");
  MR_TRY(check_size(set, path, a, dim));
  if (!a->width && dim[1] != 1)
    st = MR_FAIL(MR_ERR_CONFIG, "%s: %s has %d columns, wanted is 1", path, a->name, (int)dim[1]);
  else if (a->rows >= 0 && (int64_t)dim[0] != a->rows)
    st = MR_FAIL(MR_ERR_CONFIG, "%s: %s has %" PRId64 " rows, but observations has %" PRId64, path,
                 a->name, (int64_t)dim[0], a->rows);
  *rows = (int64_t)dim[0];
  if (a->width) *a->width = (int64_t)dim[1];
out:
  return mr_h5_drop(space, st, path);
}

/* Opens the array `a`, checked; *set is -1 where there is none of that name. */
static mr_status open_array(hid_t file, const char *path, const array *a, hid_t *set, int64_t *rows)
{
  mr_status st = MR_OK;
  htri_t there = 0;
  *set = -1;
  MR_H5(there = H5Lexists(file, a->name, H5P_DEFAULT), "look for an array");
  if (!there) goto out;
  *set = H5Dopen2(file, a->name, H5P_DEFAULT);
  if (*set < 0)
    st = MR_FAIL(MR_ERR_CONFIG, "%s: %s is not an array, or is damaged", path, a->name);
  else
    st = check_array(*set, path, a, rows);
out:
  return st;
}

static mr_status read_array(hid_t set, const char *path, const array *a, void *to)
{
  if (H5Dread(set, a->flags ? H5T_NATIVE_INT64 : H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
              to) < 0)
    return MR_FAIL(MR_ERR_CONFIG, "%s is damaged: %s cannot be read", path, a->name);
  return MR_OK;
}

mr_status mr_d4rl_raw_alloc(mr_d4rl_raw *r)
{
  const size_t n = (size_t)r->n;
  MR_CHECK(mr_calloc((void **)&r->ob, n * (size_t)r->obs, sizeof *r->ob));
  MR_CHECK(mr_calloc((void **)&r->ac, n * (size_t)r->act, sizeof *r->ac));
  MR_CHECK(mr_calloc((void **)&r->reward, n, sizeof *r->reward));
  MR_CHECK(mr_calloc((void **)&r->terminal, n, sizeof *r->terminal));
  if (r->has_timeouts) MR_CHECK(mr_calloc((void **)&r->timeout, n, sizeof *r->timeout));
  return MR_OK;
}

void mr_d4rl_raw_free(mr_d4rl_raw *r)
{
  mr_free(r->ob);
  mr_free(r->ac);
  mr_free(r->reward);
  mr_free(r->terminal);
  mr_free(r->timeout);
  *r = (mr_d4rl_raw){.n = 0};
}

static mr_status load_arrays(hid_t file, const char *path, mr_d4rl_raw *r)
{
  enum { OB, AC, REWARD, TERMINAL, TIMEOUT, N };
  array a[N] = {{"observations", false, -1, &r->obs},
                {"actions", false, -1, &r->act},
                {"rewards", false, -1, NULL},
                {"terminals", true, -1, NULL},
                {"timeouts", true, -1, NULL}};
  mr_status st = MR_OK;
  hid_t set[N] = {-1, -1, -1, -1, -1};
  for (int i = 0; i < N; i++) {
    int64_t rows = 0;
    MR_TRY(open_array(file, path, &a[i], &set[i], &rows));
    if (set[i] < 0 && i != TIMEOUT) {
      st = MR_FAIL(MR_ERR_CONFIG, "%s has no %s", path, a[i].name);
      goto out;
    }
    if (i == OB) r->n = rows;
    for (int k = i + 1; k < N; k++) a[k].rows = r->n;
  }
  r->has_timeouts = set[TIMEOUT] >= 0;
  MR_TRY(mr_d4rl_raw_alloc(r));
  void *to[N] = {r->ob, r->ac, r->reward, r->terminal, r->timeout};
  for (int i = 0; i < N; i++)
    if (set[i] >= 0) MR_TRY(read_array(set[i], path, &a[i], to[i]));
out:
  for (int i = 0; i < N; i++) st = mr_h5_drop(set[i], st, path);
  return st;
}

/* What our own files say of themselves; others lack the attribute `generated`. */
static mr_status load_about(hid_t file, const char *path, mr_d4rl_raw *r)
{
  mr_status st = MR_OK;
  htri_t ours = 0;
  char text[64], engine[64], seed[32];
  MR_H5(ours = H5Aexists(file, "generated"), "look for an attribute");
  if (!ours) goto out;
  r->generated = true;
  MR_TRY(mr_h5_get(file, path, "engine", engine, sizeof engine, NULL));
  MR_TRY(mr_h5_get(file, path, "seed", seed, sizeof seed, NULL));
  MR_TRY(mr_h5_get(file, path, "expert_return", text, sizeof text, NULL));
  if (sscanf(text, "%lf", &r->expert) != 1)
    st = MR_FAIL(MR_ERR_CONFIG, "%s: attribute expert_return is %s", path, text);
  (void)snprintf(r->origin, sizeof r->origin, "generated by PPO, seed %s, %s", seed, engine);
out:
  return st;
}

mr_status mr_d4rl_load(mr_d4rl_raw *r, const char *path)
{
  mr_status st = MR_OK;
  hid_t fapl = -1, file = -1;
  MR_H5(H5Eset_auto2(H5E_DEFAULT, NULL, NULL), "be made silent");
  MR_H5(fapl = H5Pcreate(H5P_FILE_ACCESS), "start");
  /* Nothing here is written: locks, which some network folders refuse, are not needed. */
  MR_H5(H5Pset_file_locking(fapl, false, true), "do without locks");
  file = H5Fopen(path, H5F_ACC_RDONLY, fapl);
  if (file < 0) {
    st = MR_FAIL(MR_ERR_CONFIG, "%s is damaged: HDF5 cannot open it", path);
    goto out;
  }
  MR_TRY(load_about(file, path, r));
  MR_TRY(load_arrays(file, path, r));
out:
  mr_h5_close(file);
  return mr_h5_drop(fapl, st, path);
}
