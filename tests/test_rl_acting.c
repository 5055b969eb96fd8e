/* test_rl_acting.c — rollouts of the task offline_rl: policies that know the rules score 100, and a network
 * acts alike in windows and in a stream. SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include <math.h>
#include <string.h>
#include "player.h"
#include "plays.h"

static mr_backend *be;

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
  subject_open(&s, be, all);
  assert_int_equal(s.n.info.n_metrics, n_metrics);
  g = (sage){.policy = {sage_window, sage_restart, sage_read}, .s = &s, .stubborn = stubborn};
  mr_dataset_moments(&s.data, g.mean, g.dev);
  assert_ok(s.n.def->rollout(s.n.task, MR_VALID, &g.policy, sum, count));
  for (int i = 0; i < n_metrics; i++) {
    assert_true(count[i] == 4);
    score[i] = sum[i] / count[i];
  }
  subject_close(&s);
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
  assert_true(fabs(score[0] - 100 * (score[1] + 1228) / (1228 - 149)) < 1e-9);
  roll("--offline_rl.env=pendulum --offline_rl.window=2 --offline_rl.target=-300", true, score, 3);
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
      cmocka_unit_test(knowing_policies_score_a_hundred),
      cmocka_unit_test(every_target_is_played_and_scored),
      cmocka_unit_test(a_stream_acts_like_a_window_that_holds_all),
  };
  return cmocka_run_group_tests(tests, open_backend, close_backend);
}
