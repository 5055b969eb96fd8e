/* data.h — where a data set comes from: a controller, D4RL's files or a policy trained here.
 * SPDX-License-Identifier: MIT */
#ifndef MR_RL_DATA_H
#define MR_RL_DATA_H
#include "dataset.h"
MR_C_BEGIN

/* The folder of D4RL's files: that of offline_rl.d4rl, by default of MINRNN_D4RL; "": none. */
const char *mr_data_folder(const mr_config *c);
/* The data set that the keys offline_rl.env, .data and .source ask for. MR_ERR_IO: it is not on this
 * machine, and how to get it. A function of these keys alone, not of the seed of a run. */
MR_MUST mr_status mr_data_open(mr_dataset *out, const mr_env_def *env, const mr_config *c);

/* Made with the environment's own controller: medium: every second action, on average, is uniform
 * instead; medium-replay: all actions at first, falling to every second one; medium-expert: half of
 * medium, half without such actions. */
MR_MUST mr_status mr_data_scripted(mr_dataset *out, const mr_env_def *env, const mr_config *c);
MR_C_END
#endif
