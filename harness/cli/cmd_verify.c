/* cmd_verify.c — `minrnn verify`: the paper's claims held against what was run.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"
#include "grid.h"
#include "json.h"
#include "verify.h"

#define USUAL_RUNS   "results/runs"
#define USUAL_CLAIMS "results/paper/claims.tsv"

static int help(void)
{
  printf(
      "minrnn verify holds the paper's claims against the run files: the published figure, ours\n"
      "under the paper's method, ours under a fair one, and a verdict. results/README.md tells "
      "the\n"
      "rules.\n\n"
      "Usage: minrnn verify [ID ...] [--runs=FOLDER] [--claims=FILE] [--tsv|--json|--markdown]\n\n"
      "  ID             all there is to tell of the claims whose names begin so; default: a line\n"
      "                 for every claim\n"
      "  --runs=FOLDER  where the run files are, folders in it included; default: " USUAL_RUNS "\n"
      "  --claims=FILE  the claims; default: " USUAL_CLAIMS "\n"
      "  --tsv, --json  all columns, as a table or as one JSON object per line\n"
      "  --markdown     tables for a report\n\n"
      "Exit code 0 says that the claims could be judged, whatever the verdicts. A file that "
      "cannot\n"
      "be read is named on standard error, the others are judged, and the exit code is 1.\n");
  return MR_EXIT_DONE;
}

/* ---- Cells ----------------------------------------------------------------------------------- */

enum { CELL_BYTES = 1200, NUMBER_BYTES = 96 };

/* "175", "99.5 +- 0.2" */
static void published(const mr_claim *c, char *buf, size_t n)
{
  if (isfinite(c->deviation))
    (void)snprintf(buf, n, "%.5g +- %.3g", c->value, c->deviation);
  else
    (void)snprintf(buf, n, "%.5g", c->value);
}

/* Pure numbers have the unit 1, which goes without saying. */
static const char *unit_of(const mr_claim *c)
{
  return strcmp(c->unit, "1") == 0 ? "" : c->unit;
}

/* "2.213 [2.187, 2.24]"; "-" where there is nothing. */
static void measured(const mr_side *s, char *buf, size_t n)
{
  if (!s->m.there)
    (void)snprintf(buf, n, "-");
  else if (s->m.low < s->m.high)
    (void)snprintf(buf, n, "%.4g [%.4g, %.4g]", s->m.mid, s->m.low, s->m.high);
  else
    (void)snprintf(buf, n, "%.4g", s->m.mid);
}

static const char *verdict_of(const mr_finding *f)
{
  return mr_ruling_text(f->verdict, mr_full_scale(f));
}

/* ---- All columns ----------------------------------------------------------------------------- */

static mr_status put_text(mr_grid *g, const char *column, const char *text)
{
  int k;
  MR_CHECK(mr_grid_column_of(g, column, &k));
  return mr_grid_text(g, k, text);
}

static mr_status put_number(mr_grid *g, const char *column, double x)
{
  char text[32];
  int k;
  MR_CHECK(mr_grid_column_of(g, column, &k));
  (void)snprintf(text, sizeof text, "%.6g", x);
  return isfinite(x) ? mr_grid_number(g, k, text) : MR_OK;
}

static mr_status put_side(mr_grid *g, const char *name, const mr_side *s)
{
  char column[32];
  (void)snprintf(column, sizeof column, "%s_models", name);
  MR_CHECK(put_text(g, column, s->models));
  const struct {
    const char *name;
    double x;
  } part[] = {{"", s->m.mid}, {"_low", s->m.low}, {"_high", s->m.high}};
  for (int i = 0; i < 3; i++) {
    (void)snprintf(column, sizeof column, "%s_ours%s", name, part[i].name);
    MR_CHECK(put_number(g, column, s->m.there ? part[i].x : NAN));
  }
  return MR_OK;
}

static mr_status put_row(mr_grid *g, const mr_finding *f)
{
  const mr_claim *c = f->claim;
  MR_CHECK(mr_grid_row(g));
  MR_CHECK(put_text(g, "id", c->id));
  MR_CHECK(put_text(g, "claim", c->claim));
  MR_CHECK(put_text(g, "setting", f->setting));
  MR_CHECK(put_text(g, "quantity", c->quantity->name));
  MR_CHECK(put_number(g, "published", c->value));
  MR_CHECK(put_number(g, "deviation", c->deviation));
  MR_CHECK(put_text(g, "unit", c->unit));
  MR_CHECK(put_text(g, "certainty", c->certainty));
  MR_CHECK(put_text(g, "source", c->source));
  MR_CHECK(put_text(g, "rule", c->rule));
  MR_CHECK(put_side(g, "paper", &f->paper));
  MR_CHECK(put_side(g, "fair", &f->fair));
  MR_CHECK(put_text(g, "verdict", verdict_of(f)));
  MR_CHECK(put_text(g, "scale", f->scale));
  MR_CHECK(put_text(g, "machine", f->machine));
  MR_CHECK(put_text(g, "reason", f->reason));
  return put_text(g, "command", f->command);
}

