/* table.h — named columns of doubles that grow by rows; what the log keeps and `minrnn table` prints.
 * SPDX-License-Identifier: MIT */
#ifndef MR_TABLE_H
#define MR_TABLE_H
#include <stdint.h>
#include "status.h"
MR_C_BEGIN

typedef struct mr_column {
  const char *name; /* static or owned by the caller          */
  const char *unit; /* "1" for pure numbers, "ns", "byte" ... */
} mr_column;

enum { MR_MAX_COLUMNS = 16 };
typedef struct mr_table {
  const char *name; /* "train", "eval", "bench", "ops" */
  mr_column column[MR_MAX_COLUMNS];
  int n_columns;
  double *cell; /* row-major [n_rows, n_columns] */
  int64_t n_rows, capacity;
} mr_table;

void mr_table_init(mr_table *t, const char *name, const mr_column *columns, int n_columns);
/* Appends one row of n_columns values. Amortised constant time; grows by doubling. */
MR_MUST mr_status mr_table_append(mr_table *t, const double *row);
void mr_table_truncate(mr_table *t, int64_t n_rows);
void mr_table_free(mr_table *t);
MR_C_END
#endif
