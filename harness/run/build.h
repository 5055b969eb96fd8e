/* build.h — the scaffold: embed -> L x { [conv] mixer [mlp] } -> norm -> head -> loss, recorded on a
 * tape for any model and task. SPDX-License-Identifier: MIT */
#ifndef MR_BUILD_H
#define MR_BUILD_H
#include "model.h"
#include "task.h"
MR_C_BEGIN

/* The handles of a recorded network; id 0 where a part does not apply. */
typedef struct mr_net {
  mr_val token, value, label, target, weight; /* inputs, shapes as in mr_batch               */
  mr_val y;                                   /* [B,T_out,out_dim], kept for scoring         */
  mr_val loss;                                /* scalar                                      */
  mr_dims dims;
} mr_net;

/* Hidden width of the config: round(expansion * width), at least 1. */
int64_t mr_hidden(const mr_config *c);

/* Records the whole network for B sequences of info->T steps:
 *   x = embed(token), linear(value) or the sum of both   [x = drop(norm x), if the task wants it]
 *   [x = the model's own embed(x)]
 *   L times: [x += pointwise(conv_k(x))]  x += drop(mixer(norm x))  [x += drop(mlp(norm x))]
 *   y = head(norm(x[from:])) [or its tanh];  loss.
 * Norm and head see only the steps that are read. Errors stick to the tape. */
void mr_build(mr_tape *t, const mr_config *c, const mr_model_def *m, const mr_task_info *info,
              int64_t B, mr_net *net);

/* Records L mixers, one behind the other, without norm and residual, on a parameter "x" [B,T,D], so
 * that dx is computed too: what `bench` times as the mixer. Returns the output [B,T,D]. */
mr_val mr_build_mixer(mr_tape *t, const mr_config *c, const mr_model_def *m, mr_dims d);

/* Recurrent mode: one stretch of T steps with carried state, parameters borrowed (mr_tape_borrow) from
 * a tape that mr_build recorded. Fills states[l] of the L layers: the model's own states and, with a
 * convolution, its last K-1 inputs; states[l].grows is the caller's and stays. y is [B,T,out_dim], at every step; there is no loss. */
void mr_build_step(mr_tape *t, const mr_config *c, const mr_model_def *m, const mr_task_info *info,
                   int64_t B, int64_t T, mr_net *net, mr_state *states);
MR_C_END
#endif
