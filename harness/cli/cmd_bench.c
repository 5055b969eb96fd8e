/* cmd_bench.c — `minrnn bench`: times of models over shapes and modes. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"
#include "bench_print.h"
#include "cli.h"
#include "mem.h"

enum { MOST_CELLS = 4096, MOST_SAMPLES = 1000000, WORD_BYTES = 128 };

static int help(void)
{
  const mr_owner *owner;
  int n = mr_option_owners(&owner);
  printf(
      "minrnn bench times models: their mixers alone, the matrix products in them alone, and "
      "whole\n"
      "training steps. A model must pass a correctness gate first, and the timed step is checked\n"
      "once more afterwards. Times are medians: of wall time, but on one CPU thread of processor\n"
      "time, from which other programs take nothing.\n\n"
      "Usage: minrnn bench [EXPERIMENT.cfg] [--key=value[,value ...] ...] [options]\n"
      "       minrnn bench --cell=DESCRIPTOR ... [options]\n\n"
      "  --model=A,B --length=64,128 ...   model, length, batch, width, layers, math, graph, "
      "device\n"
      "                 and threads take lists; every combination is a cell. Models of one shape\n"
      "                 and mode take turns, round by round\n"
      "  --cache=hot    hot, cold or both (hot,cold); cold: caches are flushed before each sample\n"
      "  --cell=D       the cell that a descriptor names, for example\n"
      "                 mingru:b64t4096d128l3:f32:eager:hot:cpu2\n"
      "  --samples=N    timed rounds, 1 to 1000000; default: at least 5, until the noise is below\n"
      "                 1 %% or the time is spent\n"
      "  --seconds=S    that time per cell, 0 to 86400; default 10\n"
      "  --limit=BYTES  memory to use at most; default: what is free. A cell that needs more is\n"
      "                 skipped before anything is allocated, with the bytes it would need\n"
      "  --json         one JSON object per cell\n"
      "  --out=FOLDER   a run file per cell, with every sample, named by its descriptor. Cells "
      "that\n"
      "                 are finished there are kept, so a sweep that was cut goes on\n"
      "  --out=F.h5     the file of a single cell\n"
      "  --force        replace existing files\n\n"
      "--length counts the steps of the mixer; the whole step has what the task adds to it.\n"
      "Exit code 1 when a cell failed. Cells that cannot run here are skipped, which is no "
      "failure,\n"
      "unless it is the only one and nothing records it.\n"
      "Keys, in an experiment file as `key = value`:\n");
  mr_config_help(stdout, owner, n, 0);
  return MR_EXIT_DONE;
}

/* ---- Arguments ------------------------------------------------------------------------------ */

/* What can be a list, outermost loop first: the cells of a group follow each other. */
static const char *const axis_name[] = {"device", "threads", "math",  "graph",  "cache",
                                        "width",  "layers",  "batch", "length", "model"};
enum { N_AXES = sizeof axis_name / sizeof *axis_name, CACHE = 4 };

typedef struct arguments {
  mr_cli_settings settings;
  const char *axis[N_AXES]; /* NULL: the config's */
  const char **descriptor;
  int n_descriptors;
  mr_bench_opts opts;
  const char *out;
  bool json, help;
} arguments;

static mr_status parse_number(const char *name, const char *text, double low, double high,
                              double *out)
{
  char *end;
  errno = 0;
  double x = strtod(text, &end);
  if (end == text || *end != '\0' || errno != 0 || !(x >= low && x <= high))
    return MR_FAIL(MR_ERR_CONFIG, "%s is \"%s\"; allowed: %g to %g", name, text, low, high);
  *out = x;
  return MR_OK;
}

static mr_status parse_samples(const char *text, int64_t *out)
{
  double x;
  MR_CHECK(parse_number("samples", text, 1, MOST_SAMPLES, &x));
  if (x != floor(x)) return MR_FAIL(MR_ERR_CONFIG, "samples is %s; allowed: whole numbers", text);
  *out = (int64_t)x;
  return MR_OK;
}

/* The axis of "--key=..."; -1: none. */
static int axis_of(const char *arg)
{
  for (int k = 0; k < N_AXES; k++)
    if (mr_cli_value(arg, axis_name[k]) != NULL) return k;
  return -1;
}

