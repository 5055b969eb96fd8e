/* offline_rl.c — act as recorded trajectories do that reach the return asked for.
 * SPDX-License-Identifier: MIT
 *
 * The framework of the Decision Transformer (Chen et al. 2021) with any model as its mixer. A step of an
 * episode is three tokens: the return to go, the state and the action. Each kind has a linear embedding
 * of its own, to which that of the step's number is added, then norm and dropout; the action is read at
 * the state's token through tanh, and its squared error is the loss. A sequence is K steps in a row of
 * one trajectory, which begin at any step of the data set with equal probability: so trajectories are
 * drawn in proportion to their length, as published. With start=first it is the first K steps of a
 * trajectory, so that models which carry a state can be trained on whole ones. States are
 * standardised. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "backend.h"
#include "data.h"
#include "mem.h"
#include "options.h"
#include "rng.h"
#include "task.h"

enum { GO, STATE, ACTION, N_PARTS, MAX_TARGETS = 2, MOST_GO = 1000000 };

static const char name[] = MR_RL;

struct mr_task {
  uint64_t seed;
  int64_t K, episodes;
  bool paper, streams, timed; /* pad=paper, eval=stream, time=table */
  bool first, blind;          /* start=first, actions=hidden */
  const mr_env_def *def;
  mr_env_spec spec;
  mr_dataset data;
  float *go; /* [n], return to go of every step, divided by the scale */
  double *mean, *deviation;
  int n_targets, threads;
  double target[MAX_TARGETS];
  /* Rollouts: `episodes` side by side. */
  mr_env **env;
  int32_t *token;         /* [B,3K]                             */
  mr_real *value, *y;     /* [B,3K,C], [B,3K,act]               */
  double *ob, *ac, *left; /* [B,obs], [B,act], [B] return to go */
  double *total;          /* [B] rewards so far                 */
  bool *over;             /* [B]                                */
};

/* ---- Tokens ---------------------------------------------------------------------------------- */

static int64_t width_of(const mr_task *k, int part)
{
  return 1 + (part == GO ? 1 : part == STATE ? k->spec.obs : k->spec.act);
}

static int64_t channels(const mr_task *k)
{
  return width_of(k, GO) + width_of(k, STATE) + width_of(k, ACTION);
}

/* Makes the token at v [C] one of this part, all its numbers zero; returns them. */
static mr_real *put_part(const mr_task *k, mr_real *v, int part)
{
  memset(v, 0, (size_t)channels(k) * sizeof *v);
  for (int i = 0; i < part; i++) v += width_of(k, i);
  v[0] = 1;
  return v + 1;
}

static double standard(const mr_task *k, int64_t i, double x)
{
  return (x - k->mean[i]) / k->deviation[i];
}

/* ---- Opening --------------------------------------------------------------------------------- */

static mr_status whole(const mr_config *c, const char *key, int64_t *out)
{
  const double x = mr_option_num(c, name, key);
  if (x != floor(x)) return MR_FAIL(MR_ERR_CONFIG, "%s.%s = %g is no whole number", name, key, x);
  *out = (int64_t)x;
  return MR_OK;
}

static bool is(const mr_config *c, const char *key, const char *word)
{
  return strcmp(mr_option_text(c, name, key), word) == 0;
}

/* "3600" or "3600,1800", which stay sound numbers where the network reads them */
static mr_status read_targets(mr_task *k, const char *text)
{
  const char *p = text;
  const double most = MOST_GO * k->spec.scale;
  for (; k->n_targets < MAX_TARGETS; k->n_targets++) {
    char *end;
    const double x = strtod(p, &end);
    if (end == p || !(fabs(x) <= most) || (*end != '\0' && *end != ',')) break;
    k->target[k->n_targets] = x;
    p = *end == ',' ? end + 1 : end;
    if (*end == '\0') {
      k->n_targets++;
      return MR_OK;
    }
  }
  return MR_FAIL(
      MR_ERR_CONFIG,
      "%s.target is \"%.64s\"; allowed: one or two numbers from %g to %g, split by a comma", name,
      text, -most, most);
}

static mr_status set_targets(mr_task *k, const mr_config *c)
{
  const char *text = mr_option_text(c, name, "target");
  if (text[0] != '\0') return read_targets(k, text);
  memcpy(k->target, k->spec.target, sizeof k->target);
  k->n_targets = isnan(k->target[1]) ? 1 : 2;
  return MR_OK;
}

