/* test_offline_rl.c — batches of the task offline_rl: segments, standardisation, padding.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include <math.h>
#include <string.h>
#include "mem.h"
#include "plays.h"

static mr_backend *be;

/* ---- Batches ----------------------------------------------------------------------------------- */

enum { B = 8 };

typedef struct memory {
  mr_batch b;
  void *block[4];
} memory;

static void draw(const subject *s, uint64_t index, memory *m)
{
  const size_t T = (size_t)s->n.info.T;
  const size_t n[] = {B * T, B * T * (size_t)s->C, B * T * (size_t)s->spec.act, B * T};
  for (int i = 0; i < 4; i++)
    if (m->block[i] == NULL) assert_ok(mr_calloc(&m->block[i], n[i], sizeof(double)));
  m->b = (mr_batch){
      .token = m->block[0], .value = m->block[1], .target = m->block[2], .weight = m->block[3]};
  assert_ok(s->n.def->batch(s->n.task, MR_TRAIN, index, B, &m->b));
}

static void forget(memory *m)
{
  for (int i = 0; i < 4; i++) mr_free(m->block[i]);
}

/* The numbers of token t of row b as one of this part; fails when it is of another. */
static const mr_real *part_of(const subject *s, const memory *m, int64_t b, int64_t t, int part)
{
  const mr_real *v = m->b.value + (b * s->n.info.T + t) * s->C, *own = NULL;
  for (int p = 0; p < PARTS; p++) {
    assert_true(v[0] == (p == part));
    if (p == part) own = v + 1;
    for (int64_t i = 1; i < s->n.info.part[p] && p != part; i++) assert_true(v[i] == 0);
    v += s->n.info.part[p];
  }
  return own;
}

/* The step of the data set that row b shows as its step j, found by what it shows; -1: none. */
static int64_t find_step(const subject *s, const memory *m, const double *mean, const double *dev,
                         const float *go, int64_t b, int64_t j)
{
  const mr_real *g = part_of(s, m, b, PARTS * j, GO);
  const mr_real *state = part_of(s, m, b, PARTS * j + STATE, STATE);
  for (int64_t i = 0; i < s->data.n; i++) {
    bool same = fabs((double)go[i] / s->spec.scale - (double)*g) < 1e-6;
    for (int64_t d = 0; d < s->spec.obs && same; d++)
      same = fabs(((double)s->data.ob[i * s->spec.obs + d] - mean[d]) / dev[d] - (double)state[d]) <
             1e-5;
    if (same) return i;
  }
  return -1;
}

/* Row b: n steps in a row of one trajectory from row step `from` on. Returns n. */
static int64_t check_row(const subject *s, const memory *m, const float *go, const double *mean,
                         const double *dev, int64_t b, bool paper)
{
  const int64_t T = s->n.info.T, act = s->spec.act;
  int64_t n = 0, from = 0;
  for (int64_t j = 0; j < s->K; j++) n += m->b.weight[b * T + PARTS * j + STATE] != 0;
  if (paper) from = s->K - n;
  const int64_t first = find_step(s, m, mean, dev, go, b, from);
  assert_true(n > 0 && first >= 0);
  const int64_t k = mr_dataset_trajectory(&s->data, first);
  assert_true(n == s->K || first + n == s->data.start[k + 1]); /* cut by the end only */
  for (int64_t j = 0; j < n; j++) {
    const int64_t i = first + j, t = PARTS * (from + j);
    assert_true(i < s->data.start[k + 1]);
    assert_true(fabs((double)go[i] / s->spec.scale - (double)*part_of(s, m, b, t, GO)) < 1e-6);
    const mr_real *a = part_of(s, m, b, t + ACTION, ACTION);
    for (int64_t d = 0; d < act; d++) {
      assert_true(a[d] == (mr_real)s->data.ac[i * act + d]);
      assert_true(m->b.target[(b * T + t + STATE) * act + d] == a[d]);
    }
    for (int p = 0; p < PARTS; p++) {
      assert_int_equal(m->b.token[b * T + t + p], i - s->data.start[k]);
      assert_true(m->b.weight[b * T + t + p] == (p == STATE));
    }
  }
  return n;
}