static mr_status parse_word(arguments *a, const char *command, const char *arg)
{
  const int axis = axis_of(arg);
  const char *value = strchr(arg, '=');
  value = value != NULL ? value + 1 : "";
  if (axis >= 0)
    a->axis[axis] = value;
  else if (mr_cli_flag(arg, "help"))
    a->help = true;
  else if (mr_cli_flag(arg, "json"))
    a->json = true;
  else if (mr_cli_flag(arg, "force"))
    a->opts.force = true;
  else if (mr_cli_value(arg, "cell") != NULL)
    a->descriptor[a->n_descriptors++] = value;
  else if (mr_cli_value(arg, "samples") != NULL)
    return parse_samples(value, &a->opts.samples);
  else if (mr_cli_value(arg, "seconds") != NULL)
    return parse_number("seconds", value, 0, 86400, &a->opts.seconds);
  else if (mr_cli_value(arg, "limit") != NULL)
    return parse_number("limit", value, 1, 1e18, &a->opts.limit);
  else if (mr_cli_value(arg, "out") != NULL)
    a->out = value;
  else
    return mr_cli_setting(&a->settings, command, arg);
  return MR_OK;
}

static mr_status parse(arguments *a, int argc, char **argv)
{
  void *p;
  MR_CHECK(mr_calloc(&p, (size_t)argc, sizeof *a->descriptor));
  a->descriptor = p;
  MR_CHECK(mr_calloc(&p, (size_t)(argc + N_AXES + 1), sizeof *a->settings.word));
  a->settings.word = p;
  for (int i = 1; i < argc; i++) MR_CHECK(parse_word(a, argv[0], argv[i]));
  bool other = a->settings.n > 0 || a->settings.file != NULL;
  for (int k = 0; k < N_AXES; k++) other = other || a->axis[k] != NULL;
  if (a->n_descriptors > 0 && other)
    return MR_FAIL(MR_ERR_ARG, "a cell says all that is set: give either --cell or other settings");
  return MR_OK;
}

/* ---- Cells ---------------------------------------------------------------------------------- */

typedef struct cells {
  mr_cell *cell;
  int n, room;
} cells;

static void free_cells(cells *k)
{
  for (int i = 0; i < k->n; i++) mr_cell_free(&k->cell[i]);
  mr_free(k->cell);
}

/* Entries of a list; 1 for none given. */
static int entries(const char *list)
{
  int n = 1;
  for (; list != NULL && *list != '\0'; list++) n += *list == ',';
  return n;
}

static const char *entry(const char *list, int i, int *len)
{
  for (; i > 0; i--) list += strcspn(list, ",") + 1;
  *len = (int)strcspn(list, ",");
  return list;
}

static mr_status set_cache(mr_cell *c, const char *value, int len)
{
  const bool hot = len == 3 && strncmp(value, "hot", 3) == 0;
  c->cold = len == 4 && strncmp(value, "cold", 4) == 0;
  if (hot || c->cold) return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG, "cache is \"%.*s\"; allowed: hot, cold", len, value);
}

/* The cell of one combination: entry at[k] of each list. */
static mr_status add_cell(cells *k, const arguments *a, const int *at)
{
  char word[N_AXES][WORD_BYTES];
  int n = a->settings.n, len;
  mr_cell *c = &k->cell[k->n];
  for (int i = 0; i < N_AXES; i++) {
    if (a->axis[i] == NULL) continue;
    const char *value = entry(a->axis[i], at[i], &len);
    if (i == CACHE) {
      MR_CHECK(set_cache(c, value, len));
      continue;
    }
    if (snprintf(word[i], WORD_BYTES, "--%s=%.*s", axis_name[i], len, value) >= WORD_BYTES)
      return MR_FAIL(MR_ERR_CONFIG, "%s cannot be %.*s", axis_name[i], len, value);
    a->settings.word[n++] = word[i];
  }
  MR_CHECK(mr_cell_config(&c->config, a->settings.file, n, a->settings.word));
  k->n++;
  return MR_OK;
}

static mr_status add_all(cells *k, const arguments *a)
{
  int at[N_AXES] = {0};
  for (;;) {
    MR_CHECK(add_cell(k, a, at));
    int i = N_AXES - 1;
    while (i >= 0 && ++at[i] == entries(a->axis[i])) at[i--] = 0;
    if (i < 0) return MR_OK;
  }
}