static mr_status open_envs(mr_task *k, const mr_config *c)
{
  const char *word = mr_option_text(c, name, "env");
  k->def = mr_env_find(word);
  if (k->def == NULL)
    return MR_FAIL(MR_ERR_IO, "the environment %s is not part of this program", word);
  MR_CHECK(mr_calloc((void **)&k->env, (size_t)k->episodes, sizeof(mr_env *)));
  for (int64_t b = 0; b < k->episodes; b++) MR_CHECK(k->def->open(&k->env[b], c));
  k->def->spec(k->env[0], &k->spec);
  return MR_OK;
}

static mr_status room(mr_task *k)
{
  const size_t B = (size_t)k->episodes, T = (size_t)(N_PARTS * k->K), obs = (size_t)k->spec.obs,
               act = (size_t)k->spec.act;
  MR_CHECK(mr_calloc((void **)&k->token, B * T, sizeof *k->token));
  MR_CHECK(mr_calloc((void **)&k->value, B * T * (size_t)channels(k), sizeof *k->value));
  MR_CHECK(mr_calloc((void **)&k->y, B * T * act, sizeof *k->y));
  MR_CHECK(mr_calloc((void **)&k->ob, B * obs, sizeof *k->ob));
  MR_CHECK(mr_calloc((void **)&k->ac, B * act, sizeof *k->ac));
  MR_CHECK(mr_calloc((void **)&k->left, B, sizeof *k->left));
  MR_CHECK(mr_calloc((void **)&k->total, B, sizeof *k->total));
  MR_CHECK(mr_calloc((void **)&k->over, B, sizeof *k->over));
  MR_CHECK(mr_calloc((void **)&k->mean, obs, sizeof *k->mean));
  return mr_calloc((void **)&k->deviation, obs, sizeof *k->deviation);
}

static mr_status open_data(mr_task *k, const mr_config *c)
{
  MR_CHECK(mr_data_open(&k->data, k->def, c));
  if (k->data.obs != k->spec.obs || k->data.act != k->spec.act || k->data.n < 1)
    return MR_FAIL(MR_ERR_CONFIG,
                   "%s has %" PRId64 " steps of %" PRId64 " numbers seen and %" PRId64
                   " done, but %s needs some of %" PRId64 " and %" PRId64,
                   k->data.origin, k->data.n, k->data.obs, k->data.act, k->spec.name, k->spec.obs,
                   k->spec.act);
  MR_CHECK(mr_calloc((void **)&k->go, (size_t)k->data.n, sizeof *k->go));
  mr_dataset_returns_to_go(&k->data, k->go);
  for (int64_t i = 0; i < k->data.n; i++) k->go[i] /= (float)k->spec.scale;
  mr_dataset_moments(&k->data, k->mean, k->deviation);
  return MR_OK;
}

static mr_status set_up(mr_task *k, const mr_config *c)
{
  if (c->length != 0)
    return MR_FAIL(MR_ERR_CONFIG,
                   "length is %" PRId64 ", but a sequence of %s is 3 tokens for each of %s.window "
                   "steps; allowed: 0",
                   c->length, name, name);
  k->seed = (uint64_t)c->seed;
#ifdef _OPENMP
  k->threads = c->threads > 0 ? (int)c->threads : omp_get_max_threads();
#endif
  k->paper = is(c, "pad", "paper");
  k->streams = is(c, "eval", "stream");
  k->timed = is(c, "time", "table");
  k->first = is(c, "start", "first");
  k->blind = is(c, "actions", "hidden");
  MR_CHECK(whole(c, "window", &k->K));
  MR_CHECK(whole(c, "episodes", &k->episodes));
  MR_CHECK(open_envs(k, c));
  MR_CHECK(set_targets(k, c));
  MR_CHECK(room(k));
  return open_data(k, c);
}

static void rl_close(mr_task *k)
{
  if (k == NULL) return;
  for (int64_t b = 0; k->env != NULL && b < k->episodes; b++) k->def->close(k->env[b]);
  mr_dataset_free(&k->data);
  void *const block[] = {k->env, k->go, k->mean, k->deviation, k->token, k->value,
                         k->y,   k->ob, k->ac,   k->left,      k->total, k->over};
  for (size_t i = 0; i < sizeof block / sizeof *block; i++) mr_free(block[i]);
  mr_free(k);
}

static mr_status rl_open(mr_task **out, const mr_config *c)
{
  mr_task *k = NULL;
  MR_CHECK(mr_calloc((void **)&k, 1, sizeof *k));
  const mr_status st = set_up(k, c);
  if (st == MR_OK)
    *out = k;
  else
    rl_close(k);
  return st;
}

