/* test_tasks.c — every registered task: pure batches, perfect answers score 1, constant answers the
 * stated chance; and what selective copying promises. SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include "testing.h"
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem.h"
#include "registry.h"

/* A task opened from flags, with the sizes of its batches. */
typedef struct subject {
  const mr_task_def *def;
  mr_task *task;
  mr_task_info info;
  int64_t T_out;
} subject;

static mr_status try_open(subject *s, const char *name, int n, const char *const *more)
{
  mr_config c;
  char flag[64];
  const char *args[8] = {flag};
  (void)snprintf(flag, sizeof flag, "--task=%s", name);
  for (int i = 0; i < n; i++) args[1 + i] = more[i];
  *s = (subject){.def = mr_find_task(name)};
  assert_non_null(s->def);
  MR_CHECK(mr_run_config(&c, NULL, 1 + n, args));
  mr_status st = s->def->open(&s->task, &c);
  mr_config_free(&c);
  if (st != MR_OK) return st;
  s->def->info(s->task, &s->info);
  s->T_out = s->info.T - s->info.from;
  return MR_OK;
}

static void open_with(subject *s, const char *name, const char *flag)
{
  assert_ok(try_open(s, name, flag != NULL, &flag));
}

static void close_subject(subject *s)
{
  s->def->close(s->task);
}

/* Runs `body` on every task that can be opened here; one whose data are not on this machine is named
 * and left out. */
static void for_every_task(void (*body)(subject *s))
{
  assert_true(mr_n_tasks > 0);
  for (int i = 0; i < mr_n_tasks; i++) {
    subject s;
    mr_status st = try_open(&s, mr_tasks[i]->name, 0, NULL);
    if (st == MR_ERR_IO) {
      print_message("  %s is left out: %s\n", mr_tasks[i]->name, mr_error_message());
      continue;
    }
    assert_ok(st);
    body(&s);
    close_subject(&s);
  }
}

/* ---- Batches ---------------------------------------------------------------------------------- */

static const int32_t unset = INT32_MIN;

static void *room(int64_t n, size_t size)
{
  void *p = NULL;
  if (n == 0) return NULL;
  assert_ok(mr_calloc(&p, (size_t)n, size));
  return p;
}

/* Elements of one row of each part; 0 where the part does not apply. */
typedef struct widths {
  int64_t token, value, label, target, weight;
} widths;

static widths widths_of(const subject *s)
{
  bool mse = s->info.loss == MR_LOSS_MSE;
  return (widths){.token = s->info.vocab > 0 ? s->info.T : 0,
                  .value = s->info.T * s->info.in_dim,
                  .label = mse ? 0 : s->T_out,
                  .target = mse ? s->T_out * s->info.out_dim : 0,
                  .weight = mse ? s->T_out : 0};
}

static void fill_batch(const subject *s, mr_batch *b, mr_split split, uint64_t index, int64_t B)
{
  const widths w = widths_of(s);
  for (int64_t i = 0; i < B * w.token; i++) b->token[i] = unset;
  for (int64_t i = 0; i < B * w.value; i++) b->value[i] = (mr_real)NAN;
  for (int64_t i = 0; i < B * w.label; i++) b->label[i] = unset;
  for (int64_t i = 0; i < B * w.target; i++) b->target[i] = (mr_real)NAN;
  for (int64_t i = 0; i < B * w.weight; i++) b->weight[i] = (mr_real)NAN;
  assert_ok(s->def->batch(s->task, split, index, B, b));
}

static mr_batch new_batch(const subject *s, mr_split split, uint64_t index, int64_t B)
{
  const widths w = widths_of(s);
  mr_batch b = {.token = room(B * w.token, sizeof *b.token),
                .value = room(B * w.value, sizeof *b.value),
                .label = room(B * w.label, sizeof *b.label),
                .target = room(B * w.target, sizeof *b.target),
                .weight = room(B * w.weight, sizeof *b.weight)};
  fill_batch(s, &b, split, index, B);
  return b;
}

