/* transformer.c — causal multi-head attention with learned positions, as in nanoGPT; with `mlp` the
 * network is a pre-norm Transformer. SPDX-License-Identifier: MIT
 *
 * Parameters: in.weight [3D,D] and in.bias [3D] in the order q, k, v; out.weight [D,D], out.bias [D];
 * before the first block position.weight [context,D].
 * Carried state: keys and values of the last `context` steps, and how many steps there were. */
#include "model.h"

enum { MOST_HEADS = 6 }; /* unless asked for */

static const mr_opt opts[] = {
    {"heads", "0", NULL, 0, 65536, "attention heads, which divide width; 0: the most up to 6"},
    {"positions", "learned", "learned|none", 0, 0,
     "one vector per step added to the input, or none"},
    {"context", "0", NULL, 0, 1 << 26, "most steps of a sequence; 0: as many as the task's have"},
};

static int64_t context(const mr_config *c, mr_dims d)
{
  const int64_t asked = (int64_t)mr_option_num(c, "transformer", "context");
  return asked > 0 ? asked : d.whole;
}

static int64_t heads(const mr_config *c, mr_dims d)
{
  int64_t n = (int64_t)mr_option_num(c, "transformer", "heads");
  if (n == 0)
    for (n = MOST_HEADS; d.D % n != 0;) n--;
  return n;
}

/* Are there as many heads as divide the width, and no more steps than the context? Otherwise the
 * tape gets the reason. */
static bool fits(mr_tape *t, const mr_config *c, mr_dims d)
{
  const int64_t n = heads(c, d), most = context(c, d);
  if (d.D % n != 0)
    mr_tape_fail(t, MR_ERR_CONFIG, "transformer.heads is %lld but must divide width, which is %lld",
                 (long long)n, (long long)d.D);
  if (most > 0 && d.T > most)
    mr_tape_fail(t, MR_ERR_CONFIG,
                 "transformer.context is %lld but must be at least %lld, the steps of a sequence",
                 (long long)most, (long long)d.T);
  return d.D % n == 0 && (most == 0 || d.T <= most);
}

static int state(const mr_config *c, mr_dims d, mr_shape *shapes)
{
  shapes[0] = mr_shape3(d.B, context(c, d), 2 * d.D); /* keys, values in the last rows      */
  shapes[1] = mr_shape3(d.B, 1, 1);                   /* steps so far                       */
  return 2;
}

static mr_val embed(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  const mr_val none = {0};
  if (!fits(t, c, d)) return none;
  if (!mr_option_is(c, "transformer", "positions", "learned")) return x;
  return mr_add_position(t, x, "position", context(c, d), mr_carry(st, 1, none));
}

static mr_val mixer(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st)
{
  const mr_val none = {0};
  if (!fits(t, c, d)) return none;
  mr_val qkv = mr_linear(t, x, "in", 3 * d.D); /* [B,T,3D] */
  mr_val cache = mr_carry(st, 0, none), seen = mr_carry(st, 1, none);
  mr_val y = mr_attention(t, qkv, heads(c, d), cache, seen);
  if (st != NULL) {
    mr_carry_rows(t, st, 0, mr_slice_last(t, qkv, d.D, 2 * d.D), context(c, d));
    st->out[1] = mr_shift(t, seen, (double)d.T);
  }
  return mr_linear(t, y, "out", d.D); /* [B,T,D] */
}

MR_MODEL(transformer) = {
    .name = "transformer",
    .summary = "causal multi-head attention, learned positions",
    .opts = opts,
    .n_opts = 3,
    .mixer = mixer,
    .state = state,
    .embed = embed,
    .context = context,
};
