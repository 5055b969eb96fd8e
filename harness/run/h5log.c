/* h5log.c — the log of one run in memory: attributes, tables, and what an earlier sitting left.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "h5log_impl.h"
#include "mem.h"

/* ---- Attributes ------------------------------------------------------------------------------ */

static bool name_fits(const char *s)
{
  size_t n = strlen(s);
  return n > 0 && n < MR_LOG_NAME && !strchr(s, '/');
}

static mr_log_attr *find_attr(mr_log *l, const char *group, const char *name)
{
  for (int i = 0; i < l->n_attrs; i++)
    if (strcmp(l->attr[i].group, group) == 0 && strcmp(l->attr[i].name, name) == 0)
      return &l->attr[i];
  return NULL;
}

/* The attribute to set, made if it is new; its old text is given up. */
static mr_status want_attr(mr_log *l, const char *group, const char *name, mr_h5_kind kind,
                           mr_log_attr **out)
{
  mr_log_attr *a = find_attr(l, group, name);
  if (!a) {
    if ((strcmp(group, "/") != 0 && !name_fits(group)) || !name_fits(name))
      return MR_FAIL(MR_ERR_ARG,
                     "a log attribute cannot be named %s in group %s: names are 1 to %d "
                     "bytes without /",
                     name, group, MR_LOG_NAME - 1);
    if ((l->n_attrs & (l->n_attrs - 1)) == 0) { /* 0 or a power of two: full */
      size_t room = l->n_attrs == 0 ? 1 : 2 * (size_t)l->n_attrs;
      MR_CHECK(mr_regrow((void **)&l->attr, room, sizeof *l->attr));
    }
    a = &l->attr[l->n_attrs++];
    *a = (mr_log_attr){.text = NULL};
    (void)snprintf(a->group, sizeof a->group, "%s", group);
    (void)snprintf(a->name, sizeof a->name, "%s", name);
  }
  a->kind = kind;
  *out = a;
  return MR_OK;
}

mr_status mr_log_text(mr_log *l, const char *group, const char *name, const char *value)
{
  mr_log_attr *a = NULL;
  char *text = NULL;
  if (strlen(value) > MR_H5_MAX_TEXT)
    return MR_FAIL(MR_ERR_ARG, "log attribute %s is %zu bytes long, at most %d are allowed", name,
                   strlen(value), MR_H5_MAX_TEXT);
  MR_CHECK(mr_strdup(&text, value));
  mr_status st = want_attr(l, group, name, MR_H5_TEXT, &a);
  if (st != MR_OK) {
    mr_free(text);
    return st;
  }
  mr_free(a->text);
  a->text = text;
  return MR_OK;
}

mr_status mr_log_num(mr_log *l, const char *group, const char *name, double value)
{
  mr_log_attr *a = NULL;
  MR_CHECK(want_attr(l, group, name, MR_H5_NUM, &a));
  a->num = value;
  return MR_OK;
}

mr_status mr_log_int(mr_log *l, const char *group, const char *name, int64_t value)
{
  mr_log_attr *a = NULL;
  MR_CHECK(want_attr(l, group, name, MR_H5_INT, &a));
  a->whole = value;
  return MR_OK;
}

/* ---- Making ---------------------------------------------------------------------------------- */

static mr_status with_suffix(char **out, const char *path, const char *suffix)
{
  size_t n = strlen(path) + strlen(suffix) + 1;
  MR_CHECK(mr_calloc((void **)out, n, 1));
  (void)snprintf(*out, n, "%s%s", path, suffix);
  return MR_OK;
}

static mr_status copy_key(void *ctx, const char *key, const char *value)
{
  return mr_log_text(ctx, "config", key, value);
}

