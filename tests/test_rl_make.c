/* test_rl_make.c — data sets made here: written and read, seeds raced, files kept, interrupted, shared.
 * SPDX-License-Identifier: MIT */
/* labels: unit */
#include "testing.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "d4rl.h"
#include "make.h"
#include "mem.h"
#include "options.h"
#include "registry.h"
#include "toy.h"

enum { MOST_WORDS = 12, KINDS = 3 };
static const char *const level[KINDS] = {"medium", "medium-replay", "medium-expert"};
static char folder[512];

static int set_up(void **state)
{
  (void)state;
  (void)snprintf(folder, sizeof folder, "%s", mr_test_folder());
  return 0;
}

static int tear_down(void **state)
{
  (void)state;
  mr_test_folder_remove();
  return toy_open_count();
}

/* Two seeds of 5 rounds, 4000 steps; `more` words come after. Data go to <folder>/<name>. */
static void load(mr_config *c, const char *name, int threads, int n, const char *const *more)
{
  char cache[700], team[32];
  const char *word[MOST_WORDS] = {cache, team, "--offline_rl.ppo_steps=10240",
                                  "--offline_rl.data_steps=4000"};
  (void)snprintf(cache, sizeof cache, "--offline_rl.cache=%s/%s", folder, name);
  (void)snprintf(team, sizeof team, "--threads=%d", threads);
  for (int i = 0; i < n; i++) word[4 + i] = more[i];
  assert_ok(mr_run_config(c, NULL, 4 + n, word));
}

static void path_of(char *path, size_t n, const mr_config *c, int kind)
{
  assert_ok(mr_make_path(path, n, &toy_env, c, level[kind]));
}

/* The whole file in memory, ended by a zero; *n bytes. */
static char *slurp(const char *path, size_t *n)
{
  FILE *f = fopen(path, "rb");
  struct stat s;
  void *p = NULL;
  if (!f) fail_msg("there is no %s", path);
  assert_int_equal(fstat(fileno(f), &s), 0);
  *n = (size_t)s.st_size;
  assert_ok(mr_calloc(&p, *n + 1, 1));
  assert_int_equal(fread(p, 1, *n, f), *n);
  assert_int_equal(fclose(f), 0);
  return p;
}

static void assert_same_files(const mr_config *a, const mr_config *b, int kind)
{
  char one[900], two[900];
  size_t n, m;
  path_of(one, sizeof one, a, kind);
  path_of(two, sizeof two, b, kind);
  char *x = slurp(one, &n), *y = slurp(two, &m);
  assert_int_equal(n, m);
  assert_memory_equal(x, y, n);
  mr_free(x);
  mr_free(y);
}

static mr_dataset read_set(const mr_config *c, int kind)
{
  mr_dataset d;
  char path[900];
  mr_env *e = NULL;
  mr_env_spec spec;
  assert_ok(toy_env.open(&e, c));
  toy_env.spec(e, &spec);
  path_of(path, sizeof path, c, kind);
  assert_ok(mr_d4rl_read(&d, path, &spec));
  toy_env.close(e);
  return d;
}

/* All levels, made without any interruption on one thread, once. */
static void load_whole(mr_config *c)
{
  load(c, "whole", 1, 0, NULL);
  assert_ok(mr_make(&toy_env, c, level, KINDS, true));
}

/* ---- Files ----------------------------------------------------------------------------------- */

static mr_env_spec toy_spec(void)
{
  mr_env_spec spec;
  toy_env.spec(NULL, &spec);
  return spec;
}

/* Two episodes of 3 and 40 steps and one that is not finished. */
static void fill(mr_steps *s)
{
  const mr_env_spec spec = toy_spec();
  mr_steps_init(s, &spec);
  for (int i = 0; i < 50; i++) {
    assert_ok(mr_steps_add(s));
    for (int j = 0; j < 2; j++) {
      ((float *)mr_step_at(s, MR_STEP_OB, i))[j] = 0.5F * (float)i + (float)j;
      ((float *)mr_step_at(s, MR_STEP_NEXT, i))[j] = 0.5F * (float)(i + 1) + (float)j;
    }
    *(float *)mr_step_at(s, MR_STEP_AC, i) = (float)(i % 9 - 4) / 4;
    *(float *)mr_step_at(s, MR_STEP_REWARD, i) = (float)i;
    *(float *)mr_step_at(s, MR_STEP_LOGP, i) = -(float)i;
    *(int8_t *)mr_step_at(s, MR_STEP_TERMINAL, i) = i == 2;
    *(int8_t *)mr_step_at(s, MR_STEP_TIMEOUT, i) = i == 42;
    *(double *)mr_step_at(s, MR_STEP_QPOS, i) = 1.0 / (i + 1);
    *(double *)mr_step_at(s, MR_STEP_QVEL, i) = 2.0 / (i + 1);
  }
}

