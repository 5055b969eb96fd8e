/* test_profile.c — what the paper profile runs is what the claims ask for. SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "testing.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench_cell.h"
#include "mem.h"
#include "verify.h"

enum { MOST_RUNS = 4096, MOST_WORDS = 24, WORD_BYTES = 256, LINE_BYTES = 1024, MOST_FACTS = 128 };

static mr_claims claims;
static mr_runset runs;
static mr_findings findings;

static void source_path(char *buf, size_t n, const char *folder, const char *name)
{
  const char *root = getenv("MINRNN_SOURCE_DIR");
  snprintf(buf, n, "%s/%s/%s", root != NULL ? root : ".", folder, name);
}

/* ---- Runs as a profile would leave them ------------------------------------------------------ */

static mr_status add_fact(void *ctx, const char *name, const char *text)
{
  mr_run *r = ctx;
  assert_true(r->n_facts < MOST_FACTS);
  mr_fact *f = &r->fact[r->n_facts++];
  MR_CHECK(mr_strdup(&f->name, name));
  return mr_strdup(&f->text, text);
}

static mr_status add_setting(void *ctx, const char *key, const char *value)
{
  char name[WORD_BYTES];
  snprintf(name, sizeof name, "config.%s", key);
  return add_fact(ctx, name, value);
}

static void put(mr_run *r, const char *name, const char *text)
{
  assert_ok(add_fact(r, name, text));
}

static void put_timing(mr_run *r, const char *name)
{
  mr_timing *t = &r->timing[r->n_timings++];
  t->q1 = t->median = t->q3 = 1;
  assert_ok(mr_strdup(&t->name, name));
}

static void put_training(mr_run *r, const mr_config *c)
{
  char steps[32];
  snprintf(steps, sizeof steps, "%lld", (long long)c->steps);
  put(r, "result.steps", steps);
  put(r, "result.best_step", "10");
  put(r, "result.test_accuracy_best", "0.5");
  put(r, "result.valid_loss_best", "1.5");
  put(r, "result.test_score_best", "50");
  put(r, "data.generated", "no"); /* D4RL's files are given */
}

static void put_cell(mr_run *r, const mr_cell *cell, const char *context)
{
  char text[MR_CELL_TEXT];
  assert_ok(mr_cell_describe(cell, cell->config.length, 1, text));
  put(r, "cell.descriptor", text);
  put(r, "cell.cache", "hot");
  put(r, "cell.mode", context[0] != '\0' ? "infer" : mr_cell_mode(&cell->config));
  if (context[0] != '\0') put(r, "cell.context", context);
  put(r, "memory.planned_bytes", "1000");
  put_timing(r, "bench.step_ns");
  put_timing(r, "prefill.prefill_ns");
  put_timing(r, "token.token_ns");
}

/* A complete run of a command, "train", "bench" or "infer". */
static void add_run(const char *command, const char *path, int n, char word[][WORD_BYTES])
{
  mr_cell cell = {.cold = false};
  const char *arg[MOST_WORDS];
  char context[WORD_BYTES] = "";
  int n_args = 0;
  assert_true(runs.n < MOST_RUNS);
  mr_run *r = &runs.run[runs.n++];
  assert_ok(mr_calloc((void **)&r->fact, MOST_FACTS, sizeof *r->fact));
  assert_ok(mr_calloc((void **)&r->timing, 3, sizeof *r->timing));
  for (int i = 0; i < n; i++) {
    if (strncmp(word[i], "--context=", 10) == 0)
      snprintf(context, sizeof context, "%s", word[i] + 10);
    else if (strncmp(word[i], "--tokens=", 9) != 0)
      arg[n_args++] = word[i];
  }
  assert_ok(mr_cell_config(&cell.config, path, n_args, arg));
  put(r, "status", "complete");
  assert_ok(mr_config_each(&cell.config, add_setting, r));
  if (strcmp(command, "train") == 0)
    put_training(r, &cell.config);
  else
    put_cell(r, &cell, context);
  mr_cell_free(&cell);
}

/* Every combination of the lists in the words from `at` on; trainings have none. */
static void add_sweep(const char *command, const char *path, int at, int n, char word[][WORD_BYTES])
{
  char whole[WORD_BYTES], list[WORD_BYTES];
  if (at == n || strcmp(command, "train") == 0) {
    add_run(command, path, n, word);
    return;
  }
  memcpy(whole, word[at], sizeof whole);
  memcpy(list, word[at], sizeof list);
  const int head = (int)strcspn(list, "=") + 1;
  for (char *rest = list + head; rest != NULL;) {
    const char *value = strsep(&rest, ",");
    snprintf(word[at], WORD_BYTES, "%.*s%s", head, whole, value);
    add_sweep(command, path, at + 1, n, word);
  }
  memcpy(word[at], whole, sizeof whole);
}

