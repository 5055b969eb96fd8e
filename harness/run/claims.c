/* claims.c — the published claims, out of a table of text. SPDX-License-Identifier: MIT */
#include "claims.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem.h"

/* ---- Quantities ------------------------------------------------------------------------------ */

static const mr_quantity quantity[] = {
    {"speed_up", "bench.step_ns", 1, MR_FORM_TIMES, true, false, "bench",
     "time of a training step of the reference / ours"},
    {"memory_increase", "memory.planned_bytes", 1, MR_FORM_MORE, true, false, "bench",
     "bytes of a training step more than the reference"},
    {"parameter_share", NULL, 1, MR_FORM_SHARE, true, false, NULL,
     "numbers in one layer / those of the reference"},
    {"accuracy", "result.test_accuracy_best", 100, MR_FORM_VALUE, false, false, "train",
     "test accuracy at the best validation loss"},
    {"loss", "result.valid_loss_best", 1, MR_FORM_VALUE, false, false, "train",
     "lowest validation loss"},
    {"best_step", "result.best_step", 1, MR_FORM_VALUE, false, false, "train",
     "step of the lowest validation loss"},
    {"step_ratio", "result.best_step", 1, MR_FORM_TIMES, false, false, "train",
     "step of the lowest validation loss of the reference / ours"},
    {"score", "result.test_score_best", 1, MR_FORM_VALUE, false, false, "train",
     "return, 0 for a random policy and 100 for the expert"},
    {"score_average", "result.test_score_best", 1, MR_FORM_VALUE, false, true, "train",
     "the same, mean over all data sets"},
    {"prefill_faster", "prefill.prefill_ns", 1, MR_FORM_FASTER, true, false, "infer",
     "time to read a context, reference / ours - 1"},
    {"step_faster", "token.token_ns", 1, MR_FORM_FASTER, true, false, "infer",
     "time of one step in recurrent mode, reference / ours - 1"},
};

const mr_quantity *mr_find_quantity(const char *name)
{
  for (size_t i = 0; i < sizeof quantity / sizeof *quantity; i++)
    if (strcmp(quantity[i].name, name) == 0) return &quantity[i];
  return NULL;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

bool mr_list_entry(const char *list, char split, int i, char *buf, size_t n)
{
  const char stop[] = {split, '\0'};
  if (strcmp(list, "-") == 0) return false;
  for (list += strspn(list, stop); *list != '\0'; i--) {
    const size_t length = strcspn(list, stop);
    if (i == 0) {
      (void)snprintf(buf, n, "%.*s", (int)length, list);
      return true;
    }
    list += length;
    list += strspn(list, stop);
  }
  return false;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

enum column {
  ID,
  CLAIM,
  QUANTITY,
  VALUE,
  DEVIATION,
  UNIT,
  CERTAINTY,
  SOURCE,
  RULE,
  PAPER,
  FAIR,
  PAPER_WITH,
  MATCH,
  SCALE,
  VARY,
  EXPERIMENT,
  N_COLUMNS
};
static const char *const column_name[N_COLUMNS] = {
    "id",   "claim", "quantity", "value",      "deviation", "unit",  "certainty", "source",
    "rule", "paper", "fair",     "paper_with", "match",     "scale", "vary",      "experiment"};

typedef struct place {
  const char *path;
  int line;
} place;

/* Cuts a line into its cells. */
static mr_status split(const place *at, char *line, const char *cell[N_COLUMNS])
{
  int n = 0;
  for (char *rest = line; rest != NULL; n++) {
    const char *text = strsep(&rest, "\t");
    if (n < N_COLUMNS) cell[n] = text;
  }
  if (n == N_COLUMNS) return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG, "%s, line %d: there are %d columns; allowed: %d", at->path,
                 at->line, n, N_COLUMNS);
}

static mr_status check_heading(const place *at, const char *const cell[N_COLUMNS])
{
  for (int i = 0; i < N_COLUMNS; i++)
    if (strcmp(cell[i], column_name[i]) != 0)
      return MR_FAIL(MR_ERR_CONFIG, "%s, line %d: column %d is headed %s; allowed: %s", at->path,
                     at->line, i + 1, cell[i], column_name[i]);
  return MR_OK;
}

static mr_status number(const place *at, int column, const char *text, double *out)
{
  char *end;
  errno = 0;
  *out = strtod(text, &end);
  if (end != text && *end == '\0' && errno == 0 && (column == DEVIATION || isfinite(*out)))
    return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG, "%s, line %d: %s is \"%s\"; allowed: a number", at->path, at->line,
                 column_name[column], text);
}

/* Every entry of a list of conditions reads key=value. */
static mr_status check_list(const place *at, int column, const char *list)
{
  char entry[128];
  for (int i = 0; mr_list_entry(list, ' ', i, entry, sizeof entry); i++) {
    const char *equals = strchr(entry, '=');
    if (equals == NULL || equals == entry || equals[1] == '\0')
      return MR_FAIL(MR_ERR_CONFIG, "%s, line %d: %s holds \"%s\"; allowed: key=value", at->path,
                     at->line, column_name[column], entry);
  }
  return MR_OK;
}

