/* h5log.h — one run, one HDF5 file, always whole: every flush writes a complete file beside the old
 * one and renames it over, so a run killed at any moment leaves a readable file.
 * SPDX-License-Identifier: MIT */
#ifndef MR_H5LOG_H
#define MR_H5LOG_H
#include "config.h"
#include "table.h"
#include "tape.h"
MR_C_BEGIN

typedef struct mr_log mr_log;
typedef enum mr_run_status {
  MR_RUN_INTERRUPTED,
  MR_RUN_COMPLETE,
  MR_RUN_FAILED,
  MR_RUN_SKIPPED
} mr_run_status;

/* Starts a log for `path` (ends in .h5). Until it is finished the file is "<path>.part". Makes missing
 * folders. Nothing is written before the first flush. Copies the config. */
MR_MUST mr_status mr_log_create(mr_log **out, const char *path, const mr_config *c,
                                const char *command);
void mr_log_destroy(mr_log *l); /* frees; writes nothing; NULL is fine */

/* A table of the log, made on first use; borrowed. Columns are those of the first call. */
MR_MUST mr_status mr_log_table(mr_log *l, const char *name, const mr_column *columns, int n,
                               mr_table **out);
/* Attributes: group is "/" or "machine", "plan", "memory", "cell", "result"; setting one again replaces it. */
MR_MUST mr_status mr_log_text(mr_log *l, const char *group, const char *name, const char *value);
MR_MUST mr_status mr_log_num(mr_log *l, const char *group, const char *name, double value);
MR_MUST mr_status mr_log_int(mr_log *l, const char *group, const char *name, int64_t value);
/* /ops from a profile. */
MR_MUST mr_status mr_log_ops(mr_log *l, const mr_op_time *rows, int n);

/* Writes "<path>.part" (whole, then renamed). On failure the previous one stays. */
MR_MUST mr_status mr_log_flush(mr_log *l);
/* Writes "<path>" with the status and reason ("" for none) and removes the .part. */
MR_MUST mr_status mr_log_finish(mr_log *l, mr_run_status status, const char *reason);
/* Reads tables and text attributes of an earlier .part into l, for --resume. */
MR_MUST mr_status mr_log_restore(mr_log *l, const char *part_path);

/* ---- Reading, for `minrnn table`, resume and tests ------------------------------------------ */
/* Any attribute of a run file as text ("/", "/config", "/machine" ...). MR_ERR_IO names the file. */
MR_MUST mr_status mr_h5_attr(const char *path, const char *group, const char *name, char *buf,
                             size_t n);
/* All columns of one table group. Column names are owned by the table's `names` block: free with
 * mr_h5_table_free. */
typedef struct mr_h5_table {
  mr_table table;
  char *names;
} mr_h5_table;
MR_MUST mr_status mr_h5_table_read(const char *path, const char *group, mr_h5_table *out);
void mr_h5_table_free(mr_h5_table *t);
MR_C_END
#endif
