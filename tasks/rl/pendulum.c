/* pendulum.c — swing a pendulum up and hold it there, its speed unseen. SPDX-License-Identifier: MIT
 *
 * The equations of Gymnasium's Pendulum-v1: a rod of length 1 and mass 1, angle 0 upright, gravity 10,
 * torque u = 2 act, a step of 0.05 s:
 *   speed <- speed + (15 sin(angle) + 3 u) dt, within +-8;  angle <- angle + speed dt
 *   reward = -(angle^2 + 0.1 speed^2 + 0.001 u^2), angle within +-pi, before the step
 * Episodes of 200 steps start at an angle in +-pi and a speed in +-1. Only cos and sin of the angle are
 * seen, so whoever does not remember a step before cannot know the speed. */
#include <math.h>
#include "env.h"
#include "mem.h"
#include "rng.h"

#define PI          3.14159265358979323846
#define DT          0.05
#define MAX_SPEED   8.0
#define MAX_TORQUE  2.0
#define GRAVITY     10.0
#define TOP_ENERGY  (GRAVITY / 2) /* of the rod at rest upright */
#define CATCH_ANGLE 0.8
#define CATCH_SPEED 2.5

enum { STEPS = 200 };

struct mr_env {
  double angle, speed;
};

static mr_status pendulum_open(mr_env **out, const mr_config *c)
{
  (void)c;
  return mr_calloc((void **)out, 1, sizeof **out);
}

static void pendulum_close(mr_env *e)
{
  mr_free(e);
}

/* Scores: random actions 0, the controller below 100 (each the mean of 10000 episodes). */
static void pendulum_spec(const mr_env *e, mr_env_spec *out)
{
  (void)e;
  *out = (mr_env_spec){.name = "pendulum",
                       .engine = "built in",
                       .obs = 2,
                       .act = 1,
                       .horizon = STEPS,
                       .low = -1228,
                       .high = -149,
                       .scale = 1000,
                       .target = {-150, -450}};
}

static double within(double x, double most)
{
  return fmin(fmax(x, -most), most);
}

static void see(const mr_env *e, double *obs)
{
  obs[0] = cos(e->angle);
  obs[1] = sin(e->angle);
}

static void pendulum_reset(mr_env *e, uint64_t seed, uint64_t episode, double *obs)
{
  mr_rng r;
  mr_rng_seek(&r, seed, MR_STREAM_EPISODE, episode);
  e->angle = PI * (2 * mr_rng_uniform(&r) - 1);
  e->speed = 2 * mr_rng_uniform(&r) - 1;
  see(e, obs);
}

static void pendulum_step(mr_env *e, const double *act, double *obs, double *reward, bool *terminal)
{
  const double u = MAX_TORQUE * within(act[0], 1), angle = remainder(e->angle, 2 * PI);
  *reward = -(angle * angle + 0.1 * e->speed * e->speed + 0.001 * u * u);
  *terminal = false;
  e->speed = within(e->speed + (1.5 * GRAVITY * sin(angle) + 3 * u) * DT, MAX_SPEED);
  e->angle = angle + e->speed * DT;
  see(e, obs);
}

/* Near the top it is caught by a spring with damping; elsewhere energy is put in, or taken out, along
 * the motion until it just suffices for the top. */
static void pendulum_expert(const mr_env *e, double *act)
{
  const double angle = remainder(e->angle, 2 * PI);
  const double energy = e->speed * e->speed / 6 + TOP_ENERGY * cos(angle);
  double u;
  if (fabs(angle) < CATCH_ANGLE && fabs(e->speed) < CATCH_SPEED)
    u = -(15 * angle + 4 * e->speed);
  else
    u = (TOP_ENERGY - energy) * e->speed;
  act[0] = within(u / MAX_TORQUE, 1);
}

const mr_env_def mr_env_pendulum = {
    .name = "pendulum",
    .summary = "swing up and hold a pendulum whose speed is not seen",
    .open = pendulum_open,
    .close = pendulum_close,
    .spec = pendulum_spec,
    .reset = pendulum_reset,
    .step = pendulum_step,
    .expert = pendulum_expert,
};
