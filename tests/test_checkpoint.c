/* test_checkpoint.c — parameters and moments come back bit by bit, or nothing of the tape changes.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include "testing.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>
#include "checkpoint.h"
#include "h5file.h"
#include "h5log.h"
#include "mem.h"
#include "ops.h"

static mr_config config;
static mr_backend *be;
static char path[512];
static const mr_optim_rule rule = {
    .lr = 0.1, .schedule = MR_CONSTANT, .steps = 10, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8};
static const mr_progress place = {.step = 1234567890123,
                                  .wall_ns = 5,
                                  .tokens = 1LL << 60,
                                  .best_step = -1,
                                  .best_rank = 1.0 / 3};

/* A network of two layers on a learned input, its optimizer, and what both held last. */
typedef struct net {
  mr_tape *t;
  mr_optim *o;
  const mr_slot *slot;
  int n;
} net;

static int set_up(void **state)
{
  static const char *const args[] = {"--model=gru"};
  (void)state;
  (void)snprintf(path, sizeof path, "%s/deep/run.best.ckpt", mr_test_folder());
  if (mr_backend_open(&be, MR_CPU, 1) != MR_OK) return -1;
  return mr_config_load(&config, NULL, 0, NULL, 1, args) == MR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
  (void)state;
  mr_config_free(&config);
  mr_backend_close(be);
  mr_test_folder_remove();
  return 0;
}

/* layers: "in", and where it is not NULL one more of that name; hidden: the width between them. */
static net open_net(uint64_t seed, int64_t hidden, const char *second)
{
  net w = {.t = NULL};
  mr_plan_report plan;
  assert_ok(mr_tape_create(&w.t, be, seed));
  mr_val x = mr_param(w.t, "x", mr_shape2(3, 4), mr_init_normal(1));
  x = mr_linear(w.t, x, "in", hidden);
  if (second) x = mr_linear(w.t, x, second, 2);
  assert_ok(mr_tape_plan(w.t, x, true, &plan));
  assert_ok(mr_tape_alloc(w.t));
  assert_ok(mr_optim_create(&w.o, be, w.t, &rule, NULL));
  assert_ok(mr_tape_slots(w.t, &w.slot, &w.n));
  for (int i = 0; i < w.n; i++) { /* any gradient will do to move the moments */
    size_t bytes = mr_bytes(&w.slot[i].grad.shape, MR_REAL);
    assert_ok(be->api->copy(be, w.slot[i].grad.data, w.slot[i].value.data, bytes));
  }
  assert_ok(mr_optim_step(w.o, 0, NULL));
  return w;
}

static void close_net(net *w)
{
  mr_optim_destroy(w->o);
  mr_tape_destroy(w->t);
}

static int64_t n_reals(const net *w)
{
  int64_t n = 0;
  for (int i = 0; i < w->n; i++) n += 3 * mr_count(&w->slot[i].value.shape);
  return n;
}

/* Values and both moments of all slots, in new memory. */
static mr_real *contents(const net *w)
{
  mr_real *all = NULL;
  assert_ok(mr_calloc((void **)&all, (size_t)n_reals(w), sizeof *all));
  mr_real *at = all;
  for (int i = 0; i < w->n; i++) {
    mr_view v[3] = {w->slot[i].value};
    mr_optim_moments(w->o, i, &v[1], &v[2]);
    for (int k = 0; k < 3; k++) {
      assert_ok(be->api->download(be, at, v[k].data, mr_bytes(&v[k].shape, MR_REAL)));
      at += mr_count(&v[k].shape);
    }
  }
  return all;
}

static bool same(const net *w, const mr_real *then)
{
  mr_real *now = contents(w);
  bool equal = memcmp(now, then, (size_t)n_reals(w) * sizeof *now) == 0;
  mr_free(now);
  return equal;
}

/* Loading is refused with `status` and `word`, and neither tape nor optimizer nor p change. */
static void assert_refused(const net *w, const mr_optim *o, mr_status status, const char *word)
{
  mr_real *then = contents(w);
  mr_progress p = {.step = 42};
  assert_fails(mr_checkpoint_load(path, be, w->t, o, &p), status, word);
  assert_true(same(w, then));
  assert_int_equal(p.step, 42);
  mr_free(then);
}

/* ---- Saving and loading ---------------------------------------------------------------------- */

static void parameters_moments_and_place_come_back_bit_by_bit(void **state)
{
  (void)state;
  net a = open_net(1, 5, "out"), b = open_net(2, 5, "out");
  mr_real *want = contents(&a);
  mr_progress p = {0};
  assert_false(same(&b, want));
  assert_ok(mr_checkpoint_save(path, &config, be, a.t, a.o, &place));
  assert_ok(mr_checkpoint_load(path, be, b.t, b.o, &p));
  assert_true(same(&b, want));
  assert_true(p.step == place.step && p.wall_ns == place.wall_ns && p.tokens == place.tokens &&
              p.best_step == place.best_step && p.best_rank == place.best_rank);
  mr_free(want);
  close_net(&a);
  close_net(&b);
}

