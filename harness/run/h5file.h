/* h5file.h — whole HDF5 files: built in memory, closed with a seal (a checksum behind the last byte
 * that HDF5 knows of), renamed into place; read only when the seal holds, because the HDF5 library
 * is not safe on damaged bytes. Other programs read them as plain HDF5.
 * SPDX-License-Identifier: MIT */
#ifndef MR_H5FILE_H
#define MR_H5FILE_H
#include <hdf5.h>
#include "status.h"
MR_C_BEGIN

/* For functions with `st`, `out:` and the file's `path`: expr calls HDF5 to do what `what` says. */
#define MR_H5(expr, what)                                                                          \
  do {                                                                                             \
    if ((expr) < 0) {                                                                              \
      st = MR_FAIL(MR_ERR_IO, "%s: HDF5 could not %s", path, what);                                \
      goto out;                                                                                    \
    }                                                                                              \
  } while (0)

/* Makes the folders that the file `path` will stand in. MR_ERR_IO names the first that fails. */
MR_MUST mr_status mr_make_parents(const char *path);

/* Starts an empty file in memory; `path` is for messages. Close it with mr_h5_close. */
MR_MUST mr_status mr_h5_begin(hid_t *file, const char *path);
/* Writes the file to `part` and renames that to `path` (same folder). If anything fails (MR_ERR_IO
 * with the reason) what stood at `path` stays and `part` is removed. The file stays open. */
MR_MUST mr_status mr_h5_commit(hid_t file, const char *part, const char *path);
/* Opens a sealed file for reading. Missing, cut off, damaged or foreign: MR_ERR_IO. */
MR_MUST mr_status mr_h5_open(hid_t *file, const char *path);
void mr_h5_close(hid_t file); /* negative is fine */
/* Gives up any other handle (negative is fine). Returns st, or MR_ERR_IO if that was MR_OK and the
 * handle did not close cleanly. */
MR_MUST mr_status mr_h5_drop(hid_t id, mr_status st, const char *path);

/* Opens group `name`, made if it is missing; its links remember the order they were made in. */
MR_MUST mr_status mr_h5_group(hid_t at, const char *path, const char *name, hid_t *group);

/* Scalar attributes: text (fixed length, UTF-8), 64-bit float, 64-bit integer. */
enum { MR_H5_MAX_TEXT = 60000 }; /* bytes that surely fit an object header */
MR_MUST mr_status mr_h5_put_text(hid_t at, const char *path, const char *name, const char *value);
MR_MUST mr_status mr_h5_put_num(hid_t at, const char *path, const char *name, double value);
MR_MUST mr_status mr_h5_put_int(hid_t at, const char *path, const char *name, int64_t value);
/* Marks a 1-D dataset as a dimension scale, as the HDF5 dimension scale specification says. */
MR_MUST mr_status mr_h5_put_scale(hid_t dataset, const char *path, const char *name);

typedef enum mr_h5_kind { MR_H5_TEXT, MR_H5_NUM, MR_H5_INT } mr_h5_kind;
/* Reads attribute `name` as text into buf. kind may be NULL. Missing, too long for n bytes, or not
 * scalar: MR_ERR_IO. */
MR_MUST mr_status mr_h5_get(hid_t at, const char *path, const char *name, char *buf, size_t n,
                            mr_h5_kind *kind);
/* Calls fn with every attribute of `at`, by name, as mr_h5_get reads it. */
typedef mr_status (*mr_h5_attr_fn)(void *ctx, const char *name, const char *value, mr_h5_kind kind);
MR_MUST mr_status mr_h5_each_attr(hid_t at, const char *path, mr_h5_attr_fn fn, void *ctx);
MR_C_END
#endif