static void write_set(const char *path, int stretches)
{
  mr_steps s;
  mr_d4rl_file *f = NULL;
  const mr_env_spec spec = toy_spec();
  const mr_d4rl_about about = {"hopper", "toy 1.0", "medium", 7, 12};
  fill(&s);
  assert_ok(mr_d4rl_create(&f, path, &spec, &about));
  for (int i = 0; i < stretches; i++) assert_ok(mr_d4rl_append(f, &s));
  assert_ok(mr_d4rl_finish(f, 1500));
  mr_d4rl_close(f);
  mr_steps_free(&s);
}

static void files_come_back_with_what_they_say_of_themselves(void **state)
{
  char path[700];
  mr_dataset d;
  const mr_env_spec spec = toy_spec();
  (void)state;
  (void)snprintf(path, sizeof path, "%s/new/hopper_medium.hdf5", folder);
  write_set(path, 1);
  assert_ok(mr_d4rl_read(&d, path, &spec));
  assert_int_equal(d.n_traj, 2);
  assert_int_equal(d.start[1], 3);
  assert_int_equal(d.start[2], 43);
  for (int i = 0; i < 43; i++) {
    assert_true(d.ob[2 * i] == 0.5F * (float)i && d.ob[2 * i + 1] == 0.5F * (float)i + 1);
    assert_true(d.ac[i] == (float)(i % 9 - 4) / 4 && d.reward[i] == (float)i);
  }
  assert_true(d.generated);
  assert_true(d.expert == 1500);
  assert_string_equal(d.origin, "generated by PPO, seed 7, toy 1.0");
  mr_dataset_free(&d);
}

static void h5py_reads_our_files(void **state)
{
  static const char script[] =
      "import sys, h5py, numpy as np\n"
      "f = h5py.File(sys.argv[1], 'r')\n"
      "assert f['terminals'].dtype == bool and f['timeouts'].dtype == bool\n"
      "assert f['observations'].shape == (100, 2) and f['observations'].dtype == np.float32\n"
      "assert f['rewards'].shape == (100,) and f['actions'].shape == (100, 1)\n"
      "assert f['infos/qpos'].shape == (100, 1) and f['infos/qpos'].dtype == np.float64\n"
      "assert f['infos/action_log_probs'].shape == (100,)\n"
      "assert (f['rewards'][:50] == np.arange(50)).all() and (f['rewards'][50:] == "
      "f['rewards'][:50]).all()\n"
      "assert (f['next_observations'][:49] == f['observations'][1:50]).all()\n"
      "assert list(np.flatnonzero(f['terminals'])) == [2, 52]\n"
      "assert f.attrs['generated'] == 1 and f.attrs['seed'] == 7\n"
      "assert f.attrs['engine'] == b'toy 1.0' and f.attrs['algorithm'] == b'PPO'\n";
  char path[700], command[2000];
  (void)state;
  if (system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
    print_message("python3-h5py is not installed\n");
    skip();
  }
  (void)snprintf(path, sizeof path, "%s/hopper_two.hdf5", folder);
  write_set(path, 2);
  const char *file = mr_test_file("read.py", script, sizeof script - 1);
  (void)snprintf(command, sizeof command, "/usr/bin/python3 %s %s", file, path);
  assert_int_equal(system(command), 0);
}

