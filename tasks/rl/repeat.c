/* repeat.c — say, at every step, the symbol that was shown k steps before.
 * SPDX-License-Identifier: MIT
 *
 * After POPGym's RepeatPrevious: each step shows one of four symbols as two signs. From step k on the
 * signs of both actions are to be those of step t - k: a right answer is paid 1/n, any other one -1/n,
 * with n answers per episode, so that returns lie in -1 .. 1. */
#include <math.h>
#include "env.h"
#include "mem.h"
#include "options.h"
#include "rng.h"

enum { ANSWERS = 32, SIGNS = 2 };

struct mr_env {
  int64_t delay, at;
  double sign[]; /* [delay + ANSWERS, SIGNS] */
};

static mr_status repeat_open(mr_env **out, const mr_config *c)
{
  const double delay = mr_option_num(c, MR_RL, "delay");
  if (delay != floor(delay))
    return MR_FAIL(MR_ERR_CONFIG, "%s.delay = %g is no whole number", MR_RL, delay);
  const size_t signs = ((size_t)delay + ANSWERS) * SIGNS;
  MR_CHECK(mr_calloc((void **)out, 1, sizeof **out + signs * sizeof(double)));
  (*out)->delay = (int64_t)delay;
  return MR_OK;
}

static void repeat_close(mr_env *e)
{
  mr_free(e);
}

static void repeat_spec(const mr_env *e, mr_env_spec *out)
{
  *out = (mr_env_spec){.name = "repeat",
                       .engine = "built in",
                       .obs = SIGNS,
                       .act = SIGNS,
                       .horizon = e->delay + ANSWERS,
                       .low = -0.5, /* guessing: one of four is right */
                       .high = 1,
                       .scale = 1,
                       .target = {1, NAN}};
}

static void see(const mr_env *e, double *obs)
{
  const bool over = e->at == e->delay + ANSWERS;
  for (int i = 0; i < SIGNS; i++) obs[i] = over ? 0 : e->sign[e->at * SIGNS + i];
}

static void repeat_reset(mr_env *e, uint64_t seed, uint64_t episode, double *obs)
{
  mr_rng r;
  mr_rng_seek(&r, seed, MR_STREAM_EPISODE, episode);
  for (int64_t i = 0; i < (e->delay + ANSWERS) * SIGNS; i++)
    e->sign[i] = mr_rng_below(&r, 2) == 0 ? -1 : 1;
  e->at = 0;
  see(e, obs);
}

/* The answer wanted now; NULL while there is none. */
static const double *wanted(const mr_env *e)
{
  return e->at < e->delay ? NULL : e->sign + (e->at - e->delay) * SIGNS;
}

static void repeat_step(mr_env *e, const double *act, double *obs, double *reward, bool *terminal)
{
  const double *want = wanted(e);
  bool right = true;
  for (int i = 0; want != NULL && i < SIGNS; i++) right = right && act[i] * want[i] > 0;
  *reward = want == NULL ? 0 : (right ? 1.0 : -1.0) / ANSWERS;
  e->at++;
  *terminal = e->at == e->delay + ANSWERS;
  see(e, obs);
}

static void repeat_expert(const mr_env *e, double *act)
{
  const double *want = wanted(e);
  for (int i = 0; i < SIGNS; i++) act[i] = want == NULL ? 0 : want[i];
}

const mr_env_def mr_env_repeat = {
    .name = "repeat",
    .summary = "repeat the symbol of k steps before",
    .open = repeat_open,
    .close = repeat_close,
    .spec = repeat_spec,
    .reset = repeat_reset,
    .step = repeat_step,
    .expert = repeat_expert,
};