static mr_status load_cells(cells *k, const arguments *a)
{
  void *p;
  int64_t n = a->n_descriptors > 0 ? a->n_descriptors : 1;
  for (int i = 0; i < N_AXES && n <= MOST_CELLS; i++) n *= entries(a->axis[i]);
  if (n > MOST_CELLS)
    return MR_FAIL(MR_ERR_CONFIG, "the lists make more than %d cells", MOST_CELLS);
  MR_CHECK(mr_calloc(&p, (size_t)n, sizeof *k->cell));
  k->cell = p;
  if (a->n_descriptors == 0) MR_CHECK(add_all(k, a));
  for (int i = 0; i < a->n_descriptors; i++, k->n++)
    MR_CHECK(mr_cell_load(&k->cell[i], a->descriptor[i]));
  for (int i = 0; i < k->n && a->out != NULL; i++)
    MR_CHECK(mr_config_set(&k->cell[i].config, "out", a->out, NULL));
  const char *out = k->cell[0].config.out;
  const size_t len = strlen(out);
  if (k->n > 1 && len > 3 && strcmp(out + len - 3, ".h5") == 0)
    return MR_FAIL(MR_ERR_CONFIG, "out is %s, one file, but %d cells need a folder", out, k->n);
  return MR_OK;
}

/* ---- The command ---------------------------------------------------------------------------- */

/* The only cell could not be timed and no file says so. */
static bool is_lost(const cells *k, const mr_bench_row *row)
{
  return k->n == 1 && row->path[0] == '\0' && row->state != MR_CELL_TIMED;
}

static int tell(const cells *k, const arguments *a, const mr_bench_row *row, int n, bool first)
{
  int code = MR_EXIT_DONE;
  if (is_lost(k, row)) {
    code = mr_cli_fail(MR_FAIL(row->status, "%s", row->reason));
    return row->status == MR_ERR_UNSUPPORTED || row->status == MR_ERR_IO ? MR_EXIT_USAGE : code;
  }
  if (!a->json && !first) printf("\n");
  if (!a->json) mr_bench_print(row, n);
  for (int i = 0; i < n; i++) {
    if (a->json) mr_bench_print_json(&row[i]);
    if (row[i].state == MR_CELL_FAILED) code = MR_EXIT_FAILED;
  }
  (void)fflush(stdout); /* main looks for errors of the stream */
  return code;
}

static const char legend[] =
    "\nforward, backward: the mixers alone. GEMM: products / (forward + backward). peak, copy: "
    "the\n"
    "step's operations and bytes by the measured rates of products and copies.\n";

static int run(const cells *k, const arguments *a, mr_bench *b, mr_bench_row *row)
{
  int code = MR_EXIT_DONE;
  for (int from = 0, n; from < k->n; from += n) {
    n = mr_bench_group(k->cell + from, k->n - from);
    const mr_status st = mr_bench_run(b, k->cell + from, n, row);
    if (st != MR_OK) return mr_cli_fail(st);
    const int told = tell(k, a, row, n, from == 0);
    code = told > code ? told : code;
  }
  if (!a->json && !is_lost(k, row)) printf("%s", legend);
  return code;
}

static int bench(const arguments *a)
{
  cells k = {.n = 0};
  mr_bench *b = NULL;
  void *rows = NULL;
  int code;
  mr_status st = load_cells(&k, a);
  if (st != MR_OK) {
    code = mr_cli_wrong_use(st);
  } else if ((st = mr_bench_open(&b, &a->opts)) != MR_OK ||
             (st = mr_calloc(&rows, (size_t)k.n, sizeof(mr_bench_row))) != MR_OK) {
    code = mr_cli_fail(st);
  } else {
    code = run(&k, a, b, rows);
  }
  mr_free(rows);
  mr_bench_close(b);
  free_cells(&k);
  return code;
}

int mr_cmd_bench(int argc, char **argv)
{
  arguments a = {.opts = {.seconds = 10}};
  char *line = NULL;
  int code;
  mr_status st = parse(&a, argc, argv);
  if (st == MR_OK) st = mr_cli_line(&line, argc, argv);
  a.opts.command = line;
  if (st != MR_OK)
    code = mr_cli_fail(st);
  else
    code = a.help ? help() : bench(&a);
  mr_free(line);
  mr_free(a.settings.word);
  mr_free(a.descriptor);
  return code;
}