static void a_file_that_is_not_finished_leaves_the_old_one(void **state)
{
  char path[700], part[720];
  size_t n, m;
  mr_steps s;
  mr_d4rl_file *f = NULL;
  const mr_env_spec spec = toy_spec();
  const mr_d4rl_about about = {"hopper", "toy 1.0", "medium", 7, 12};
  (void)state;
  (void)snprintf(path, sizeof path, "%s/hopper_old.hdf5", folder);
  (void)snprintf(part, sizeof part, "%s.part", path);
  write_set(path, 1);
  char *before = slurp(path, &n);
  fill(&s);
  assert_ok(mr_d4rl_create(&f, path, &spec, &about));
  assert_ok(mr_d4rl_append(f, &s));
  assert_int_equal(access(part, F_OK), 0);
  mr_d4rl_close(f);
  assert_int_not_equal(access(part, F_OK), 0);
  char *after = slurp(path, &m);
  assert_int_equal(n, m);
  assert_memory_equal(before, after, n);
  assert_fails(mr_d4rl_create(&f, "/dev/null/hopper.hdf5", &spec, &about), MR_ERR_IO, "/dev/null");
  mr_free(before);
  mr_free(after);
  mr_steps_free(&s);
}

/* ---- Folders of D4RL ------------------------------------------------------------------------- */

/* Links <folder>/d4rl/<name> to a file of ours. */
static void offer(const char *path, const char *name)
{
  char there[800];
  (void)snprintf(there, sizeof there, "%s/d4rl", folder);
  (void)mkdir(there, 0777);
  (void)snprintf(there, sizeof there, "%s/d4rl/%s", folder, name);
  assert_int_equal(symlink(path, there), 0);
}

static void files_of_another_environment_are_refused(void **state)
{
  mr_config c;
  mr_dataset d, other;
  char path[900], from[700];
  (void)state;
  load_whole(&c);
  path_of(path, sizeof path, &c, 0);
  (void)snprintf(from, sizeof from, "%s/d4rl", folder);
  assert_fails(mr_d4rl_open(&d, &toy_env, &c, from, "medium"), MR_ERR_IO,
               "d4rl/hopper_medium-v2.hdf5 is missing");
  offer(path, "hopper_medium-v2.hdf5");
  assert_fails(mr_d4rl_open(&d, &toy_env, &c, from, "medium-expert"), MR_ERR_IO,
               "d4rl/hopper_medium_expert-v2.hdf5 is missing");
  offer(path, "hopper_expert-v2.hdf5");
  assert_ok(mr_d4rl_open(&d, &toy_env, &c, from, "medium"));
  assert_ok(mr_d4rl_open(&other, &toy_env, &c, from, "medium-expert"));
  assert_int_equal(other.n_traj, 2 * d.n_traj);
  assert_memory_equal(other.reward, d.reward, (size_t)d.n * sizeof *d.reward);
  assert_memory_equal(other.reward + d.n, d.reward, (size_t)d.n * sizeof *d.reward);
  assert_int_equal(other.start[d.n_traj + 1], d.n + d.start[1]);
  mr_dataset_free(&other);
  mr_dataset_free(&d);
  assert_fails(mr_d4rl_open(&d, &far_env, &c, from, "medium"), MR_ERR_CONFIG,
               "is of another environment");
  mr_config_free(&c);
}

/* ---- Making ---------------------------------------------------------------------------------- */

static void levels_are_what_their_names_say(void **state)
{
  mr_config c;
  double mean[KINDS], expert[KINDS];
  (void)state;
  load_whole(&c);
  for (int k = 0; k < KINDS; k++) {
    mr_dataset d = read_set(&c, k);
    mean[k] = mr_dataset_returns(&d).mean;
    assert_true(d.generated);
    assert_holds(d.origin, "generated by PPO, seed ");
    assert_holds(d.origin, ", toy 1.0");
    expert[k] = d.expert;
    if (k == 0) assert_true(fabs(d.expert - mean[k]) < 1e-3); /* these are all its episodes */
    if (k != 1) assert_true(d.n >= 4000 * (k == 0 ? 1 : 2) && d.n < 4040 * (k == 0 ? 1 : 2));
    mr_dataset_free(&d);
  }
  assert_true(mean[1] < mean[0] && mean[1] < mean[2]);
  assert_true(mean[0] > 1350 && mean[0] < 1550);
  assert_true(expert[1] >= 1422.1 && expert[1] < 1550); /* the first to reach the level */
  assert_true(expert[2] > 1450 && expert[2] >= expert[0] && expert[2] < 1600);
  mr_config_free(&c);
}

