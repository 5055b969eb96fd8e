/* scripted.c — data sets that a controller makes. SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "data.h"
#include "mem.h"
#include "options.h"
#include "rng.h"

enum { STEPS = 100000, EXPERT_EPISODES = 500, MAX_NUMBERS = 64 };
enum { SEED_DATA = 1000, SEED_EXPERT = 1001 }; /* none that episodes of evaluations have */

typedef struct maker {
  const mr_env_def *def;
  mr_env *env;
  mr_env_spec spec;
} maker;

/* What the controller does, or, with the given probability, anything. */
static void act(const maker *m, mr_rng *r, double wild, double *a)
{
  m->def->expert(m->env, a);
  if (mr_rng_uniform(r) >= wild) return;
  for (int64_t i = 0; i < m->spec.act; i++) a[i] = 2 * mr_rng_uniform(r) - 1;
}

/* Plays an episode of any difficulty, returns its length, and adds what was seen, done and paid from step `at` of d on;
 * d == NULL: only *total, the sum of rewards. */
static int64_t play(const maker *m, uint64_t seed, uint64_t episode, double wild, mr_dataset *d,
                    int64_t at, double *total)
{
  double obs[MAX_NUMBERS], a[MAX_NUMBERS], reward;
  bool terminal = false;
  mr_rng r;
  int64_t t = 0;
  mr_rng_seek(&r, seed, MR_STREAM_ACTION, episode);
  if (m->def->ease != NULL) m->def->ease(m->env, 1 - mr_rng_uniform(&r));
  m->def->reset(m->env, seed, episode, obs);
  for (*total = 0; t < m->spec.horizon && !terminal; t++) {
    act(m, &r, wild, a);
    if (d != NULL) {
      for (int64_t i = 0; i < d->obs; i++) d->ob[(at + t) * d->obs + i] = (float)obs[i];
      for (int64_t i = 0; i < d->act; i++) d->ac[(at + t) * d->act + i] = (float)a[i];
    }
    m->def->step(m->env, a, obs, &reward, &terminal);
    if (d != NULL) d->reward[at + t] = (float)reward;
    *total += reward;
  }
  return t;
}

/* Probability of an action that is not the controller's in episode e of n. */
static double wildness(const char *level, int64_t e, int64_t n)
{
  if (strcmp(level, "medium-replay") == 0) return 1 - 0.5 * (double)e / (double)n;
  if (strcmp(level, "medium-expert") == 0 && e >= n / 2) return 0;
  return 0.5;
}

static void fill(const maker *m, const char *level, mr_dataset *d)
{
  double total, sum = 0;
  d->n = 0;
  for (int64_t e = 0; e < d->n_traj; e++) {
    const double wild = wildness(level, e, d->n_traj);
    d->start[e] = d->n;
    d->n += play(m, SEED_DATA, (uint64_t)e, wild, d, d->n, &total);
  }
  d->start[d->n_traj] = d->n;
  for (uint64_t e = 0; e < EXPERT_EPISODES; e++) {
    (void)play(m, SEED_EXPERT, e, 0, NULL, 0, &total);
    sum += total;
  }
  d->expert = sum / EXPERT_EPISODES;
  d->generated = true;
  (void)snprintf(d->origin, sizeof d->origin, "%s %s, made by its controller", m->spec.name, level);
}

mr_status mr_data_scripted(mr_dataset *out, const mr_env_def *env, const mr_config *c)
{
  mr_status st = MR_OK;
  maker m = {.def = env};
  MR_TRY(env->open(&m.env, c));
  env->spec(m.env, &m.spec);
  if (m.spec.obs > MAX_NUMBERS || m.spec.act > MAX_NUMBERS) {
    st = MR_FAIL(MR_ERR_INTERNAL, "%s has more than %d numbers per step", env->name, MAX_NUMBERS);
    goto out;
  }
  const int64_t episodes = m.spec.horizon < STEPS / 2 ? STEPS / m.spec.horizon : 2;
  MR_TRY(mr_dataset_alloc(out, m.spec.obs, m.spec.act, episodes * m.spec.horizon, episodes));
  fill(&m, mr_option_text(c, MR_RL, "data"), out);
out:
  env->close(m.env);
  return st;
}
