/* test_d4rl.c — data sets in D4RL's layout: what is read, what is refused and how, and that no file
 * whatever does harm. SPDX-License-Identifier: MIT */
/* labels: unit */
#include "testing.h"
#include <dirent.h>
#include <errno.h>
#include <hdf5.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "d4rl.h"
#include "mem.h"
#include "rng.h"

enum { N = 60, OBS = 3, ACT = 2, HORIZON = 20 };

static const mr_env_spec spec = {.name = "toy",
                                 .engine = "built in",
                                 .obs = OBS,
                                 .act = ACT,
                                 .horizon = HORIZON,
                                 .nq = 2,
                                 .nv = 1};

/* What a test changes about the file that D4RL would write. */
typedef struct recipe {
  const char *without, *other; /* leaves an array out; makes another one by `odd` */
  enum { SOUND, GROUP, TEXT, CUBE, SHORT, EMPTY } odd;
  bool doubles, columns, no_timeouts, bytes, words; /* flags as 8 or 64 bits */
  hsize_t before;                                   /* bytes of the user's own in front */
  int obs, act;                                     /* 0: those of spec */
  int64_t step;                                     /* with `value` in */
  const char *name;
  double value;
} recipe;

static char folder[512], path[600];

static int set_up(void **state)
{
  (void)state;
  (void)snprintf(folder, sizeof folder, "%s", mr_test_folder());
  (void)snprintf(path, sizeof path, "%s/toy_medium-v2.hdf5", folder);
  return 0;
}

static int tear_down(void **state)
{
  (void)state;
  mr_test_folder_remove();
  return 0;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Numbers that are told apart: field and step give each. */
static double ob_at(int64_t i, int64_t j)
{
  return (double)i * 0.25 + (double)j;
}

static double ac_at(int64_t i, int64_t j)
{
  return (double)(i % 17 - 8) / 16 + (double)j / 8;
}

static double reward_at(int64_t i)
{
  return (double)i / 2 - 7;
}

/* Trajectories of 7 steps that end by themselves, one of 20 that is cut, then unfinished ones. */
static bool terminal_at(int64_t i)
{
  return i % 7 == 6 && i < 28;
}

static bool timeout_at(int64_t i)
{
  return i == 47;
}

static hid_t boolean(void)
{
  static const int8_t no = 0, yes = 1;
  hid_t t = H5Tenum_create(H5T_STD_I8LE);
  assert_true(H5Tenum_insert(t, "FALSE", &no) >= 0 && H5Tenum_insert(t, "TRUE", &yes) >= 0);
  return t;
}

static void put(hid_t at, const char *name, hid_t type, int rank, const hsize_t *dim,
                const double *from)
{
  const hid_t space = H5Screate_simple(rank, dim, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);
  hsize_t chunk[3] = {dim[0] > 16 ? 16 : 1, rank > 1 ? dim[1] : 1, rank > 2 ? dim[2] : 1};
  assert_true(H5Pset_chunk(plist, rank, chunk) >= 0 && H5Pset_deflate(plist, 4) >= 0);
  const hid_t set = H5Dcreate2(at, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
  assert_true(set >= 0);
  if (H5Tget_class(type) == H5T_ENUM) {
    int8_t flag[N];
    for (int i = 0; i < N; i++) flag[i] = (int8_t)from[i];
    assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, flag) >= 0);
  } else if (H5Tget_class(type) == H5T_FLOAT || H5Tget_class(type) == H5T_INTEGER) {
    assert_true(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, from) >= 0);
  }
  assert_true(H5Dclose(set) >= 0 && H5Pclose(plist) >= 0 && H5Sclose(space) >= 0);
}

/* One array as the recipe wants it. */
static void put_array(hid_t file, const recipe *r, const char *name, hid_t type, int width,
                      double *from)
{
  const bool flat = width == 1 && !r->columns;
  hsize_t dim[3] = {N, (hsize_t)width, 1};
  if (r->without && strcmp(name, r->without) == 0) return;
  if (r->name && strcmp(name, r->name) == 0) from[r->step * width] = r->value;
  const int odd = r->other && strcmp(name, r->other) == 0 ? (int)r->odd : SOUND;
  if (odd == GROUP) {
    assert_true(H5Gclose(H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)) >= 0);
    return;
  }
  if (odd == SHORT) dim[0] = N - 1;
  if (odd == EMPTY) dim[0] = 0;
  put(file, name, odd == TEXT ? H5T_C_S1 : type, odd == CUBE ? 3 : flat ? 1 : 2, dim, from);
}