static void free_batch(mr_batch *b)
{
  mr_free(b->token);
  mr_free(b->value);
  mr_free(b->label);
  mr_free(b->target);
  mr_free(b->weight);
}

static bool same(const void *a, const void *b, int64_t n, size_t size)
{
  return n == 0 || memcmp(a, b, (size_t)n * size) == 0;
}

/* Rows a .. a+n-1 of x equal the first n rows of y. */
static bool same_rows(const subject *s, const mr_batch *x, int64_t a, const mr_batch *y, int64_t n)
{
  const widths w = widths_of(s);
  return (w.token == 0 || same(x->token + a * w.token, y->token, n * w.token, sizeof *x->token)) &&
         (w.value == 0 || same(x->value + a * w.value, y->value, n * w.value, sizeof *x->value)) &&
         (w.label == 0 || same(x->label + a * w.label, y->label, n * w.label, sizeof *x->label)) &&
         (w.target == 0 ||
          same(x->target + a * w.target, y->target, n * w.target, sizeof *x->target)) &&
         (w.weight == 0 ||
          same(x->weight + a * w.weight, y->weight, n * w.weight, sizeof *x->weight));
}

static void check_filled(subject *s)
{
  const widths w = widths_of(s);
  assert_in_range(s->info.from, 0, s->info.T - 1);
  assert_true(s->info.vocab > 0 || s->info.in_dim > 0);
  assert_in_range(s->info.n_metrics, 1, MR_MAX_METRICS);
  for (int split = MR_TRAIN; split <= MR_TEST; split++) {
    mr_batch b = new_batch(s, (mr_split)split, 3, 5);
    int64_t n_scored = 0;
    for (int64_t i = 0; i < 5 * w.token; i++) assert_in_range(b.token[i], 0, s->info.vocab - 1);
    for (int64_t i = 0; i < 5 * w.value; i++) assert_true(isfinite(b.value[i]));
    for (int64_t i = 0; i < 5 * w.label; i++) {
      assert_true(b.label[i] >= -1 && b.label[i] < s->info.out_dim);
      n_scored += b.label[i] >= 0;
    }
    for (int64_t i = 0; i < 5 * w.target; i++) assert_true(isfinite(b.target[i]));
    for (int64_t i = 0; i < 5 * w.weight; i++) {
      assert_true(isfinite(b.weight[i]));
      n_scored += b.weight[i] != 0;
    }
    assert_true(n_scored > 0);
    free_batch(&b);
  }
}

static void batches_fill_all_their_memory_with_values_in_range(void **state)
{
  (void)state;
  for_every_task(check_filled);
}

static void check_pure(subject *s)
{
  subject other;
  open_with(&other, s->def->name, NULL);
  for (int split = MR_TRAIN; split <= MR_TEST; split++) {
    mr_batch eight = new_batch(s, (mr_split)split, 7, 8), three = new_batch(&other, MR_TRAIN, 0, 3);
    for (uint64_t index = 9; index-- > 6;) fill_batch(&other, &three, (mr_split)split, index, 3);
    fill_batch(&other, &three, (mr_split)split, 7, 3);
    assert_true(same_rows(s, &eight, 0, &three, 3));
    mr_batch again = new_batch(&other, (mr_split)split, 7, 8);
    assert_true(same_rows(s, &eight, 0, &again, 8));
    fill_batch(s, &again, (mr_split)split, 7, 1);
    assert_true(same_rows(s, &eight, 0, &again, 1));
    free_batch(&eight);
    free_batch(&three);
    free_batch(&again);
  }
  close_subject(&other);
}

static void rows_depend_neither_on_order_nor_on_batch_size(void **state)
{
  (void)state;
  for_every_task(check_pure);
}

