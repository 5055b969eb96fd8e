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

/* Networks that are trained differ in more than the model, as each needs; those that are timed do not. */
static void key_of(const mr_run *r, char key[MR_KEY])
{
  static const char *const of_all[] = {"task",   "length", "context",     "tokens",
                                       "steps",  "width",  "layers",      "batch",
                                       "device", "math",   "machine.cpu", "machine.gpu"};
  static const char *const of_timings[] = {"threads", "cache", "expansion", "conv", "mlp"};
  key[0] = '\0';
  put_facts(r, of_all, sizeof of_all / sizeof *of_all, key);
  if (strcmp(mr_run_kind(r), "train") != 0)
    put_facts(r, of_timings, sizeof of_timings / sizeof *of_timings, key);
}

mr_status mr_keys_open(mr_keys *k, const mr_runset *s)
{
  *k = (mr_keys){.set = s};
  MR_CHECK(mr_calloc((void **)&k->key, (size_t)s->n, sizeof *k->key));
  for (int i = 0; i < s->n; i++) key_of(&s->run[i], k->key[i]);
  return MR_OK;
}

void mr_keys_close(mr_keys *k)
{
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

bool mr_run_serves(const mr_run *r, const mr_claim *c)
{
  return c->quantity->command != NULL && strcmp(mr_run_kind(r), c->quantity->command) == 0 &&
         meets(r, c->match);
}

/* ---- What they measured ---------------------------------------------------------------------- */

/* The quantity's measure in one run. */
static mr_measure measure_of(const mr_run *r, const mr_quantity *q)
{
  mr_measure m = {.there = false};
  double x;
  const mr_timing *t = mr_run_timing(r, q->measure);
  if (t != NULL)
    m = (mr_measure){true, t->q1 * q->scale, t->median * q->scale, t->q3 * q->scale};
  else if (mr_run_number(r, q->measure, &x))
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
  const mr_run *of; /* a run that served */
} search;

static bool takes(const search *s, int i)
{
  const mr_run *r = &s->k->set->run[i];
  const bool any_key = s->c->quantity->average; /* sets have settings of their own */
  return (any_key || strcmp(s->k->key[i], s->key) == 0) && mr_run_counts(r) &&
         mr_run_is_of(r, s->models) && mr_run_serves(r, s->c) && meets(r, s->with);
}

static mr_measure least(search *s)
{
  mr_measure best = {.there = false};
  for (int i = 0; i < s->k->set->n; i++) {
    if (!takes(s, i)) continue;
    const mr_measure m = measure_of(&s->k->set->run[i], s->c->quantity);
    if (!m.there || (best.there && m.mid >= best.mid)) continue;
    best = m;
    s->of = &s->k->set->run[i];
  }
  return best;
}

static mr_measure mean(search *s)
{
  double x[MOST_PARTS];
  int n = 0;
  for (int i = 0; i < s->k->set->n && n < MOST_PARTS; i++) {
    if (!takes(s, i)) continue;
    const mr_measure m = measure_of(&s->k->set->run[i], s->c->quantity);
    if (!m.there) continue;
    x[n++] = m.mid;
    s->of = &s->k->set->run[i];
  }
  return mean_of(x, n);
}

/* The alternatives of all conditions, combined: condition list number i, "a=1 b=2"; false behind the
 * last. */
static bool combination(const char *match, int i, char *list, size_t n)
{
  char entry[MR_ENTRY], word[MR_ENTRY];
  const char *key, *value;
  size_t used = 0;
  list[0] = '\0';
  for (int k = 0; mr_list_entry(match, ' ', k, entry, sizeof entry); k++) {
    int m = 1;
    mr_cut_entry(entry, &key, &value);
    while (mr_list_entry(value, '|', m, word, sizeof word)) m++;
    (void)mr_list_entry(value, '|', i % m, word, sizeof word);
    i /= m;
    const int wrote = snprintf(list + used, n - used, "%s%s=%s", used > 0 ? " " : "", key, word);
    if (wrote < 0 || (size_t)wrote >= n - used) return false;
    used += (size_t)wrote;
  }
  return i == 0;
}

/* Mean over all combinations of alternatives; absent when one is. */
static mr_measure average(search *s)
{
  const mr_claim *whole = s->c;
  const mr_measure absent = {.there = false};
  char list[MR_KEY];
  double x[MOST_PARTS];
  int n = 0;
  for (; n < MOST_PARTS && combination(whole->match, n, list, sizeof list); n++) {
    mr_claim part = *whole;
    part.match = list;
    s->c = &part;
    const mr_measure m = mean(s);
    s->c = whole;
    if (!m.there) return absent;
    x[n] = m.mid;
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
                    const char *with, mr_side *out, const mr_run **of)
{
  char models[2][MR_ENTRY];
  mr_measure m[2] = {{.there = false}, {.there = false}};
  const mr_run *used[2] = {NULL, NULL};
  out->answer = MR_ANSWER_UNUSED;
  (void)snprintf(out->models, sizeof out->models, "%s", method);
  if (strcmp(method, "-") == 0) return;
  for (int i = 0; i < 2 && mr_method_part(method, i, models[i], sizeof models[i]); i++) {
    search s = {.k = k, .key = key, .models = models[i], .with = with, .c = c};
    m[i] = side_over(&s);
    used[i] = s.of;
  }
  out->m = mr_combine(c->quantity->form, m[0], m[1]);
  out->answer = mr_answer_of(out->m, c->band);
  if (!out->m.there) return;
  (void)snprintf(out->models, sizeof out->models, "%s%s%s", mr_run_fact(used[0], "model"),
                 used[1] != NULL ? " / " : "",
                 used[1] != NULL ? mr_run_fact(used[1], "model") : "");
  if (of != NULL) *of = used[0];
}