/* A method names a reference where the quantity has one. */
static mr_status check_method(const place *at, int column, const mr_quantity *q, const char *text)
{
  const bool pair = strstr(text, " / ") != NULL;
  if (column == FAIR && strcmp(text, "-") == 0) return MR_OK;
  if (*text != '\0' && *text != '-' && pair == (q->form != MR_FORM_VALUE)) return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG, "%s, line %d: %s is \"%s\"; %s asks for %s", at->path, at->line,
                 column_name[column], text, q->name, pair ? "one model" : "MODEL / REFERENCE");
}

static mr_status read_claim(const place *at, const char *const cell[N_COLUMNS], mr_claim *k)
{
  *k = (mr_claim){.id = cell[ID],
                  .claim = cell[CLAIM],
                  .quantity = mr_find_quantity(cell[QUANTITY]),
                  .unit = cell[UNIT],
                  .certainty = cell[CERTAINTY],
                  .source = cell[SOURCE],
                  .rule = cell[RULE],
                  .paper = cell[PAPER],
                  .fair = cell[FAIR],
                  .paper_with = cell[PAPER_WITH],
                  .match = cell[MATCH],
                  .scale = cell[SCALE],
                  .vary = cell[VARY],
                  .experiment = cell[EXPERIMENT]};
  if (k->quantity == NULL)
    return MR_FAIL(MR_ERR_CONFIG, "%s, line %d: there is no quantity %s", at->path, at->line,
                   cell[QUANTITY]);
  if (strlen(k->certainty) != 1 || strchr("VTSIM", k->certainty[0]) == NULL)
    return MR_FAIL(MR_ERR_CONFIG, "%s, line %d: certainty is \"%s\"; allowed: V, T, S, I, M",
                   at->path, at->line, k->certainty);
  MR_CHECK(number(at, VALUE, cell[VALUE], &k->value));
  MR_CHECK(number(at, DEVIATION, cell[DEVIATION], &k->deviation));
  MR_CHECK(check_method(at, PAPER, k->quantity, k->paper));
  MR_CHECK(check_method(at, FAIR, k->quantity, k->fair));
  for (int i = PAPER_WITH; i <= VARY; i++) MR_CHECK(check_list(at, i, cell[i]));
  if (mr_band_of(k->rule, k->value, &k->band) == MR_OK) return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG,
                 "%s, line %d: rule is \"%s\"; allowed: at_least F, factor F, "
                 "within P",
                 at->path, at->line, k->rule);
}

/* ---- The file -------------------------------------------------------------------------------- */

static mr_status read_text(const char *path, char **out)
{
  mr_status st = MR_OK;
  size_t size = 0, got = 1;
  char *text = NULL;
  FILE *f = fopen(path, "r");
  if (f == NULL) return MR_FAIL(MR_ERR_IO, "%s cannot be read: %s", path, strerror(errno));
  while (got > 0) {
    MR_TRY(mr_regrow((void **)&text, size + 4096, 1));
    got = fread(text + size, 1, 4095, f);
    size += got;
  }
  if (ferror(f)) {
    st = MR_FAIL(MR_ERR_IO, "%s cannot be read to its end", path);
    goto out;
  }
  text[size] = '\0';
  *out = text;
  text = NULL;
out:
  mr_free(text);
  (void)fclose(f); /* only read from */
  return st;
}

static mr_status add(mr_claims *c, const place *at, const char *const cell[N_COLUMNS])
{
  if ((c->n & (c->n - 1)) == 0) /* 0 or a power of two: full */
    MR_CHECK(mr_regrow((void **)&c->claim, c->n == 0 ? 1 : 2 * (size_t)c->n, sizeof *c->claim));
  MR_CHECK(read_claim(at, cell, &c->claim[c->n]));
  for (int i = 0; i < c->n; i++)
    if (strcmp(c->claim[i].id, c->claim[c->n].id) == 0)
      return MR_FAIL(MR_ERR_CONFIG, "%s, line %d: the id %s stands there twice", at->path, at->line,
                     c->claim[i].id);
  c->n++;
  return MR_OK;
}

static mr_status read_lines(mr_claims *c, const char *path)
{
  place at = {path, 0};
  bool headed = false;
  for (char *rest = c->text; rest != NULL;) {
    const char *cell[N_COLUMNS];
    char *line = strsep(&rest, "\n");
    at.line++;
    if (line[0] == '#' || line[0] == '\0') continue;
    MR_CHECK(split(&at, line, cell));
    MR_CHECK(headed ? add(c, &at, cell) : check_heading(&at, cell));
    headed = true;
  }
  if (headed) return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG, "%s holds no claims", path);
}

mr_status mr_claims_read(mr_claims *c, const char *path)
{
  *c = (mr_claims){.n = 0};
  MR_CHECK(read_text(path, &c->text));
  const mr_status st = read_lines(c, path);
  if (st != MR_OK) mr_claims_free(c);
  return st;
}

void mr_claims_free(mr_claims *c)
{
  mr_free(c->claim);
  mr_free(c->text);
  *c = (mr_claims){.n = 0};
}
