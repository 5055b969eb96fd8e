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

typedef struct missing {
  const mr_keys *k;
  const mr_claim *c;
  text reason, told;
  bool impossible; /* this program has not got the model */
} missing;

/* A run of the model that serves the claim and came to a good end, or to a bad one; NULL: none. */
static const mr_run *run_of(const missing *m, const mr_claim *c, const char *model, bool good)
{
  const mr_runset *s = m->k->set;
  for (int i = 0; i < s->n; i++)
    if (mr_run_is_of(&s->run[i], model) && mr_run_serves(&s->run[i], c) &&
        mr_run_counts(&s->run[i]) == good)
      return &s->run[i];
  return NULL;
}

/* Why there is no run that serves and ended at all. */
static const char *absence(const missing *m, const char *model)
{
  const mr_runset *s = m->k->set;
  for (int i = 0; i < s->n; i++)
    if (mr_run_is_of(&s->run[i], model) && mr_run_matches(&s->run[i], m->c))
      return "was run with further settings only";
  return "was not run";
}

/* "skipped: needs 99 bytes" */
static void put_bad_end(text *t, const mr_run *r)
{
  const char *status = mr_run_fact(r, "status"), *why = mr_run_fact(r, "reason");
  const bool complete = status != NULL && strcmp(status, "complete") == 0;
  put(t, "", complete || status == NULL ? "mistrusted" : status);
  put(t, ": ", why != NULL && *why != '\0' ? why : "no reason given");
}

/* What a part of an average has of the conditions with alternatives: "hopper medium", or as settings
 * "--offline_rl.env=hopper --offline_rl.data=medium". */
static void put_part(text *t, const mr_claim *whole, const mr_claim *part, bool settings)
{
  char entry[MR_ENTRY], value[MR_ENTRY];
  const char *key, *alternatives, *before = "";
  for (int i = 0; mr_list_entry(whole->match, ' ', i, entry, sizeof entry); i++) {
    mr_cut_entry(entry, &key, &alternatives);
    if (strchr(alternatives, '|') == NULL || !mr_condition(part->match, key, value, sizeof value))
      continue;
    put(t, before, settings ? "--" : "");
    if (settings) put(t, key, "=");
    put(t, value, "");
    before = " ";
  }
}

/* The parts of an average that are missing: "mingru was not run on hopper medium, walker2d medium". */
static void explain_parts(missing *m, const char *model)
{
  char match[MR_KEY];
  mr_claim part;
  const char *before = " was not run on ";
  for (int i = 0; mr_claim_part(m->k->claims, m->c, i, &part, match, sizeof match); i++) {
    if (run_of(m, &part, model, true) != NULL) continue;
    const mr_run *bad = run_of(m, &part, model, false);
    put(&m->reason, *before == ',' ? "" : model, before);
    put_part(&m->reason, m->c, &part, false);
    before = ", ";
    if (bad == NULL) continue;
    put(&m->reason, " (", "");
    put_bad_end(&m->reason, bad);
    put(&m->reason, "", ")");
  }
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
  if (m->c->quantity->average) {
    explain_parts(m, model);
    return;
  }
  if (run_of(m, m->c, model, true) != NULL) return;
  const mr_run *bad = run_of(m, m->c, model, false);
  put(&m->reason, between, model);
  put(&m->reason, " ", bad == NULL ? absence(m, model) : "");
  if (bad != NULL) put_bad_end(&m->reason, bad);
}

/* ---- Command --------------------------------------------------------------------------------- */

static void put_model(void *ctx, const char *model)
{
  text *list = ctx;
  if (!lists(list->at, model)) put(list, list->used > 0 ? "," : "", model);
}

/* Conditions as settings, alternatives as lists. */
static void put_settings(text *t, const char *list)
{
  char entry[MR_ENTRY];
  for (int i = 0; mr_list_entry(list, ' ', i, entry, sizeof entry); i++) {
    for (char *bar = strchr(entry, '|'); bar != NULL; bar = strchr(bar, '|')) *bar = ',';
    put(t, " --", entry);
  }
}

/* The conditions of `list` whose keys no list in front of it has. */
static void put_new_settings(text *t, const char *list, const char *before)
{
  char entry[MR_ENTRY], key[MR_ENTRY], unused[MR_ENTRY];
  for (int i = 0; mr_list_entry(list, ' ', i, entry, sizeof entry); i++) {
    (void)snprintf(key, sizeof key, "%.*s", (int)strcspn(entry, "="), entry);
    if (!mr_condition(before, key, unused, sizeof unused)) put_settings(t, entry);
  }
}

