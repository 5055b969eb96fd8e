/* verify_find.c — the runs that can serve a claim, and what they measured.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem.h"
#include "verify_impl.h"

enum { MOST_PARTS = 64 };

void mr_cut_entry(char *entry, const char **key, const char **value)
{
  char *equals = strchr(entry, '=');
  *key = entry;
  *value = equals + 1; /* every list was checked when it was read */
  *equals = '\0';
}

bool mr_method_part(const char *method, int part, char *buf, size_t n)
{
  const char *slash = strstr(method, " / ");
  if (part == 0)
    (void)snprintf(buf, n, "%.*s", slash != NULL ? (int)(slash - method) : (int)strlen(method),
                   method);
  else if (slash != NULL)
    (void)snprintf(buf, n, "%s", slash + 3);
  return part == 0 || slash != NULL;
}

bool mr_condition(const char *list, const char *wanted, char *buf, size_t n)
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

/* ---- Runs that can be compared --------------------------------------------------------------- */

static void put_facts(const mr_run *r, const char *const *name, size_t n, char key[MR_KEY])
{
  size_t used = strlen(key);
  for (size_t i = 0; i < n && used < MR_KEY; i++) {
    const char *text = mr_run_fact(r, name[i]);
    const int wrote = snprintf(key + used, MR_KEY - used, "%s;", text != NULL ? text : "");
    used += wrote > 0 ? (size_t)wrote : 0;
  }
}

/* Networks that are trained differ in more than the model, as each needs; of those that are timed,
 * none but plain ones serve. */
static void key_of(const mr_run *r, char key[MR_KEY])
{
  static const char *const of_all[] = {"task",   "length", "context",     "tokens",
                                       "steps",  "width",  "layers",      "batch",
                                       "device", "math",   "machine.cpu", "machine.gpu"};
  static const char *const of_timings[] = {"threads", "cache", "chunk", "expansion", "conv", "mlp"};
  key[0] = '\0';
  put_facts(r, of_all, sizeof of_all / sizeof *of_all, key);
  if (strcmp(mr_run_kind(r), "train") != 0)
    put_facts(r, of_timings, sizeof of_timings / sizeof *of_timings, key);
}

/* Trainings that differ in one of these settings at most are seeds of one experiment. */
static bool tells_apart(const mr_fact *f)
{
  static const char *const of_no_effect[] = {"config.seed", "config.out", "config.threads",
                                             "config.log_every"};
  for (size_t i = 0; i < sizeof of_no_effect / sizeof *of_no_effect; i++)
    if (strcmp(f->name, of_no_effect[i]) == 0) return false;
  return strncmp(f->name, "config.", strlen("config.")) == 0 ||
         strcmp(f->name, "data.generated") == 0;
}

static mr_status settings_of(const mr_run *r, char **out)
{
  const bool trained = strcmp(mr_run_kind(r), "train") == 0;
  size_t size = 1, used = 0;
  for (int i = 0; i < r->n_facts; i++)
    size += strlen(r->fact[i].name) + strlen(r->fact[i].text) + 2;
  MR_CHECK(mr_calloc((void **)out, size, 1));
  for (int i = 0; trained && i < r->n_facts; i++) {
    const mr_fact *f = &r->fact[i];
    const int wrote =
        tells_apart(f) ? snprintf(*out + used, size - used, "%s=%s;", f->name, f->text) : 0;
    used += wrote > 0 ? (size_t)wrote : 0;
  }
  return MR_OK;
}

mr_status mr_keys_open(mr_keys *k, const mr_claims *c, const mr_runset *s)
{
  *k = (mr_keys){.set = s, .claims = c};
  MR_CHECK(mr_calloc((void **)&k->key, (size_t)s->n, sizeof *k->key));
  MR_CHECK(mr_calloc((void **)&k->settings, (size_t)s->n, sizeof *k->settings));
  for (int i = 0; i < s->n; i++) {
    key_of(&s->run[i], k->key[i]);
    MR_CHECK(settings_of(&s->run[i], &k->settings[i]));
  }
  return MR_OK;
}

void mr_keys_close(mr_keys *k)
{
  for (int i = 0; k->settings != NULL && i < k->set->n; i++) mr_free(k->settings[i]);
  mr_free(k->settings);
  mr_free(k->key);
}

