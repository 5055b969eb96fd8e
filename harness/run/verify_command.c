/* verify_command.c — why a claim was not run, and what would run it. SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "registry.h"
#include "verify_impl.h"

/* A text that grows until it is full. */
typedef struct text {
  char *at;
  size_t used, size;
} text;

static void put(text *t, const char *before, const char *word)
{
  if (t->used >= t->size) return;
  const int n = snprintf(t->at + t->used, t->size - t->used, "%s%s", before, word);
  t->used += n > 0 ? (size_t)n : 0;
}

/* Does "a,b,c" hold the word? */
static bool lists(const char *list, const char *word)
{
  const size_t n = strlen(word);
  for (const char *at = list; *at != '\0'; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ',')) {
    if (strcspn(at, ",") == n && strncmp(at, word, n) == 0) return true;
  }
  return false;
}

/* Calls fn with every model of a method. */
typedef void (*model_fn)(void *ctx, const char *model);
static void each_model(const char *method, model_fn fn, void *ctx)
{
  char part[MR_ENTRY], model[MR_ENTRY];
  for (int i = 0; i < 2 && mr_method_part(method, i, part, sizeof part); i++)
    for (int k = 0; mr_list_entry(part, '|', k, model, sizeof model); k++) fn(ctx, model);
}

/* ---- Reason ---------------------------------------------------------------------------------- */

/* The value that a condition list gives to the key, if it is one. */
static bool value_in(const char *list, const char *wanted, char *buf, size_t n)
{
  char entry[MR_ENTRY];
  const char *key, *value;
  for (int i = 0; mr_list_entry(list, ' ', i, entry, sizeof entry); i++) {
    mr_cut_entry(entry, &key, &value);
    if (strcmp(key, wanted) != 0) continue;
    (void)snprintf(buf, n, "%s", value);
    return true;
  }
  return false;
}

typedef struct missing {
  const mr_runset *set;
  const mr_claim *c;
  text reason, told;
  bool impossible; /* this program has not got the model */
} missing;

/* A run of the model that would have served, had it come to a good end; NULL: none. */
static const mr_run *ended_badly(const missing *m, const char *model)
{
  for (int i = 0; i < m->set->n; i++)
    if (mr_run_is_of(&m->set->run[i], model) && mr_run_serves(&m->set->run[i], m->c) &&
        !mr_run_counts(&m->set->run[i]))
      return &m->set->run[i];
  return NULL;
}

static bool was_run(const missing *m, const char *model)
{
  for (int i = 0; i < m->set->n; i++)
    if (mr_run_is_of(&m->set->run[i], model) && mr_run_serves(&m->set->run[i], m->c) &&
        mr_run_counts(&m->set->run[i]))
      return true;
  return false;
}

static void explain_model(void *ctx, const char *model)
{
  missing *m = ctx;
  const char *between = m->reason.used > 0 ? "; " : "";
  if (lists(m->told.at, model)) return;
  put(&m->told, m->told.used > 0 ? "," : "", model);
  if (mr_find_model(model) == NULL) {
    put(&m->reason, between, "this program has no model ");
    put(&m->reason, "", model);
    m->impossible = true;
    return;
  }
  if (was_run(m, model)) return;
  const mr_run *bad = ended_badly(m, model);
  put(&m->reason, between, model);
  if (bad == NULL) {
    put(&m->reason, "", " was not run");
    return;
  }
  const char *status = mr_run_fact(bad, "status"), *why = mr_run_fact(bad, "reason");
  const bool complete = status != NULL && strcmp(status, "complete") == 0;
  put(&m->reason, " ", complete || status == NULL ? "mistrusted" : status);
  put(&m->reason, ": ", why != NULL && *why != '\0' ? why : "no reason given");
}

/* ---- Command --------------------------------------------------------------------------------- */

static void put_model(void *ctx, const char *model)
{
  text *list = ctx;
  if (!lists(list->at, model)) put(list, list->used > 0 ? "," : "", model);
}

/* Conditions as settings; what a claim leaves open as a list where the command takes lists. */
static void put_settings(text *t, const char *list, bool lists_too)
{
  char entry[MR_ENTRY];
  for (int i = 0; mr_list_entry(list, ' ', i, entry, sizeof entry); i++) {
    char *bar = strchr(entry, '|');
    if (bar != NULL && !lists_too) *bar = '\0';
    for (bar = strchr(entry, '|'); bar != NULL; bar = strchr(bar, '|')) *bar = ',';
    put(t, " --", entry);
  }
}

/* The conditions of `list` whose keys no list in front of it has. */
static void put_new_settings(text *t, const char *list, const char *before, bool lists_too)
{
  char entry[MR_ENTRY], key[MR_ENTRY], unused[MR_ENTRY];
  for (int i = 0; mr_list_entry(list, ' ', i, entry, sizeof entry); i++) {
    (void)snprintf(key, sizeof key, "%.*s", (int)strcspn(entry, "="), entry);
    if (!value_in(before, key, unused, sizeof unused)) put_settings(t, entry, lists_too);
  }
}

/* Timings take all models and lists at once; a training run has one of each. */
static void put_command(mr_finding *f)
{
  const mr_claim *c = f->claim;
  const bool trains = strcmp(c->quantity->command, "train") == 0;
  char models[256] = "";
  text list = {models, 0, sizeof models}, t = {f->command, 0, sizeof f->command};
  if (f->paper.answer == MR_ANSWER_ABSENT) each_model(c->paper, put_model, &list);
  if (f->fair.answer == MR_ANSWER_ABSENT) each_model(c->fair, put_model, &list);
  put(&t, "build/minrnn ", c->quantity->command);
  if (strcmp(c->experiment, "-") != 0)
    put(&t, trains ? " scripts/experiments/" : " ", c->experiment);
  put(&t, " --model=", models);
  put_settings(&t, c->match, !trains);
  if (!trains) put_new_settings(&t, c->vary, c->match, true);
  if (!trains) put_settings(&t, c->scale, true);
  /* Replayed as a graph unless the paper's method is to be launched op by op. */
  if (f->paper.answer == MR_ANSWER_ABSENT && strstr(c->paper_with, "mode=eager") != NULL)
    put(&t, " --graph=0", f->fair.answer == MR_ANSWER_ABSENT ? ",1" : "");
  if (!trains) put(&t, " ", "--out=results/runs/claims");
}

void mr_explain(const mr_runset *s, mr_finding *f)
{
  char task[MR_ENTRY];
  const mr_claim *c = f->claim;
  char told[256] = "";
  missing m = {
      .set = s, .c = c, .reason = {f->reason, 0, sizeof f->reason}, .told = {told, 0, sizeof told}};
  if (value_in(c->match, "task", task, sizeof task) && mr_find_task(task) == NULL) {
    (void)snprintf(f->reason, sizeof f->reason, "this program has no task %s", task);
    return;
  }
  if (f->paper.answer == MR_ANSWER_ABSENT) each_model(c->paper, explain_model, &m);
  if (f->fair.answer == MR_ANSWER_ABSENT && !m.impossible) each_model(c->fair, explain_model, &m);
  if (f->reason[0] == '\0')
    put(&m.reason, "", "the models were run, but not under the same conditions");
  if (!m.impossible) put_command(f);
}
