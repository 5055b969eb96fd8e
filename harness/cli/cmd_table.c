/* cmd_table.c — `minrnn table`: run files as columns of text. SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "table_impl.h"
#include "text.h"

static int help(void)
{
  printf(
      "minrnn table prints what run files hold as columns, one heading line first.\n\n"
      "Usage: minrnn table GROUP FILE... [--format=aligned|tsv|csv] [--json] [--over=MODEL,...]\n\n"
      "  GROUP  summary: one row per file: settings, state and results of the run, then the\n"
      "         options of its task and what the file says of the data\n"
      "         cells: one row per file of minrnn bench: cell, times, shares, plan and memory\n"
      "         facts: one row per file: how the run ended and why, its command and machine\n"
      "         train, eval, bench, ops or any other table of the files: all its rows, with the\n"
      "         columns run, model, layers and seed in front\n"
      "  FILE   run files (.h5), also unfinished ones (.h5.part), in the order wanted; a folder\n"
      "         stands for the .h5 files in it\n\n"
      "  --format=aligned  columns filled up with blanks (aligned), or split by tabs (tsv) or "
      "commas\n"
      "                    (csv)\n"
      "  --json            one JSON object per row\n"
      "config/selective_copy.tokens\n"
      "  --over=A,B        with cells: columns speed_up_A, speed_up_B: the step time of that "
      "model\n"
      "                    in the same setting, among the files given, over the row's own\n\n"
      "What a file does not have reads nan. A file that cannot be read is named on standard "
      "error,\n"
      "the others are still printed, and the exit code is 1.\n");
  return MR_EXIT_DONE;
}

/* ---- Cells ----------------------------------------------------------------------------------- */

static bool is_number(const char *text)
{
  char *end;
  (void)strtod(text, &end);
  return end != text && *end == '\0';
}

mr_status mr_table_put(mr_grid *g, const char *column, const char *text, bool number)
{
  int k = 0;
  MR_CHECK(mr_grid_column_of(g, column, &k));
  return number && is_number(text) ? mr_grid_number(g, k, text) : mr_grid_text(g, k, text);
}

void mr_table_split_path(const char *path, char *stem, char *folder, size_t n)
{
  const char *slash = strrchr(path, '/');
  (void)snprintf(stem, n, "%s", slash ? slash + 1 : path);
  static const char *const suffix[] = {".part", ".h5"};
  for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
    size_t have = strlen(stem), cut = strlen(suffix[i]);
    if (have > cut && strcmp(stem + have - cut, suffix[i]) == 0) stem[have - cut] = '\0';
  }
  (void)snprintf(folder, n, ".");
  if (!slash) return;
  const char *from = slash;
  while (from > path && from[-1] != '/') from--;
  if (slash > from) (void)snprintf(folder, n, "%.*s", (int)(slash - from), from);
}

mr_status mr_table_put_attr(mr_grid *g, hid_t file, const char *path, const char *group,
                            const char *name, const char *column, bool number)
{
  char text[MR_TABLE_CELL];
  bool there = false;
  MR_CHECK(mr_h5_has_attr(file, path, group, name, &there));
  if (!there) return MR_OK;
  MR_CHECK(mr_h5_attr_from(file, path, group, name, text, sizeof text, NULL));
  return mr_table_put(g, column, text, number);
}

/* An attribute under its own name. */
static mr_status put_named(void *grid, const char *name, const char *value, mr_h5_kind kind)
{
  return mr_table_put(grid, name, value, kind != MR_H5_TEXT);
}

/* Every attribute of a group, through fn. */
static mr_status put_each(void *ctx, hid_t file, const char *path, const char *group,
                          mr_status (*fn)(void *, const char *, const char *, mr_h5_kind))
{
  mr_status st = MR_OK;
  hid_t at = -1;
  bool there = false;
  MR_TRY(mr_h5_has_group(file, path, group, &there));
  if (!there) goto out;
  MR_H5(at = H5Gopen2(file, group, H5P_DEFAULT), "open a group");
  MR_TRY(mr_h5_each_attr(at, path, fn, ctx));
out:
  return mr_h5_drop(at, st, path);
}

mr_status mr_table_put_group(mr_grid *g, hid_t file, const char *path, const char *group)
{
  return put_each(g, file, path, group, put_named);
}

/* ---- summary --------------------------------------------------------------------------------- */

/* Settings and state, in the order of columns. */
static const struct {
  const char *group, *name;
  bool number;
} key[] = {{"config", "task", false}, {"config", "model", false},  {"config", "length", true},
           {"config", "width", true}, {"config", "layers", true},  {"config", "batch", true},
           {"config", "seed", true},  {"config", "device", false}, {"config", "math", false},
           {"config", "steps", true}, {"/", "status", false},      {"/", "trust", false}};
enum { N_KEYS = sizeof key / sizeof *key };

