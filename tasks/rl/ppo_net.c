/* ppo_net.c — the loss of proximal policy optimisation and its derivatives (Schulman et al. 2017).
 * SPDX-License-Identifier: MIT */
#include "ppo_net.h"
#include <math.h>
#include "mem.h"

#define LOG_2PI     1.83787706640934548356
#define ACTOR_GAIN  0.01
#define CRITIC_GAIN 1.0

mr_status mr_ppo_net_open(mr_ppo_net *net, int64_t obs, int64_t act, int64_t rows)
{
  mr_status st = MR_OK;
  *net = (mr_ppo_net){.obs = obs, .act = act};
  net->n = mr_ppo_net_v(net) + mr_mlp_reals(obs, 1);
  MR_TRY(mr_mlp_open(&net->mu, obs, act, rows));
  MR_TRY(mr_mlp_open(&net->v, obs, 1, rows));
  MR_TRY(mr_calloc((void **)&net->out, (size_t)(2 * rows * (act + 1)), sizeof *net->out));
out:
  if (st != MR_OK) mr_ppo_net_close(net);
  return st;
}

void mr_ppo_net_close(mr_ppo_net *net)
{
  mr_mlp_close(net->mu);
  mr_mlp_close(net->v);
  mr_free(net->out);
  *net = (mr_ppo_net){.obs = 0};
}

int64_t mr_ppo_net_s(const mr_ppo_net *net)
{
  return mr_mlp_reals(net->obs, net->act);
}

int64_t mr_ppo_net_v(const mr_ppo_net *net)
{
  return mr_ppo_net_s(net) + net->act;
}

mr_status mr_ppo_net_init(const mr_ppo_net *net, mr_real *param, uint64_t seed, double s)
{
  mr_rng r;
  mr_rng_seek(&r, seed, MR_STREAM_INIT, 0);
  MR_CHECK(mr_mlp_init(param, net->obs, net->act, ACTOR_GAIN, &r));
  for (int64_t i = 0; i < net->act; i++) param[mr_ppo_net_s(net) + i] = (mr_real)s;
  return mr_mlp_init(param + mr_ppo_net_v(net), net->obs, 1, CRITIC_GAIN, &r);
}

/* Of one step: its loss, and its derivatives by mu [act], added to those by s [act]. */
static double actor_loss(const mr_ppo_net *net, const mr_ppo_batch *b, int64_t i, const mr_real *s,
                         const mr_real *mu, mr_real *dmu, mr_real *ds)
{
  const mr_real *action = b->action + i * net->act;
  const double advantage = (double)b->advantage[i];
  double logp = 0;
  for (int64_t j = 0; j < net->act; j++) {
    const double z = ((double)action[j] - (double)mu[j]) * exp(-(double)s[j]);
    logp -= 0.5 * z * z + (double)s[j] + 0.5 * LOG_2PI;
  }
  const double ratio = exp(logp - (double)b->logp[i]);
  const double cut = fmin(fmax(ratio, 1 - MR_PPO_CLIP), 1 + MR_PPO_CLIP);
  const bool active = ratio * advantage <= cut * advantage;
  const double dlogp = active ? -ratio * advantage / (double)b->n : 0;
  for (int64_t j = 0; j < net->act; j++) {
    const double scale = exp(-(double)s[j]), z = ((double)action[j] - (double)mu[j]) * scale;
    dmu[j] = (mr_real)(dlogp * z * scale);
    ds[j] += (mr_real)(dlogp * (z * z - 1));
  }
  return -fmin(ratio * advantage, cut * advantage);
}

double mr_ppo_net_loss(mr_ppo_net *net, const mr_real *param, const mr_ppo_batch *b, mr_real *grad)
{
  const int64_t n = b->n, act = net->act;
  const mr_real *s = param + mr_ppo_net_s(net);
  mr_real *mu = net->out, *v = mu + n * act, *dmu = v + n, *dv = dmu + n * act;
  mr_real *ds = grad + mr_ppo_net_s(net);
  double loss = 0;
  mr_mlp_load(net->mu, param);
  mr_mlp_load(net->v, param + mr_ppo_net_v(net));
  mr_mlp_forward(net->mu, n, b->x, mu);
  mr_mlp_forward(net->v, n, b->x, v);
  for (int64_t j = 0; j < act; j++) ds[j] = 0;
  for (int64_t i = 0; i < n; i++) {
    const double off = (double)v[i] - (double)b->target[i];
    loss += actor_loss(net, b, i, s, mu + i * act, dmu + i * act, ds) + 0.5 * off * off;
    dv[i] = (mr_real)(off / (double)n);
  }
  mr_mlp_backward(net->mu, n, b->x, dmu, grad);
  mr_mlp_backward(net->v, n, b->x, dv, grad + mr_ppo_net_v(net));
  return loss / (double)n;
}