/* Numbers are equal as numbers, words as words. */
static bool same(const char *a, const char *b)
{
  char *end_a, *end_b;
  const double x = strtod(a, &end_a), y = strtod(b, &end_b);
  if (end_a != a && *end_a == '\0' && end_b != b && *end_b == '\0') return x == y;
  return strcmp(a, b) == 0;
}

static bool one_of(const char *text, const char *alternatives)
{
  char word[MR_ENTRY];
  for (int i = 0; text != NULL && mr_list_entry(alternatives, '|', i, word, sizeof word); i++)
    if (same(text, word)) return true;
  return false;
}

/* Does the run meet every "key=a|b" of the list? */
static bool meets(const mr_run *r, const char *conditions)
{
  char entry[MR_ENTRY];
  const char *key, *value;
  for (int i = 0; mr_list_entry(conditions, ' ', i, entry, sizeof entry); i++) {
    mr_cut_entry(entry, &key, &value);
    if (!one_of(mr_run_fact(r, key), value)) return false;
  }
  return true;
}

bool mr_run_is_of(const mr_run *r, const char *models)
{
  return one_of(mr_run_fact(r, "model"), models);
}

/* A timing whose descriptor, "mamba:b4t64d64l1:f32:mamba.state=8", has no settings but those that the
 * conditions name. */
static bool plain(const mr_run *r, const char *conditions)
{
  char part[MR_ENTRY], unused[MR_ENTRY];
  for (int i = 0; mr_list_entry(mr_run_settings(r), ':', i, part, sizeof part); i++) {
    char *equals = strchr(part, '=');
    if (equals == NULL) continue; /* :infer32 */
    *equals = '\0';
    if (!mr_condition(conditions, part, unused, sizeof unused)) return false;
  }
  return true;
}

bool mr_run_matches(const mr_run *r, const mr_claim *c)
{
  return c->quantity->command != NULL && strcmp(mr_run_kind(r), c->quantity->command) == 0 &&
         meets(r, c->match);
}

bool mr_run_serves(const mr_run *r, const mr_claim *c)
{
  return mr_run_matches(r, c) && plain(r, c->match);
}

/* ---- What they measured ---------------------------------------------------------------------- */

/* A run that has its lowest loss at its last step does not tell where the lowest loss lies: behind it,
 * or, where its schedule ended sooner than the paper's, anywhere. */
static mr_measure best_step_of(const mr_run *r, const mr_claim *c, double step)
{
  char paper[MR_ENTRY];
  double steps;
  if (!mr_run_number(r, "result.steps", &steps) || step < steps)
    return (mr_measure){true, step, step, step};
  const bool sooner = mr_condition(c->scale, "steps", paper, sizeof paper) && steps < atof(paper);
  return (mr_measure){true, sooner ? 1 : step, step, INFINITY};
}

/* The claim's measure in one run. */
static mr_measure measure_of(const mr_run *r, const mr_claim *c)
{
  mr_measure m = {.there = false};
  const mr_quantity *q = c->quantity;
  double x;
  const mr_timing *t = mr_run_timing(r, q->measure);
  if (t != NULL)
    m = (mr_measure){true, t->q1 * q->scale, t->median * q->scale, t->q3 * q->scale};
  else if (!mr_run_number(r, q->measure, &x))
    return m;
  else if (strcmp(q->measure, "result.best_step") == 0)
    m = best_step_of(r, c, x);
  else
    m = (mr_measure){true, x * q->scale, x * q->scale, x * q->scale};
  return m;
}

