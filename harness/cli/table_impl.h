/* table_impl.h — what the parts of `minrnn table` share. SPDX-License-Identifier: MIT */
#ifndef MR_TABLE_IMPL_H
#define MR_TABLE_IMPL_H
#include "files.h"
#include "grid.h"
#include "h5log_impl.h"
MR_C_BEGIN

enum { MR_TABLE_CELL = 1024 };

/* A cell of the last row; a number where one is expected and the text is one. */
MR_MUST mr_status mr_table_put(mr_grid *g, const char *column, const char *text, bool number);
/* An attribute as a cell named `column`; nothing where the file lacks it. */
MR_MUST mr_status mr_table_put_attr(mr_grid *g, hid_t file, const char *path, const char *group,
                                    const char *name, const char *column, bool number);
/* Every attribute of a group under its own name; nothing where the file lacks the group. */
MR_MUST mr_status mr_table_put_group(mr_grid *g, hid_t file, const char *path, const char *group);
/* "folder/name.h5.part" -> "name"; "folder" (of the file, without its own folders). Both [n]. */
void mr_table_split_path(const char *path, char *stem, char *folder, size_t n);

/* ---- table_cells.c --------------------------------------------------------------------------- */

/* Step times of all cells, for speed-ups. */
typedef struct mr_cell_times {
  struct mr_cell_time *cell;
  int n;
  const char *over; /* "gru_loop,transformer": models to compare with */
} mr_cell_times;
/* Reads those files of the list that are timed cells. over NULL: nothing to compare with. */
MR_MUST mr_status mr_cell_times_read(mr_cell_times *t, const mr_files *f, const char *over);
void mr_cell_times_free(mr_cell_times *t);
/* The row of one cell, with its speed-up over each model of t->over. */
MR_MUST mr_status mr_table_cell_row(mr_grid *g, hid_t file, const char *path,
                                    const mr_cell_times *t);
MR_C_END
#endif
