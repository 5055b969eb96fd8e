/* runs.h — small training runs for tests, and what their files hold. SPDX-License-Identifier: MIT */
#ifndef MR_TEST_RUNS_H
#define MR_TEST_RUNS_H
#include "testing.h"
#include "h5log.h"
#include "train.h"

/* A run of a tiny network on one thread (so that tests may fork): 12 steps, a validation and a row of
 * /train every 4. */
typedef struct small_run {
  char path[512], part[600], best[600], last[600]; /* in the test's folder */
  mr_config config;
} small_run;

/* Prepares "<folder>/<name>.h5" with `n` more words of settings. */
void run_open(small_run *r, const char *name, int n, const char *const *settings);
void run_close(small_run *r);

typedef enum run_mode { RUN_NEW, RUN_FORCE, RUN_RESUME } run_mode;
mr_status run_train(const small_run *r, run_mode mode, mr_train_result *result);

bool file_exists(const char *path);
/* Attribute of a run file as text; fails the test when it is missing. The text stays until the next
 * call. */
const char *run_attr(const char *path, const char *group, const char *name);
double run_number(const char *path, const char *group, const char *name);
/* True when the tables /train and /eval and all results of both files are the same bits, times
 * aside. */
bool same_results(const char *a, const char *b);
/* Entries of the test's folder, for "wrote nothing". */
int folder_entries(void);
#endif
