/* evaluate.h — loss and metrics of a network over fixed batches of a split.
 * SPDX-License-Identifier: MIT */
#ifndef MR_EVALUATE_H
#define MR_EVALUATE_H
#include "feed.h"
#include "player.h"
MR_C_BEGIN

typedef struct mr_score {
  double loss;                   /* mean over batches, each by its labels' number */
  double metric[MR_MAX_METRICS]; /* sum / count over all scored positions, or episodes */
} mr_score;

typedef struct mr_eval mr_eval;

/* Scores with the training tape itself, forward only. The tape must be allocated. policy: who acts where
 * the task has rollouts, else NULL. Borrows all but out; destroy before them. */
MR_MUST mr_status mr_eval_create(mr_eval **out, mr_backend *be, mr_tape *t, const mr_net *net,
                                 const mr_task_def *def, mr_task *task, mr_feed *feed,
                                 mr_policy *policy);
void mr_eval_destroy(mr_eval *e); /* NULL is fine */

/* Batches 0 .. batches-1 of split s, or all of a set whose rows the task counts (info.n_eval), with
 * dropout off; metrics come from the task's rollout where it has one. Allocates nothing. */
MR_MUST mr_status mr_evaluate(mr_eval *e, mr_split s, int64_t batches, mr_score *out);
MR_C_END
#endif
