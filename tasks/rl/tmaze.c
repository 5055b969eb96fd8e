/* tmaze.c — remember at the end of a corridor what was shown at its beginning.
 * SPDX-License-Identifier: MIT
 *
 * The passive T-maze (Bakker 2001; Ni et al. 2023) with a corridor of L steps: step 0 shows the cue, +1
 * or -1; then the agent is taken along, and all places look alike; step L is the junction, which shows
 * as such. There the sign of the action turns left or right: 1 is paid where it is that of the cue, else
 * nothing. What is done before does not matter. Observed: cue or 0, junction 1 or 0. Data sets hold
 * corridors of all lengths 1 .. L, from which long ones can be learned. */
#include <math.h>
#include "env.h"
#include "mem.h"
#include "options.h"
#include "rng.h"

struct mr_env {
  int64_t full, corridor, at; /* L; steps of this corridor, and of them done */
  double cue;
};

static mr_status tmaze_open(mr_env **out, const mr_config *c)
{
  const double corridor = mr_option_num(c, MR_RL, "corridor");
  if (corridor != floor(corridor))
    return MR_FAIL(MR_ERR_CONFIG, "%s.corridor = %g is no whole number", MR_RL, corridor);
  MR_CHECK(mr_calloc((void **)out, 1, sizeof **out));
  (*out)->full = (*out)->corridor = (int64_t)corridor;
  return MR_OK;
}

static void tmaze_close(mr_env *e)
{
  mr_free(e);
}

static void tmaze_spec(const mr_env *e, mr_env_spec *out)
{
  *out = (mr_env_spec){.name = "tmaze",
                       .engine = "built in",
                       .obs = 2,
                       .act = 1,
                       .horizon = e->full + 1,
                       .low = 0.5, /* guessing */
                       .high = 1,
                       .scale = 1,
                       .target = {1, NAN}};
}

static void see(const mr_env *e, double *obs)
{
  obs[0] = e->at == 0 ? e->cue : 0;
  obs[1] = e->at == e->corridor;
}

static void tmaze_reset(mr_env *e, uint64_t seed, uint64_t episode, double *obs)
{
  mr_rng r;
  mr_rng_seek(&r, seed, MR_STREAM_EPISODE, episode);
  e->cue = mr_rng_below(&r, 2) == 0 ? -1 : 1;
  e->at = 0;
  see(e, obs);
}

static void tmaze_step(mr_env *e, const double *act, double *obs, double *reward, bool *terminal)
{
  *terminal = e->at == e->corridor;
  *reward = *terminal && act[0] * e->cue > 0;
  e->at++;
  see(e, obs);
}

static void tmaze_expert(const mr_env *e, double *act)
{
  act[0] = e->at == e->corridor ? e->cue : 0;
}

static void tmaze_ease(mr_env *e, double share)
{
  e->corridor = (int64_t)ceil(share * (double)e->full);
}

const mr_env_def mr_env_tmaze = {
    .name = "tmaze",
    .summary = "turn where a cue at the start of a corridor told to",
    .open = tmaze_open,
    .close = tmaze_close,
    .spec = tmaze_spec,
    .reset = tmaze_reset,
    .step = tmaze_step,
    .expert = tmaze_expert,
    .ease = tmaze_ease,
};
