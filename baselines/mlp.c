/* mlp.c — a hidden layer at each step, without any memory: the floor under all that mix along time.
 * SPDX-License-Identifier: MIT
 *
 *   y_t = W_out gelu(W_in x_t)
 * Parameters: in.weight [H,D], in.bias [H]; out.weight [D,H], out.bias [D]. Carries nothing. */
#include "model.h"

static mr_val mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  (void)c, (void)st;
  return mr_linear(t, mr_act(t, mr_linear(t, x, "in", d.H), MR_GELU), "out", d.D); /* [B,T,D] */
}

static int state(const mr_config *c, mr_dims d, mr_shape *shapes)
{
  (void)c, (void)d, (void)shapes;
  return 0;
}

MR_MODEL(mlp) = {
    .name = "mlp",
    .summary = "hidden layer at each step, no memory",
    .mixer = mixer,
    .state = state,
};
