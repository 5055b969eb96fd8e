/* lstm_loop.c — LSTM as a loop of small ops, one set per time step, every intermediate kept: what the
 * paper timed. Parameters and result are those of lstm. SPDX-License-Identifier: MIT */
#include "loop_parts.h"

typedef struct cell {
  mr_val w, wb, u;
  int64_t H;
} cell;

/* x [B,1,D]; *h, *c [B,1,H] or none for zeros -> the next ones. */
static void step(mr_tape *t, const cell *k, mr_val x, mr_val *h, mr_val *c)
{
  static const mr_act_kind kind[] = {MR_SIGMOID, MR_SIGMOID, MR_TANH, MR_SIGMOID};
  mr_val gate[4]; /* i, f, g, o */
  mr_val sum = mr_linear_with(t, x, k->w, k->wb);
  if (h->id != 0) {
    const mr_val no_bias = {0};
    sum = mr_add(t, sum, mr_linear_with(t, *h, k->u, no_bias));
  }
  for (int g = 0; g < 4; g++) gate[g] = mr_act(t, mr_slice_last(t, sum, g * k->H, k->H), kind[g]);
  mr_val fresh = mr_mul(t, gate[0], gate[2]);
  *c = c->id != 0 ? mr_add(t, mr_mul(t, gate[1], *c), fresh) : fresh;
  *h = mr_mul(t, gate[3], mr_act(t, *c, MR_TANH));
}

static mr_val mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  const mr_init in = mr_init_uniform(1 / sqrt((double)d.D)),
                rec = mr_init_uniform(1 / sqrt((double)d.H));
  cell k = {.H = d.H};
  mr_val *h = mr_loop_steps(t, d.T), y = {0};
  if (h == NULL) return y;
  k.w = mr_param(t, "in.weight", mr_shape2(4 * d.H, d.D), in);
  k.wb = mr_param(t, "in.bias", mr_shape1(4 * d.H), in);
  k.u = mr_param(t, "u.weight", mr_shape2(4 * d.H, d.H), rec);
  mr_val state = mr_carry(st, 0, mr_initial_state(t, c, d, "h0", false));
  mr_val memory = mr_carry(st, 1, mr_initial_state(t, c, d, "c0", false));
  for (int64_t s = 0; s < d.T; s++) {
    step(t, &k, mr_slice_time(t, x, s, 1), &state, &memory);
    h[s] = state;
  }
  if (st != NULL) st->out[1] = memory;
  y = mr_linear(t, mr_loop_join(t, st, 0, h, d.T), "out", d.D);
  mr_free(h);
  return y;
}

MR_MODEL(lstm_loop) = {
    "lstm_loop", "LSTM, small ops per time step (the paper's timing)", NULL, 0, mixer, mr_state_hc};