static void check_distinct(subject *s)
{
  /* The same number of rows of: three splits, two later indices. */
  mr_batch b[] = {new_batch(s, MR_TRAIN, 0, 8), new_batch(s, MR_VALID, 0, 8),
                  new_batch(s, MR_TEST, 0, 8),  new_batch(s, MR_TRAIN, 1, 8),
                  new_batch(s, MR_VALID, 1, 8), new_batch(s, MR_TRAIN, (uint64_t)1 << 33, 8)};
  enum { N = sizeof b / sizeof *b };
  for (int i = 0; i < N; i++) {
    for (int j = 0; j < i; j++) {
      bool one_set = s->info.n_eval > 0 && i == 2 && j == 1;
      assert_int_equal(same_rows(s, &b[i], 0, &b[j], 8), one_set);
    }
    assert_false(same_rows(s, &b[i], 1, &b[i], 7));
  }
  for (int i = 0; i < N; i++) free_batch(&b[i]);
}

static void splits_indices_and_rows_differ(void **state)
{
  (void)state;
  for_every_task(check_distinct);
}

static void check_seeds(subject *s)
{
  subject other;
  open_with(&other, s->def->name, "--seed=12345");
  for (int split = MR_TRAIN; split <= MR_TEST; split++) {
    mr_batch a = new_batch(s, (mr_split)split, 2, 8), b = new_batch(&other, (mr_split)split, 2, 8);
    assert_int_equal(same_rows(s, &a, 0, &b, 8), split != MR_TRAIN);
    free_batch(&a);
    free_batch(&b);
  }
  close_subject(&other);
}

static void the_seed_changes_training_data_but_not_the_fixed_sets(void **state)
{
  (void)state;
  for_every_task(check_seeds);
}

static void a_starved_open_fails_cleanly(void **state)
{
  (void)state;
  for (int i = 0; i < mr_n_tasks; i++) {
    mr_status st = MR_ERR_NOMEM;
    for (int64_t n = 1; st == MR_ERR_NOMEM; n++) {
      subject s;
      assert_in_range(n, 1, 1000);
      mr_alloc_fail_at(n);
      st = try_open(&s, mr_tasks[i]->name, 0, NULL);
      mr_alloc_fail_at(0);
      if (st == MR_OK) close_subject(&s);
    }
    assert_true(st == MR_OK || st == MR_ERR_IO);
    mr_tasks[i]->close(NULL);
  }
}

/* ---- Scores ----------------------------------------------------------------------------------- */

/* Positions of the batch that count. */
static int64_t count_scored(const subject *s, const mr_batch *b, int64_t B)
{
  int64_t n = 0;
  for (int64_t i = 0; i < B * s->T_out; i++)
    n += s->info.loss == MR_LOSS_XENT ? b->label[i] >= 0 : b->weight[i] != 0;
  return n;
}

/* Answers that say `class` everywhere, or the batch's own label when class < 0. */
static void say(const subject *s, const mr_batch *b, int64_t B, int64_t class, mr_real *y)
{
  const int64_t V = s->info.out_dim;
  for (int64_t i = 0; i < B * s->T_out; i++) {
    int64_t want = class >= 0 ? class : b->label[i];
    for (int64_t v = 0; v < V; v++) y[i * V + v] = v == want ? 2 : -1;
  }
}

static void check_perfect(subject *s)
{
  enum { B = 4 };
  if (s->def->rollout != NULL) return; /* scores what it does, not answers */
  for (int split = MR_TRAIN; split <= MR_TEST; split++) {
    mr_batch b = new_batch(s, (mr_split)split, 1, B);
    mr_real *y = room(B * s->T_out * s->info.out_dim, sizeof *y);
    double sum[MR_MAX_METRICS] = {0}, count[MR_MAX_METRICS] = {0};
    if (s->info.loss == MR_LOSS_XENT)
      say(s, &b, B, -1, y);
    else
      memcpy(y, b.target, (size_t)(B * s->T_out * s->info.out_dim) * sizeof *y);
    assert_ok(s->def->score(s->task, &b, B, y, sum, count));
    for (int i = 0; i < s->info.n_metrics; i++) {
      assert_non_null(s->info.metric[i]);
      assert_non_null(s->info.unit[i]);
      assert_true(count[i] == (double)count_scored(s, &b, B));
      assert_true(fabs(sum[i] / count[i] - 1) < 1e-9);
    }
    /* A second call adds; answers that are no numbers add nothing. */
    for (int64_t i = 0; i < B * s->T_out * s->info.out_dim; i++) y[i] = (mr_real)NAN;
    double before = count[0];
    assert_ok(s->def->score(s->task, &b, B, y, sum, count));
    assert_true(count[0] == 2 * before);
    assert_false(sum[0] > before);
    mr_free(y);
    free_batch(&b);
  }
}

