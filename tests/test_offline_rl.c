/* test_offline_rl.c — batches and rollouts of the task offline_rl, without a trained network.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include "nets.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "data.h"
#include "mem.h"
#include "player.h"

enum { GO, STATE, ACTION, PARTS };

static mr_backend *be;

/* The task opened from words "--key=value ...", with the data that it draws from. */
typedef struct subject {
  net n;
  mr_dataset data;
  mr_env *env;
  mr_env_spec spec;
  int64_t K, C; /* steps, channels */
} subject;

static void open_subject(subject *s, const char *words)
{
  char all[512];
  memset(s, 0, sizeof *s);
  net_words(all, sizeof all, "--task=offline_rl --length=0 --batch=8 %s", words);
  assert_ok(net_config(&s->n, be, "mingru", all));
  const mr_env_def *def = mr_env_find(mr_option_text(&s->n.c, "offline_rl", "env"));
  assert_ok(def->open(&s->env, &s->n.c));
  def->spec(s->env, &s->spec);
  def->close(s->env);
  assert_ok(mr_data_open(&s->data, def, &s->n.c));
  s->K = s->n.info.T / PARTS;
  s->C = s->n.info.in_dim;
}

static void close_subject(subject *s)
{
  mr_dataset_free(&s->data);
  net_close(&s->n);
}

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
  open_subject(&s, words);
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
  close_subject(&s);
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
  open_subject(&s, "--offline_rl.env=pendulum --offline_rl.window=1");
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
  close_subject(&s);
}

/* Every step of the data is the first of a segment equally often, so that trajectories come in
 * proportion to their length. */
static void trajectories_are_drawn_in_proportion_to_their_length(void **state)
{
  (void)state;
  subject s;
  memory m = {.block = {NULL}};
  double whole = 0, n = 0, want = 0;
  open_subject(&s, "--offline_rl.env=tmaze --offline_rl.window=40");
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
  close_subject(&s);
}

