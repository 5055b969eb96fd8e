/* mamba.c — the Mamba-1 block (Gu & Dao 2023, arXiv 2312.00752, section 3.4) as a mixer.
 * SPDX-License-Identifier: MIT
 *
 *   x, z = W_in v;  u = silu(conv(x));  [d, B, C] = W_x u;  delta = softplus(W_dt d + b_dt)
 *   y = selective_scan(u, delta, A, B, C, D);  W_out (y * silu(z))
 * E = expansion * width inner channels, where Mamba's own expansion is 2, N states each; d has
 * R = ceil(width / 16) channels. Parameters: in.weight [2E,D] in the order x, z; conv.weight [E,K],
 * conv.bias [E]; x.weight [R+2N,E] in the order d, B, C; dt.weight [E,R], dt.bias [E]; a_log [E,N];
 * skip [E]; out.weight [D,E]. Initial values are those of its authors: A = -1 .. -N in each channel,
 * skip 1, steps of 0.001 to 0.1. Sequences start from the zero state, whatever h0 says. */
#include <math.h>
#include "model.h"

static const mr_opt opts[] = {
    {"state", "16", NULL, 1, 1024, "N, states per inner channel"},
    {"conv", "4", NULL, 2, 64, "K, taps of the block's own causal convolution"},
};

enum { SSM, TAIL, N_STATES };

static int64_t option(const mr_config *c, const char *key)
{
  return (int64_t)mr_option_num(c, "mamba", key);
}

static void must_be_whole(mr_tape *t, const mr_config *c, const char *key)
{
  const double x = mr_option_num(c, "mamba", key);
  if (x != floor(x))
    mr_tape_fail(t, MR_ERR_CONFIG, "mamba: option %s is %g; allowed: whole numbers", key, x);
}

static int state(const mr_config *c, mr_dims d, mr_shape *shapes)
{
  shapes[SSM] = mr_shape3(d.B, d.H, option(c, "state"));
  shapes[TAIL] = mr_shape3(d.B, option(c, "conv") - 1, d.H);
  return N_STATES;
}

/* Causal convolution of x [B,T,E] and SiLU; carries the last K-1 inputs. */
static mr_val convolve(mr_tape *t, mr_dims d, int64_t taps, mr_val x, mr_state *st)
{
  const mr_val none = {0};
  const mr_val tail = mr_carry(st, TAIL, none);
  if (st != NULL) {
    const mr_val seen[] = {tail, x};
    st->out[TAIL] = mr_slice_time(t, mr_concat_time(t, seen, 2), d.T, taps - 1);
  }
  return mr_act(t, mr_conv1d(t, x, tail, "conv", taps), MR_SILU);
}

/* The scan of u [B,T,E], its steps, B and C made from u -> [B,T,E]. */
static mr_val scan(mr_tape *t, mr_dims d, int64_t N, mr_val u, mr_state *st)
{
  const int64_t E = d.H, R = (d.D + 15) / 16;
  const mr_val none = {0};
  mr_val w = mr_param(t, "dt.weight", mr_shape2(E, R), mr_init_uniform(1 / sqrt((double)R)));
  mr_val bias = mr_param(t, "dt.bias", mr_shape1(E), mr_init_step(1e-3));
  mr_val a_log = mr_param(t, "a_log", mr_shape2(E, N), mr_init_log_index(N));
  mr_val skip = mr_param(t, "skip", mr_shape1(E), mr_init_const(1));
  mr_no_decay(t, bias);
  mr_no_decay(t, a_log);
  mr_no_decay(t, skip);
  mr_val made = mr_linear_nobias(t, u, "x", R + 2 * N); /* [B,T,R+2N] */
  mr_val delta = mr_linear_with(t, mr_slice_last(t, made, 0, R), w, bias);
  mr_val b = mr_slice_last(t, made, R, N), c = mr_slice_last(t, made, R + N, N);
  mr_val y = mr_selective_scan(t, u, delta, a_log, b, c, skip, mr_carry(st, SSM, none));
  if (st != NULL) st->out[SSM] = mr_output(t, y, 1);
  return y;
}

static mr_val mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val v, mr_state *st)
{
  const mr_val none = {0};
  must_be_whole(t, c, "state");
  must_be_whole(t, c, "conv");
  /* Two products with parts of one weight leave x and z in memory of their own. */
  mr_val w =
      mr_param(t, "in.weight", mr_shape2(2 * d.H, d.D), mr_init_uniform(1 / sqrt((double)d.D)));
  mr_val x = mr_linear_with(t, v, mr_slice_time(t, w, 0, d.H), none);   /* [B,T,E] */
  mr_val z = mr_linear_with(t, v, mr_slice_time(t, w, d.H, d.H), none); /* [B,T,E] */
  mr_val y = scan(t, d, option(c, "state"), convolve(t, d, option(c, "conv"), x, st), st);
  return mr_linear_nobias(t, mr_mul(t, y, mr_act(t, z, MR_SILU)), "out", d.D); /* [B,T,D] */
}

MR_MODEL(mamba) = {
    .name = "mamba",
    .summary = "Mamba-1 block, fused selective scan",
    .opts = opts,
    .n_opts = 2,
    .mixer = mixer,
    .state = state,
};
