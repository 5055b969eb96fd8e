/* table_cells.c — `minrnn table cells`: one row per timed cell. SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench_cell.h"
#include "mem.h"
#include "table_impl.h"

/* ---- Speed-ups ------------------------------------------------------------------------------- */

struct mr_cell_time {
  char model[64], setting[MR_CELL_TEXT];
  double step_ms;
};

/* A descriptor without its model and that model's options: equal for cells that can be compared. */
static void split_descriptor(const char *text, struct mr_cell_time *c)
{
  const size_t n = strcspn(text, ":");
  size_t used = 0;
  snprintf(c->model, sizeof c->model, "%.*s", (int)n, text);
  for (const char *part = text + n; *part == ':';) {
    const size_t len = 1 + strcspn(part + 1, ":");
    const bool own =
        strncmp(part + 1, c->model, strlen(c->model)) == 0 && part[1 + strlen(c->model)] == '.';
    if (!own && used + len < sizeof c->setting) {
      memcpy(c->setting + used, part, len);
      used += len;
    }
    part += len;
  }
  c->setting[used] = '\0';
}

/* False where the file is no timed cell. */
static bool read_time(const char *path, struct mr_cell_time *c)
{
  char text[MR_CELL_TEXT];
  hid_t file = -1;
  bool there = false;
  mr_status st = mr_h5_open(&file, path);
  if (st == MR_OK) st = mr_h5_has_attr(file, path, "cell", "descriptor", &there);
  if (st == MR_OK && there)
    st = mr_h5_attr_from(file, path, "cell", "descriptor", text, sizeof text, NULL);
  if (st == MR_OK && there) {
    split_descriptor(text, c);
    st = mr_h5_has_attr(file, path, "result", "step_ms", &there);
  }
  if (st == MR_OK && there)
    st = mr_h5_attr_from(file, path, "result", "step_ms", text, sizeof text, NULL);
  mr_h5_close(file);
  if (st != MR_OK || !there) return false;
  c->step_ms = strtod(text, NULL);
  return true;
}

mr_status mr_cell_times_read(mr_cell_times *t, const mr_files *f, const char *over)
{
  void *p;
  *t = (mr_cell_times){.over = over};
  if (over == NULL) return MR_OK;
  MR_CHECK(mr_calloc(&p, (size_t)f->n, sizeof *t->cell));
  t->cell = p;
  for (int i = 0; i < f->n; i++) t->n += read_time(f->path[i], &t->cell[t->n]);
  return MR_OK;
}

void mr_cell_times_free(mr_cell_times *t)
{
  mr_free(t->cell);
}

/* Of the cell of `model` [n letters] that differs from c in model alone; NULL: none. */
static const struct mr_cell_time *partner(const mr_cell_times *t, const struct mr_cell_time *c,
                                          const char *model, size_t n)
{
  for (int i = 0; i < t->n; i++)
    if (strlen(t->cell[i].model) == n && strncmp(t->cell[i].model, model, n) == 0 &&
        strcmp(t->cell[i].setting, c->setting) == 0)
      return &t->cell[i];
  return NULL;
}

static mr_status put_speed_ups(mr_grid *g, const char *path, const mr_cell_times *t)
{
  struct mr_cell_time own;
  char column[MR_GRID_NAME], number[32];
  const bool timed = read_time(path, &own);
  for (const char *at = t->over; at != NULL && *at != '\0'; at += *at == ',') {
    const size_t n = strcspn(at, ",");
    const struct mr_cell_time *other = timed ? partner(t, &own, at, n) : NULL;
    snprintf(column, sizeof column, "speed_up_%.*s", (int)(n < 64 ? n : 64), at);
    snprintf(number, sizeof number, "%.6g", other != NULL ? other->step_ms / own.step_ms : 0);
    MR_CHECK(mr_table_put(g, column, other != NULL ? number : "nan", true));
    at += n;
  }
  return MR_OK;
}

/* ---- The row --------------------------------------------------------------------------------- */

mr_status mr_table_cell_row(mr_grid *g, hid_t file, const char *path, const mr_cell_times *t)
{
  static const char *const cell[] = {
      "descriptor", "model", "granularity", "task",  "device", "threads", "math",   "mode",
      "cache",      "batch", "length",      "width", "layers", "context", "tokens", "chunk"};
  static const char *const group[] = {"result", "plan", "memory"};
  char stem[MR_TABLE_CELL], folder[MR_TABLE_CELL];
  bool there = false;
  MR_CHECK(mr_h5_has_attr(file, path, "cell", "descriptor", &there));
  if (!there) return MR_FAIL(MR_ERR_IO, "%s is no cell of minrnn bench", path);
  mr_table_split_path(path, stem, folder, sizeof stem);
  MR_CHECK(mr_grid_row(g));
  MR_CHECK(mr_table_put(g, "run", stem, false));
  MR_CHECK(mr_table_put_attr(g, file, path, "/", "status", "status", false));
  MR_CHECK(mr_table_put_attr(g, file, path, "/", "trust", "trust", false));
  MR_CHECK(mr_table_put_attr(g, file, path, "/", "reason", "reason", false));
  for (size_t i = 0; i < sizeof cell / sizeof *cell; i++)
    MR_CHECK(mr_table_put_attr(g, file, path, "cell", cell[i], cell[i], true));
  MR_CHECK(put_speed_ups(g, path, t));
  for (size_t i = 0; i < sizeof group / sizeof *group; i++)
    MR_CHECK(mr_table_put_group(g, file, path, group[i]));
  MR_CHECK(
      mr_table_put_attr(g, file, path, "machine", "copy_bytes_per_s", "copy_bytes_per_s", true));
  return mr_table_put_attr(g, file, path, "machine", "gemm_flop_per_s", "gemm_flop_per_s", true);
}
