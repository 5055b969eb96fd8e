/* test_registry.c — files that are there are registered, and every op has cases.
 * SPDX-License-Identifier: MIT */
/* labels: unit */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "registry.h"
#include "testing.h"

enum { MAX_NAMES = 2048, NAME = 128 };

typedef struct names {
  char name[MAX_NAMES][NAME];
  int n;
} names;

static void add(names *s, const char *name)
{
  assert_true(s->n < MAX_NAMES && strlen(name) < NAME);
  memcpy(s->name[s->n++], name, strlen(name) + 1);
}

static bool has(const names *s, const char *name)
{
  for (int i = 0; i < s->n; i++)
    if (strcmp(s->name[i], name) == 0) return true;
  return false;
}

static const char *source(const char *path)
{
  static char full[1024];
  const char *root = getenv("MINRNN_SOURCE_DIR");
  (void)snprintf(full, sizeof full, "%s/%s", root ? root : ".", path);
  return full;
}

static bool ends(const char *s, const char *tail)
{
  size_t n = strlen(s), m = strlen(tail);
  return n >= m && strcmp(s + n - m, tail) == 0;
}

/* Names of the files in a folder that end in `tail`, without it. */
static void list_folder(const char *folder, const char *tail, names *out)
{
  DIR *d = opendir(source(folder));
  assert_non_null(d);
  for (const struct dirent *e; (e = readdir(d)) != NULL;) {
    char stem[NAME];
    if (!ends(e->d_name, tail) || strlen(e->d_name) >= NAME) continue;
    (void)snprintf(stem, sizeof stem, "%.*s", (int)(strlen(e->d_name) - strlen(tail)), e->d_name);
    add(out, stem);
  }
  assert_int_equal(closedir(d), 0);
}

/* ==== Models and tasks ======================================================================= */

static void every_file_of_models_baselines_and_tasks_is_registered(void **state)
{
  static names models, tasks;
  int n_models = 0;
  (void)state;
  list_folder("models", ".c", &models);
  assert_int_equal(models.n, mr_n_paper_models);
  list_folder("baselines", ".c", &models);
  list_folder("tasks", ".c", &tasks);
  for (int i = 0; i < models.n; i++) {
    if (ends(models.name[i], "_op")) continue;
    n_models++;
    if (!mr_find_model(models.name[i])) fail_msg("model %s is not registered", models.name[i]);
    assert_string_equal(mr_find_model(models.name[i])->name, models.name[i]);
  }
  assert_int_equal(n_models, mr_n_models);
  assert_int_equal(tasks.n, mr_n_tasks);
  for (int i = 0; i < tasks.n; i++)
    if (!mr_find_task(tasks.name[i])) fail_msg("task %s is not registered", tasks.name[i]);
  assert_null(mr_find_model("no_such_model"));
  assert_null(mr_find_task("no_such_task"));
}

static void check_options(const char *owner, const char *summary, const mr_opt *opts, int n)
{
  assert_true(summary && *summary);
  for (int i = 0; i < n; i++) {
    char word[512];
    mr_config c;
    assert_true(opts[i].key && *opts[i].key && opts[i].dflt && opts[i].help && *opts[i].help);
    for (int j = 0; j < i; j++) assert_string_not_equal(opts[i].key, opts[j].key);
    /* The default passes the option's own check. */
    (void)snprintf(word, sizeof word, "--%s.%s=%s", owner, opts[i].key, opts[i].dflt);
    const char *words[] = {word};
    assert_ok(mr_run_config(&c, NULL, 1, words));
    mr_config_free(&c);
  }
}

static void every_model_and_task_describes_itself(void **state)
{
  (void)state;
  for (int i = 0; i < mr_n_models; i++) {
    const mr_model_def *m = mr_models[i];
    const mr_dims d = {3, 7, 4, 5, 2, 0, 7};
    mr_shape shape[MR_MAX_STATE];
    mr_config c;
    check_options(m->name, m->summary, m->opts, m->n_opts);
    assert_non_null(m->mixer);
    assert_ok(mr_run_config(&c, NULL, 0, NULL));
    int n = m->state(&c, d, shape);
    assert_true(n >= 0 && n <= MR_MAX_STATE);
    for (int k = 0; k < n; k++) assert_int_equal(shape[k].dim[0], d.B);
    mr_config_free(&c);
  }
  for (int i = 0; i < mr_n_tasks; i++) {
    const mr_task_def *k = mr_tasks[i];
    check_options(k->name, k->summary, k->opts, k->n_opts);
    assert_true(k->open && k->close && k->info && k->batch && (k->score || k->rollout));
    k->close(NULL);
  }
}

