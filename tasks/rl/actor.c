/* actor.c — draws actions. SPDX-License-Identifier: MIT */
#include "actor.h"
#include <math.h>
#include <string.h>
#include "mem.h"

#define MOST_X  10.0
#define LOG_2PI 1.83787706640934548356

static int64_t mu_reals(int64_t obs, int64_t act)
{
  return mr_mlp_reals(obs, act);
}

int64_t mr_actor_size(const mr_env_spec *spec)
{
  return 2 * spec->obs + spec->act + mu_reals(spec->obs, spec->act);
}

mr_status mr_actor_open(mr_actor *p, const mr_env_spec *spec)
{
  mr_status st = MR_OK;
  *p = (mr_actor){.obs = spec->obs, .act = spec->act};
  const size_t n = (size_t)(mu_reals(p->obs, p->act) + 2 * p->act + p->obs);
  MR_TRY(mr_calloc((void **)&p->mean, (size_t)(2 * p->obs), sizeof *p->mean));
  MR_TRY(mr_calloc((void **)&p->param, n, sizeof *p->param));
  MR_TRY(mr_mlp_open(&p->mu, p->obs, p->act, 1));
  p->scale = p->mean + p->obs;
  p->s = p->param + mu_reals(p->obs, p->act);
  p->x = p->s + p->act;
  p->y = p->x + p->obs;
out:
  if (st != MR_OK) mr_actor_close(p);
  return st;
}

void mr_actor_close(mr_actor *p)
{
  mr_free(p->mean);
  mr_free(p->param);
  mr_mlp_close(p->mu);
  *p = (mr_actor){.obs = 0};
}

void mr_actor_set(mr_actor *p, const double *row)
{
  memcpy(p->mean, row, (size_t)(2 * p->obs) * sizeof *row);
  row += 2 * p->obs;
  for (int64_t i = 0; i < p->act; i++) p->s[i] = (mr_real)*row++;
  for (int64_t i = 0; i < mu_reals(p->obs, p->act); i++) p->param[i] = (mr_real)*row++;
  mr_mlp_load(p->mu, p->param);
}

void mr_actor_get(const mr_actor *p, double *row)
{
  memcpy(row, p->mean, (size_t)(2 * p->obs) * sizeof *row);
  row += 2 * p->obs;
  for (int64_t i = 0; i < p->act; i++) *row++ = (double)p->s[i];
  for (int64_t i = 0; i < mu_reals(p->obs, p->act); i++) *row++ = (double)p->param[i];
}

void mr_actor_see(mr_actor *p, const double *ob)
{
  for (int64_t i = 0; i < p->obs; i++) {
    const double x = (ob[i] - p->mean[i]) * p->scale[i];
    p->x[i] = (mr_real)fmin(fmax(x, -MOST_X), MOST_X);
  }
}

double mr_actor_draw(mr_actor *p, const double *ob, mr_rng *r, double *action)
{
  double logp = 0;
  mr_actor_see(p, ob);
  mr_mlp_forward(p->mu, 1, p->x, p->y);
  for (int64_t i = 0; i < p->act; i++) {
    const double noise = mr_rng_normal(r);
    action[i] = (double)p->y[i] + exp((double)p->s[i]) * noise;
    logp -= 0.5 * noise * noise + (double)p->s[i] + 0.5 * LOG_2PI;
  }
  return logp;
}