/* A result; one that is named like a setting is the value reached: "steps_done". */
static mr_status put_result(void *ctx, const char *name, const char *value, mr_h5_kind kind)
{
  char column[MR_GRID_NAME];
  bool taken = false;
  for (int i = 0; i < N_KEYS; i++) taken = taken || strcmp(key[i].name, name) == 0;
  (void)snprintf(column, sizeof column, "%s%s", name, taken ? "_done" : "");
  return mr_table_put(ctx, column, value, kind != MR_H5_TEXT);
}

/* Options of the run's own task. */
typedef struct task_options {
  mr_grid *g;
  char before[MR_TABLE_CELL]; /* "<task>." */
} task_options;

static mr_status put_option(void *ctx, const char *name, const char *value, mr_h5_kind kind)
{
  const task_options *o = ctx;
  (void)kind; /* settings are texts */
  if (strncmp(name, o->before, strlen(o->before)) != 0) return MR_OK;
  return mr_table_put(o->g, name, value, true);
}

/* A fact of the data, "steps" as "data_steps". */
static mr_status put_fact(void *ctx, const char *name, const char *value, mr_h5_kind kind)
{
  char column[MR_GRID_NAME];
  (void)snprintf(column, sizeof column, "data_%s", name);
  return mr_table_put(ctx, column, value, kind != MR_H5_TEXT);
}

static mr_status put_options(mr_grid *g, hid_t file, const char *path)
{
  task_options o = {.g = g};
  char task[MR_TABLE_CELL - 2];
  bool there = false;
  MR_CHECK(mr_h5_has_attr(file, path, "config", "task", &there));
  if (!there) return MR_OK;
  MR_CHECK(mr_h5_attr_from(file, path, "config", "task", task, sizeof task, NULL));
  (void)snprintf(o.before, sizeof o.before, "%s.", task);
  return put_each(&o, file, path, "config", put_option);
}

static mr_status summary_row(mr_grid *g, hid_t file, const char *path)
{
  char stem[MR_TABLE_CELL], folder[MR_TABLE_CELL];
  bool run = false;
  MR_CHECK(mr_h5_has_attr(file, path, "/", "status", &run));
  if (!run) return MR_FAIL(MR_ERR_IO, "%s is no run file: it has no status", path);
  mr_table_split_path(path, stem, folder, sizeof stem);
  MR_CHECK(mr_grid_row(g));
  MR_CHECK(mr_table_put(g, "run", stem, false));
  MR_CHECK(mr_table_put(g, "experiment", folder, false));
  for (int i = 0; i < N_KEYS; i++)
    MR_CHECK(
        mr_table_put_attr(g, file, path, key[i].group, key[i].name, key[i].name, key[i].number));
  MR_CHECK(put_each(g, file, path, "result", put_result));
  MR_CHECK(put_options(g, file, path));
  return put_each(g, file, path, "data", put_fact);
}

/* ---- facts ----------------------------------------------------------------------------------- */