/* Metrics per target: data_score needs the return of the best policy behind the data. */
static int metrics_of(const mr_task *k)
{
  return k->data.expert > k->spec.low ? 3 : 2;
}

static void rl_info(const mr_task *k, mr_task_info *out)
{
  static const char *const metric[MAX_TARGETS][3] = {{"score", "return", "data_score"},
                                                     {"score_2", "return_2", "data_score_2"}};
  *out = (mr_task_info){.loss = MR_LOSS_MSE,
                        .T = N_PARTS * k->K,
                        .vocab = k->timed ? k->spec.horizon : 0,
                        .in_dim = channels(k),
                        .out_dim = k->spec.act,
                        .n_metrics = metrics_of(k) * k->n_targets,
                        .n_parts = N_PARTS,
                        .normed = true,
                        .bounded = true,
                        .episodes = k->episodes,
                        .streams = k->streams};
  for (int i = 0; i < N_PARTS; i++) out->part[i] = width_of(k, i);
  for (int i = 0; i < out->n_metrics; i++) {
    out->metric[i] = metric[i / metrics_of(k)][i % metrics_of(k)];
    out->unit[i] = "1";
  }
}

/* ---- Batches --------------------------------------------------------------------------------- */

/* One row's pointers of a batch. */
typedef struct row {
  int32_t *token;
  mr_real *value, *target, *weight;
} row;

/* Step i of the data set as step j of a row. */
static void put_step(const mr_task *k, int64_t i, int64_t time, int64_t j, const row *r)
{
  const int64_t at = N_PARTS * j, C = channels(k), obs = k->spec.obs, act = k->spec.act;
  mr_real *v = r->value + at * C;
  mr_real *go = put_part(k, v, GO), *s = put_part(k, v + STATE * C, STATE),
          *a = put_part(k, v + ACTION * C, ACTION);
  *go = (mr_real)k->go[i];
  for (int64_t d = 0; d < obs; d++) s[d] = (mr_real)standard(k, d, (double)k->data.ob[i * obs + d]);
  for (int64_t d = 0; d < act; d++) {
    const mr_real x = (mr_real)k->data.ac[i * act + d];
    r->target[(at + STATE) * act + d] = x;
    a[d] = k->blind ? 0 : x;
  }
  r->weight[at + STATE] = 1;
  for (int p = 0; k->timed && p < N_PARTS; p++) r->token[at + p] = (int32_t)time;
}

/* What pads on the left as published: state 0 before it is standardised, actions -10. */
static void put_padding(const mr_task *k, int64_t j, const row *r)
{
  const int64_t C = channels(k);
  mr_real *v = r->value + N_PARTS * j * C;
  *put_part(k, v, GO) = 0;
  mr_real *s = put_part(k, v + STATE * C, STATE), *a = put_part(k, v + ACTION * C, ACTION);
  for (int64_t d = 0; d < k->spec.obs; d++) s[d] = (mr_real)standard(k, d, 0);
  for (int64_t d = 0; d < k->spec.act; d++) a[d] = -10;
}

/* The segment from step i of the data set on. Short ones stand at the start of the row, so that the state
 * is still h0 when they begin, or, as published, at its end. */
static void fill_row(const mr_task *k, int64_t i, const row *r)
{
  const int64_t T = N_PARTS * k->K, trajectory = mr_dataset_trajectory(&k->data, i),
                first = k->data.start[trajectory], left = k->data.start[trajectory + 1] - i,
                n = left < k->K ? left : k->K, from = k->paper ? k->K - n : 0;
  memset(r->value, 0, (size_t)(T * channels(k)) * sizeof *r->value);
  memset(r->target, 0, (size_t)(T * k->spec.act) * sizeof *r->target);
  memset(r->weight, 0, (size_t)T * sizeof *r->weight);
  if (k->timed) memset(r->token, 0, (size_t)T * sizeof *r->token);
  for (int64_t j = 0; j < from; j++) put_padding(k, j, r);
  for (int64_t j = 0; j < n; j++) put_step(k, i + j, i + j - first, from + j, r);
}

/* Row b of batch `index` is drawn from sequence index * 2^20 + b, so it does not depend on B. All splits
 * are of the same data; validation and test rows are the same for every config seed. */