/* ---- A line for each claim ------------------------------------------------------------------- */

static void print_short(const mr_findings *f)
{
  char number[3][NUMBER_BYTES];
  printf("%-36s %-22s %-14s %-24s %-24s %s\n", "claim", "setting", "paper", "its method",
         "fair method", "verdict");
  for (int i = 0; i < f->n; i++) {
    const mr_finding *k = &f->finding[i];
    published(k->claim, number[0], sizeof number[0]);
    measured(&k->paper, number[1], sizeof number[1]);
    measured(&k->fair, number[2], sizeof number[2]);
    printf("%-36s %-22s %-14s %-24s %-24s %s\n", k->claim->id, k->setting, number[0], number[1],
           k->fair.answer == MR_ANSWER_UNUSED ? "" : number[2], verdict_of(k));
  }
}

static mr_status print_grid(const mr_findings *f, mr_grid_form form)
{
  mr_status st = MR_OK;
  mr_grid g = {.n_columns = 0};
  for (int i = 0; i < f->n; i++) MR_TRY(put_row(&g, &f->finding[i]));
  mr_grid_print(&g, form, stdout);
out:
  mr_grid_free(&g);
  return st;
}

/* How many rows have each verdict, in words. */
static void print_counts(const mr_findings *f)
{
  for (int scale = 1; scale >= 0; scale--)
    for (int v = 0; v < MR_N_RULINGS; v++) {
      int n = 0;
      for (int i = 0; i < f->n; i++)
        n += (int)f->finding[i].verdict == v &&
             (v == MR_NOT_RUN ? scale == 1 : mr_full_scale(&f->finding[i]) == (scale == 1));
      if (n > 0) printf("%4d %s\n", n, mr_ruling_text((mr_ruling)v, scale == 1));
    }
}

/* ---- All there is to tell -------------------------------------------------------------------- */

static void print_line(const char *name, const char *text)
{
  if (*text != '\0') printf("  %-12s %s\n", name, text);
}

static void print_side(const char *name, const mr_side *s)
{
  char text[NUMBER_BYTES];
  if (s->answer == MR_ANSWER_UNUSED) return;
  measured(s, text, sizeof text);
  printf("  %-12s %-28s %s\n", name, text, s->models);
}

static void print_block(const mr_finding *f)
{
  const mr_claim *c = f->claim;
  char text[NUMBER_BYTES];
  published(c, text, sizeof text);
  printf("%s: %s\n", c->id, c->claim);
  printf("  %-12s %s: %s\n", "quantity", c->quantity->name, c->quantity->means);
  printf("  %-12s %s %s (%s; %s)\n", "paper", text, unit_of(c), c->certainty, c->source);
  print_line("rule", c->rule);
  print_line("setting", f->setting);
  print_side("its method", &f->paper);
  print_side("fair method", &f->fair);
  print_line("verdict", verdict_of(f));
  print_line("scale", f->scale);
  print_line("machine", f->machine);
  print_line("reason", f->reason);
  print_line("command", f->command);
  printf("\n");
}

/* ---- Markdown -------------------------------------------------------------------------------- */

/* A cell of a table, with what would end it escaped. */
static void put_cell(const char *text)
{
  fputs("| ", stdout);
  for (; *text != '\0'; text++) {
    if (*text == '|') fputc('\\', stdout);
    fputc(*text, stdout);
  }
  fputc(' ', stdout);
}

static void put_side_cell(const mr_side *s)
{
  char text[CELL_BYTES], number[NUMBER_BYTES];
  measured(s, number, sizeof number);
  (void)snprintf(text, sizeof text, "%s (%s)", number, s->models);
  put_cell(s->answer == MR_ANSWER_UNUSED ? "" : s->m.there ? text : number);
}

static void put_published_cell(const mr_claim *c)
{
  char text[CELL_BYTES], number[NUMBER_BYTES];
  const char *unit = unit_of(c);
  published(c, number, sizeof number);
  (void)snprintf(text, sizeof text, "%s%s%.40s (%s)", number, *unit != '\0' ? " " : "", unit,
                 c->certainty);
  put_cell(text);
}