static void parameters_alone_load_from_either_kind_of_checkpoint(void **state)
{
  (void)state;
  net a = open_net(1, 5, "out"), b = open_net(2, 5, "out");
  for (int whole = 0; whole < 2; whole++) {
    mr_real before[12], want[12], got[12];
    assert_ok(mr_checkpoint_save(path, &config, be, a.t, whole ? a.o : NULL, &place));
    assert_ok(be->api->download(be, before, b.slot[0].value.data, sizeof before));
    assert_ok(mr_checkpoint_load(path, be, b.t, NULL, NULL));
    assert_ok(be->api->download(be, want, a.slot[0].value.data, sizeof want));
    assert_ok(be->api->download(be, got, b.slot[0].value.data, sizeof got));
    assert_memory_equal(got, want, sizeof got);
    assert_true(whole || memcmp(got, before, sizeof got) != 0);
  }
  close_net(&a);
  close_net(&b);
}

static void a_second_save_replaces_the_first(void **state)
{
  (void)state;
  net a = open_net(1, 5, "out"), b = open_net(2, 5, "out");
  mr_real *want = contents(&b);
  assert_ok(mr_checkpoint_save(path, &config, be, a.t, a.o, &place));
  assert_ok(mr_checkpoint_save(path, &config, be, b.t, b.o, &place));
  assert_ok(mr_checkpoint_load(path, be, a.t, a.o, NULL));
  assert_true(same(&a, want));
  mr_free(want);
  close_net(&a);
  close_net(&b);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

static void a_checkpoint_of_another_network_names_model_and_mismatch(void **state)
{
  (void)state;
  net saved = open_net(1, 5, "out");
  net wider = open_net(2, 6, "out"), deeper = open_net(2, 5, "tail"),
      shallow = open_net(2, 5, NULL);
  assert_ok(mr_checkpoint_save(path, &config, be, saved.t, saved.o, &place));
  assert_refused(&wider, wider.o, MR_ERR_CONFIG, "in.weight is [5,4], this run wants [6,4]");
  assert_refused(&deeper, deeper.o, MR_ERR_CONFIG, "no parameter tail.weight");
  assert_refused(&shallow, shallow.o, MR_ERR_CONFIG, "out.weight is not in");
  assert_holds(mr_error_message(), "model gru");
  close_net(&saved);
  close_net(&wider);
  close_net(&deeper);
  close_net(&shallow);
}

static void what_a_checkpoint_lacks_is_named(void **state)
{
  (void)state;
  net a = open_net(1, 5, "out");
  assert_refused(&a, a.o, MR_ERR_IO, "No such file");
  assert_ok(mr_checkpoint_save(path, &config, be, a.t, NULL, &place));
  assert_refused(&a, a.o, MR_ERR_CONFIG, "no optimizer state");
  assert_ok(mr_checkpoint_save(path, &config, be, a.t, a.o, NULL));
  assert_refused(&a, a.o, MR_ERR_CONFIG, "how far");
  mr_log *l = NULL;
  (void)snprintf(path, sizeof path, "%s/run.h5", mr_test_folder());
  assert_ok(mr_log_create(&l, path, &config, ""));
  assert_ok(mr_log_finish(l, MR_RUN_COMPLETE, ""));
  mr_log_destroy(l);
  assert_refused(&a, a.o, MR_ERR_CONFIG, "minrnn-run 1");
  close_net(&a);
}

static void numbers_of_another_size_are_refused(void **state)
{
  (void)state;
  net a = open_net(1, 5, NULL);
  hid_t file = -1, group = -1, space, data;
  const hsize_t dim[] = {3, 4};
  const hid_t other = sizeof(mr_real) == 4 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT;
  char tmp[600];
  (void)snprintf(path, sizeof path, "%s/other.ckpt", mr_test_folder());
  (void)snprintf(tmp, sizeof tmp, "%s.tmp", path);
  assert_ok(mr_h5_begin(&file, path));
  assert_ok(mr_h5_put_text(file, path, "schema", "minrnn-checkpoint 1"));
  assert_ok(mr_h5_group(file, path, "config", &group));
  assert_ok(mr_h5_put_text(group, path, "model", "gru"));
  assert_ok(mr_h5_drop(group, MR_OK, path));
  assert_ok(mr_h5_group(file, path, "params", &group));
  space = H5Screate_simple(2, dim, NULL);
  data = H5Dcreate2(group, "x", other, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  assert_ok(mr_h5_drop(data, mr_h5_drop(space, mr_h5_drop(group, MR_OK, path), path), path));
  assert_ok(mr_h5_commit(file, tmp, path));
  mr_h5_close(file);
  mr_real *then = contents(&a);
  assert_fails(mr_checkpoint_load(path, be, a.t, NULL, NULL), MR_ERR_CONFIG, "x has numbers of");
  assert_true(same(&a, then));
  mr_free(then);
  close_net(&a);
}

static unsigned char *whole_file(size_t *n)
{
  unsigned char *bytes = NULL;
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  assert_int_equal(fseek(f, 0, SEEK_END), 0);
  *n = (size_t)ftell(f);
  rewind(f);
  assert_ok(mr_calloc((void **)&bytes, *n, 1));
  assert_int_equal(fread(bytes, 1, *n, f), *n);
  assert_int_equal(fclose(f), 0);
  return bytes;
}

static void a_damaged_or_cut_off_checkpoint_is_refused(void **state)
{
  (void)state;
  net a = open_net(1, 5, "out");
  size_t n;
  assert_ok(mr_checkpoint_save(path, &config, be, a.t, a.o, &place));
  unsigned char *bytes = whole_file(&n);
  for (size_t k = 0; k < n; k += 97) {
    bytes[k] ^= (unsigned char)(1u << k % 8);
    (void)snprintf(path, sizeof path, "%s", mr_test_file("bad.ckpt", bytes, n));
    assert_refused(&a, a.o, MR_ERR_IO, "bad.ckpt");
    bytes[k] ^= (unsigned char)(1u << k % 8);
    (void)mr_test_file("bad.ckpt", bytes, k);
    assert_refused(&a, a.o, MR_ERR_IO, "bad.ckpt");
  }
  mr_free(bytes);
  close_net(&a);
}

static void a_full_disk_is_told_and_the_old_checkpoint_stays(void **state)
{
  (void)state;
  net a = open_net(1, 5, "out"), b = open_net(2, 5, "out");
  mr_real *want = contents(&a);
  int status;
  assert_ok(mr_checkpoint_save(path, &config, be, a.t, a.o, &place));
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    const struct rlimit small = {.rlim_cur = 3000, .rlim_max = 3000};
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &small) != 0) _exit(10);
    mr_status st = mr_checkpoint_save(path, &config, be, b.t, b.o, &place);
    _exit(st == MR_ERR_IO && strstr(mr_error_message(), path) ? 0 : 11);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  assert_ok(mr_checkpoint_load(path, be, b.t, b.o, NULL));
  assert_true(same(&b, want));
  mr_free(want);
  close_net(&a);
  close_net(&b);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void without_memory_saving_and_loading_fail_cleanly(void **state)
{
  (void)state;
  net a = open_net(1, 5, "out"), b = open_net(2, 5, "out");
  mr_real *old = contents(&b), *want = contents(&a);
  mr_status st = MR_ERR_NOMEM;
  int n;
  for (n = 1; st != MR_OK; n++) {
    assert_in_range(n, 1, 100);
    mr_alloc_fail_at(n);
    st = mr_checkpoint_save(path, &config, be, a.t, a.o, &place);
    mr_alloc_fail_at(0);
    if (st != MR_OK) assert_int_equal(st, MR_ERR_NOMEM);
    assert_int_equal(access(path, F_OK) == 0, st == MR_OK);
  }
  assert_in_range(n, 4, 100);
  st = MR_ERR_NOMEM;
  for (n = 1; st != MR_OK; n++) {
    assert_in_range(n, 1, 100);
    mr_alloc_fail_at(n);
    st = mr_checkpoint_load(path, be, b.t, b.o, NULL);
    mr_alloc_fail_at(0);
    if (st != MR_OK) assert_int_equal(st, MR_ERR_NOMEM);
    assert_true(same(&b, st == MR_OK ? want : old));
  }
  assert_in_range(n, 3, 100);
  mr_free(old);
  mr_free(want);
  close_net(&a);
  close_net(&b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(parameters_moments_and_place_come_back_bit_by_bit, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(parameters_alone_load_from_either_kind_of_checkpoint, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(a_second_save_replaces_the_first, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_checkpoint_of_another_network_names_model_and_mismatch,
                                      set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_a_checkpoint_lacks_is_named, set_up, tear_down),
      cmocka_unit_test_setup_teardown(numbers_of_another_size_are_refused, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_damaged_or_cut_off_checkpoint_is_refused, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(a_full_disk_is_told_and_the_old_checkpoint_stays, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(without_memory_saving_and_loading_fail_cleanly, set_up,
                                      tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
