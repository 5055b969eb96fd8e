/* ppo.c — rounds of acting and learning. SPDX-License-Identifier: MIT */
#include "ppo.h"
#include <math.h>
#include <string.h>
#include "adamw.h"
#include "mem.h"
#include "ppo_net.h"

enum { PASSES = 10, BATCH = 64, ROUND = MR_PPO_ROUND, BLOCKS = ROUND / BATCH };
#define GAMMA      0.99
#define LAMBDA     0.95
#define RATE       3e-4
#define ADAM_EPS   1e-5
#define BETA1      0.9
#define BETA2      0.999
#define MOST_NORM  0.5
#define MOST_VALUE 10.0
#define TINY       1e-8

/* Mean and squared deviations of numbers that come one by one (Welford 1962). */
typedef struct moments {
  double n, mean, square;
} moments;

static void count_in(moments *m, double x)
{
  const double off = x - m->mean;
  m->n += 1;
  m->mean += off / m->n;
  m->square += off * (x - m->mean);
}

/* 1 / deviation; 1 before there is one. */
static double inverse_deviation(const moments *m)
{
  return m->n < 2 ? 1 : 1 / sqrt(m->square / m->n + TINY);
}

/* What a saved run begins with; the arrays of mr_ppo follow. */
typedef struct progress {
  int64_t round, updates;
  uint64_t episode;
  int64_t t;
  double total;
  mr_rng noise;
  double discounted; /* sum of rewards so far, of this episode */
  moments pay;       /* of those sums                          */
  int64_t n_returns;
  double last[MR_PPO_WINDOW]; /* returns, in a ring */
} progress;

struct mr_ppo {
  uint64_t seed;
  int64_t rounds;
  mr_walk walk;
  mr_actor actor;
  mr_ppo_net net;

  progress *now;          /* start of what is saved */
  moments *seen;          /* [obs]                                       */
  mr_real *param, *m, *v; /* [net.n], parameters and Adam's moments      */
  size_t kept;            /* bytes from now to the end of v              */

  /* One round. */
  mr_real *x, *action, *logp;                           /* [ROUND,obs], [ROUND,act], [ROUND]     */
  mr_real *value, *advantage, *target;                  /* [ROUND + 1], [ROUND]                  */
  double *reward;                                       /* [ROUND], scaled                       */
  bool *last;                                           /* [ROUND], the episode ends here        */
  uint32_t *order;                                      /* [ROUND]                               */
  mr_real *bx, *baction, *blogp, *badvantage, *btarget; /* a batch of it         */
  mr_real *grad;                                        /* [net.n]                               */
  mr_real *memory;
};

static mr_backend one_thread = {.device = MR_CPU, .threads = 1};

/* ---- Life ------------------------------------------------------------------------------------ */

static mr_status open_arrays(mr_ppo *p)
{
  const int64_t obs = p->net.obs, act = p->net.act, n = p->net.n;
  p->kept = sizeof *p->now + (size_t)obs * sizeof *p->seen + (size_t)(3 * n) * sizeof *p->param;
  MR_CHECK(mr_calloc((void **)&p->now, p->kept, 1));
  p->seen = (moments *)(p->now + 1);
  p->param = (mr_real *)(p->seen + obs);
  p->m = p->param + n;
  p->v = p->m + n;
  const int64_t row = obs + act + 2; /* and, of a round, value and target */
  MR_CHECK(mr_calloc((void **)&p->memory, (size_t)(ROUND * (row + 2) + 1 + BATCH * (row + 1) + n),
                     sizeof *p->memory));
  mr_real *at = p->memory;
  p->x = at, at += ROUND * obs;
  p->action = at, at += ROUND * act;
  p->logp = at, at += ROUND;
  p->advantage = at, at += ROUND;
  p->target = at, at += ROUND;
  p->value = at, at += ROUND + 1;
  p->bx = at, at += BATCH * obs;
  p->baction = at, at += BATCH * act;
  p->blogp = at, at += BATCH;
  p->badvantage = at, at += BATCH;
  p->btarget = at, at += BATCH;
  p->grad = at;
  MR_CHECK(mr_calloc((void **)&p->reward, ROUND, sizeof *p->reward));
  MR_CHECK(mr_calloc((void **)&p->last, ROUND, sizeof *p->last));
  return mr_calloc((void **)&p->order, ROUND, sizeof *p->order);
}

mr_status mr_ppo_open(mr_ppo **out, const mr_env_def *env, const mr_config *c, uint64_t seed,
                      int64_t budget, double s)
{
  mr_status st = MR_OK;
  mr_ppo *p = NULL;
  MR_CHECK(mr_calloc((void **)&p, 1, sizeof *p));
  p->seed = seed;
  p->rounds = (budget + ROUND - 1) / ROUND;
  MR_TRY(mr_walk_open(&p->walk, env, c));
  const mr_env_spec *spec = &p->walk.spec;
  MR_TRY(mr_actor_open(&p->actor, spec));
  MR_TRY(mr_ppo_net_open(&p->net, spec->obs, spec->act, BATCH));
  MR_TRY(open_arrays(p));
  MR_TRY(mr_ppo_net_init(&p->net, p->param, seed, s));
  mr_walk_begin(&p->walk, seed, 0);
  *out = p;
out:
  if (st != MR_OK) mr_ppo_close(p);
  return st;
}

