/* make.h — data sets of policies trained here, made once and kept. SPDX-License-Identifier: MIT
 *
 * As D4RL made its own: medium-replay is every step of training up to the round in which the return
 * first reaches that of D4RL's medium data; medium is drawn from the policy at that point;
 * medium-expert is as much of that again and as much from the best policy. Files are in D4RL's layout
 * and depend on the keys offline_rl.ppo_seeds, .ppo_steps and .data_steps, and on a model in
 * offline_rl.assets, all of which their names tell. */
#ifndef MR_RL_MAKE_H
#define MR_RL_MAKE_H
#include "dataset.h"
MR_C_BEGIN

/* The folder that offline_rl.cache says, by default rl/ in MINRNN_DATA or data/. */
MR_MUST mr_status mr_make_folder(char *path, size_t n, const mr_config *c);
/* The file of a level in it. */
MR_MUST mr_status mr_make_path(char *path, size_t n, const mr_env_def *env, const mr_config *c,
                               const char *level);
/* Makes the files of the n levels that are missing; what an earlier process began is gone on with, and
 * another process at work is waited for. */
MR_MUST mr_status mr_make(const mr_env_def *env, const mr_config *c, const char *const *level,
                          int n, bool quiet);
/* The data set of key offline_rl.data, made if it is missing. */
MR_MUST mr_status mr_make_open(mr_dataset *out, const mr_env_def *env, const mr_config *c);
MR_C_END
#endif
