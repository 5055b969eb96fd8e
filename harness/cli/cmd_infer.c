/* cmd_infer.c — `minrnn infer`: times of reading a context and going on step by step.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "infer.h"
#include "json.h"
#include "mem.h"

enum { MOST_CELLS = 1024, MOST_SAMPLES = 1000000, WORD_BYTES = 160 };

static int help(void)
{
  printf(
      "minrnn infer times inference: reading a context (prefill), then one step at a time in\n"
      "recurrent mode, of one or several models. A model must pass a gate first: context and "
      "steps\n"
      "give what the whole-sequence form gives. Times are medians. A cell that cannot run here is\n"
      "recorded as skipped, unless it is the only one and nothing records it.\n\n"
      "Usage: minrnn infer [EXPERIMENT.cfg] [--model=A,B ...] [--batch=N,N ...] [--context=T,T "
      "...]\n"
      "                    [--width=D,D ...] [--key=value ...] [--tokens=N] [--chunk=N]\n"
      "                    [--samples=N] [--seconds=S] [--limit=BYTES] [--out=FOLDER] [--force]\n"
      "                    [--json]\n"
      "       minrnn infer --cell=DESCRIPTOR ... [options]\n\n"
      "  --model, --batch, --context, --width   every combination is a cell; models of one\n"
      "                 combination take turns, round by round\n"
      "  --context=512  steps that are read first\n"
      "  --tokens=32    steps behind the context, one at a time\n"
      "  --chunk=N      steps of the context read at once; default: the most, up to 2048, that\n"
      "                 divide it\n"
      "  --samples=N    timed rounds, 1 to 1000000; default: at least 5, until the noise is below\n"
      "                 1 %% or the time is spent\n"
      "  --seconds=S    that time per cell, 0 to 86400; default 5\n"
      "  --limit=BYTES  cells that need more are skipped; default: what is free\n"
      "  --out=FOLDER   keep every sample, in one run file per cell; complete ones are not timed\n"
      "                 again\n"
      "  --force        time them again\n"
      "  --json         one JSON object per cell\n"
      "  --cell=D       the cell that a descriptor names, for example\n"
      "                 mingru:b8t512d64l3:f32:eager:hot:cpu2:infer32\n\n"
      "Other keys are those of minrnn train.\n");
  return MR_EXIT_DONE;
}

/* ---- Arguments ------------------------------------------------------------------------------- */

typedef struct arguments {
  mr_cli_settings settings;
  const char *list[4]; /* model, width, batch, context; NULL: the config's or the default */
  const char **cell;   /* descriptors */
  int n_cells;
  mr_infer_opts opts;
  bool json, help;
} arguments;
static const char *const list_key[4] = {"model", "width", "batch", "context"};
static const char *const list_word[4] = {"model", "width", "batch", "length"};
static const char *const list_usual[4] = {NULL, NULL, NULL, "512"};

static mr_status parse_number(const char *name, const char *text, double low, double high,
                              bool whole, double *out)
{
  char *end;
  errno = 0;
  const double x = strtod(text, &end);
  if (end == text || *end != '\0' || errno != 0 || !(x >= low && x <= high) ||
      (whole && x != floor(x)))
    return MR_FAIL(MR_ERR_CONFIG, "%s is \"%s\"; allowed: %snumbers from %g to %g", name, text,
                   whole ? "whole " : "", low, high);
  *out = x;
  return MR_OK;
}