static void write_file(const char *to, const recipe *r)
{
  static double ob[N * 8], ac[N * 8], reward[N], terminal[N], timeout[N];
  const int obs = r->obs ? r->obs : OBS, act = r->act ? r->act : ACT;
  const hid_t number = r->doubles ? H5T_IEEE_F64LE : H5T_IEEE_F32LE, truth = boolean();
  const hid_t flag = r->bytes ? H5T_STD_U8LE : r->words ? H5T_STD_I64LE : truth;
  const hid_t plist = H5Pcreate(H5P_FILE_CREATE);
  assert_true(H5Pset_userblock(plist, r->before) >= 0);
  const hid_t file = H5Fcreate(to, H5F_ACC_TRUNC, plist, H5P_DEFAULT);
  assert_true(file >= 0);
  for (int64_t i = 0; i < N; i++) {
    for (int64_t j = 0; j < obs; j++) ob[i * obs + j] = ob_at(i, j);
    for (int64_t j = 0; j < act; j++) ac[i * act + j] = ac_at(i, j);
    reward[i] = reward_at(i), terminal[i] = terminal_at(i), timeout[i] = timeout_at(i);
  }
  put_array(file, r, "observations", number, obs, ob);
  put_array(file, r, "next_observations", number, obs, ob);
  put_array(file, r, "actions", number, act, ac);
  put_array(file, r, "rewards", number, 1, reward);
  put_array(file, r, "terminals", flag, 1, terminal);
  if (!r->no_timeouts) put_array(file, r, "timeouts", flag, 1, timeout);
  const hid_t infos = H5Gcreate2(file, "infos", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  put_array(infos, r, "qpos", number, 1, reward);
  assert_true(H5Gclose(infos) >= 0 && H5Tclose(truth) >= 0 && H5Fclose(file) >= 0);
  assert_true(H5Pclose(plist) >= 0);
}

static void check_content(const mr_dataset *d, const int64_t *start, int n_traj)
{
  assert_int_equal(d->n_traj, n_traj);
  for (int i = 0; i <= n_traj; i++) assert_int_equal(d->start[i], start[i]);
  assert_int_equal(d->n, start[n_traj]);
  for (int64_t i = 0; i < d->n; i++) {
    for (int64_t j = 0; j < OBS; j++) assert_true(d->ob[i * OBS + j] == (float)ob_at(i, j));
    for (int64_t j = 0; j < ACT; j++) assert_true(d->ac[i * ACT + j] == (float)ac_at(i, j));
    assert_true(d->reward[i] == (float)reward_at(i));
  }
}

/* ---- What is read ---------------------------------------------------------------------------- */

static void files_as_d4rl_writes_them_are_cut_at_terminals_and_timeouts(void **state)
{
  static const int64_t start[] = {0, 7, 14, 21, 28, 48};
  static const recipe kind[] = {
      {.odd = SOUND},    {.doubles = true},
      {.columns = true}, {.bytes = true},
      {.words = true},   {.before = 512},
      {.before = 4096},  {.doubles = true, .columns = true, .bytes = true}};
  (void)state;
  for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) {
    mr_dataset d;
    write_file(path, &kind[i]);
    assert_ok(mr_d4rl_read(&d, path, &spec));
    check_content(&d, start, 5);
    assert_string_equal(d.origin, "D4RL toy_medium-v2.hdf5");
    assert_false(d.generated);
    assert_true(isnan(d.expert));
    mr_dataset_free(&d);
  }
}