static void names_serve_once(void **state)
{
  static names seen;
  (void)state;
  for (int i = 0; i < mr_n_models; i++) {
    assert_false(has(&seen, mr_models[i]->name));
    add(&seen, mr_models[i]->name);
  }
  for (int i = 0; i < mr_n_tasks; i++) {
    assert_false(has(&seen, mr_tasks[i]->name));
    add(&seen, mr_tasks[i]->name);
  }
}

static void unknown_models_and_tasks_are_refused_by_name(void **state)
{
  mr_config c;
  const char *model[] = {"--model=mingur"}, *task[] = {"--task=selective_cpoy"};
  (void)state;
  assert_fails(mr_run_config(&c, NULL, 1, model), MR_ERR_CONFIG, "mingur");
  assert_fails(mr_run_config(&c, NULL, 1, task), MR_ERR_CONFIG, "selective_cpoy");
}

/* ==== Ops and their cases ==================================================================== */

typedef struct case_names {
  names cases, ops;
} case_names;

static mr_status note(void *ctx, const mr_case *c)
{
  case_names *s = ctx;
  /* Room to spare shows that nothing was cut off. */
  assert_true(strlen(c->name) < sizeof c->name - 1);
  if (has(&s->cases, c->name)) fail_msg("two cases are named %s", c->name);
  add(&s->cases, c->name);
  if (!has(&s->ops, c->op->name)) add(&s->ops, c->op->name);
  assert_true(c->rtol > 0 && c->atol > 0 && c->why && *c->why);
  assert_true(c->op->n_in == MR_VARIADIC || c->n_in <= c->op->n_in);
  return MR_OK;
}

static void every_op_has_a_case_of_its_own(void **state)
{
  static case_names table;
  static names headers;
  const char *start = "extern const mr_op mr_";
  int n_ops = 0;
  (void)state;
  assert_ok(mr_cases_each(note, &table));
  list_folder("harness/engine/ops", ".h", &headers);
  for (int i = 0; i < headers.n; i++) {
    char path[512], line[512];
    (void)snprintf(path, sizeof path, "harness/engine/ops/%s.h", headers.name[i]);
    FILE *f = fopen(source(path), "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
      char *at = strstr(line, start), *end = at ? strstr(at, "_op;") : NULL;
      if (!end) continue;
      *end = '\0';
      n_ops++;
      if (!has(&table.ops, at + strlen(start)))
        fail_msg("%s has no case in harness/check", at + strlen(start));
    }
    assert_int_equal(fclose(f), 0);
  }
  assert_int_equal(n_ops, table.ops.n);
}

static mr_status count(void *ctx, const mr_case *c)
{
  (void)c;
  ++*(int *)ctx;
  return MR_OK;
}

static void the_list_has_one_line_per_case(void **state)
{
  int n_cases = 0, n_lines = 0;
  FILE *f = tmpfile();
  (void)state;
  assert_non_null(f);
  assert_ok(mr_cases_each(count, &n_cases));
  assert_ok(mr_check_list(f));
  rewind(f);
  for (int c; (c = fgetc(f)) != EOF;) n_lines += c == '\n';
  assert_int_equal(fclose(f), 0);
  assert_int_equal(n_lines, n_cases);
}

static void checks_run_by_name_or_by_the_start_of_it(void **state)
{
  mr_check_count n;
  char line[512];
  FILE *f = tmpfile();
  (void)state;
  assert_non_null(f);
  assert_ok(mr_check_run("gru_seq:B2T5H3:reset=after", MR_CPU, MR_CHECK_ALL, false, f, &n));
  assert_int_equal(n.run, 1);
  assert_int_equal(n.failed, 0);
  assert_ok(mr_check_run("gru_seq:B2T5H3:reset", MR_CPU, MR_CHECK_ALL, false, f, &n));
  assert_int_equal(n.run, 4);
  assert_int_equal(n.failed, 0);
  rewind(f);
  assert_non_null(fgets(line, sizeof line, f));
  assert_holds(line, "ok ");
  assert_holds(line, "gru_seq:B2T5H3:reset=after");
  assert_fails(mr_check_run("nonsense", MR_CPU, MR_CHECK_ALL, false, f, &n), MR_ERR_ARG,
               "nonsense");
  assert_int_equal(n.run, 0);
  assert_int_equal(fclose(f), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_file_of_models_baselines_and_tasks_is_registered),
      cmocka_unit_test(every_model_and_task_describes_itself),
      cmocka_unit_test(names_serve_once),
      cmocka_unit_test(unknown_models_and_tasks_are_refused_by_name),
      cmocka_unit_test(every_op_has_a_case_of_its_own),
      cmocka_unit_test(the_list_has_one_line_per_case),
      cmocka_unit_test(checks_run_by_name_or_by_the_start_of_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