static void print_markdown(const mr_findings *f)
{
  char text[CELL_BYTES];
  printf("| claim | setting | paper | ours, its method | ours, fair method | verdict | scale | "
         "machine |\n|---|---|---|---|---|---|---|---|\n");
  for (int i = 0; i < f->n; i++) {
    const mr_finding *k = &f->finding[i];
    if (k->verdict == MR_NOT_RUN) continue;
    put_cell(k->claim->claim);
    put_cell(k->setting);
    put_published_cell(k->claim);
    put_side_cell(&k->paper);
    put_side_cell(&k->fair);
    (void)snprintf(text, sizeof text, "%s%s%s", verdict_of(k), *k->reason != '\0' ? ": " : "",
                   k->reason);
    put_cell(text);
    put_cell(k->scale);
    put_cell(k->machine);
    printf("|\n");
  }
  printf("\n| not run | paper | why | command |\n|---|---|---|---|\n");
  for (int i = 0; i < f->n; i++) {
    const mr_finding *k = &f->finding[i];
    if (k->verdict != MR_NOT_RUN) continue;
    put_cell(k->claim->claim);
    put_published_cell(k->claim);
    put_cell(k->reason);
    (void)snprintf(text, sizeof text, k->command[0] != '\0' ? "`%s`" : "%s", k->command);
    put_cell(text);
    printf("|\n");
  }
}

/* ---- The command ----------------------------------------------------------------------------- */

typedef enum form { SHORT, TSV, JSON, MARKDOWN } form;

typedef struct arguments {
  const char *runs, *claims;
  char **id;
  int n_ids;
  form form;
  bool help;
} arguments;

/* Words that are no options move to the front of argv + 1. */
static mr_status parse(arguments *a, int argc, char **argv)
{
  a->id = argv + 1;
  for (int i = 1; i < argc; i++) {
    if (mr_cli_flag(argv[i], "help"))
      a->help = true;
    else if (mr_cli_flag(argv[i], "tsv"))
      a->form = TSV;
    else if (mr_cli_flag(argv[i], "json"))
      a->form = JSON;
    else if (mr_cli_flag(argv[i], "markdown"))
      a->form = MARKDOWN;
    else if (mr_cli_value(argv[i], "runs") != NULL)
      a->runs = mr_cli_value(argv[i], "runs");
    else if (mr_cli_value(argv[i], "claims") != NULL)
      a->claims = mr_cli_value(argv[i], "claims");
    else if (argv[i][0] == '-')
      return MR_FAIL(MR_ERR_ARG, "verify does not know the argument %s, see minrnn verify --help",
                     argv[i]);
    else
      a->id[a->n_ids++] = argv[i];
  }
  return MR_OK;
}

/* Skips all claims but those whose names begin like one of the ids. */
static mr_status choose(const arguments *a, mr_claims *c)
{
  for (int k = 0; k < a->n_ids; k++) {
    bool known = false;
    for (int i = 0; i < c->n; i++)
      known = known || strncmp(c->claim[i].id, a->id[k], strlen(a->id[k])) == 0;
    if (!known) return MR_FAIL(MR_ERR_ARG, "there is no claim %s, see minrnn verify", a->id[k]);
  }
  for (int i = 0; i < c->n; i++) {
    bool wanted = a->n_ids == 0;
    for (int k = 0; k < a->n_ids; k++)
      wanted = wanted || strncmp(c->claim[i].id, a->id[k], strlen(a->id[k])) == 0;
    c->claim[i].skipped = !wanted;
  }
  return MR_OK;
}

static mr_status print_all(const arguments *a, const mr_findings *f)
{
  if (a->form == TSV) return print_grid(f, MR_GRID_TSV);
  if (a->form == JSON) return print_grid(f, MR_GRID_JSON);
  if (a->form == MARKDOWN) {
    print_markdown(f);
  } else if (a->n_ids > 0) {
    for (int i = 0; i < f->n; i++) print_block(&f->finding[i]);
  } else {
    print_short(f);
    printf("\n");
    print_counts(f);
    printf("\nminrnn verify CLAIM tells methods, scale, machine and command of a claim.\n");
  }
  return MR_OK;
}

static int verify(const arguments *a)
{
  mr_status st = MR_OK;
  mr_claims claims = {.n = 0};
  mr_runset runs = {.n = 0};
  mr_findings findings = {.n = 0};
  const char *folder = a->runs != NULL ? a->runs : USUAL_RUNS;
  int code = MR_EXIT_DONE;
  MR_TRY(mr_claims_read(&claims, a->claims != NULL ? a->claims : USUAL_CLAIMS));
  MR_TRY(choose(a, &claims));
  /* Nothing was run yet where the usual folder is missing. */
  if (a->runs != NULL || access(folder, F_OK) == 0) MR_TRY(mr_runset_read(&runs, folder));
  for (int i = 0; i < runs.n_problems; i++) {
    (void)fprintf(stderr, "minrnn: %s\n", runs.problem[i]);
    code = MR_EXIT_FAILED;
  }
  MR_TRY(mr_verify(&claims, &runs, &findings));
  MR_TRY(print_all(a, &findings));
out:
  mr_findings_free(&findings);
  mr_runset_free(&runs);
  mr_claims_free(&claims);
  return st == MR_OK ? code : mr_cli_fail(st);
}

int mr_cmd_verify(int argc, char **argv)
{
  arguments a = {.runs = NULL};
  const mr_status st = parse(&a, argc, argv);
  if (st != MR_OK) return mr_cli_fail(st);
  return a.help ? help() : verify(&a);
}