static void without_timeouts_trajectories_are_cut_at_the_horizon(void **state)
{
  static const int64_t start[] = {0, 7, 14, 21, 28, 48};
  mr_dataset d;
  (void)state;
  write_file(path, &(recipe){.no_timeouts = true});
  assert_ok(mr_d4rl_read(&d, path, &spec));
  check_content(&d, start, 5);
  mr_dataset_free(&d);
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void every_defect_is_one_sentence_with_file_and_part(void **state)
{
  static const struct {
    recipe r;
    const char *word;
  } bad[] = {
      {{.without = "observations"}, "has no observations"},
      {{.without = "actions"}, "has no actions"},
      {{.without = "rewards"}, "has no rewards"},
      {{.without = "terminals"}, "has no terminals"},
      {{.other = "observations", .odd = GROUP}, "observations is not an array"},
      {{.other = "rewards", .odd = TEXT}, "rewards holds no numbers"},
      {{.other = "terminals", .odd = TEXT}, "terminals holds no truth values"},
      {{.other = "actions", .odd = CUBE}, "actions has 3 dimensions"},
      {{.other = "rewards", .odd = SHORT}, "rewards has 59 rows, but observations has 60"},
      {{.other = "timeouts", .odd = SHORT}, "timeouts has 59 rows"},
      {{.other = "observations", .odd = EMPTY}, "observations has no rows"},
      {{.name = "rewards", .step = 41, .value = NAN}, "rewards has the value nan in step 41"},
      {{.name = "rewards", .step = 3, .value = -INFINITY}, "rewards has the value -inf"},
      {{.name = "rewards", .step = 3, .value = 3e38},
       "3e+38 in step 3, allowed are -1e+06 to 1e+06"},
      {{.name = "observations", .step = 9, .value = INFINITY}, "observations has the value inf"},
      {{.doubles = true, .name = "observations", .step = 9, .value = 1e300}, "the value inf"},
      {{.name = "actions", .step = 5, .value = 7.5},
       "the value 7.5 in step 5, allowed are -1 to 1"},
      {{.bytes = true, .name = "terminals", .step = 8, .value = 3}, "the value 3 in step 8"},
      {{.words = true, .name = "terminals", .step = 8, .value = 256},
       "terminals has the value 256"},
      {{.words = true, .name = "timeouts", .step = 8, .value = -1}, "timeouts has the value -1"},
      {{.bytes = true, .name = "timeouts", .step = 8, .value = 2}, "timeouts has the value 2"},
      {{.obs = 5}, "observations has 5 numbers per step, but toy has 3"},
      {{.act = 1}, "actions has 1 numbers per step, but toy has 2"},
      {{.name = "terminals", .step = 27, .value = 0}, "begins at step 21 has 27 steps"}};
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    mr_dataset d;
    write_file(path, &bad[i].r);
    assert_fails(mr_d4rl_read(&d, path, &spec), MR_ERR_CONFIG, bad[i].word);
    assert_holds(mr_error_message(), path);
  }
}

static void a_file_without_any_end_is_refused(void **state)
{
  mr_dataset d;
  mr_env_spec long_spec = spec;
  long_spec.horizon = 1000;
  (void)state;
  write_file(path, &(recipe){.without = "timeouts"});
  assert_ok(mr_d4rl_read(&d, path, &long_spec));
  mr_dataset_free(&d);
  /* No terminals, and none of the steps is the 1000th. */
  const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), set = H5Dopen2(file, "terminals", 0);
  static const int8_t none[N];
  const hid_t type = H5Dget_type(set);
  assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, none) >= 0);
  assert_true(H5Tclose(type) >= 0 && H5Dclose(set) >= 0 && H5Fclose(file) >= 0);
  assert_fails(mr_d4rl_read(&d, path, &long_spec), MR_ERR_CONFIG, "none of the 60 steps ends");
}

static void what_is_no_hdf5_file_is_refused(void **state)
{
  mr_dataset d;
  char fifo[600];
  static const char text[4096] = "\x89HDF\r\n\x1a\n and then nothing of the kind";
  (void)state;
  assert_fails(mr_d4rl_read(&d, "/none.hdf5", &spec), MR_ERR_IO, "cannot open /none.hdf5");
  assert_fails(mr_d4rl_read(&d, folder, &spec), MR_ERR_CONFIG, "is not a file");
  (void)snprintf(fifo, sizeof fifo, "%s/fifo.hdf5", folder);
  assert_int_equal(mkfifo(fifo, 0666), 0);
  (void)alarm(20); /* else it would wait for ever */
  assert_fails(mr_d4rl_read(&d, fifo, &spec), MR_ERR_CONFIG, "fifo.hdf5 is not a file");
  (void)alarm(0);
  assert_fails(mr_d4rl_read(&d, mr_test_file("a", "", 0), &spec), MR_ERR_CONFIG, "is empty");
  assert_fails(mr_d4rl_read(&d, mr_test_file("a", text, 5), &spec), MR_ERR_CONFIG, "not an HDF5");
  assert_fails(mr_d4rl_read(&d, mr_test_file("a", text, 4096), &spec), MR_ERR_CONFIG, "damaged");
  assert_fails(mr_d4rl_read(&d, mr_test_file("a", text + 1, 4000), &spec), MR_ERR_CONFIG, "not an");
}

static void a_file_with_something_in_front_is_known_to_be_cut_off(void **state)
{
  mr_dataset d;
  struct stat s;
  (void)state;
  write_file(path, &(recipe){.before = 1024});
  assert_int_equal(stat(path, &s), 0);
  assert_int_equal(truncate(path, s.st_size - 1), 0);
  assert_fails(mr_d4rl_read(&d, path, &spec), MR_ERR_CONFIG, "is cut off: it has ");
  assert_int_equal(truncate(path, 1000), 0);
  assert_fails(mr_d4rl_read(&d, path, &spec), MR_ERR_CONFIG, "is not an HDF5 file");
}

