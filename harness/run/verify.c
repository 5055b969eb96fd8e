/* verify.c — published claims held against what was run. SPDX-License-Identifier: MIT */
#include "verify.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "mem.h"
#include "verify_impl.h"

/* ---- Setting and machine ---------------------------------------------------------------------- */

/* "width 64, length 512": what the run has for what the paper leaves open. */
static void setting_of(const mr_run *r, const mr_claim *c, char *setting, size_t n)
{
  char entry[MR_ENTRY];
  const char *key, *value;
  size_t used = 0;
  setting[0] = '\0';
  for (int i = 0; mr_list_entry(c->vary, ' ', i, entry, sizeof entry) && used < n; i++) {
    mr_cut_entry(entry, &key, &value);
    const char *ours = mr_run_fact(r, key);
    const int wrote = snprintf(setting + used, n - used, "%s%s %s", used > 0 ? ", " : "", key,
                               ours != NULL ? ours : "unknown");
    used += wrote > 0 ? (size_t)wrote : 0;
  }
}

static void machine_of(const mr_run *r, char *machine, size_t n)
{
  const char *device = mr_run_fact(r, "device"), *cpu = mr_run_fact(r, "machine.cpu");
  const char *gpu = mr_run_fact(r, "machine.gpu"), *threads = mr_run_fact(r, "machine.threads");
  if (device != NULL && strcmp(device, "cuda") == 0)
    (void)snprintf(machine, n, "%s", gpu != NULL ? gpu : "unknown GPU");
  else
    (void)snprintf(machine, n, "%s, %s thread%s", cpu != NULL ? cpu : "unknown CPU",
                   threads != NULL ? threads : "unknown",
                   threads != NULL && strcmp(threads, "1") == 0 ? "" : "s");
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static mr_status add_finding(mr_findings *f, const mr_finding *one)
{
  if ((f->n & (f->n - 1)) == 0) /* 0 or a power of two: full */
    MR_CHECK(mr_regrow((void **)&f->finding, f->n == 0 ? 1 : 2 * (size_t)f->n, sizeof *one));
  f->finding[f->n++] = *one;
  return MR_OK;
}

bool mr_full_scale(const mr_finding *f)
{
  return f->scale[0] == '\0';
}

/* How well a finding answers: both methods, then nearness to the paper's scale. */
typedef struct merit {
  int methods;
  double distance;
} merit;

static bool better(merit a, merit b)
{
  return a.methods != b.methods ? a.methods > b.methods : a.distance < b.distance;
}

/* What the runs of one key say of a claim. */
static merit judge_key(const mr_keys *k, const char *key, const mr_claim *c, const mr_run *r,
                       mr_finding *f)
{
  mr_served by = {.of = r};
  *f = (mr_finding){.claim = c};
  mr_method_over(k, key, c, c->fair, "-", &f->fair, &by);
  mr_method_over(k, key, c, c->paper, c->paper_with, &f->paper, &by);
  f->verdict = mr_ruling_of(f->paper.answer, f->fair.answer);
  (void)snprintf(f->scale, sizeof f->scale, "%s", by.scale);
  setting_of(by.of, c, f->setting, sizeof f->setting);
  machine_of(by.of, f->machine, sizeof f->machine);
  const merit m = {f->paper.m.there + f->fair.m.there, by.distance};
  return m;
}

/* The best finding so far for each setting of one claim. */
typedef struct best {
  mr_finding *finding;
  merit *merit;
  int n;
} best;

static void keep_better(best *b, const mr_finding *f, merit m)
{
  int i = 0;
  while (i < b->n && strcmp(b->finding[i].setting, f->setting) != 0) i++;
  if (i < b->n && !better(m, b->merit[i])) return;
  if (i == b->n) b->n++;
  b->finding[i] = *f;
  b->merit[i] = m;
}

static bool serves(const mr_run *r, const mr_claim *c)
{
  return mr_run_serves(r, c) && mr_run_counts(r);
}

/* Is run i the first of the runs with its key that could serve? */
static bool opens_key(const mr_keys *k, const mr_claim *c, int i)
{
  if (!serves(&k->set->run[i], c)) return false;
  for (int j = 0; j < i; j++)
    if (strcmp(k->key[j], k->key[i]) == 0 && serves(&k->set->run[j], c)) return false;
  return true;
}

/* Is where the lowest loss lies unknown, because a run had it at its last step? */
static bool improving(const mr_finding *f)
{
  const mr_measure *m = &f->paper.m;
  return m->there && strcmp(f->claim->quantity->measure, "result.best_step") == 0 &&
         (isinf(m->high) || !(m->low > 0));
}

static mr_status judge_run(const mr_keys *k, const mr_claim *c, best *b, mr_findings *out)
{
  b->n = 0;
  for (int i = 0; i < k->set->n; i++) {
    mr_finding f;
    if (!opens_key(k, c, i)) continue;
    const merit m = judge_key(k, k->key[i], c, &k->set->run[i], &f);
    if (m.methods > 0) keep_better(b, &f, m);
  }
  if (b->n == 0) {
    mr_finding f = {.claim = c};
    mr_served nothing = {.of = NULL};
    mr_method_over(k, "", c, c->fair, "-", &f.fair, &nothing);
    mr_method_over(k, "", c, c->paper, c->paper_with, &f.paper, &nothing);
    f.verdict = mr_ruling_of(f.paper.answer, f.fair.answer);
    b->finding[b->n++] = f;
  }
  for (int i = 0; i < b->n; i++) {
    mr_finding *f = &b->finding[i];
    if (f->verdict == MR_NOT_RUN) mr_explain(k, f);
    if (f->verdict == MR_UNDECIDED && improving(f))
      (void)snprintf(f->reason, sizeof f->reason, "still improving at the last step");
    MR_CHECK(add_finding(out, &b->finding[i]));
  }
  return MR_OK;
}

static mr_status judge_counted(const mr_claim *c, mr_findings *out)
{
  mr_finding f = {.claim = c};
  MR_CHECK(mr_method_counted(c, c->paper, false, &f.paper));
  MR_CHECK(mr_method_counted(c, c->fair, true, &f.fair));
  f.verdict = mr_ruling_of(f.paper.answer, f.fair.answer);
  (void)snprintf(f.machine, sizeof f.machine, "any");
  return add_finding(out, &f);
}

mr_status mr_verify(const mr_claims *c, const mr_runset *s, mr_findings *out)
{
  mr_status st = MR_OK;
  mr_keys k = {.set = NULL};
  best b = {.n = 0};
  *out = (mr_findings){.n = 0};
  MR_TRY(mr_keys_open(&k, c, s));
  MR_TRY(mr_calloc((void **)&b.finding, (size_t)s->n + 1, sizeof *b.finding));
  MR_TRY(mr_calloc((void **)&b.merit, (size_t)s->n + 1, sizeof *b.merit));
  for (int i = 0; i < c->n; i++) {
    if (c->claim[i].skipped) continue;
    MR_TRY(c->claim[i].quantity->measure == NULL ? judge_counted(&c->claim[i], out)
                                                 : judge_run(&k, &c->claim[i], &b, out));
  }
out:
  mr_free(b.finding);
  mr_free(b.merit);
  mr_keys_close(&k);
  if (st != MR_OK) mr_findings_free(out);
  return st;
}

void mr_findings_free(mr_findings *f)
{
  mr_free(f->finding);
  *f = (mr_findings){.n = 0};
}