/* Options that are one number. *known: arg is one of them. */
static mr_status parse_option(mr_infer_opts *o, const char *arg, bool *known)
{
  static const struct {
    const char *name;
    double low, high;
    bool whole;
  } option[] = {{"tokens", 1, 1 << 20, true},
                {"chunk", 1, 1 << 26, true},
                {"samples", 1, MOST_SAMPLES, true},
                {"seconds", 0, 86400, false},
                {"limit", 1, 1e18, false}};
  double value[5] = {(double)o->tokens, (double)o->chunk, (double)o->samples, o->seconds, o->limit};
  *known = false;
  for (int i = 0; i < 5 && !*known; i++) {
    const char *text = mr_cli_value(arg, option[i].name);
    *known = text != NULL;
    if (*known)
      MR_CHECK(parse_number(option[i].name, text, option[i].low, option[i].high, option[i].whole,
                            &value[i]));
  }
  o->tokens = (int64_t)value[0];
  o->chunk = (int64_t)value[1];
  o->samples = (int64_t)value[2];
  o->seconds = value[3];
  o->limit = value[4];
  return MR_OK;
}

static mr_status parse_one(arguments *a, const char *command, const char *arg)
{
  bool known = false;
  for (int i = 0; i < 4; i++) {
    const char *list = mr_cli_value(arg, list_key[i]);
    if (list == NULL) continue;
    a->list[i] = list;
    return MR_OK;
  }
  MR_CHECK(parse_option(&a->opts, arg, &known));
  if (known) return MR_OK;
  if (mr_cli_flag(arg, "help"))
    a->help = true;
  else if (mr_cli_flag(arg, "json"))
    a->json = true;
  else if (mr_cli_flag(arg, "force"))
    a->opts.force = true;
  else if (mr_cli_value(arg, "out") != NULL)
    a->opts.folder = mr_cli_value(arg, "out");
  else if (mr_cli_value(arg, "length") != NULL)
    return MR_FAIL(MR_ERR_CONFIG, "%s reads --context steps; it has no key length", command);
  else if (mr_cli_value(arg, "cell") != NULL)
    a->cell[a->n_cells++] = mr_cli_value(arg, "cell");
  else
    MR_CHECK(mr_cli_setting(&a->settings, command, arg));
  return MR_OK;
}

static mr_status parse(arguments *a, int argc, char **argv)
{
  MR_CHECK(mr_cli_settings_open(&a->settings, argc + 4)); /* room for the lists */
  MR_CHECK(mr_calloc((void **)&a->cell, (size_t)argc, sizeof *a->cell));
  for (int i = 1; i < argc; i++) MR_CHECK(parse_one(a, argv[0], argv[i]));
  for (int i = 0; i < 4 && a->n_cells > 0; i++)
    if (a->list[i] != NULL || a->settings.n > 0 || a->settings.file != NULL)
      return MR_FAIL(MR_ERR_CONFIG,
                     "cell %s says all there is to set: no other settings go with it", a->cell[0]);
  return MR_OK;
}

/* ---- Cells ----------------------------------------------------------------------------------- */

typedef struct cells {
  mr_cell *cell;
  mr_infer_row *row;
  int n;
} cells;

static void close_cells(cells *k)
{
  for (int i = 0; i < k->n; i++) mr_cell_free(&k->cell[i]);
  mr_free(k->cell);
  mr_free(k->row);
}

static mr_status open_cells(cells *k, int n)
{
  if (n > MOST_CELLS)
    return MR_FAIL(MR_ERR_CONFIG, "there are %d cells to time, at most %d are allowed", n,
                   MOST_CELLS);
  MR_CHECK(mr_calloc((void **)&k->cell, (size_t)n, sizeof *k->cell));
  return mr_calloc((void **)&k->row, (size_t)n, sizeof *k->row);
}

/* Entries of a comma-separated list; a missing one has one entry, which is not set. */
static int entries(const char *list)
{
  int n = 1;
  for (; list != NULL && *list != '\0'; list++) n += *list == ',';
  return n;
}

/* Entry i of an axis as "--key=entry" into word. */
static mr_status entry(int axis, const char *list, int i, char *word)
{
  for (; i > 0; i--) list += strcspn(list, ",") + 1;
  const int n = (int)strcspn(list, ",");
  if (n == 0 || snprintf(word, WORD_BYTES, "--%s=%.*s", list_word[axis], n, list) >= WORD_BYTES)
    return MR_FAIL(MR_ERR_CONFIG, "%s has an entry that is empty or too long: %.80s",
                   list_key[axis], list);
  return MR_OK;
}