static void arrays_that_claim_more_than_the_file_holds_are_refused(void **state)
{
  mr_dataset d;
  const hsize_t dim[] = {1000000000, 1000}, chunk[] = {1000, 1000};
  const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t space = H5Screate_simple(2, dim, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);
  (void)state;
  assert_true(H5Pset_chunk(plist, 2, chunk) >= 0);
  const hid_t set = H5Dcreate2(file, "observations", H5T_IEEE_F32LE, space, 0, plist, 0);
  assert_true(H5Dclose(set) >= 0 && H5Pclose(plist) >= 0 && H5Sclose(space) >= 0);
  assert_true(H5Fclose(file) >= 0);
  assert_fails(mr_d4rl_read(&d, path, &spec), MR_ERR_CONFIG, "claims 1000000000 x 1000 numbers");
}

/* ---- Damage ---------------------------------------------------------------------------------- */

static size_t slurp(const char *from, unsigned char *to, size_t most)
{
  FILE *f = fopen(from, "rb");
  assert_non_null(f);
  const size_t n = fread(to, 1, most, f);
  assert_int_equal(fclose(f), 0);
  assert_true(n > 0 && n < most);
  return n;
}

static int open_files(void)
{
  int n = 0;
  DIR *d = opendir("/proc/self/fd");
  assert_non_null(d);
  while (readdir(d)) n++;
  assert_int_equal(closedir(d), 0);
  return n;
}

/* Reads whatever the bytes are: a data set in order, or one sentence. */
static bool survives(const unsigned char *bytes, size_t n)
{
  mr_dataset d;
  const char *file = mr_test_file("damaged.hdf5", bytes, n);
  const mr_status st = mr_d4rl_read(&d, file, &spec);
  if (st != MR_OK) {
    assert_int_equal(st, MR_ERR_CONFIG);
    assert_holds(mr_error_message(), "damaged.hdf5");
    return false;
  }
  for (int64_t i = 0; i < d.n * OBS; i++) assert_true(isfinite(d.ob[i]));
  for (int64_t i = 0; i < d.n_traj; i++)
    assert_true(d.start[i + 1] > d.start[i] && d.start[i + 1] - d.start[i] <= HORIZON);
  mr_dataset_free(&d);
  return true;
}

static void damaged_files_do_no_harm(void **state)
{
  enum { MOST = 1 << 16, FLIPS = 400, CUTS = 40 };
  static unsigned char whole[MOST], bytes[MOST];
  mr_rng r;
  int read = 0;
  (void)state;
  write_file(path, &(recipe){.odd = SOUND});
  const size_t n = slurp(path, whole, MOST);
  const int before = open_files();
  mr_rng_seek(&r, 1, MR_STREAM_CHECK, 0);
  for (int i = 0; i < FLIPS; i++) {
    memcpy(bytes, whole, n);
    for (uint32_t k = 0; k < 1 + (uint32_t)i % 4; k++) {
      const uint32_t at = mr_rng_below(&r, (uint32_t)n);
      /* A bit, or extremes, which sizes and addresses like least. */
      bytes[at] = i % 3 == 0   ? (unsigned char)(bytes[at] ^ 1u << mr_rng_below(&r, 8))
                  : i % 3 == 1 ? 0xFF
                               : (unsigned char)mr_rng_below(&r, 256);
    }
    read += survives(bytes, n);
  }
  for (size_t k = 0; k < CUTS; k++) assert_false(survives(whole, n * k / CUTS));
  assert_true(survives(whole, n));
  assert_true(read > 0 && read < FLIPS);
  assert_int_equal(open_files(), before);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
  assert_int_equal(errno, ECHILD);
}

static void running_out_of_memory_anywhere_is_told(void **state)
{
  (void)state;
  mr_status st = MR_ERR_NOMEM;
  write_file(path, &(recipe){.odd = SOUND});
  for (int64_t k = 1; st != MR_OK; k++) {
    mr_dataset d;
    mr_alloc_fail_at(k);
    st = mr_d4rl_read(&d, path, &spec);
    mr_alloc_fail_at(0);
    if (st == MR_OK)
      mr_dataset_free(&d);
    else
      assert_int_equal(st, MR_ERR_NOMEM);
    assert_true(k < 100);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(files_as_d4rl_writes_them_are_cut_at_terminals_and_timeouts),
      cmocka_unit_test(without_timeouts_trajectories_are_cut_at_the_horizon),
      cmocka_unit_test(every_defect_is_one_sentence_with_file_and_part),
      cmocka_unit_test(a_file_without_any_end_is_refused),
      cmocka_unit_test(what_is_no_hdf5_file_is_refused),
      cmocka_unit_test(a_file_with_something_in_front_is_known_to_be_cut_off),
      cmocka_unit_test(arrays_that_claim_more_than_the_file_holds_are_refused),
      cmocka_unit_test(damaged_files_do_no_harm),
      cmocka_unit_test(running_out_of_memory_anywhere_is_told),
  };
  (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
