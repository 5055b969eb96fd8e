/* step.h — one training step as a unit: micro-batches, clip, AdamW; on CUDA captured and replayed.
 * SPDX-License-Identifier: MIT */
#ifndef MR_STEP_H
#define MR_STEP_H
#include "feed.h"
#include "optim.h"
MR_C_BEGIN

typedef struct mr_step mr_step;

/* What a step was made of. */
typedef struct mr_step_row {
  double loss;      /* mean over the micro-batches      */
  double lr;        /* that was applied                 */
  double grad_norm; /* before the clip                  */
} mr_step_row;

/* Steps of net on t, c->accum micro-batches each. feed NULL: on the batch that stands in the inputs.
 * `name` says in errors whose step it was. Borrows all but out; destroy before them. On CUDA the key
 * graph = 1 has steps captured when they are made for the second time, and replayed from then on; what
 * cannot be captured goes on op by op. */
MR_MUST mr_status mr_step_create(mr_step **out, const mr_config *c, mr_backend *be, mr_tape *t,
                                 const mr_net *net, mr_optim *o, mr_feed *feed, const char *name);
void mr_step_destroy(mr_step *s); /* NULL is fine */
/* "graph" or "eager": how steps are made, as far as is known. *why: the sentence that tells what kept
 * them from being captured; "" where nothing did. */
const char *mr_step_mode(const mr_step *s, const char **why);

/* Makes optimizer step number `step` (0 is the first), on training batches step * accum and following;
 * on CUDA it is only queued. On the CPU a loss or gradient norm that is not finite is MR_ERR_NUMERIC
 * and changes no parameter. Allocates nothing from the third step on. */
MR_MUST mr_status mr_step_run(mr_step *s, int64_t step);
/* Waits for the last step and tells of it; NaN before the first. MR_ERR_NUMERIC names the first step that was not finite:
 * on CUDA parameters are those before it, the steps behind it having changed none. */
MR_MUST mr_status mr_step_read(mr_step *s, mr_step_row *row);
MR_C_END
#endif
