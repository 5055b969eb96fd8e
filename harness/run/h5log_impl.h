/* h5log_impl.h — how the parts of the run log see one log, and columns read from a file.
 * SPDX-License-Identifier: MIT */
#ifndef MR_H5LOG_IMPL_H
#define MR_H5LOG_IMPL_H
#include "h5file.h"
#include "h5log.h"
MR_C_BEGIN

enum { MR_LOG_TABLES = 8, MR_LOG_NAME = 96, MR_LOG_UNIT = 32 };
#define MR_LOG_SCHEMA "minrnn-run 1"

typedef struct mr_log_attr {
  char group[MR_LOG_NAME], name[MR_LOG_NAME]; /* group "/" is the root */
  mr_h5_kind kind;
  char *text; /* owned; MR_H5_TEXT */
  double num;
  int64_t whole;
} mr_log_attr;

typedef struct mr_log_op {
  char name[MR_LOG_NAME];
  bool backward;
  int64_t calls;
  double ns, flops, bytes;
} mr_log_op;

struct mr_log {
  char *path, *part;         /* "<path>" and "<path>.part"              */
  char *path_tmp, *part_tmp; /* what is written before it is renamed    */
  mr_log_attr *attr;
  int n_attrs;
  mr_table table[MR_LOG_TABLES]; /* fixed, so that mr_log_table can lend them */
  char *names[MR_LOG_TABLES];    /* text of their names and units             */
  int n_tables;
  mr_log_op *op;
  int n_ops;
};

/* Sets the root attribute `name` to the time now, UTC, ISO 8601. */
MR_MUST mr_status mr_log_stamp(mr_log *l, const char *name);

/* A table whose name, column names and units are copied into one block, *names. */
MR_MUST mr_status mr_table_init_owned(mr_table *t, char **names, const char *name,
                                      const mr_column *columns, int n);

/* ---- Reading an open file -------------------------------------------------------------------- */

typedef struct mr_h5_column {
  char name[MR_LOG_NAME], unit[MR_LOG_UNIT];
  double *num; /* [rows], or NULL                          */
  char *text;  /* [rows] cells of `width` bytes, each ended, or NULL */
  size_t width;
} mr_h5_column;

typedef struct mr_h5_columns {
  int n;
  int64_t rows;
  mr_h5_column column[MR_MAX_COLUMNS];
} mr_h5_columns;

/* Reads every column of `group` in the order they were written. A group without columns, or none of
 * that name, is MR_ERR_IO. */
MR_MUST mr_status mr_h5_columns_read(hid_t file, const char *path, const char *group,
                                     mr_h5_columns *out);
void mr_h5_columns_free(mr_h5_columns *c);
/* The table of an open file; see mr_h5_table_read. */
MR_MUST mr_status mr_h5_table_from(hid_t file, const char *path, const char *group,
                                   mr_h5_table *out);
/* Attribute of a group of an open file as text; see mr_h5_attr. */
MR_MUST mr_status mr_h5_attr_from(hid_t file, const char *path, const char *group, const char *name,
                                  char *buf, size_t n, mr_h5_kind *kind);
/* False too when the group is missing. */
MR_MUST mr_status mr_h5_has_attr(hid_t file, const char *path, const char *group, const char *name,
                                 bool *there);
/* True when the group exists; with columns or without. */
MR_MUST mr_status mr_h5_has_group(hid_t file, const char *path, const char *group, bool *there);
/* Calls fn with the name of every group of the file, sorted, and whether it holds columns. */
typedef mr_status (*mr_h5_group_fn)(void *ctx, const char *group, bool columns);
MR_MUST mr_status mr_h5_each_group(hid_t file, const char *path, mr_h5_group_fn fn, void *ctx);
MR_C_END
#endif
