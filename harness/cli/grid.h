/* grid.h — rows of text cells under named columns that may come at any time, printed in one of four
 * forms. SPDX-License-Identifier: MIT */
#ifndef MR_GRID_H
#define MR_GRID_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "status.h"
MR_C_BEGIN

enum { MR_GRID_COLUMNS = 160, MR_GRID_NAME = 96 };
typedef enum mr_grid_form { MR_GRID_ALIGNED, MR_GRID_TSV, MR_GRID_CSV, MR_GRID_JSON } mr_grid_form;

typedef struct mr_grid_column {
  char name[MR_GRID_NAME];
  bool number; /* no cell so far that is no number    */
} mr_grid_column;

typedef struct mr_grid {
  mr_grid_column column[MR_GRID_COLUMNS];
  int n_columns, stride; /* stride: cells kept per row */
  int64_t *cell;         /* [n_rows, stride] place in text, 0: missing */
  int64_t n_rows, row_room;
  char *text; /* cells one after the other: a letter for the kind, the text, its end */
  int64_t n_text, text_room;
} mr_grid;

void mr_grid_free(mr_grid *g); /* a zeroed grid is empty */

/* Number of the column, made if it is new. */
MR_MUST mr_status mr_grid_column_of(mr_grid *g, const char *name, int *column);
/* Starts a row of missing cells. */
MR_MUST mr_status mr_grid_row(mr_grid *g);
/* Sets a cell of the last row, once. A number is given as text that strtod reads. */
MR_MUST mr_status mr_grid_text(mr_grid *g, int column, const char *text);
MR_MUST mr_status mr_grid_number(mr_grid *g, int column, const char *number);

/* A heading line and one line per row; missing cells read nan. Aligned: blanks between columns, and
 * text that would be taken for several stands in "..." with \" \\ \n \r \t inside. TSV: \\ \n \r
 * \t inside cells. CSV: as RFC 4180 quotes, lines ended by \n alone. JSON: no heading, one object
 * per row, null for what is missing or is not finite. */
void mr_grid_print(const mr_grid *g, mr_grid_form form, FILE *f);
MR_C_END
#endif