/* Mean of n numbers, and a standard deviation to either side. */
static mr_measure mean_of(const double *x, int n)
{
  double mean = 0, square = 0;
  const mr_measure absent = {.there = false};
  if (n == 0) return absent;
  for (int i = 0; i < n; i++) mean += x[i] / n;
  for (int i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
  const double deviation = n > 1 ? sqrt(square / (n - 1)) : 0;
  const mr_measure m = {true, mean - deviation, mean, mean + deviation};
  return m;
}

/* One side of a method over the runs of a key. */
typedef struct search {
  const mr_keys *k;
  const char *key, *models, *with;
  const mr_claim *c;
  mr_served by;
} search;

static void serve(search *s, const mr_run *r)
{
  s->by.of = r;
  const double d = mr_scale_of(r, s->c, s->by.scale, sizeof s->by.scale);
  s->by.distance = fmax(s->by.distance, d);
}

/* What run i measured; absent where it may not serve. */
static mr_measure measure_at(const search *s, int i)
{
  const mr_run *r = &s->k->set->run[i];
  const mr_measure absent = {.there = false};
  const bool any_key = s->c->quantity->average; /* sets have settings of their own */
  const bool taken = (any_key || strcmp(s->k->key[i], s->key) == 0) && mr_run_counts(r) &&
                     mr_run_is_of(r, s->models) && mr_run_serves(r, s->c) && meets(r, s->with);
  return taken ? measure_of(r, s->c) : absent;
}

static mr_measure least(search *s)
{
  mr_measure best = {.there = false};
  int at = -1;
  for (int i = 0; i < s->k->set->n; i++) {
    const mr_measure m = measure_at(s, i);
    if (!m.there || (best.there && m.mid >= best.mid)) continue;
    best = m;
    at = i;
  }
  if (at >= 0) serve(s, &s->k->set->run[at]);
  return best;
}

/* Mean over the seeds of the training that run `first` is one of, into *n their number. */
static mr_measure mean_like(const search *s, int first, int *n)
{
  double x[MOST_PARTS] = {0}, low = 0, high = 0;
  *n = 0;
  for (int i = 0; i < s->k->set->n && *n < MOST_PARTS; i++) {
    if (strcmp(s->k->key[i], s->k->key[first]) != 0 ||
        strcmp(s->k->settings[i], s->k->settings[first]) != 0)
      continue;
    const mr_measure m = measure_at(s, i);
    if (!m.there) continue;
    x[(*n)++] = m.mid;
    low += m.low, high += m.high;
  }
  mr_measure m = mean_of(x, *n);
  m.low = fmin(m.low, low / *n), m.high = fmax(m.high, high / *n);
  return m;
}

/* Mean over the seeds of the training that is nearest to the paper's scale, among equals that with the
 * most seeds. */
static mr_measure mean(search *s)
{
  mr_measure best = {.there = false};
  double nearest = INFINITY;
  int at = -1, most = 0;
  for (int i = 0; i < s->k->set->n; i++) {
    char unused[1];
    int n;
    if (!measure_at(s, i).there) continue;
    const double d = mr_scale_of(&s->k->set->run[i], s->c, unused, 0);
    const mr_measure m = mean_like(s, i, &n);
    if (d > nearest || (d == nearest && n <= most)) continue;
    best = m;
    nearest = d, most = n, at = i;
  }
  if (at >= 0) serve(s, &s->k->set->run[at]);
  return best;
}

/* Mean over all parts; absent when one is. */
static mr_measure average(search *s)
{
  const mr_claim *whole = s->c;
  const mr_measure absent = {.there = false};
  char match[MR_KEY];
  mr_claim part;
  double x[MOST_PARTS] = {0};
  int n = 0;
  while (n < MOST_PARTS && mr_claim_part(s->k->claims, whole, n, &part, match, sizeof match)) {
    s->c = &part;
    const mr_measure m = mean(s);
    s->c = whole;
    if (!m.there) return absent;
    x[n++] = m.mid;
  }
  mr_measure m = mean_of(x, n);
  m.low = m.high = m.mid; /* sets differ by nature, not by noise */
  return m;
}

static mr_measure side_over(search *s)
{
  if (s->c->quantity->average) return average(s);
  return s->c->quantity->least ? least(s) : mean(s);
}

void mr_method_over(const mr_keys *k, const char *key, const mr_claim *c, const char *method,
                    const char *with, mr_side *out, mr_served *by)
{
  char models[2][MR_ENTRY];
  mr_measure m[2] = {{.there = false}, {.there = false}};
  const mr_run *used[2] = {NULL, NULL};
  search s = {.k = k, .key = key, .with = with, .c = c, .by = *by};
  out->answer = MR_ANSWER_UNUSED;
  (void)snprintf(out->models, sizeof out->models, "%s", method);
  if (strcmp(method, "-") == 0) return;
  for (int i = 0; i < 2 && mr_method_part(method, i, models[i], sizeof models[i]); i++) {
    s.models = models[i];
    m[i] = side_over(&s);
    used[i] = s.by.of;
  }
  out->m = mr_combine(c->quantity->form, m[0], m[1]);
  out->answer = mr_answer_of(out->m, c->band);
  if (!out->m.there) return;
  (void)snprintf(out->models, sizeof out->models, "%s%s%s", mr_run_fact(used[0], "model"),
                 used[1] != NULL ? " / " : "",
                 used[1] != NULL ? mr_run_fact(used[1], "model") : "");
  *by = s.by;
}