static void perfect_answers_score_one(void **state)
{
  (void)state;
  for_every_task(check_perfect);
}

/* The most frequent label of some batches, to be judged on others. */
static int64_t commonest_label(const subject *s, mr_batch *b, int64_t B, uint64_t n_batches)
{
  int64_t *seen = room(s->info.out_dim, sizeof *seen), best = 0;
  for (uint64_t index = 0; index < n_batches; index++) {
    fill_batch(s, b, MR_TRAIN, index, B);
    for (int64_t i = 0; i < B * s->T_out; i++)
      if (b->label[i] >= 0) seen[b->label[i]]++;
  }
  for (int64_t v = 1; v < s->info.out_dim; v++)
    if (seen[v] > seen[best]) best = v;
  mr_free(seen);
  return best;
}

static void check_constant(subject *s)
{
  enum { B = 16, POSITIONS = 20000 };
  if (s->info.loss != MR_LOSS_XENT) return;
  mr_batch b = new_batch(s, MR_TRAIN, 0, B);
  uint64_t n_batches = (uint64_t)(POSITIONS / (B * s->T_out) + 1);
  mr_real *y = room(B * s->T_out * s->info.out_dim, sizeof *y);
  double sum[MR_MAX_METRICS] = {0}, count[MR_MAX_METRICS] = {0};
  say(s, &b, B, commonest_label(s, &b, B, n_batches), y);
  for (uint64_t index = n_batches; index < 2 * n_batches; index++) {
    fill_batch(s, &b, MR_TRAIN, index, B);
    assert_ok(s->def->score(s->task, &b, B, y, sum, count));
  }
  for (int i = 0; i < s->info.n_metrics; i++) {
    double p = s->info.chance[i], sigma = sqrt(p * (1 - p) / count[i]), got = sum[i] / count[i];
    print_message("  %s: %s of the best constant answer is %.4f, stated %.4f +- %.4f\n",
                  s->def->name, s->info.metric[i], got, p, sigma);
    assert_true(p > 0 && p < 1);
    assert_true(fabs(got - p) < 3 * sigma);
  }
  mr_free(y);
  free_batch(&b);
}

static void constant_answers_score_the_stated_chance(void **state)
{
  (void)state;
  for_every_task(check_constant);
}

/* ---- Selective copying ------------------------------------------------------------------------ */

enum { QUERY = 0, N_DATA = 14, NOISE = 15 };

/* Tallies of many rows, for evenness. */
typedef struct tally {
  int64_t place[16], data[N_DATA + 1], n;
} tally;

/* One row token [L + n], label [n]: n data tokens among noise, then queries; labels in order. */
static void check_copy_row(const int32_t *token, const int32_t *label, int64_t L, int64_t n,
                           tally *y)
{
  int64_t found = 0;
  for (int64_t t = 0; t < L; t++) {
    if (token[t] == NOISE) continue;
    assert_in_range(token[t], 1, N_DATA);
    assert_true(found < n);
    assert_int_equal(label[found], token[t]);
    y->place[t * 16 / L]++;
    y->data[token[t]]++;
    found++;
  }
  assert_int_equal(found, n);
  for (int64_t i = 0; i < n; i++) assert_int_equal(token[L + i], QUERY);
  y->n += n;
}

static void assert_even(const int64_t *seen, int n_cells, int64_t n)
{
  double want = (double)n / n_cells, chi2 = 0;
  for (int i = 0; i < n_cells; i++)
    chi2 += ((double)seen[i] - want) * ((double)seen[i] - want) / want;
  assert_true(chi2 < n_cells - 1 + 5 * sqrt(2.0 * (n_cells - 1)));
}

