/* cmd_crossover.c — `minrnn crossover`: from which length on each parallel model is the faster one.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "crossover.h"
#include "grid.h"
#include "registry.h"

#define USUAL_RUNS   "results/runs"
#define USUAL_MODELS "mingru,minlstm,mingru_smallops,minlstm_smallops,mamba,transformer"
#define USUAL_OVER   "gru_vendor,lstm_vendor,gru,lstm,transformer"

static int help(void)
{
  printf(
      "minrnn crossover tells from which sequence length on the training step of one model takes\n"
      "less time than that of another, out of the timings of minrnn bench.\n\n"
      "Usage: minrnn crossover [--runs=FOLDER] [--model=A,B ...] [--over=C,D ...]\n"
      "                        [--format=aligned|tsv|csv] [--json]\n\n"
      "  --runs=FOLDER  where the run files are, folders in it included; default: " USUAL_RUNS "\n"
      "  --model=A,B    default: " USUAL_MODELS "\n"
      "  --over=C,D     compared with these; default: " USUAL_OVER "\n"
      "  --json         one JSON object per row\n\n"
      "Compared are timings of one device, machine, arithmetic, mode and shape. At a length a "
      "model\n"
      "is faster where the ratio of times lies above 1 from quartile to quartile; crossover is "
      "the\n"
      "first such length. Ratios are those at the shortest and at the longest common length.\n");
  return MR_EXIT_DONE;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static mr_status put(mr_grid *g, const char *column, const char *text, bool number)
{
  int k;
  MR_CHECK(mr_grid_column_of(g, column, &k));
  return number ? mr_grid_number(g, k, text) : mr_grid_text(g, k, text);
}

static mr_status put_ratio(mr_grid *g, const char *name, const mr_measure *m)
{
  const struct {
    const char *end;
    double x;
  } part[] = {{"", m->mid}, {"_low", m->low}, {"_high", m->high}};
  for (int i = 0; i < 3; i++) {
    char column[32], text[32];
    (void)snprintf(column, sizeof column, "%s%s", name, part[i].end);
    (void)snprintf(text, sizeof text, "%.4g", part[i].x);
    MR_CHECK(put(g, column, text, true));
  }
  return MR_OK;
}

/* What the timings of one kind share; the CPU counts only where no other device does. */
static mr_status put_kind(mr_grid *g, const mr_run *r)
{
  const char *device = mr_run_fact(r, "device");
  const bool cuda = device != NULL && strcmp(device, "cuda") == 0;
  const char *machine = mr_run_fact(r, cuda ? "machine.gpu" : "machine.cpu");
  MR_CHECK(put(g, "machine", machine != NULL ? machine : "unknown", false));
  for (int i = 2; i < MR_CROSS_KEYS; i++) {
    const char *text = mr_run_fact(r, mr_cross_key[i]);
    const bool number = text != NULL && text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
    if (text != NULL) MR_CHECK(put(g, mr_cross_key[i], text, number));
  }
  return MR_OK;
}

static mr_status put_row(mr_grid *g, const mr_runset *s, int i, const char *model, const char *over)
{
  mr_crossover c;
  char text[160];
  mr_crossover_of(s, i, model, over, &c);
  MR_CHECK(mr_grid_row(g));
  MR_CHECK(put_kind(g, &s->run[i]));
  MR_CHECK(put(g, "model", model, false));
  MR_CHECK(put(g, "over", over, false));
  if (c.from >= 0) {
    (void)snprintf(text, sizeof text, "%.0f", c.point[c.from].length);
    MR_CHECK(put(g, "crossover", text, true));
  }
  mr_crossover_text(&c, text, sizeof text);
  MR_CHECK(put(g, "outcome", text, false));
  if (c.n == 0) return MR_OK;
  MR_CHECK(put_ratio(g, "ratio_shortest", &c.point[0].ratio));
  return put_ratio(g, "ratio_longest", &c.point[c.n - 1].ratio);
}

/* Calls put_row for every model of one list with every other of the other. */
static mr_status put_pairs(mr_grid *g, const mr_runset *s, int i, const char *models,
                           const char *over)
{
  char model[64], other[64];
  for (const char *a = models; *a != '\0'; a += strcspn(a, ","), a += *a == ',')
    for (const char *b = over; *b != '\0'; b += strcspn(b, ","), b += *b == ',') {
      (void)snprintf(model, sizeof model, "%.*s", (int)strcspn(a, ","), a);
      (void)snprintf(other, sizeof other, "%.*s", (int)strcspn(b, ","), b);
      if (strcmp(model, other) != 0) MR_CHECK(put_row(g, s, i, model, other));
    }
  return MR_OK;
}

/* ---- The command ----------------------------------------------------------------------------- */

typedef struct arguments {
  const char *runs, *models, *over;
  mr_grid_form form;
  bool help;
} arguments;

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

/* Every model of the list exists. */
static mr_status check_models(const char *list)
{
  char model[64];
  for (const char *at = list; *at != '\0'; at += strcspn(at, ","), at += *at == ',') {
    (void)snprintf(model, sizeof model, "%.*s", (int)strcspn(at, ","), at);
    if (mr_find_model(model) == NULL)
      return MR_FAIL(MR_ERR_ARG, "model is %s, which does not exist; minrnn list names all", model);
  }
  return MR_OK;
}

static mr_status parse(arguments *a, int argc, char **argv)
{
  for (int i = 1; i < argc; i++) {
    const char *format = mr_cli_value(argv[i], "format"), *runs = mr_cli_value(argv[i], "runs");
    const char *model = mr_cli_value(argv[i], "model"), *over = mr_cli_value(argv[i], "over");
    if (mr_cli_flag(argv[i], "help"))
      a->help = true;
    else if (mr_cli_flag(argv[i], "json"))
      a->form = MR_GRID_JSON;
    else if (format != NULL)
      MR_CHECK(parse_form(format, &a->form));
    else if (runs != NULL)
      a->runs = runs;
    else if (model != NULL)
      a->models = model;
    else if (over != NULL)
      a->over = over;
    else
      return MR_FAIL(MR_ERR_ARG,
                     "crossover does not know the argument %s, see minrnn crossover --help",
                     argv[i]);
  }
  MR_CHECK(check_models(a->models));
  return check_models(a->over);
}

static int crossover(const arguments *a)
{
  mr_status st = MR_OK;
  mr_runset s = {.n = 0};
  mr_grid g = {.n_columns = 0};
  int code = MR_EXIT_DONE;
  MR_TRY(mr_runset_read(&s, a->runs));
  for (int i = 0; i < s.n_problems; i++) {
    (void)fprintf(stderr, "minrnn: %s\n", s.problem[i]);
    code = MR_EXIT_FAILED;
  }
  for (int i = 0; i < s.n; i++)
    if (mr_crossover_opens(&s, i)) MR_TRY(put_pairs(&g, &s, i, a->models, a->over));
  if (g.n_rows == 0) {
    st = MR_FAIL(MR_ERR_IO, "%s holds no timings; minrnn bench --out=FOLDER makes them", a->runs);
    goto out;
  }
  mr_grid_print(&g, a->form, stdout);
out:
  mr_grid_free(&g);
  mr_runset_free(&s);
  return st == MR_OK ? code : mr_cli_fail(st);
}

int mr_cmd_crossover(int argc, char **argv)
{
  arguments a = {USUAL_RUNS, USUAL_MODELS, USUAL_OVER, MR_GRID_ALIGNED, false};
  const mr_status st = parse(&a, argc, argv);
  if (st != MR_OK) return mr_cli_fail(st);
  return a.help ? help() : crossover(&a);
}