/* "2024-05-01T12:00:00Z" */
static void now_text(char *buf, size_t n)
{
  time_t now = time(NULL);
  struct tm utc;
  if (!gmtime_r(&now, &utc) || strftime(buf, n, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) buf[0] = '\0';
}

mr_status mr_log_stamp(mr_log *l, const char *name)
{
  char text[32];
  now_text(text, sizeof text);
  return mr_log_text(l, "/", name, text);
}

/* Folders of the path exist afterwards and can be written in. */
static mr_status check_folder(const char *path)
{
  mr_status st = MR_OK;
  char *folder = NULL;
  MR_TRY(mr_make_parents(path));
  MR_TRY(mr_strdup(&folder, path));
  char *slash = strrchr(folder, '/');
  if (slash) slash[slash == folder ? 1 : 0] = '\0';
  if (access(slash ? folder : ".", W_OK | X_OK) != 0)
    st = MR_FAIL(MR_ERR_IO, "cannot write in the folder %s: %s", slash ? folder : ".",
                 strerror(errno));
out:
  mr_free(folder);
  return st;
}

mr_status mr_log_create(mr_log **out, const char *path, const mr_config *c, const char *command)
{
  mr_status st = MR_OK;
  mr_log *l = NULL;
  size_t n = strlen(path);
  if (n < 4 || strcmp(path + n - 3, ".h5") != 0 || path[n - 4] == '/')
    return MR_FAIL(MR_ERR_ARG, "the run file is %s, but its name must end in .h5", path);
  MR_TRY(mr_calloc((void **)&l, 1, sizeof *l));
  MR_TRY(with_suffix(&l->path, path, ""));
  MR_TRY(with_suffix(&l->part, path, ".part"));
  MR_TRY(with_suffix(&l->path_tmp, path, ".tmp"));
  MR_TRY(with_suffix(&l->part_tmp, path, ".part.tmp"));
  MR_TRY(mr_log_text(l, "/", "schema", MR_LOG_SCHEMA));
  MR_TRY(mr_log_text(l, "/", "status", "interrupted"));
  MR_TRY(mr_log_text(l, "/", "trust", "trusted"));
  MR_TRY(mr_log_text(l, "/", "reason", ""));
  MR_TRY(mr_log_stamp(l, "started"));
  MR_TRY(mr_log_text(l, "/", "finished", ""));
  MR_TRY(mr_log_text(l, "/", "command", command));
  MR_TRY(mr_config_each(c, copy_key, l));
  MR_TRY(check_folder(path));
  *out = l;
  l = NULL;
out:
  mr_log_destroy(l);
  return st;
}

void mr_log_destroy(mr_log *l)
{
  if (!l) return;
  for (int i = 0; i < l->n_attrs; i++) mr_free(l->attr[i].text);
  for (int i = 0; i < l->n_tables; i++) {
    mr_table_free(&l->table[i]);
    mr_free(l->names[i]);
  }
  mr_free(l->attr);
  mr_free(l->op);
  mr_free(l->path);
  mr_free(l->part);
  mr_free(l->path_tmp);
  mr_free(l->part_tmp);
  mr_free(l);
}

/* ---- Tables ---------------------------------------------------------------------------------- */

/* Copies s to *at and moves *at behind it. */
static const char *pack(char **at, const char *s)
{
  char *start = *at;
  size_t n = strlen(s) + 1;
  memcpy(start, s, n);
  *at = start + n;
  return start;
}

mr_status mr_table_init_owned(mr_table *t, char **names, const char *name, const mr_column *columns,
                              int n)
{
  mr_column own[MR_MAX_COLUMNS];
  size_t bytes = strlen(name) + 1;
  if (n < 1 || n > MR_MAX_COLUMNS || !name_fits(name))
    return MR_FAIL(MR_ERR_ARG, "table %s has %d columns, allowed are 1 to %d", name, n,
                   MR_MAX_COLUMNS);
  for (int i = 0; i < n; i++) {
    if (!name_fits(columns[i].name) || strlen(columns[i].unit) >= MR_LOG_UNIT)
      return MR_FAIL(MR_ERR_ARG,
                     "table %s cannot have a column %s with unit %s: names are 1 to %d "
                     "bytes without /, units at most %d",
                     name, columns[i].name, columns[i].unit, MR_LOG_NAME - 1, MR_LOG_UNIT - 1);
    bytes += strlen(columns[i].name) + strlen(columns[i].unit) + 2;
  }
  char *block = NULL;
  MR_CHECK(mr_calloc((void **)&block, bytes, 1));
  char *at = block;
  const char *own_name = pack(&at, name);
  for (int i = 0; i < n; i++) {
    own[i].name = pack(&at, columns[i].name);
    own[i].unit = pack(&at, columns[i].unit);
  }
  mr_table_init(t, own_name, own, n);
  *names = block;
  return MR_OK;
}

static bool same_columns(const mr_table *t, const mr_column *columns, int n)
{
  if (t->n_columns != n) return false;
  for (int i = 0; i < n; i++)
    if (strcmp(t->column[i].name, columns[i].name) != 0 ||
        strcmp(t->column[i].unit, columns[i].unit) != 0)
      return false;
  return true;
}

mr_status mr_log_table(mr_log *l, const char *name, const mr_column *columns, int n, mr_table **out)
{
  for (int i = 0; i < l->n_tables; i++) {
    if (strcmp(l->table[i].name, name) != 0) continue;
    if (!same_columns(&l->table[i], columns, n))
      return MR_FAIL(MR_ERR_CONFIG,
                     "table %s of %s has other columns already: it begins with %s and "
                     "has %d of them, not %d",
                     name, l->path, l->table[i].column[0].name, l->table[i].n_columns, n);
    *out = &l->table[i];
    return MR_OK;
  }
  if (l->n_tables == MR_LOG_TABLES)
    return MR_FAIL(MR_ERR_ARG, "a log holds at most %d tables, %s is one more", MR_LOG_TABLES,
                   name);
  MR_CHECK(mr_table_init_owned(&l->table[l->n_tables], &l->names[l->n_tables], name, columns, n));
  *out = &l->table[l->n_tables++];
  return MR_OK;
}

mr_status mr_log_ops(mr_log *l, const mr_op_time *rows, int n)
{
  mr_log_op *op = NULL;
  MR_CHECK(mr_calloc((void **)&op, (size_t)n, sizeof *op));
  for (int i = 0; i < n; i++) {
    op[i] = (mr_log_op){.backward = rows[i].backward,
                        .calls = rows[i].calls,
                        .ns = rows[i].ns,
                        .flops = rows[i].flops,
                        .bytes = rows[i].bytes};
    (void)snprintf(op[i].name, sizeof op[i].name, "%s", rows[i].op);
  }
  mr_free(l->op);
  l->op = op;
  l->n_ops = n;
  return MR_OK;
}

/* ---- What an earlier sitting left ------------------------------------------------------------ */

typedef struct restore {
  mr_log *l;
  hid_t file;
  const char *path, *group;
} restore;

/* Takes a text of the file unless this sitting has its own. */
static mr_status take_text(void *ctx, const char *name, const char *value, mr_h5_kind kind)
{
  restore *r = ctx;
  bool root = strcmp(r->group, "/") == 0;
  bool first_sitting = root && (strcmp(name, "started") == 0 || strcmp(name, "trust") == 0);
  if (kind != MR_H5_TEXT || (!first_sitting && find_attr(r->l, r->group, name))) return MR_OK;
  return mr_log_text(r->l, r->group, name, value);
}

static mr_status take_rows(restore *r)
{
  mr_status st = MR_OK;
  mr_h5_table from = {.names = NULL};
  mr_table *to = NULL;
  MR_TRY(mr_h5_table_from(r->file, r->path, r->group, &from));
  MR_TRY(mr_log_table(r->l, r->group, from.table.column, from.table.n_columns, &to));
  if (to->n_rows > 0) {
    st = MR_FAIL(MR_ERR_ARG, "table %s has rows already, %s can only be read into an empty log",
                 r->group, r->path);
    goto out;
  }
  for (int64_t i = 0; i < from.table.n_rows; i++)
    MR_TRY(mr_table_append(to, from.table.cell + i * from.table.n_columns));
out:
  mr_h5_table_free(&from);
  return st;
}

static mr_status take_group(void *ctx, const char *group, bool columns)
{
  restore *r = ctx;
  mr_status st = MR_OK;
  hid_t at = -1;
  const char *path = r->path;
  if (strcmp(group, "config") == 0 || strcmp(group, "nodes") == 0 || strcmp(group, "ops") == 0)
    return MR_OK; /* made anew */
  r->group = group;
  if (columns) MR_TRY(take_rows(r));
  MR_H5(at = H5Gopen2(r->file, group, H5P_DEFAULT), "open a group");
  MR_TRY(mr_h5_each_attr(at, path, take_text, r));
out:
  return mr_h5_drop(at, st, path);
}

mr_status mr_log_restore(mr_log *l, const char *part_path)
{
  mr_status st = MR_OK;
  restore r = {.l = l, .file = -1, .path = part_path};
  char schema[64];
  MR_TRY(mr_h5_open(&r.file, part_path));
  MR_TRY(mr_h5_attr_from(r.file, part_path, "/", "schema", schema, sizeof schema, NULL));
  if (strcmp(schema, MR_LOG_SCHEMA) != 0) {
    st = MR_FAIL(MR_ERR_IO, "%s has the schema %s, this program reads %s", part_path, schema,
                 MR_LOG_SCHEMA);
    goto out;
  }
  MR_TRY(mr_h5_each_group(r.file, part_path, take_group, &r));
  r.group = "/";
  MR_TRY(mr_h5_each_attr(r.file, part_path, take_text, &r));
out:
  mr_h5_close(r.file);
  return st;
}
