/* grid.c — rows of text cells under named columns. SPDX-License-Identifier: MIT */
#include "grid.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "json.h"
#include "mem.h"

enum { FIRST_STRIDE = 24, FIRST_ROWS = 64, FIRST_TEXT = 4096 };
static const char missing[] = "nan";

void mr_grid_free(mr_grid *g)
{
  mr_free(g->cell);
  mr_free(g->text);
  *g = (mr_grid){.n_columns = 0};
}

/* ---- Filling --------------------------------------------------------------------------------- */

/* Makes every row twice as wide; rows move from the last to the first. */
static mr_status widen(mr_grid *g)
{
  int stride = g->stride > 0 ? 2 * g->stride : FIRST_STRIDE;
  if (g->row_room > 0) {
    void *cell = g->cell;
    MR_CHECK(mr_regrow(&cell, (size_t)g->row_room * (size_t)stride, sizeof *g->cell));
    g->cell = cell;
  }
  for (int64_t i = g->n_rows - 1; i >= 0; i--) {
    memmove(g->cell + i * stride, g->cell + i * g->stride, (size_t)g->stride * sizeof *g->cell);
    for (int k = g->stride; k < stride; k++) g->cell[i * stride + k] = 0;
  }
  g->stride = stride;
  return MR_OK;
}

mr_status mr_grid_column_of(mr_grid *g, const char *name, int *column)
{
  for (int i = 0; i < g->n_columns; i++) {
    if (strcmp(g->column[i].name, name) != 0) continue;
    *column = i;
    return MR_OK;
  }
  if (g->n_columns == MR_GRID_COLUMNS)
    return MR_FAIL(MR_ERR_ARG, "a table shows at most %d columns, %s is one more", MR_GRID_COLUMNS,
                   name);
  if (g->n_columns == g->stride) MR_CHECK(widen(g));
  mr_grid_column *c = &g->column[g->n_columns];
  *c = (mr_grid_column){.number = true};
  (void)snprintf(c->name, sizeof c->name, "%s", name);
  *column = g->n_columns++;
  return MR_OK;
}

mr_status mr_grid_row(mr_grid *g)
{
  if (g->stride == 0) MR_CHECK(widen(g));
  if (g->n_rows == g->row_room) {
    int64_t room = g->row_room > 0 ? 2 * g->row_room : FIRST_ROWS;
    void *cell = g->cell;
    MR_CHECK(mr_regrow(&cell, (size_t)room * (size_t)g->stride, sizeof *g->cell));
    g->cell = cell;
    g->row_room = room;
  }
  memset(g->cell + g->n_rows * g->stride, 0, (size_t)g->stride * sizeof *g->cell);
  g->n_rows++;
  return MR_OK;
}

static mr_status set(mr_grid *g, int column, char kind, const char *text)
{
  int64_t bytes = (int64_t)strlen(text) + 2;
  if (g->n_text + bytes >= g->text_room) {
    int64_t room = g->text_room > 0 ? g->text_room : FIRST_TEXT;
    while (g->n_text + bytes >= room) room *= 2;
    void *grown = g->text;
    MR_CHECK(mr_regrow(&grown, (size_t)room, 1));
    g->text = grown;
    g->text_room = room;
  }
  if (g->n_text == 0) g->n_text = 1; /* place 0 stands for a missing cell */
  g->cell[(g->n_rows - 1) * g->stride + column] = g->n_text;
  g->text[g->n_text] = kind;
  memcpy(g->text + g->n_text + 1, text, (size_t)bytes - 1);
  g->n_text += bytes;
  return MR_OK;
}

mr_status mr_grid_number(mr_grid *g, int column, const char *number)
{
  return set(g, column, 'n', number);
}

mr_status mr_grid_text(mr_grid *g, int column, const char *text)
{
  g->column[column].number = false;
  return set(g, column, 't', text);
}

/* ---- Printing -------------------------------------------------------------------------------- */

/* NULL: missing. */
static const char *cell_of(const mr_grid *g, int64_t row, int column, bool *number)
{
  int64_t at = g->cell[row * g->stride + column];
  if (at == 0) return NULL;
  *number = g->text[at] == 'n';
  return g->text + at + 1;
}

