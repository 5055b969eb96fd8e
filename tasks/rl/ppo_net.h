/* ppo_net.h — actor, critic and their loss in proximal policy optimisation. SPDX-License-Identifier: MIT
 *
 * Parameters one behind the other: the actor's mean mu (mlp.h), s [act], the critic V. */
#ifndef MR_RL_PPO_NET_H
#define MR_RL_PPO_NET_H
#include "mlp.h"
MR_C_BEGIN

/* Steps to learn from. */
typedef struct mr_ppo_batch {
  int64_t n;
  const mr_real *x;         /* [n,obs]                                      */
  const mr_real *action;    /* [n,act]                                      */
  const mr_real *logp;      /* [n], log-density of the action when drawn    */
  const mr_real *advantage; /* [n]                                          */
  const mr_real *target;    /* [n], what V should say                       */
} mr_ppo_batch;

typedef struct mr_ppo_net {
  int64_t obs, act, n; /* n parameters                             */
  mr_mlp *mu, *v;
  mr_real *out; /* [rows,act] and [rows], and derivatives by them */
} mr_ppo_net;

MR_MUST mr_status mr_ppo_net_open(mr_ppo_net *net, int64_t obs, int64_t act, int64_t rows);
void mr_ppo_net_close(mr_ppo_net *net); /* zeroed or open */
/* Random parameters [n] of a seed: mu close to 0, and every s as given. */
MR_MUST mr_status mr_ppo_net_init(const mr_ppo_net *net, mr_real *param, uint64_t seed, double s);
/* Where s and the critic's part of the parameters begin. */
int64_t mr_ppo_net_s(const mr_ppo_net *net);
int64_t mr_ppo_net_v(const mr_ppo_net *net);

/* With r = exp(log density(action) - logp), e = MR_PPO_CLIP, the mean over the batch of
 *   -min(r advantage, cut(r, 1 - e, 1 + e) advantage) + (V(x) - target)^2 / 2
 * and into grad [n] its derivatives. */
#define MR_PPO_CLIP 0.2
double mr_ppo_net_loss(mr_ppo_net *net, const mr_real *param, const mr_ppo_batch *b, mr_real *grad);
MR_C_END
#endif