static void check_copy(int64_t L, int64_t n, const char *length_flag, const char *tokens_flag)
{
  enum { B = 50 };
  const char *flags[] = {length_flag, tokens_flag};
  subject s;
  tally y = {.n = 0};
  assert_ok(try_open(&s, "selective_copy", 2, flags));
  assert_true(s.info.T == L + n && s.info.from == L);
  assert_true(s.info.vocab == 16 && s.info.out_dim == 16 && s.info.loss == MR_LOSS_XENT);
  assert_string_equal(s.info.metric[0], "accuracy");
  assert_string_equal(s.info.unit[0], "1");
  mr_batch b = new_batch(&s, MR_TRAIN, 0, B);
  for (uint64_t index = 0; index < 10; index++) {
    fill_batch(&s, &b, MR_TRAIN, index, B);
    for (int r = 0; r < B; r++) check_copy_row(b.token + r * (L + n), b.label + r * n, L, n, &y);
  }
  assert_true(y.n == 500 * n);
  if (L >= 16 && L % 16 == 0) assert_even(y.place, 16, y.n);
  assert_even(y.data + 1, N_DATA, y.n);
  free_batch(&b);
  close_subject(&s);
}

static void selective_copy_hides_data_in_noise_and_asks_for_it_in_order(void **state)
{
  (void)state;
  check_copy(4096, 16, "--length=0", "--selective_copy.data_tokens=16");
  check_copy(256, 8, "--length=256", "--selective_copy.data_tokens=8");
  check_copy(16, 16, "--length=16", "--selective_copy.data_tokens=16");
  check_copy(1, 1, "--length=1", "--selective_copy.data_tokens=1");
  check_copy(2048, 1024, "--length=2048", "--selective_copy.data_tokens=1024");
}

static void selective_copy_refuses_what_cannot_be(void **state)
{
  (void)state;
  subject s;
  static const char *const short_context[] = {"--length=15"};
  static const char *const half[] = {"--selective_copy.data_tokens=2.5"};
  static const char *const none[] = {"--selective_copy.data_tokens=0"};
  assert_fails(try_open(&s, "selective_copy", 1, short_context), MR_ERR_CONFIG, "length = 15");
  assert_fails(try_open(&s, "selective_copy", 1, half), MR_ERR_CONFIG, "2.5 is no whole number");
  assert_fails(try_open(&s, "selective_copy", 1, none), MR_ERR_CONFIG, "1 to 1024");
}

static void selective_copy_counts_ties_and_nan_as_wrong(void **state)
{
  (void)state;
  static const char *const flags[] = {"--length=4", "--selective_copy.data_tokens=4"};
  subject s;
  int32_t label[4] = {3, 5, 7, -1};
  mr_real y[4][16] = {{0}};
  mr_batch b = {.label = label};
  double sum = 10, count = 20;
  assert_ok(try_open(&s, "selective_copy", 2, flags));
  y[0][3] = 1, y[0][4] = 1;                  /* a tie */
  y[1][5] = 1, y[1][9] = (mr_real)NAN;       /* a NaN among the others */
  y[2][7] = (mr_real)INFINITY, y[2][8] = 99; /* right */
  assert_ok(s.def->score(s.task, &b, 1, y[0], &sum, &count));
  assert_true(sum == 11 && count == 23);
  close_subject(&s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(batches_fill_all_their_memory_with_values_in_range),
      cmocka_unit_test(rows_depend_neither_on_order_nor_on_batch_size),
      cmocka_unit_test(splits_indices_and_rows_differ),
      cmocka_unit_test(the_seed_changes_training_data_but_not_the_fixed_sets),
      cmocka_unit_test(a_starved_open_fails_cleanly),
      cmocka_unit_test(perfect_answers_score_one),
      cmocka_unit_test(constant_answers_score_the_stated_chance),
      cmocka_unit_test(selective_copy_hides_data_in_noise_and_asks_for_it_in_order),
      cmocka_unit_test(selective_copy_refuses_what_cannot_be),
      cmocka_unit_test(selective_copy_counts_ties_and_nan_as_wrong),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
