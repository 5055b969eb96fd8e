/* actor.h — a trained policy: normalises what is seen and draws actions. SPDX-License-Identifier: MIT
 *
 *   x = cut((ob - mean) * scale, +-10),  action = mu(x) + exp(s) N(0, 1),  mu a perceptron
 *
 * A policy is one row of numbers: mean [obs], scale [obs], s [act], parameters of mu. */
#ifndef MR_RL_ACTOR_H
#define MR_RL_ACTOR_H
#include "env.h"
#include "mlp.h"
#include "steps.h"
MR_C_BEGIN

/* Numbers in the row. */
int64_t mr_actor_size(const mr_env_spec *spec);

typedef struct mr_actor {
  int64_t obs, act;
  double *mean, *scale; /* [obs] */
  mr_real *s;           /* [act], logarithm of the deviation  */
  mr_real *param;       /* of mu                              */
  mr_mlp *mu;
  mr_real *x, *y; /* [obs], [act], what mu was last shown and said */
} mr_actor;

/* Room for a policy of the environment; values come with mr_actor_set. */
MR_MUST mr_status mr_actor_open(mr_actor *p, const mr_env_spec *spec);
void mr_actor_close(mr_actor *p); /* zeroed or open */
void mr_actor_set(mr_actor *p, const double *row);
void mr_actor_get(const mr_actor *p, double *row);

/* x of what is seen, ob [obs]. */
void mr_actor_see(mr_actor *p, const double *ob);
/* Draws action [act] for what is seen, ob [obs]; returns its log-density. Leaves x. */
double mr_actor_draw(mr_actor *p, const double *ob, mr_rng *r, double *action);
MR_C_END
#endif