/* Timings take all models and lists at once. */
static void put_timings(mr_finding *f)
{
  const mr_claim *c = f->claim;
  char models[256] = "";
  text list = {models, 0, sizeof models}, t = {f->command, 0, sizeof f->command};
  if (f->paper.answer == MR_ANSWER_ABSENT) each_model(c->paper, put_model, &list);
  if (f->fair.answer == MR_ANSWER_ABSENT) each_model(c->fair, put_model, &list);
  put(&t, "build/minrnn ", c->quantity->command);
  if (strcmp(c->experiment, "-") != 0) put(&t, " ", c->experiment);
  put(&t, " --model=", models);
  put_settings(&t, c->match);
  put_new_settings(&t, c->vary, c->match);
  put_settings(&t, c->scale);
  /* Replayed as a graph unless the paper's method is to be launched op by op. */
  if (f->paper.answer == MR_ANSWER_ABSENT && strstr(c->paper_with, "mode=eager") != NULL)
    put(&t, " --graph=0", f->fair.answer == MR_ANSWER_ABSENT ? ",1" : "");
  put(&t, " ", "--out=results/runs/claims");
}

typedef struct trainings {
  const missing *m;
  text command;
} trainings;

/* One training of a model that has none, as the claim about this model alone has it. */
static void put_training(void *ctx, const char *model)
{
  trainings *t = ctx;
  const mr_claim *c = t->m->c, *own = mr_claim_about(t->m->k->claims, c, model, c->match);
  const char *experiment = own != NULL ? own->experiment : c->experiment;
  if (run_of(t->m, c, model, true) != NULL) return;
  put(&t->command, t->command.used > 0 ? " && " : "", "build/minrnn train");
  if (strcmp(experiment, "-") != 0) put(&t->command, " scripts/experiments/", experiment);
  put(&t->command, " --model=", model);
  put_settings(&t->command, c->match);
}

static void put_trainings(const missing *m, mr_finding *f)
{
  trainings t = {m, {f->command, 0, sizeof f->command}};
  each_model(f->claim->paper, put_training, &t);
}

/* The parts of an average that are missing, one after the other; $set goes through what each has of its
 * own. */
static void put_loop(const missing *m, mr_finding *f)
{
  const mr_claim *c = f->claim;
  char match[MR_KEY];
  text t = {f->command, 0, sizeof f->command};
  mr_claim part;
  const size_t shared = strlen(c->experiment);
  put(&t, "for set in", "");
  for (int i = 0; mr_claim_part(m->k->claims, c, i, &part, match, sizeof match); i++) {
    if (run_of(m, &part, c->paper, true) != NULL) continue;
    put(&t, " \"", "");
    put_part(&t, c, &part, true);
    /* Behind the settings of all sets. */
    put(&t, strncmp(part.experiment, c->experiment, shared) == 0 ? part.experiment + shared : "",
        "\"");
  }
  put(&t, "; do build/minrnn train scripts/experiments/", c->experiment);
  put(&t, " --model=", c->paper);
  put(&t, " $set; done", "");
}

void mr_explain(const mr_keys *k, mr_finding *f)
{
  char task[MR_ENTRY];
  const mr_claim *c = f->claim;
  char told[256] = "";
  missing m = {
      .k = k, .c = c, .reason = {f->reason, 0, sizeof f->reason}, .told = {told, 0, sizeof told}};
  if (mr_condition(c->match, "task", task, sizeof task) && mr_find_task(task) == NULL) {
    (void)snprintf(f->reason, sizeof f->reason, "this program has no task %s", task);
    return;
  }
  if (f->paper.answer == MR_ANSWER_ABSENT) each_model(c->paper, explain_model, &m);
  if (f->fair.answer == MR_ANSWER_ABSENT && !m.impossible) each_model(c->fair, explain_model, &m);
  if (f->reason[0] == '\0')
    put(&m.reason, "", "the models were run, but not under the same conditions");
  if (m.impossible) return;
  if (c->quantity->average)
    put_loop(&m, f);
  else if (strcmp(c->quantity->command, "train") == 0)
    put_trainings(&m, f);
  else
    put_timings(f);
}