static void segments_may_begin_with_their_episode_and_hide_actions_and_time(void **state)
{
  (void)state;
  subject s;
  memory m = {.block = {NULL}};
  open_subject(&s, "--offline_rl.env=tmaze --offline_rl.window=31 --offline_rl.start=first "
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
  close_subject(&s);
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

/* ---- Acting ------------------------------------------------------------------------------------ */

/* Policies that know the rules and see what the network sees. */
typedef struct sage {
  mr_policy policy; /* first */
  const subject *s;
  double mean[4], dev[4];
  int calls, steps, restarts;
  bool stubborn;          /* says the same always */
  double seen[200][4][2]; /* [step][episode][number] of the states read so far */
} sage;

static double plain(const sage *g, const mr_real *v, int d)
{
  return (double)v[g->s->n.info.part[GO] + 1 + d] * g->dev[d] + g->mean[d];
}

/* What is right now in episode b at step t. */
static double answer(const sage *g, int t, int64_t b, int d)
{
  const bool maze = strcmp(g->s->spec.name, "tmaze") == 0;
  if (g->stubborn) return 0.5;
  if (maze) return g->seen[0][b][0];
  return t < 4 ? 0 : g->seen[t - 4][b][d];
}

static mr_status sage_read(mr_policy *p, const int32_t *token, const mr_real *value, int64_t n,
                           mr_real *y)
{
  sage *g = (sage *)p;
  const int64_t episodes = g->s->n.info.episodes, C = g->s->C;
  assert_int_equal(n, g->steps == 0 ? 2 : 3);
  for (int64_t b = 0; b < episodes; b++) {
    const mr_real *v = value + (b * n + n - 1) * C;
    assert_true(v[g->s->n.info.part[GO]] == 1 && v[-C] == 1); /* return to go, then state */
    assert_int_equal(token[b * n + n - 1], g->steps);
    assert_int_equal(token[b * n], n == 2 ? 0 : g->steps - 1);
    for (int d = 0; d < 2; d++) g->seen[g->steps][b][d] = plain(g, v, d);
    for (int d = 0; d < g->s->spec.act; d++)
      y[b * g->s->spec.act + d] = (mr_real)answer(g, g->steps, b, d);
  }
  g->steps++;
  return MR_OK;
}

static void sage_restart(mr_policy *p)
{
  sage *g = (sage *)p;
  g->steps = 0;
  g->restarts++;
}

/* What was paid is no longer asked for. go: the return-to-go token before the state. */
static void check_go(const sage *g, int t, const mr_real *go)
{
  const bool maze = strcmp(g->s->spec.name, "tmaze") == 0;
  const double want = maze || t < 4 ? 1 : 1 - (t - 4) / 32.0;
  assert_true(go[0] == 1);
  if (!g->stubborn) assert_true(fabs((double)go[1] - want) < 1e-6);
}

/* The latest step is the one whose state was read last: of a window that is not full, the last with a
 * state in it. */
static mr_status sage_window(mr_policy *p, const int32_t *token, const mr_real *value, mr_real *y)
{
  sage *g = (sage *)p;
  const int64_t episodes = g->s->n.info.episodes, C = g->s->C, T = g->s->n.info.T;
  for (int64_t b = 0; b < episodes; b++) {
    int64_t j = g->s->K - 1;
    while (value[((b * g->s->K + j) * PARTS + STATE) * C + g->s->n.info.part[GO]] != 1) j--;
    const int64_t at = b * T + j * PARTS + STATE;
    const int t = token[at];
    check_go(g, t, value + (at - STATE) * C);
    for (int d = 0; d < 2; d++) g->seen[t][b][d] = plain(g, value + at * C, d);
    for (int64_t i = 0; i < T * g->s->spec.act; i++) y[b * T * g->s->spec.act + i] = 9;
    for (int d = 0; d < g->s->spec.act; d++)
      y[at * g->s->spec.act + d] = (mr_real)answer(g, t, b, d);
  }
  g->calls++;
  return MR_OK;
}

static void roll(const char *words, bool stubborn, double *score, int n_metrics)
{
  static sage g;
  subject s;
  char all[512];
  double sum[MR_MAX_METRICS] = {0}, count[MR_MAX_METRICS] = {0};
  net_words(all, sizeof all, "%s --offline_rl.episodes=4", words);
  open_subject(&s, all);
  assert_int_equal(s.n.info.n_metrics, n_metrics);
  g = (sage){.policy = {sage_window, sage_restart, sage_read}, .s = &s, .stubborn = stubborn};
  mr_dataset_moments(&s.data, g.mean, g.dev);
  assert_ok(s.n.def->rollout(s.n.task, MR_VALID, &g.policy, sum, count));
  for (int i = 0; i < n_metrics; i++) {
    assert_true(count[i] == 4);
    score[i] = sum[i] / count[i];
  }
  close_subject(&s);
}

static void knowing_policies_score_a_hundred(void **state)
{
  (void)state;
  static const char *const way[] = {"--offline_rl.eval=stream", "--offline_rl.window=8",
                                    "--offline_rl.window=8 --offline_rl.pad=paper",
                                    "--offline_rl.window=60"};
  static const char *const env[] = {"tmaze", "repeat"};
  for (int e = 0; e < 2; e++)
    for (int w = 0; w < 4; w++) {
      char words[256];
      double score[3];
      net_words(words, sizeof words, "--offline_rl.env=%s %s", env[e], way[w]);
      roll(words, false, score, 3);
      assert_true(fabs(score[0] - 100) < 1e-9 && fabs(score[1] - 1) < 1e-9 &&
                  fabs(score[2] - 100) < 1e-9);
      roll(words, true, score, 3);
      assert_true(score[0] < 101 * (e == 0) + 10);
    }
}

static void every_target_is_played_and_scored(void **state)
{
  (void)state;
  double score[6];
  roll("--offline_rl.env=pendulum --offline_rl.window=2", true, score, 6);
  assert_true(score[0] == score[3] && score[1] == score[4]); /* it does not listen */
  assert_true(fabs(score[0] - 100 * (score[1] + 1228) / (1228 - 153)) < 1e-9);
  roll("--offline_rl.env=pendulum --offline_rl.window=2 --offline_rl.target=-300", true, score, 3);
}

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

/* ---- Window and stream ------------------------------------------------------------------------- */

/* While the window holds the whole episode, what is read anew and what is carried along agree. */
static void both_ways_of(const char *model)
{
  enum { EPISODES = 4, MANY = 3 * 9 };
  net n;
  mr_player *window = NULL, *stream = NULL;
  mr_task_info as_stream;
  static mr_real whole[EPISODES * MANY], part[EPISODES * 8 * 3], y[EPISODES];
  int32_t token[EPISODES * 3];
  assert_ok(net_ready(&n, be, model,
                      "--task=offline_rl --length=0 --offline_rl.env=tmaze --offline_rl.window=9 "
                      "--offline_rl.corridor=8 --offline_rl.episodes=4 --batch=4 --width=8 "
                      "--offline_rl.start=first --mlp=gelu --norm=layernorm"));
  assert_int_equal(n.info.T, MANY);
  const mr_batch *b = mr_feed_batch(n.feed);
  const int64_t C = n.info.in_dim;
  assert_true(C <= 8);
  as_stream = n.info;
  as_stream.streams = true;
  assert_ok(mr_player_open(&window, be, &n.c, n.model, &n.info, n.tape));
  assert_ok(mr_player_open(&stream, be, &n.c, n.model, &as_stream, n.tape));
  mr_policy *w = mr_player_policy(window), *s = mr_player_policy(stream);
  for (int again = 0; again < 2; again++) { /* parameters are those of the moment */
    assert_ok(w->window(w, b->token, b->value, whole));
    s->restart(s);
    for (int64_t from = 0, k = 2; from < MANY; from += k, k = from + 3 <= MANY ? 3 : 1) {
      for (int64_t e = 0; e < EPISODES; e++) {
        memcpy(part + e * k * C, b->value + (e * MANY + from) * C, (size_t)(k * C) * sizeof *part);
        memcpy(token + e * k, b->token + e * MANY + from, (size_t)k * sizeof *token);
      }
      assert_ok(s->read(s, token, part, k, y));
      for (int64_t e = 0; e < EPISODES; e++)
        assert_close(&y[e], &whole[e * MANY + from + k - 1], 1, 1e-4, 1e-5);
    }
    const mr_slot *head = net_slot(n.tape, "head.weight");
    for (int64_t i = 0; i < mr_count(&head->value.shape); i++)
      ((mr_real *)head->value.data)[i] *= -2;
  }
  mr_player_close(window);
  mr_player_close(stream);
  net_close(&n);
}

static void a_stream_acts_like_a_window_that_holds_all(void **state)
{
  (void)state;
  for (int i = 0; i < mr_n_models; i++)
    if (net_can_run(mr_models[i]->name)) both_ways_of(mr_models[i]->name);
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
      cmocka_unit_test(knowing_policies_score_a_hundred),
      cmocka_unit_test(every_target_is_played_and_scored),
      cmocka_unit_test(wrong_settings_are_refused_in_a_sentence),
      cmocka_unit_test(a_stream_acts_like_a_window_that_holds_all),
  };
  return cmocka_run_group_tests(tests, open_backend, close_backend);
}
