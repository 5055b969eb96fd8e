/* episodes.h — whole episodes of one policy, played side by side. SPDX-License-Identifier: MIT */
#ifndef MR_RL_EPISODES_H
#define MR_RL_EPISODES_H
#include "d4rl.h"
#include "walk.h"
MR_C_BEGIN

/* Appends episodes 0, 1, ... of `seed` to the n files, until they have at least `steps` steps; *mean
 * is their mean return. The same for any number of threads. */
MR_MUST mr_status mr_draw_episodes(const mr_env_def *env, const mr_config *c, int threads,
                                   const double *actor, uint64_t seed, int64_t steps,
                                   mr_d4rl_file *const *file, int n, double *mean);
MR_C_END
#endif