static void what_is_there_is_kept_and_any_threads_go_on_to_the_same_files(void **state)
{
  mr_config c, whole;
  char path[900];
  struct stat before, after;
  mr_dataset d;
  (void)state;
  load(&c, "kept", 2, 0, NULL);
  load_whole(&whole);
  assert_ok(mr_make(&toy_env, &c, level, 1, true)); /* ends with the first policy half-way */
  path_of(path, sizeof path, &c, 0);
  assert_int_equal(stat(path, &before), 0);
  assert_ok(mr_make(&toy_env, &c, level, KINDS, true));
  assert_int_equal(stat(path, &after), 0);
  assert_int_equal(before.st_ino, after.st_ino);
  for (int k = 0; k < KINDS; k++) assert_same_files(&c, &whole, k);
  assert_ok(mr_make_open(&d, &toy_env, &c));
  assert_true(d.generated);
  mr_dataset_free(&d);
  mr_config_free(&c);
  mr_config_free(&whole);
}

static void without_a_medium_return_a_third_of_the_best_counts(void **state)
{
  static const char *const little[] = {"--offline_rl.ppo_steps=4000", "--offline_rl.ppo_seeds=1"};
  mr_config c;
  (void)state;
  load(&c, "third", 1, 2, little);
  assert_ok(mr_make(&toy_env, &c, level, 2, true));
  mr_dataset d = read_set(&c, 0);
  assert_true(mr_dataset_returns(&d).mean < 1400);
  mr_dataset_free(&d);
  mr_config_free(&c);
}

static void data_of_another_engine_are_refused(void **state)
{
  mr_config c;
  mr_dataset d;
  char path[900];
  const mr_env_spec spec = toy_spec();
  const mr_d4rl_about about = {"hopper", "toy 0.9", "medium", 7, 12};
  mr_d4rl_file *f = NULL;
  mr_steps s;
  (void)state;
  load(&c, "engine", 1, 0, NULL);
  path_of(path, sizeof path, &c, 0);
  fill(&s);
  assert_ok(mr_d4rl_create(&f, path, &spec, &about));
  assert_ok(mr_d4rl_append(f, &s));
  assert_ok(mr_d4rl_finish(f, NAN));
  mr_d4rl_close(f);
  assert_fails(mr_make_open(&d, &toy_env, &c), MR_ERR_CONFIG, "toy 0.9, but toy 1.0 is here");
  mr_steps_free(&s);
  mr_config_free(&c);
}

/* ---- Several processes ----------------------------------------------------------------------- */

/* Makes everything in a process of its own, on one thread; OpenMP does not outlive a fork. */
static pid_t make_apart(const mr_config *c)
{
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) _exit(mr_make(&toy_env, c, level, KINDS, true) == MR_OK ? 0 : 1);
  return child;
}

static void killed_and_concurrent_processes_leave_the_same_files(void **state)
{
  enum { KILLS = 6 };
  mr_config c, whole;
  char path[900], part[920];
  int status;
  (void)state;
  load(&c, "killed", 1, 0, NULL);
  for (int i = 0; i < KILLS; i++) {
    const pid_t child = make_apart(&c);
    const struct timespec wait = {.tv_nsec = 40000000 * (long)(i + 1)};
    assert_int_equal(nanosleep(&wait, NULL), 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
  }
  const pid_t a = make_apart(&c), b = make_apart(&c);
  assert_int_equal(waitpid(a, &status, 0), a);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  assert_int_equal(waitpid(b, &status, 0), b);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  load_whole(&whole);
  for (int k = 0; k < KINDS; k++) {
    assert_same_files(&c, &whole, k);
    path_of(path, sizeof path, &c, k);
    (void)snprintf(part, sizeof part, "%s.part", path); /* overwritten where it was left */
    assert_int_not_equal(access(part, F_OK), 0);
  }
  mr_config_free(&c);
  mr_config_free(&whole);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(files_come_back_with_what_they_say_of_themselves),
      cmocka_unit_test(h5py_reads_our_files),
      cmocka_unit_test(a_file_that_is_not_finished_leaves_the_old_one),
      cmocka_unit_test(killed_and_concurrent_processes_leave_the_same_files),
      cmocka_unit_test(files_of_another_environment_are_refused),
      cmocka_unit_test(levels_are_what_their_names_say),
      cmocka_unit_test(what_is_there_is_kept_and_any_threads_go_on_to_the_same_files),
      cmocka_unit_test(without_a_medium_return_a_third_of_the_best_counts),
      cmocka_unit_test(data_of_another_engine_are_refused),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