static mr_status rl_batch(const mr_task *k, mr_split s, uint64_t index, int64_t B, mr_batch *out)
{
  static const mr_stream stream[] = {MR_STREAM_TRAIN, MR_STREAM_VALID, MR_STREAM_TEST};
  const int64_t T = N_PARTS * k->K;
  for (int64_t b = 0; b < B; b++) {
    mr_rng r;
    mr_rng_seek(&r, s == MR_TRAIN ? k->seed : 0, stream[s], index << 20 | (uint64_t)b);
    const row to = {k->timed ? out->token + b * T : NULL, out->value + b * T * channels(k),
                    out->target + b * T * k->spec.act, out->weight + b * T};
    const double u = mr_rng_uniform(&r);
    fill_row(k,
             k->first ? k->data.start[(int64_t)(u * (double)k->data.n_traj)]
                      : (int64_t)(u * (double)k->data.n),
             &to);
  }
  return MR_OK;
}

/* ---- Acting ---------------------------------------------------------------------------------- */

/* Episodes of the splits; data sets are made with other seeds. */
static const uint64_t seed_of[] = {[MR_TRAIN] = 3, [MR_VALID] = 1, [MR_TEST] = 2};

static void begin(mr_task *k, mr_split s, double target)
{
  for (int64_t b = 0; b < k->episodes; b++) {
    k->def->reset(k->env[b], seed_of[s], (uint64_t)b, k->ob + b * k->spec.obs);
    k->left[b] = target / k->spec.scale;
    k->total[b] = 0;
    k->over[b] = false;
  }
}

/* Return to go and state of episode b as the tokens at v and behind it. */
static void put_now(const mr_task *k, int64_t b, mr_real *v)
{
  *put_part(k, v, GO) = (mr_real)k->left[b];
  mr_real *s = put_part(k, v + channels(k), STATE);
  for (int64_t d = 0; d < k->spec.obs; d++)
    s[d] = (mr_real)standard(k, d, k->ob[b * k->spec.obs + d]);
}

/* The action last taken in episode b as the token at v. */
static void put_action(const mr_task *k, int64_t b, mr_real *v)
{
  mr_real *a = put_part(k, v, ACTION);
  for (int64_t d = 0; d < k->spec.act && !k->blind; d++) a[d] = (mr_real)k->ac[b * k->spec.act + d];
}

static mr_status take_action(mr_task *k, int64_t b, const mr_real *y)
{
  for (int64_t d = 0; d < k->spec.act; d++) {
    if (!isfinite((double)y[d]))
      return MR_FAIL(MR_ERR_NUMERIC, "the network's action in %s is %g", k->spec.name,
                     (double)y[d]);
    k->ac[b * k->spec.act + d] = (double)y[d];
  }
  return MR_OK;
}

/* Windows before the first step: empty, or, as published, padded with zeros behind standardisation. */
static void clear_windows(mr_task *k)
{
  const int64_t T = N_PARTS * k->K, C = channels(k);
  memset(k->token, 0, (size_t)(k->episodes * T) * sizeof *k->token);
  memset(k->value, 0, (size_t)(k->episodes * T * C) * sizeof *k->value);
  for (int64_t i = 0; k->paper && i < k->episodes * T; i++)
    (void)put_part(k, k->value + i * C, (int)(i % N_PARTS));
}

/* Acts at step t from the last K steps, read anew. */
static mr_status act_in_window(mr_task *k, mr_policy *p, int64_t t)
{
  const int64_t T = N_PARTS * k->K, C = channels(k), act = k->spec.act;
  const bool full = k->paper || t >= k->K;
  const int64_t j = full ? k->K - 1 : t; /* where this step stands */
  for (int64_t b = 0; b < k->episodes; b++) {
    mr_real *v = k->value + b * T * C;
    int32_t *token = k->token + b * T;
    if (full) {
      memmove(v, v + N_PARTS * C, (size_t)((T - N_PARTS) * C) * sizeof *v);
      memmove(token, token + N_PARTS, (size_t)(T - N_PARTS) * sizeof *token);
    }
    v += N_PARTS * j * C;
    put_now(k, b, v);
    (void)put_part(k, v + ACTION * C, ACTION);
    for (int i = 0; i < N_PARTS; i++) token[N_PARTS * j + i] = (int32_t)t;
  }
  MR_CHECK(p->window(p, k->token, k->value, k->y));
  for (int64_t b = 0; b < k->episodes; b++) {
    MR_CHECK(take_action(k, b, k->y + (b * T + N_PARTS * j + STATE) * act));
    put_action(k, b, k->value + (b * T + N_PARTS * j + ACTION) * C);
  }
  return MR_OK;
}