/* The cell at place `at` of all combinations, models running fastest. */
static mr_status add_cell(cells *k, const arguments *a, int at)
{
  char word[4][WORD_BYTES];
  int n = a->settings.n;
  for (int i = 0; i < 4; i++) {
    const char *list = a->list[i] != NULL ? a->list[i] : list_usual[i];
    const int m = entries(list);
    if (list == NULL) continue;
    MR_CHECK(entry(i, list, at % m, word[i]));
    a->settings.word[n++] = word[i];
    at /= m;
  }
  mr_cell *c = &k->cell[k->n];
  MR_CHECK(mr_cell_config(&c->config, a->settings.file, n, a->settings.word));
  k->n++;
  if (c->config.length >= 1) return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG, "context is 0; allowed: 1 step or more");
}

static mr_status make_cells(cells *k, const arguments *a)
{
  int n = 1;
  for (int i = 0; i < 4; i++) n *= entries(a->list[i]);
  MR_CHECK(open_cells(k, n));
  for (int i = 0; i < n; i++) MR_CHECK(add_cell(k, a, i));
  return MR_OK;
}

/* ---- Output ---------------------------------------------------------------------------------- */

static const char *const state_word[] = {[MR_CELL_TIMED] = "timed",
                                         [MR_CELL_KEPT] = "kept",
                                         [MR_CELL_SKIPPED] = "skipped",
                                         [MR_CELL_FAILED] = "failed"};

static void json_stat(mr_json *j, const char *key, const mr_bench_stat *s)
{
  mr_json_object_open(j, key);
  mr_json_field_num(j, "median", s->median / 1e6);
  mr_json_field_num(j, "p10", s->p10 / 1e6);
  mr_json_field_num(j, "p90", s->p90 / 1e6);
  mr_json_field_num(j, "min", s->min / 1e6);
  mr_json_object_close(j);
}

static double per_second(int64_t tokens, double ns)
{
  return (double)tokens / (ns * 1e-9);
}

static void print_json(const mr_infer_row *r, const mr_infer_opts *o)
{
  const mr_config *c = &r->cell->config;
  mr_json j;
  mr_json_begin(&j, stdout);
  mr_json_field_str(&j, "cell", r->descriptor);
  mr_json_field_str(&j, "state", state_word[r->state]);
  mr_json_field_str(&j, "trust", r->mistrusted ? "mistrusted" : "trusted");
  if (r->reason[0] != '\0') mr_json_field_str(&j, "reason", r->reason);
  mr_json_field_str(&j, "model", c->model);
  mr_json_field_int(&j, "batch", c->batch);
  mr_json_field_int(&j, "context", c->length);
  mr_json_field_int(&j, "tokens", o->tokens);
  mr_json_field_int(&j, "width", c->width);
  mr_json_field_int(&j, "layers", c->layers);
  if (r->path[0] != '\0') mr_json_field_str(&j, "run", r->path);
  if (r->planned_bytes > 0) {
    mr_json_field_int(&j, "state_bytes", r->state_bytes);
    mr_json_field_int(&j, "state_step_bytes", r->state_step_bytes);
    mr_json_field_int(&j, "planned_bytes", r->planned_bytes);
  }
  if (r->state == MR_CELL_TIMED) {
    json_stat(&j, "prefill_ms", &r->prefill);
    json_stat(&j, "token_ms", &r->token);
    mr_json_field_num(&j, "prefill_tokens_per_s",
                      per_second(c->batch * c->length, r->prefill.median));
    mr_json_field_num(&j, "tokens_per_s", per_second(c->batch, r->token.median));
    mr_json_field_int(&j, "device_bytes", r->device_bytes);
    mr_json_field_int(&j, "samples", r->samples);
    mr_json_field_int(&j, "threads", r->threads);
  }
  mr_json_end(&j);
}