/* "bench x.cfg --key=value ..."; without a command it trains. */
static void add_line(char *line)
{
  char word[MOST_WORDS][WORD_BYTES], path[LINE_BYTES];
  char *rest = line;
  const char *command = "train", *file = strsep(&rest, " \n"), *w;
  int n = 0;
  if (strstr(file, ".cfg") == NULL) command = file, file = strsep(&rest, " \n");
  source_path(path, sizeof path, "scripts/experiments", file);
  while ((w = strsep(&rest, " \n")) != NULL) {
    if (*w == '\0') continue;
    assert_true(n < MOST_WORDS && strlen(w) < WORD_BYTES);
    snprintf(word[n++], WORD_BYTES, "%s", w);
  }
  add_sweep(command, path, 0, n, word);
}

/* One seed of all is enough. */
static bool further_seed(const char *line)
{
  const char *seed = strstr(line, "--seed=");
  return seed != NULL && atoi(seed + 7) != 1 && atoi(seed + 7) != 12;
}

static void add_profile(const char *name)
{
  char path[LINE_BYTES], line[LINE_BYTES];
  source_path(path, sizeof path, "scripts/experiments", name);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  assert_ok(mr_calloc((void **)&runs.run, MOST_RUNS, sizeof *runs.run));
  while (fgets(line, sizeof line, f) != NULL)
    if (line[0] != '#' && line[0] != '\n' && !further_seed(line)) add_line(line);
  assert_int_equal(fclose(f), 0);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void the_paper_profile_feeds_every_claim_at_the_papers_scale(void **state)
{
  char path[LINE_BYTES];
  int fed = 0;
  (void)state;
  source_path(path, sizeof path, "results/paper", "claims.tsv");
  assert_ok(mr_claims_read(&claims, path));
  add_profile("profile_paper.txt");
  assert_ok(mr_verify(&claims, &runs, &findings));
  for (int i = 0; i < findings.n; i++) {
    const mr_finding *f = &findings.finding[i];
    if (strncmp(f->reason, "this program has no ", 20) == 0) continue;
    if (f->verdict == MR_NOT_RUN || !mr_full_scale(f))
      fail_msg("%s (%s): %s %s", f->claim->id, f->setting, f->reason, f->scale);
    fed++;
  }
  assert_true(fed > 80);
}

/* Do the configs of two runs differ in nothing but the seed? */
static bool alike(const mr_run *a, const mr_run *b)
{
  for (int i = 0; i < a->n_facts; i++) {
    const char *name = a->fact[i].name, *other = mr_run_fact(b, name);
    if (strncmp(name, "config.", 7) != 0 || strcmp(name, "config.seed") == 0) continue;
    if (other == NULL || strcmp(other, a->fact[i].text) != 0) return false;
  }
  return true;
}

static bool in_profile(const mr_run *r, int n)
{
  bool found = false;
  for (int i = 0; i < n && !found; i++) found = alike(r, &runs.run[i]);
  return found;
}

/* Every command of "a && b" makes a run that the first n runs hold. */
static void check_commands(const char *id, const char *commands, int n)
{
  static const char start[] = "build/minrnn train scripts/experiments/";
  char line[LINE_BYTES];
  for (const char *at = commands; at != NULL; at = strstr(at, " && ")) {
    if (*at == ' ') at += 4;
    assert_int_equal(strncmp(at, start, sizeof start - 1), 0);
    const char *end = strstr(at, " && ");
    const int length = end != NULL ? (int)(end - at) : (int)strlen(at);
    snprintf(line, sizeof line, "%.*s", length - (int)(sizeof start - 1), at + sizeof start - 1);
    add_line(line);
    if (!in_profile(&runs.run[runs.n - 1], n)) fail_msg("%s: %s", id, commands);
  }
}

static void trainings_that_claims_ask_for_are_those_of_the_paper_profile(void **state)
{
  char path[LINE_BYTES];
  int n_checked = 0;
  (void)state;
  source_path(path, sizeof path, "results/paper", "claims.tsv");
  assert_ok(mr_claims_read(&claims, path));
  assert_ok(mr_verify(&claims, &runs, &findings)); /* of no runs */
  add_profile("profile_paper.txt");
  const int n = runs.n;
  for (int i = 0; i < findings.n; i++) {
    const mr_finding *f = &findings.finding[i];
    const mr_quantity *q = f->claim->quantity;
    if (f->command[0] == '\0' || strcmp(q->command, "train") != 0 || q->average) continue;
    check_commands(f->claim->id, f->command, n);
    n_checked++;
  }
  assert_true(n_checked > 50);
}

static int tear_down(void **state)
{
  (void)state;
  mr_findings_free(&findings);
  mr_runset_free(&runs);
  mr_claims_free(&claims);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(the_paper_profile_feeds_every_claim_at_the_papers_scale, tear_down),
      cmocka_unit_test_teardown(trainings_that_claims_ask_for_are_those_of_the_paper_profile,
                                tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
