/* gru_loop.c — GRU as a loop of small ops, one set per time step, every intermediate kept: what the
 * paper timed. Parameters and result are those of gru. SPDX-License-Identifier: MIT */
#include "loop_parts.h"

static const mr_opt opts[] = {
    {"reset", "after", "after|before", 0, 0,
     "reset gate after (cuDNN, PyTorch) or before (the paper) the recurrent product"},
};

typedef struct cell {
  mr_val w, wb, u, b;          /* input and recurrent weights and biases           */
  mr_val u_rz, b_rz, u_n, b_n; /* their parts, for reset before                  */
  int64_t B, H;
  bool before;
} cell;

/* weight h + bias [B,1,M], or the bias alone while there is no h. */
static mr_val recurrent(mr_tape *t, const cell *k, mr_val h, mr_val weight, mr_val bias)
{
  return h.id != 0 ? mr_linear_with(t, h, weight, bias) : mr_repeat_batch(t, bias, k->B);
}

/* x [B,1,D], h [B,1,H] or none for zeros -> [B,1,H]. */
static mr_val step(mr_tape *t, const cell *k, mr_val x, mr_val h)
{
  const int64_t H = k->H;
  mr_val xw = mr_linear_with(t, x, k->w, k->wb);
  mr_val hu = k->before ? recurrent(t, k, h, k->u_rz, k->b_rz) : recurrent(t, k, h, k->u, k->b);
  mr_val r =
      mr_act(t, mr_add(t, mr_slice_last(t, xw, 0, H), mr_slice_last(t, hu, 0, H)), MR_SIGMOID);
  mr_val z =
      mr_act(t, mr_add(t, mr_slice_last(t, xw, H, H), mr_slice_last(t, hu, H, H)), MR_SIGMOID);
  mr_val m;
  if (k->before) {
    mr_val rh = h;
    if (h.id != 0) rh = mr_mul(t, r, h);
    m = recurrent(t, k, rh, k->u_n, k->b_n);
  } else {
    m = mr_mul(t, r, mr_slice_last(t, hu, 2 * H, H));
  }
  mr_val n = mr_act(t, mr_add(t, mr_slice_last(t, xw, 2 * H, H), m), MR_TANH);
  mr_val away = h.id != 0 ? mr_sub(t, h, n) : mr_scale(t, n, -1);
  return mr_add(t, n, mr_mul(t, z, away)); /* n + z (h - n) */
}

static mr_val mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  const mr_init in = mr_init_uniform(1 / sqrt((double)d.D)),
                rec = mr_init_uniform(1 / sqrt((double)d.H));
  const int64_t H = d.H;
  cell k = {.B = d.B, .H = H, .before = mr_option_is(c, "gru_loop", "reset", "before")};
  mr_val *h = mr_loop_steps(t, d.T), y = {0};
  if (h == NULL) return y;
  k.w = mr_param(t, "in.weight", mr_shape2(3 * H, d.D), in);
  k.wb = mr_param(t, "in.bias", mr_shape1(3 * H), in);
  k.u = mr_param(t, "u.weight", mr_shape2(3 * H, H), rec);
  k.b = mr_param(t, "u.bias", mr_shape1(3 * H), rec);
  if (k.before) {
    k.u_rz = mr_slice_time(t, k.u, 0, 2 * H), k.u_n = mr_slice_time(t, k.u, 2 * H, H);
    k.b_rz = mr_slice_last(t, k.b, 0, 2 * H), k.b_n = mr_slice_last(t, k.b, 2 * H, H);
  }
  mr_val state = mr_carry(st, 0, mr_initial_state(t, c, d, "h0", false));
  for (int64_t s = 0; s < d.T; s++) h[s] = state = step(t, &k, mr_slice_time(t, x, s, 1), state);
  y = mr_linear(t, mr_loop_join(t, st, 0, h, d.T), "out", d.D);
  mr_free(h);
  return y;
}

MR_MODEL(gru_loop) = {
    "gru_loop", "GRU, small ops per time step (the paper's timing)", opts, 1, mixer, mr_state_h};
