/* player.h — the network in training as one that acts: behind the rollouts of a task.
 * SPDX-License-Identifier: MIT */
#ifndef MR_PLAYER_H
#define MR_PLAYER_H
#include "stream.h"
MR_C_BEGIN

typedef struct mr_player mr_player;

/* For info->episodes sequences side by side, with the parameters of `owner` as they are whenever it is
 * asked. Borrows all but out. */
MR_MUST mr_status mr_player_open(mr_player **out, mr_backend *be, const mr_config *c,
                                 const mr_model_def *m, const mr_task_info *info,
                                 const mr_tape *owner);
void mr_player_close(mr_player *p); /* NULL is fine */
mr_policy *mr_player_policy(mr_player *p);
MR_C_END
#endif