/* Padding in front, as published: return 0, state 0 before it is standardised, action -10, step 0. */
static void check_paper_padding(const subject *s, const memory *m, const double *mean,
                                const double *dev, int64_t b, int64_t n)
{
  for (int64_t j = 0; j < s->K - n; j++) {
    const mr_real *state = part_of(s, m, b, PARTS * j + STATE, STATE);
    assert_true(*part_of(s, m, b, PARTS * j, GO) == 0);
    for (int64_t d = 0; d < s->spec.obs; d++)
      assert_true(fabs((double)state[d] + mean[d] / dev[d]) < 1e-5);
    for (int64_t d = 0; d < s->spec.act; d++)
      assert_true(part_of(s, m, b, PARTS * j + ACTION, ACTION)[d] == -10);
    for (int p = 0; p < PARTS; p++) {
      assert_true(m->b.weight[b * s->n.info.T + PARTS * j + p] == 0);
      assert_int_equal(m->b.token[b * s->n.info.T + PARTS * j + p], 0);
    }
  }
}

static void segments_of(const char *words, bool paper)
{
  subject s;
  memory m = {.block = {NULL}};
  double mean[4], dev[4];
  float *go = NULL;
  int64_t n_short = 0;
  subject_open(&s, be, words);
  assert_true(s.C == s.n.info.part[GO] + s.n.info.part[STATE] + s.n.info.part[ACTION]);
  assert_ok(mr_calloc((void **)&go, (size_t)s.data.n, sizeof *go));
  mr_dataset_returns_to_go(&s.data, go);
  mr_dataset_moments(&s.data, mean, dev);
  for (uint64_t index = 0; index < 6; index++) {
    draw(&s, index, &m);
    for (int64_t b = 0; b < B; b++) {
      const int64_t n = check_row(&s, &m, go, mean, dev, b, paper);
      n_short += n < s.K;
      if (paper) check_paper_padding(&s, &m, mean, dev, b, n);
    }
  }
  assert_true(n_short > 3);
  mr_free(go);
  forget(&m);
  subject_close(&s);
}

static void rows_are_segments_of_one_trajectory(void **state)
{
  (void)state;
  segments_of("--offline_rl.env=pendulum --offline_rl.window=60", false);
  segments_of("--offline_rl.env=pendulum --offline_rl.window=60 --offline_rl.pad=paper", true);
}

static void states_are_standardised(void **state)
{
  (void)state;
  subject s;
  memory m = {.block = {NULL}};
  double sum[2] = {0}, square[2] = {0}, n = 0;
  subject_open(&s, be, "--offline_rl.env=pendulum --offline_rl.window=1");
  for (uint64_t index = 0; index < 2000; index++) {
    draw(&s, index, &m);
    for (int64_t b = 0; b < B; b++, n++)
      for (int d = 0; d < 2; d++) {
        const double x = (double)part_of(&s, &m, b, STATE, STATE)[d];
        sum[d] += x;
        square[d] += x * x;
      }
  }
  for (int d = 0; d < 2; d++) {
    assert_true(fabs(sum[d] / n) < 5 / sqrt(n));
    assert_true(fabs(square[d] / n - 1) < 0.05);
  }
  forget(&m);
  subject_close(&s);
}

/* Every step of the data is the first of a segment equally often, so that trajectories come in
 * proportion to their length. */
static void trajectories_are_drawn_in_proportion_to_their_length(void **state)
{
  (void)state;
  subject s;
  memory m = {.block = {NULL}};
  double whole = 0, n = 0, want = 0;
  subject_open(&s, be, "--offline_rl.env=tmaze --offline_rl.window=40");
  for (int64_t k = 0; k < s.data.n_traj; k++) {
    const double length = (double)(s.data.start[k + 1] - s.data.start[k]);
    want += length * (length + 1) / 2 / (double)s.data.n; /* mean number of steps left */
  }
  for (uint64_t index = 0; index < 1000; index++) {
    draw(&s, index, &m);
    for (int64_t b = 0; b < B; b++, n++)
      for (int64_t t = 0; t < s.n.info.T; t++) whole += (double)m.b.weight[b * s.n.info.T + t];
  }
  print_message("  %.3f steps per segment, expected %.3f\n", whole / n, want);
  assert_true(fabs(whole / n - want) < 5 * 9 / sqrt(n));
  forget(&m);
  subject_close(&s);
}

static void segments_may_begin_with_their_episode_and_hide_actions_and_time(void **state)
{
  (void)state;
  subject s;
  memory m = {.block = {NULL}};
  subject_open(&s, be,
               "--offline_rl.env=tmaze --offline_rl.window=31 --offline_rl.start=first "
               "--offline_rl.actions=hidden --offline_rl.time=none");
  assert_int_equal(s.n.info.vocab, 0);
  for (uint64_t index = 0; index < 20; index++) {
    draw(&s, index, &m);
    for (int64_t b = 0; b < B; b++) {
      /* The cue is there, and nothing of it in the actions. */
      const mr_real *first = part_of(&s, &m, b, STATE, STATE);
      assert_true(fabs((double)first[0]) > 1);
      for (int64_t j = 0; j < s.K && m.b.weight[b * s.n.info.T + PARTS * j + STATE] != 0; j++)
        assert_true(*part_of(&s, &m, b, PARTS * j + ACTION, ACTION) == 0);
    }
  }
  forget(&m);
  subject_close(&s);
}