/* The text with line ends, tabs and backslashes (and, when quoted, quotes) written as escapes. Only
 * counts when f is NULL; returns the bytes. */
static int put_escaped(FILE *f, const char *text, bool quoted)
{
  int n = 0;
  for (const char *s = text; *s; s++) {
    const char *code = *s == '\n'            ? "\\n"
                       : *s == '\r'          ? "\\r"
                       : *s == '\t'          ? "\\t"
                       : *s == '\\'          ? "\\\\"
                       : *s == '"' && quoted ? "\\\""
                                             : NULL;
    n += code ? 2 : 1;
    if (f && code) fputs(code, f);
    if (f && !code) fputc(*s, f);
  }
  return n;
}

/* A cell of the aligned form: bytes that stand for it. Prints when f is not NULL. */
static int put_aligned(FILE *f, const char *text)
{
  bool quoted = *text == '\0' || strpbrk(text, " \t\r\n\"\\#");
  if (!quoted) {
    if (f) fputs(text, f);
    return (int)strlen(text);
  }
  if (f) fputc('"', f);
  int n = put_escaped(f, text, true);
  if (f) fputc('"', f);
  return n + 2;
}

static void put_csv(FILE *f, const char *text)
{
  if (!strpbrk(text, ",\"\r\n")) {
    fputs(text, f);
    return;
  }
  fputc('"', f);
  for (const char *s = text; *s; s++) {
    if (*s == '"') fputc('"', f);
    fputc(*s, f);
  }
  fputc('"', f);
}

/* One line of cells; row -1 is the heading. */
static void put_line(const mr_grid *g, int64_t row, mr_grid_form form, const int *width, FILE *f)
{
  for (int k = 0; k < g->n_columns; k++) {
    bool number = false, last = k + 1 == g->n_columns;
    const char *text = row < 0 ? g->column[k].name : cell_of(g, row, k, &number);
    if (!text) text = missing;
    if (k > 0) fputs(form == MR_GRID_ALIGNED ? "  " : form == MR_GRID_TSV ? "\t" : ",", f);
    if (form == MR_GRID_CSV) put_csv(f, text);
    if (form == MR_GRID_TSV) (void)put_escaped(f, text, false);
    if (form != MR_GRID_ALIGNED) continue;
    int blanks = width[k] - put_aligned(NULL, text);
    if (g->column[k].number) fprintf(f, "%*s", blanks, "");
    (void)put_aligned(f, text);
    if (!g->column[k].number && !last) fprintf(f, "%*s", blanks, "");
  }
  fputc('\n', f);
}

static void put_object(const mr_grid *g, int64_t row, FILE *f)
{
  mr_json j;
  mr_json_begin(&j, f);
  for (int k = 0; k < g->n_columns; k++) {
    bool number = false;
    const char *text = cell_of(g, row, k, &number);
    char *end;
    long long whole = text && number ? strtoll(text, &end, 10) : 0;
    if (!text || !number)
      mr_json_field_str(&j, g->column[k].name, text);
    else if (end != text && *end == '\0')
      mr_json_field_int(&j, g->column[k].name, whole);
    else
      mr_json_field_num(&j, g->column[k].name, strtod(text, NULL));
  }
  mr_json_end(&j);
}

void mr_grid_print(const mr_grid *g, mr_grid_form form, FILE *f)
{
  int width[MR_GRID_COLUMNS] = {0};
  for (int k = 0; k < g->n_columns && form == MR_GRID_ALIGNED; k++) {
    width[k] = put_aligned(NULL, g->column[k].name);
    for (int64_t i = 0; i < g->n_rows; i++) {
      bool number;
      const char *text = cell_of(g, i, k, &number);
      int n = put_aligned(NULL, text ? text : missing);
      if (n > width[k]) width[k] = n;
    }
  }
  if (form != MR_GRID_JSON) put_line(g, -1, form, width, f);
  for (int64_t i = 0; i < g->n_rows; i++) {
    if (form == MR_GRID_JSON)
      put_object(g, i, f);
    else
      put_line(g, i, form, width, f);
  }
}