void mr_ppo_close(mr_ppo *p)
{
  if (!p) return;
  mr_walk_close(&p->walk);
  mr_actor_close(&p->actor);
  mr_ppo_net_close(&p->net);
  mr_free(p->now);
  mr_free(p->memory);
  mr_free(p->reward);
  mr_free(p->last);
  mr_free(p->order);
  mr_free(p);
}

int64_t mr_ppo_rounds(const mr_ppo *p)
{
  return p->rounds;
}

int64_t mr_ppo_round(const mr_ppo *p)
{
  return p->now->round;
}

const mr_env_spec *mr_ppo_spec(const mr_ppo *p)
{
  return &p->walk.spec;
}

double mr_ppo_return(const mr_ppo *p)
{
  double sum = 0;
  if (p->now->n_returns < MR_PPO_WINDOW) return NAN;
  for (int i = 0; i < MR_PPO_WINDOW; i++) sum += p->now->last[i];
  return sum / MR_PPO_WINDOW;
}

void mr_ppo_actor(const mr_ppo *p, double *row)
{
  const int64_t obs = p->net.obs, act = p->net.act, s = mr_ppo_net_s(&p->net);
  for (int64_t i = 0; i < obs; i++) *row++ = p->seen[i].mean;
  for (int64_t i = 0; i < obs; i++) *row++ = inverse_deviation(&p->seen[i]);
  for (int64_t i = 0; i < act; i++) *row++ = (double)p->param[s + i];
  for (int64_t i = 0; i < s; i++) *row++ = (double)p->param[i];
}

size_t mr_ppo_state_bytes(const mr_ppo *p)
{
  return p->kept + (size_t)(p->walk.spec.horizon * p->walk.spec.act) * sizeof *p->walk.taken;
}

void mr_ppo_save(const mr_ppo *p, void *bytes)
{
  progress *now = p->now;
  now->episode = p->walk.episode, now->t = p->walk.t, now->total = p->walk.total;
  now->noise = p->walk.noise;
  memcpy(bytes, now, p->kept);
  memcpy((char *)bytes + p->kept, p->walk.taken, mr_ppo_state_bytes(p) - p->kept);
}

void mr_ppo_restore(mr_ppo *p, const void *bytes)
{
  const progress *now = p->now;
  memcpy(p->now, bytes, p->kept);
  memcpy(p->walk.taken, (const char *)bytes + p->kept, mr_ppo_state_bytes(p) - p->kept);
  p->walk.episode = now->episode, p->walk.t = now->t, p->walk.total = now->total;
  p->walk.noise = now->noise;
  mr_walk_retrace(&p->walk);
}

/* ---- Acting ---------------------------------------------------------------------------------- */

/* Counts in what is seen now and shows the policy the new mean and deviation. */
static void see(mr_ppo *p)
{
  for (int64_t i = 0; i < p->net.obs; i++) {
    count_in(&p->seen[i], p->walk.ob[i]);
    p->actor.mean[i] = p->seen[i].mean;
    p->actor.scale[i] = inverse_deviation(&p->seen[i]);
  }
}

/* What the critic says to ob [obs]. */
static double value_of(mr_ppo *p, const double *ob)
{
  mr_real v;
  mr_actor_see(&p->actor, ob);
  mr_mlp_forward(p->net.v, 1, p->actor.x, &v);
  return (double)v;
}

/* The reward, divided by the deviation of discounted sums so far. */
static double scaled(mr_ppo *p, double reward, bool last)
{
  progress *now = p->now;
  now->discounted = GAMMA * now->discounted + reward;
  count_in(&now->pay, now->discounted);
  if (last) now->discounted = 0;
  return fmin(fmax(reward * inverse_deviation(&now->pay), -MOST_VALUE), MOST_VALUE);
}

