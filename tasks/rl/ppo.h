/* ppo.h — proximal policy optimisation on one thread, in alternating rounds of acting and learning.
 * SPDX-License-Identifier: MIT
 *
 * Schulman et al. 2017 with the usual settings: per round 2048 steps, then 10 passes over them in
 * batches of 64; generalised advantages (gamma 0.99, lambda 0.95), normalised per batch; Adam with a
 * rate that falls from 3e-4 to 0 over the budget; gradient norm at most 0.5; observations normalised by
 * their mean and deviation so far, rewards divided by the deviation of their discounted sum so far,
 * both cut to +-10; an episode that is cut at the horizon is valued beyond it. Everything is a function
 * of environment, seed, budget, s and build, down to the last bit. */
#ifndef MR_RL_PPO_H
#define MR_RL_PPO_H
#include "walk.h"
MR_C_BEGIN

enum { MR_PPO_ROUND = 2048, MR_PPO_WINDOW = 20 };

typedef struct mr_ppo mr_ppo;
/* A policy that knows nothing yet, to be trained for `budget` steps, rounded up to whole rounds. Its
 * actions have the deviation exp(s) at first. */
MR_MUST mr_status mr_ppo_open(mr_ppo **out, const mr_env_def *env, const mr_config *c,
                              uint64_t seed, int64_t budget, double s);
void mr_ppo_close(mr_ppo *p); /* NULL is fine */

int64_t mr_ppo_rounds(const mr_ppo *p); /* of the budget */
int64_t mr_ppo_round(const mr_ppo *p);  /* done so far   */
/* One more round. Its steps are added to `record` unless that is NULL. MR_ERR_NUMERIC: the policy is
 * no longer finite. */
MR_MUST mr_status mr_ppo_next(mr_ppo *p, mr_steps *record);
/* Mean return of the last MR_PPO_WINDOW episodes that ended, with the actions drawn in training; NAN
 * while there are fewer. */
double mr_ppo_return(const mr_ppo *p);
/* The policy as it is now, [mr_actor_size]. */
void mr_ppo_actor(const mr_ppo *p, double *row);
const mr_env_spec *mr_ppo_spec(const mr_ppo *p);

/* All that a later process needs to go on, as bytes that only the same build on the same machine
 * reads; nothing must have been recorded. */
size_t mr_ppo_state_bytes(const mr_ppo *p);
void mr_ppo_save(const mr_ppo *p, void *bytes);
/* Goes on where `bytes` were saved, of a run opened alike. */
void mr_ppo_restore(mr_ppo *p, const void *bytes);
MR_C_END
#endif
