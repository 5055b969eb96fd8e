/* toy.c — a point that had better be at 0. SPDX-License-Identifier: MIT */
#include "toy.h"
#include <math.h>
#include <stdatomic.h>
#include "mem.h"
#include "rng.h"

struct mr_env {
  double x, origin;
};

static atomic_int n_open;

int toy_open_count(void)
{
  return atomic_load(&n_open);
}

static mr_status open_at(mr_env **out, double origin)
{
  MR_CHECK(mr_calloc((void **)out, 1, sizeof **out));
  (*out)->origin = origin;
  atomic_fetch_add(&n_open, 1);
  return MR_OK;
}

static mr_status toy_open(mr_env **out, const mr_config *c)
{
  (void)c;
  return open_at(out, 0);
}

static mr_status far_open(mr_env **out, const mr_config *c)
{
  (void)c;
  return open_at(out, 3);
}

static void toy_close(mr_env *e)
{
  if (e) atomic_fetch_sub(&n_open, 1);
  mr_free(e);
}

static void toy_spec(const mr_env *e, mr_env_spec *out)
{
  (void)e;
  *out = (mr_env_spec){.name = "hopper",
                       .engine = "toy 1.0",
                       .obs = 2,
                       .act = 1,
                       .horizon = 40,
                       .low = 800,
                       .high = 1600,
                       .scale = 1000,
                       .nq = 1,
                       .nv = 1};
}

static void see(const mr_env *e, double *obs)
{
  obs[0] = e->x;
  obs[1] = -e->x / 2;
}

static void toy_reset(mr_env *e, uint64_t seed, uint64_t episode, double *obs)
{
  mr_rng r;
  mr_rng_seek(&r, seed, MR_STREAM_EPISODE, episode);
  e->x = e->origin + 2 * mr_rng_uniform(&r) - 1;
  see(e, obs);
}

static void toy_step(mr_env *e, const double *act, double *obs, double *reward, bool *terminal)
{
  e->x += 0.1 * fmin(fmax(act[0], -1), 1);
  const double off = e->x - e->origin;
  *reward = 40 * (1 - off * off);
  *terminal = fabs(off) > 1.5;
  see(e, obs);
}

static void toy_state(const mr_env *e, double *qpos, double *qvel)
{
  qpos[0] = e->x;
  qvel[0] = -e->x;
}

const mr_env_def toy_env = {.name = "hopper",
                            .open = toy_open,
                            .close = toy_close,
                            .spec = toy_spec,
                            .reset = toy_reset,
                            .step = toy_step,
                            .state = toy_state};
const mr_env_def far_env = {.name = "hopper",
                            .open = far_open,
                            .close = toy_close,
                            .spec = toy_spec,
                            .reset = toy_reset,
                            .step = toy_step,
                            .state = toy_state};
