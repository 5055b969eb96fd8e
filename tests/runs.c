/* runs.c — small training runs for tests. SPDX-License-Identifier: MIT */
#include "runs.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_WORDS = 32 };

void run_open(small_run *r, const char *name, int n, const char *const *settings)
{
  static const char *const usual[] = {"--threads=1",      "--length=12",
                                      "--width=8",        "--layers=1",
                                      "--batch=4",        "--steps=12",
                                      "--eval_every=4",   "--log_every=4",
                                      "--eval_batches=2", "--selective_copy.data_tokens=2"};
  enum { N_USUAL = sizeof usual / sizeof usual[0] };
  const char *word[MOST_WORDS];
  char out[600];
  assert_true(n + N_USUAL < MOST_WORDS);
  snprintf(r->path, sizeof r->path, "%s/%s.h5", mr_test_folder(), name);
  snprintf(r->part, sizeof r->part, "%s.part", r->path);
  snprintf(r->best, sizeof r->best, "%s/%s.best.ckpt", mr_test_folder(), name);
  snprintf(r->last, sizeof r->last, "%s/%s.last.ckpt", mr_test_folder(), name);
  snprintf(out, sizeof out, "--out=%s", r->path);
  word[0] = out;
  memcpy(word + 1, usual, sizeof usual);
  if (n > 0) memcpy(word + 1 + N_USUAL, settings, (size_t)n * sizeof *settings);
  assert_ok(mr_run_config(&r->config, NULL, 1 + N_USUAL + n, word));
}

void run_close(small_run *r)
{
  mr_config_free(&r->config);
}

mr_status run_train(const small_run *r, run_mode mode, mr_train_result *result)
{
  mr_train_result unread;
  mr_train_opts o = {.quiet = true,
                     .force = mode == RUN_FORCE,
                     .resume = mode == RUN_RESUME,
                     .command = "minrnn train"};
  return mr_train(&r->config, &o, result != NULL ? result : &unread);
}

bool file_exists(const char *path)
{
  return access(path, F_OK) == 0;
}

const char *run_attr(const char *path, const char *group, const char *name)
{
  static char text[1024];
  assert_ok(mr_h5_attr(path, group, name, text, sizeof text));
  return text;
}

double run_number(const char *path, const char *group, const char *name)
{
  return strtod(run_attr(path, group, name), NULL);
}

static bool same_tables(const mr_table *a, const mr_table *b)
{
  if (a->n_rows != b->n_rows || a->n_columns != b->n_columns || a->n_rows == 0) return false;
  for (int64_t i = 0; i < a->n_rows; i++)
    for (int k = 0; k < a->n_columns; k++) {
      const double *x = a->cell + i * a->n_columns + k, *y = b->cell + i * b->n_columns + k;
      bool is_time = strcmp(a->column[k].name, "wall_ns") == 0;
      if (!is_time && memcmp(x, y, sizeof *x) != 0) return false;
    }
  return true;
}

static bool same_table(const char *a, const char *b, const char *group)
{
  mr_h5_table x, y;
  assert_ok(mr_h5_table_read(a, group, &x));
  assert_ok(mr_h5_table_read(b, group, &y));
  bool same = same_tables(&x.table, &y.table);
  mr_h5_table_free(&x);
  mr_h5_table_free(&y);
  return same;
}

bool same_results(const char *a, const char *b)
{
  static const char *const name[] = {
      "steps",          "best_step",      "valid_loss_best",    "valid_loss_last",
      "test_loss_best", "test_loss_last", "test_accuracy_best", "test_accuracy_last"};
  for (size_t i = 0; i < sizeof name / sizeof name[0]; i++)
    if (run_number(a, "/result", name[i]) != run_number(b, "/result", name[i])) return false;
  return same_table(a, b, "train") && same_table(a, b, "eval");
}

int folder_entries(void)
{
  int n = 0;
  DIR *d = opendir(mr_test_folder());
  assert_non_null(d);
  while (readdir(d) != NULL) n++;
  assert_int_equal(closedir(d), 0);
  return n;
}