/* Acts at step t with the state carried along: what is new are the action before, the return to go and
 * the state. */
static mr_status act_in_stream(mr_task *k, mr_policy *p, int64_t t)
{
  const int64_t C = channels(k), first = t == 0, n = N_PARTS - first;
  for (int64_t b = 0; b < k->episodes; b++) {
    mr_real *v = k->value + b * n * C;
    int32_t *token = k->token + b * n;
    if (!first) {
      put_action(k, b, v);
      *token++ = (int32_t)(t - 1);
      v += C;
    }
    put_now(k, b, v);
    token[GO] = token[STATE] = (int32_t)t;
  }
  if (first) p->restart(p);
  MR_CHECK(p->read(p, k->token, k->value, n, k->y));
  for (int64_t b = 0; b < k->episodes; b++) MR_CHECK(take_action(k, b, k->y + b * k->spec.act));
  return MR_OK;
}

/* True when episode b is over. */
static bool step_one(mr_task *k, int64_t b)
{
  double reward;
  if (k->over[b]) return true;
  k->def->step(k->env[b], k->ac + b * k->spec.act, k->ob + b * k->spec.obs, &reward, &k->over[b]);
  k->total[b] += reward;
  k->left[b] -= reward / k->spec.scale;
  return k->over[b];
}

/* True when all episodes are over. Only simulators of bodies are worth several threads. */
static bool step_all(mr_task *k)
{
  int64_t over = 0;
  MR_PRAGMA(omp parallel for schedule(static) num_threads(k->threads) if (k->spec.nq > 0)
            reduction(+ : over))
  for (int64_t b = 0; b < k->episodes; b++) over += step_one(k, b);
  return over == k->episodes;
}

static mr_status play(mr_task *k, mr_split s, double target, mr_policy *p)
{
  begin(k, s, target);
  if (!k->streams) clear_windows(k);
  for (int64_t t = 0; t < k->spec.horizon; t++) {
    MR_CHECK(k->streams ? act_in_stream(k, p, t) : act_in_window(k, p, t));
    if (step_all(k)) break;
  }
  return MR_OK;
}

static mr_status rl_rollout(mr_task *k, mr_split s, mr_policy *p, double *sum, double *count)
{
  const double low = k->spec.low;
  const int metrics = metrics_of(k);
  for (int i = 0; i < k->n_targets; i++, sum += metrics, count += metrics) {
    MR_CHECK(play(k, s, k->target[i], p));
    for (int64_t b = 0; b < k->episodes; b++) {
      sum[0] += 100 * (k->total[b] - low) / (k->spec.high - low);
      sum[1] += k->total[b];
      if (metrics > 2) sum[2] += 100 * (k->total[b] - low) / (k->data.expert - low);
    }
    for (int m = 0; m < metrics; m++) count[m] += (double)k->episodes;
  }
  return MR_OK;
}

static mr_status rl_facts(const mr_task *k, mr_data_fn fn, void *ctx)
{
  const mr_returns r = mr_dataset_returns(&k->data);
  MR_CHECK(fn(ctx, "origin", k->data.origin, 0));
  MR_CHECK(fn(ctx, "generated", k->data.generated ? "yes" : "no", 0));
  MR_CHECK(fn(ctx, "engine", k->spec.engine, 0));
  const struct {
    const char *name;
    double value;
  } number[] = {{"trajectories", (double)k->data.n_traj},
                {"steps", (double)k->data.n},
                {"return_mean", r.mean},
                {"return_deviation", r.deviation},
                {"return_least", r.least},
                {"return_most", r.most},
                {"return_low", k->spec.low},
                {"return_high", k->spec.high},
                {"return_expert", k->data.expert},
                {"target", k->target[0]},
                {"target_2", k->n_targets > 1 ? k->target[1] : NAN}};
  for (size_t i = 0; i < sizeof number / sizeof *number; i++)
    if (!isnan(number[i].value)) MR_CHECK(fn(ctx, number[i].name, NULL, number[i].value));
  return MR_OK;
}

MR_TASK(offline_rl) = {
    .name = name,
    .summary = "act as recorded trajectories do that reach the return asked for",
    .opts = mr_rl_opts,
    .n_opts = MR_RL_OPTIONS,
    .open = rl_open,
    .close = rl_close,
    .info = rl_info,
    .batch = rl_batch,
    .rollout = rl_rollout,
    .facts = rl_facts,
};
