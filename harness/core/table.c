/* table.c — rows of doubles under named columns. SPDX-License-Identifier: MIT */
#include "table.h"
#include <string.h>
#include "mem.h"

enum { FIRST_CAPACITY = 64 };

void mr_table_init(mr_table *t, const char *name, const mr_column *columns, int n_columns)
{
  *t = (mr_table){.name = name};
  t->n_columns = n_columns < MR_MAX_COLUMNS ? n_columns : MR_MAX_COLUMNS;
  memcpy(t->column, columns, (size_t)t->n_columns * sizeof *columns);
}

mr_status mr_table_append(mr_table *t, const double *row)
{
  size_t row_bytes = (size_t)t->n_columns * sizeof *row;
  if (t->n_rows == t->capacity) {
    int64_t more = t->capacity == 0 ? FIRST_CAPACITY : 2 * t->capacity;
    void *cell = t->cell;
    MR_CHECK(mr_regrow(&cell, (size_t)more, row_bytes));
    t->cell = cell;
    t->capacity = more;
  }
  memcpy(t->cell + t->n_rows * t->n_columns, row, row_bytes);
  t->n_rows++;
  return MR_OK;
}

void mr_table_truncate(mr_table *t, int64_t n_rows)
{
  if (n_rows >= 0 && n_rows < t->n_rows) t->n_rows = n_rows;
}

void mr_table_free(mr_table *t)
{
  mr_free(t->cell);
  t->cell = NULL;
  t->n_rows = t->capacity = 0;
}