static mr_status facts_row(mr_grid *g, hid_t file, const char *path)
{
  static const char *const own[] = {"status", "trust", "reason", "started", "finished", "command"};
  char stem[MR_TABLE_CELL], folder[MR_TABLE_CELL];
  mr_table_split_path(path, stem, folder, sizeof stem);
  MR_CHECK(mr_grid_row(g));
  MR_CHECK(mr_table_put(g, "run", stem, false));
  MR_CHECK(mr_table_put(g, "experiment", folder, false));
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    MR_CHECK(mr_table_put_attr(g, file, path, "/", own[i], own[i], false));
  return mr_table_put_group(g, file, path, "machine");
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static mr_status put_cell(mr_grid *g, int column, const mr_h5_column *c, int64_t row)
{
  static const char *const split[] = {"train", "valid", "test"};
  char text[32];
  if (c->text) return mr_grid_text(g, column, c->text + (size_t)row * c->width);
  double v = c->num[row];
  if (strcmp(c->name, "split") == 0 && (v == 0 || v == 1 || v == 2))
    return mr_grid_text(g, column, split[(int)v]);
  return mr_grid_number(g, column, mr_num_text(v, text, sizeof text));
}

/* What stands in front of every row of a table, read once per file. */
static const struct {
  const char *name;
  bool number;
} front[] = {{"run", false}, {"model", false}, {"layers", true}, {"seed", true}};
enum { N_FRONT = sizeof front / sizeof *front };

static mr_status read_front(hid_t file, const char *path, char text[N_FRONT][MR_TABLE_CELL])
{
  char folder[MR_TABLE_CELL];
  mr_table_split_path(path, text[0], folder, MR_TABLE_CELL);
  for (int i = 1; i < N_FRONT; i++) {
    bool there = false;
    text[i][0] = '\0';
    MR_CHECK(mr_h5_has_attr(file, path, "config", front[i].name, &there));
    if (there)
      MR_CHECK(mr_h5_attr_from(file, path, "config", front[i].name, text[i], MR_TABLE_CELL, NULL));
  }
  return MR_OK;
}

static mr_status table_rows(mr_grid *g, hid_t file, const char *path, const char *group)
{
  mr_status st = MR_OK;
  mr_h5_columns c = {.n = 0};
  char text[N_FRONT][MR_TABLE_CELL];
  int place[MR_MAX_COLUMNS];
  MR_TRY(mr_h5_columns_read(file, path, group, &c));
  MR_TRY(read_front(file, path, text));
  for (int k = 0; k < c.n; k++) MR_TRY(mr_grid_column_of(g, c.column[k].name, &place[k]));
  for (int64_t i = 0; i < c.rows; i++) {
    MR_TRY(mr_grid_row(g));
    for (int k = 0; k < N_FRONT; k++)
      if (text[k][0]) MR_TRY(mr_table_put(g, front[k].name, text[k], front[k].number));
    for (int k = 0; k < c.n; k++) MR_TRY(put_cell(g, place[k], &c.column[k], i));
  }
out:
  mr_h5_columns_free(&c);
  return st;
}

/* ---- The command ----------------------------------------------------------------------------- */

typedef struct request {
  const char *group, *over;
  mr_grid_form form;
  mr_files files;
  mr_cell_times times;
} request;

/* Columns that stand in front whatever the first file has. */
static mr_status head(mr_grid *g, const char *group)
{
  const bool summary = strcmp(group, "summary") == 0;
  int k;
  MR_CHECK(mr_grid_column_of(g, "run", &k));
  if (strcmp(group, "cells") == 0 || strcmp(group, "facts") == 0) return MR_OK;
  if (summary) MR_CHECK(mr_grid_column_of(g, "experiment", &k));
  for (int i = 0; i < (summary ? N_KEYS : N_FRONT); i++)
    MR_CHECK(mr_grid_column_of(g, summary ? key[i].name : front[i].name, &k));
  return MR_OK;
}

/* Rows of one file; none of them when something is wrong with it. */
static mr_status add_file(mr_grid *g, const request *r, const char *path)
{
  mr_status st = MR_OK;
  hid_t file = -1;
  int64_t before = g->n_rows;
  MR_TRY(mr_h5_open(&file, path));
  if (strcmp(r->group, "summary") == 0)
    MR_TRY(summary_row(g, file, path));
  else if (strcmp(r->group, "facts") == 0)
    MR_TRY(facts_row(g, file, path));
  else if (strcmp(r->group, "cells") == 0)
    MR_TRY(mr_table_cell_row(g, file, path, &r->times));
  else
    MR_TRY(table_rows(g, file, path, r->group));
out:
  if (st != MR_OK) g->n_rows = before;
  mr_h5_close(file);
  return st;
}

static int print_table(request *r)
{
  mr_grid g = {.n_columns = 0};
  int code = MR_EXIT_DONE;
  mr_status st = head(&g, r->group);
  if (st == MR_OK) st = mr_cell_times_read(&r->times, &r->files, r->over);
  if (st != MR_OK) code = mr_cli_fail(st);
  for (int i = 0; i < r->files.n && st == MR_OK; i++) {
    if (add_file(&g, r, r->files.path[i]) == MR_OK) continue;
    (void)mr_cli_fail(MR_ERR_IO); /* one file less, whatever was wrong with it */
    code = MR_EXIT_FAILED;
  }
  mr_grid_print(&g, r->form, stdout);
  mr_grid_free(&g);
  mr_cell_times_free(&r->times);
  return code;
}

static mr_status parse_form(const char *text, mr_grid_form *form)
{
  static const char *const word[] = {"aligned", "tsv", "csv"};
  for (int i = 0; i < 3; i++) {
    if (strcmp(text, word[i]) != 0) continue;
    *form = (mr_grid_form)i;
    return MR_OK;
  }
  return MR_FAIL(MR_ERR_ARG, "format is %s, allowed are aligned, tsv and csv", text);
}

static mr_status parse_word(request *r, const char *arg)
{
  const char *format = mr_cli_value(arg, "format");
  if (mr_cli_flag(arg, "json"))
    r->form = MR_GRID_JSON;
  else if (format)
    return parse_form(format, &r->form);
  else if (mr_cli_value(arg, "over"))
    r->over = mr_cli_value(arg, "over");
  else if (arg[0] == '-')
    return MR_FAIL(MR_ERR_ARG, "table does not know the argument %s, see minrnn table --help", arg);
  else if (!r->group)
    r->group = arg;
  else
    return mr_files_add(&r->files, arg);
  return MR_OK;
}

int mr_cmd_table(int argc, char **argv)
{
  request r = {.form = MR_GRID_ALIGNED};
  mr_status st = MR_OK;
  int code;
  for (int i = 1; i < argc; i++)
    if (mr_cli_flag(argv[i], "help")) return help();
  for (int i = 1; i < argc && st == MR_OK; i++) st = parse_word(&r, argv[i]);
  if (st == MR_OK && r.files.n == 0)
    st = MR_FAIL(MR_ERR_ARG,
                 "table needs a group (summary, cells, facts, train, eval, bench, ops) and at "
                 "least one run file, see minrnn table --help");
  code = st == MR_OK ? print_table(&r) : mr_cli_fail(st);
  mr_files_free(&r.files);
  return code;
}