/* ---- Padding ----------------------------------------------------------------------------------- */

/* A segment shorter than the window gives the outputs that it gives in a window of its own length, and
 * nothing in the padding reaches the loss. */
static void hold_of(const char *model, const char *words)
{
  enum { SHORT = 3, LONG = 7 };
  net a, b;
  char all[512];
  if (strstr(words, "--batch") != NULL || strstr(words, "--dropout") != NULL) return;
  const char *usual =
      "--task=offline_rl --length=0 --offline_rl.env=tmaze --offline_rl.start=first "
      "--offline_rl.corridor=2 --batch=8";
  net_words(all, sizeof all, "%s %s --offline_rl.window=%d", words, usual, LONG);
  assert_ok(net_ready(&a, be, model, all));
  net_words(all, sizeof all, "%s %s --offline_rl.window=%d", words, usual, SHORT);
  assert_ok(net_ready(&b, be, model, all));
  const char *context = "position.weight"; /* learned positions are as many as the window has */
  if (mr_tape_find(a.tape, context).id == 0) {
    const int64_t act = a.info.out_dim;
    net_copy_params(a.tape, b.tape);
    const double loss = net_step(&a, 0, 1);
    assert_true(fabs(loss - net_step(&b, 0, 1)) < 1e-5 * loss);
    assert_ok(mr_tape_forward(a.tape));
    assert_ok(mr_tape_forward(b.tape));
    for (int64_t r = 0; r < a.c.batch; r++)
      assert_close(net_data(b.tape, b.n.y) + r * PARTS * SHORT * act,
                   net_data(a.tape, a.n.y) + r * PARTS * LONG * act, PARTS * SHORT * act, 1e-4,
                   1e-5);
    mr_real *value = net_data(a.tape, a.n.value); /* [B,T,C] */
    for (int64_t r = 0; r < a.c.batch; r++)
      for (int64_t i = PARTS * SHORT * a.info.in_dim; i < a.info.T * a.info.in_dim; i++)
        value[r * a.info.T * a.info.in_dim + i] = (mr_real)0.3;
    assert_true(net_step(&a, 0, 1) == loss);
  }
  net_close(&a);
  net_close(&b);
}

static void held_padding_is_as_if_it_were_not_there(void **state)
{
  (void)state;
  net_each_variant(hold_of);
}

/* ---- Refusals ----------------------------------------------------------------------------------- */

static void wrong_settings_are_refused_in_a_sentence(void **state)
{
  (void)state;
  static const struct {
    const char *words, *holds;
  } bad[] = {
      {"--length=5", "length is 5, but a sequence of offline_rl is 3 tokens"},
      {"--length=0 --offline_rl.window=2.5", "offline_rl.window = 2.5 is no whole number"},
      {"--length=0 --offline_rl.episodes=1.5", "offline_rl.episodes = 1.5 is no whole number"},
      {"--length=0 --offline_rl.target=much", "offline_rl.target is \"much\""},
      {"--length=0 --offline_rl.target=1,2,3", "one or two numbers"},
      {"--length=0 --offline_rl.target=1e300",
       "\"1e300\"; allowed: one or two numbers from -1e+09"},
      {"--length=0 --offline_rl.target=1,-1e10", "from -1e+09 to 1e+09"},
      {"--length=0 --offline_rl.target=nan", "one or two numbers"},
      {"--length=0 --offline_rl.target=1,", "one or two numbers"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    net n;
    char words[256];
    net_words(words, sizeof words, "--task=offline_rl %s", bad[i].words);
    assert_fails(net_config(&n, be, "mingru", words), MR_ERR_CONFIG, bad[i].holds);
    net_close(&n);
  }
}

static int open_backend(void **state)
{
  (void)state;
  assert_ok(mr_backend_open(&be, MR_CPU, 1));
  return 0;
}

static int close_backend(void **state)
{
  (void)state;
  mr_backend_close(be);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_are_segments_of_one_trajectory),
      cmocka_unit_test(states_are_standardised),
      cmocka_unit_test(trajectories_are_drawn_in_proportion_to_their_length),
      cmocka_unit_test(segments_may_begin_with_their_episode_and_hide_actions_and_time),
      cmocka_unit_test(held_padding_is_as_if_it_were_not_there),
      cmocka_unit_test(wrong_settings_are_refused_in_a_sentence),
  };
  return cmocka_run_group_tests(tests, open_backend, close_backend);
}