static mr_status act(mr_ppo *p, mr_steps *record)
{
  const int64_t obs = p->net.obs, n_act = p->net.act;
  mr_walk_event e;
  memcpy(p->actor.s, p->param + mr_ppo_net_s(&p->net), (size_t)n_act * sizeof *p->param);
  mr_mlp_load(p->actor.mu, p->param);
  mr_mlp_load(p->net.v, p->param + mr_ppo_net_v(&p->net));
  for (int64_t t = 0; t < ROUND; t++) {
    see(p);
    MR_CHECK(mr_walk_step(&p->walk, &p->actor, record, &e));
    memcpy(p->x + t * obs, p->actor.x, (size_t)obs * sizeof *p->x);
    for (int64_t i = 0; i < n_act; i++) p->action[t * n_act + i] = (mr_real)e.action[i];
    p->logp[t] = (mr_real)e.logp;
    p->last[t] = e.terminal || e.timeout;
    p->reward[t] = scaled(p, e.reward, p->last[t]);
    if (e.timeout) p->reward[t] += GAMMA * value_of(p, p->walk.next);
    if (p->last[t]) p->now->last[p->now->n_returns++ % MR_PPO_WINDOW] = e.total;
  }
  for (int64_t t = 0; t < ROUND; t += BATCH)
    mr_mlp_forward(p->net.v, BATCH, p->x + t * obs, p->value + t);
  p->value[ROUND] = (mr_real)value_of(p, p->walk.ob);
  return MR_OK;
}

/* ---- Learning -------------------------------------------------------------------------------- */

/* advantage_t = sum_k (gamma lambda)^k (reward + gamma V' - V)_{t+k} within the episode. */
static void estimate(mr_ppo *p)
{
  double sum = 0;
  for (int64_t t = ROUND - 1; t >= 0; t--) {
    const double go_on = p->last[t] ? 0 : GAMMA, v = (double)p->value[t];
    sum = p->reward[t] + go_on * (double)p->value[t + 1] - v + go_on * LAMBDA * sum;
    p->advantage[t] = (mr_real)sum;
    p->target[t] = (mr_real)(sum + v);
  }
}

static void shuffle(mr_ppo *p, mr_rng *r)
{
  for (uint32_t i = ROUND - 1; i > 0; i--) {
    const uint32_t j = mr_rng_below(r, i + 1), kept = p->order[i];
    p->order[i] = p->order[j];
    p->order[j] = kept;
  }
}

static void gather(const mr_ppo *p, const uint32_t *order)
{
  const int64_t obs = p->net.obs, n_act = p->net.act;
  double sum = 0, square = 0;
  for (int64_t i = 0; i < BATCH; i++) {
    const int64_t t = order[i];
    memcpy(p->bx + i * obs, p->x + t * obs, (size_t)obs * sizeof *p->x);
    memcpy(p->baction + i * n_act, p->action + t * n_act, (size_t)n_act * sizeof *p->x);
    p->blogp[i] = p->logp[t];
    p->btarget[i] = p->target[t];
    p->badvantage[i] = p->advantage[t];
    sum += (double)p->advantage[t];
  }
  const double mean = sum / BATCH;
  for (int64_t i = 0; i < BATCH; i++) {
    const double off = (double)p->badvantage[i] - mean;
    square += off * off;
  }
  const double scale = 1 / (sqrt(square / BATCH) + TINY);
  for (int64_t i = 0; i < BATCH; i++)
    p->badvantage[i] = (mr_real)(((double)p->badvantage[i] - mean) * scale);
}

static mr_status update(mr_ppo *p, double rate)
{
  const mr_ppo_batch b = {BATCH, p->bx, p->baction, p->blogp, p->badvantage, p->btarget};
  mr_piece piece = {.value = p->param, .m = p->m, .v = p->v, .grad = p->grad, .n = p->net.n};
  const mr_pieces all = {.piece = &piece, .n = 1, .n_reals = p->net.n};
  double part;
  (void)mr_ppo_net_loss(&p->net, p->param, &b, p->grad);
  const double norm = sqrt(mr_adamw_square_sum_cpu(&one_thread, &all, &part));
  const double t = (double)++p->now->updates;
  if (!isfinite(norm))
    return MR_FAIL(MR_ERR_NUMERIC,
                   "%s, seed %llu: the gradient of policy update %.0f is not finite",
                   p->walk.spec.name, (unsigned long long)p->seed, t);
  const mr_adamw a = {.lr = rate,
                      .beta1 = BETA1,
                      .beta2 = BETA2,
                      .eps = ADAM_EPS,
                      .scale = norm > MOST_NORM ? MOST_NORM / norm : 1,
                      .unbias1 = 1 / (1 - pow(BETA1, t)),
                      .unbias2 = 1 / (1 - pow(BETA2, t))};
  mr_adamw_step_cpu(&one_thread, &all, &a);
  return MR_OK;
}

mr_status mr_ppo_next(mr_ppo *p, mr_steps *record)
{
  mr_rng r;
  const double rate = RATE * (1 - (double)p->now->round / (double)p->rounds);
  MR_CHECK(act(p, record));
  estimate(p);
  mr_rng_seek(&r, p->seed, MR_STREAM_TRAIN, (uint64_t)p->now->round);
  for (uint32_t i = 0; i < ROUND; i++) p->order[i] = i;
  for (int pass = 0; pass < PASSES; pass++) {
    shuffle(p, &r);
    for (int b = 0; b < BLOCKS; b++) {
      gather(p, p->order + (ptrdiff_t)b * BATCH);
      MR_CHECK(update(p, rate));
    }
  }
  p->now->round++;
  return MR_OK;
}
