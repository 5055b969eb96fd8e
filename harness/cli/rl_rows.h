/* rl_rows.h — what data sets of offline reinforcement learning hold, as rows of a grid.
 * SPDX-License-Identifier: MIT */
#ifndef MR_RL_ROWS_H
#define MR_RL_ROWS_H
#include "config.h"
#include "grid.h"
MR_C_BEGIN

/* Adds the row of a data file in D4RL's layout. Its name begins with that of its environment, which
 * gives numbers per step and score; where it can be simulated here, its episodes must start alike. */
MR_MUST mr_status mr_rl_file_row(mr_grid *g, const char *path, const mr_config *c);
/* Adds the rows of all data of the environment on this machine: three levels made by its controller, or
 * the files in the folders offline_rl.cache and offline_rl.d4rl. Each file that
 * cannot be read is told on standard error and counted in *failed. */
MR_MUST mr_status mr_rl_env_rows(mr_grid *g, const char *env, const mr_config *c, int *failed);
MR_C_END
#endif