static void print_text(const mr_infer_row *r)
{
  const mr_config *c = &r->cell->config;
  printf("%-16s %5lld %8lld %5lld ", c->model, (long long)c->batch, (long long)c->length,
         (long long)c->width);
  if (r->state == MR_CELL_TIMED)
    printf("%11.3f %10.4f %10.4f %10.4f %11.0f %12lld\n", r->prefill.median / 1e6,
           r->token.median / 1e6, r->token.p10 / 1e6, r->token.p90 / 1e6,
           per_second(c->batch, r->token.median), (long long)r->state_bytes);
  else
    printf("%s: %s\n", state_word[r->state], r->state == MR_CELL_KEPT ? r->path : r->reason);
  if (r->mistrusted) printf("%-16s mistrusted: %s\n", "", r->reason);
}

static void print_head(void)
{
  printf("%-16s %5s %8s %5s %11s %10s %10s %10s %11s %12s\n", "model", "batch", "context", "width",
         "prefill ms", "token ms", "p10", "p90", "tokens/s", "state bytes");
}

/* ---- The command ----------------------------------------------------------------------------- */

/* Times the n cells of one group, of `all`, and tells them; *bad counts those that failed. */
static mr_status one_group(const arguments *a, const mr_infer_opts *o, const mr_cell *cell, int n,
                           int all, mr_infer_row *row, int *bad)
{
  MR_CHECK(mr_infer(cell, n, o, row));
  /* The only cell cannot run here, and no file says so. */
  if (all == 1 && row->path[0] == '\0' && row->status == MR_ERR_UNSUPPORTED)
    return MR_FAIL(MR_ERR_CONFIG, "%s", row->reason);
  for (int i = 0; i < n; i++) {
    *bad += row[i].state == MR_CELL_FAILED;
    if (a->json)
      print_json(&row[i], o);
    else
      print_text(&row[i]);
  }
  (void)fflush(stdout); /* whether it arrived is read at the end */
  return MR_OK;
}

static mr_status all_cells(const arguments *a, int *bad)
{
  mr_status st = MR_OK;
  cells k = {.n = 0};
  MR_TRY(make_cells(&k, a));
  if (!a->json) print_head();
  for (int i = 0, n; i < k.n; i += n) {
    n = mr_bench_group(k.cell + i, k.n - i);
    MR_TRY(one_group(a, &a->opts, k.cell + i, n, k.n, k.row + i, bad));
  }
out:
  close_cells(&k);
  return st;
}

static mr_status named_cells(const arguments *a, int *bad)
{
  mr_status st = MR_OK;
  cells k = {.n = 0};
  MR_TRY(open_cells(&k, a->n_cells));
  if (!a->json) print_head();
  for (int i = 0; i < a->n_cells; i++) {
    mr_infer_opts o = a->opts;
    MR_TRY(mr_infer_load(&k.cell[i], &o, a->cell[i]));
    k.n++;
    MR_TRY(one_group(a, &o, &k.cell[i], 1, a->n_cells, &k.row[i], bad));
  }
out:
  close_cells(&k);
  return st;
}

int mr_cmd_infer(int argc, char **argv)
{
  arguments a = {.opts = {.tokens = 32, .seconds = 5}};
  char *line = NULL;
  int bad = 0, code = MR_EXIT_DONE;
  mr_status st = parse(&a, argc, argv);
  if (st == MR_OK) st = mr_cli_line(&line, argc, argv);
  a.opts.command = line;
  if (st == MR_OK && a.help)
    code = help();
  else if (st == MR_OK)
    st = a.n_cells > 0 ? named_cells(&a, &bad) : all_cells(&a, &bad);
  if (st != MR_OK)
    code = mr_cli_fail(st);
  else if (bad > 0)
    code = MR_EXIT_FAILED;
  mr_free(line);
  mr_free(a.cell);
  mr_free(a.settings.word);
  return code;
}
