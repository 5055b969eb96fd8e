/* build.c — the scaffold, the same for every model. SPDX-License-Identifier: MIT */
#include "build.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

int64_t mr_hidden(const mr_config *c)
{
  const int64_t h = llround(c->expansion * (double)c->width);
  return h < 1 ? 1 : h;
}

static mr_dims dims_of(const mr_config *c, int64_t B, int64_t T, int64_t whole)
{
  const mr_dims d = {B, T, c->width, mr_hidden(c), c->layers, 0, whole};
  return d;
}

static mr_val norm(mr_tape *t, const mr_config *c, mr_val x, const char *name)
{
  return strcmp(c->norm, "layernorm") == 0 ? mr_layernorm(t, x, name) : mr_rmsnorm(t, x, name);
}

/* pointwise(depthwise(x)); the carried state is the last K-1 inputs. */
static mr_val conv(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st, int state)
{
  mr_val tail = {0};
  if (st != NULL && c->conv > 1) {
    const mr_val none = {0};
    tail = mr_carry(st, state, none);
    const mr_val seen[] = {tail, x};
    st->out[state] = mr_slice_time(t, mr_concat_time(t, seen, 2), d.T, c->conv - 1);
  }
  mr_scope_push(t, "conv", -1);
  mr_val y = mr_conv1d(t, x, tail, "depthwise", c->conv);
  y = mr_linear(t, y, "pointwise", d.D);
  mr_scope_pop(t);
  return y;
}

static mr_val mlp(mr_tape *t, const mr_config *c, mr_dims d, mr_val x)
{
  const int64_t F = llround(c->mlp_mult * (double)d.D) < 1 ? 1 : llround(c->mlp_mult * (double)d.D);
  mr_scope_push(t, "mlp", -1);
  mr_val y = norm(t, c, x, "norm");
  if (strcmp(c->mlp, "geglu") == 0)
    y = mr_geglu(t, mr_linear(t, y, "in", 2 * F));
  else
    y = mr_act(t, mr_linear(t, y, "in", F), MR_GELU);
  y = mr_linear(t, y, "out", d.D);
  mr_scope_pop(t);
  return y;
}

static mr_val block(mr_tape *t, const mr_config *c, const mr_model_def *m, mr_dims d, mr_val x,
                    mr_state *st)
{
  mr_scope_push(t, "block", d.layer);
  if (c->conv > 0) x = mr_add(t, x, conv(t, c, d, x, st, st != NULL ? st->n - 1 : 0));
  mr_scope_push(t, "mixer", -1);
  mr_val y = norm(t, c, x, "norm");
  y = m->mixer(t, c, d, y, st);
  mr_scope_pop(t);
  x = mr_add(t, x, mr_dropout(t, y, c->dropout));
  if (strcmp(c->mlp, "none") != 0) x = mr_add(t, x, mr_dropout(t, mlp(t, c, d, x), c->dropout));
  mr_scope_pop(t);
  return x;
}

/* The sum of the embeddings of all parts of value [B,T,in_dim] -> [B,T,D]. */
static mr_val embed_parts(mr_tape *t, const mr_task_info *info, mr_val value, int64_t D)
{
  const mr_val none = {0};
  mr_val x = none;
  int64_t from = 0;
  for (int i = 0; i < info->n_parts; i++) {
    const int64_t n = info->part[i];
    mr_scope_push(t, "embed", i);
    const mr_init init = mr_init_uniform(1 / sqrt((double)(n - 1)));
    mr_val w = mr_param(t, "weight", mr_shape2(D, n), init);
    mr_val y = mr_linear_with(t, mr_slice_last(t, value, from, n), w, none);
    mr_scope_pop(t);
    x = i == 0 ? y : mr_add(t, x, y);
    from += n;
  }
  return x;
}

/* Inputs and their embedding -> [B,T,D]. */
static mr_val embed(mr_tape *t, const mr_config *c, const mr_task_info *info, mr_net *net)
{
  const mr_dims d = net->dims;
  mr_val x = {0};
  if (info->in_dim > 0) {
    net->value = mr_input(t, "value", mr_shape3(d.B, d.T, info->in_dim), MR_REAL);
    x = info->n_parts > 0 ? embed_parts(t, info, net->value, d.D)
                          : mr_linear(t, net->value, "embed", d.D);
  }
  if (info->vocab > 0) {
    net->token = mr_input(t, "token", mr_shape2(d.B, d.T), MR_I32);
    mr_val y = mr_embed(t, net->token, "embed", info->vocab, d.D);
    x = info->in_dim > 0 ? mr_add(t, x, y) : y;
  }
  return info->normed ? mr_dropout(t, norm(t, c, x, "embed.norm"), c->dropout) : x;
}

static mr_val head(mr_tape *t, const mr_task_info *info, mr_val x)
{
  if (!info->bounded) return mr_linear_nobias(t, x, "head", info->out_dim);
  return mr_act(t, mr_linear(t, x, "head", info->out_dim), MR_TANH);
}

/* Input, blocks, norm and head; steps before `from` are dropped behind the blocks. */
static void body(mr_tape *t, const mr_config *c, const mr_model_def *m, const mr_task_info *info,
                 int64_t from, mr_net *net, mr_state *states)
{
  mr_dims d = net->dims;
  mr_val x = embed(t, c, info, net);
  if (m->embed != NULL) x = m->embed(t, c, d, x, states);
  for (d.layer = 0; d.layer < d.L; d.layer++)
    x = block(t, c, m, d, x, states != NULL ? &states[d.layer] : NULL);
  if (from > 0) x = mr_slice_time(t, x, from, d.T - from);
  net->y = head(t, info, norm(t, c, x, "norm"));
  mr_keep(t, net->y);
}

void mr_build(mr_tape *t, const mr_config *c, const mr_model_def *m, const mr_task_info *info,
              int64_t B, mr_net *net)
{
  const int64_t steps = info->T - info->from;
  memset(net, 0, sizeof *net);
  net->dims = dims_of(c, B, info->T, info->T);
  body(t, c, m, info, info->from, net, NULL);
  if (info->loss == MR_LOSS_XENT) {
    net->label = mr_input(t, "label", mr_shape2(B, steps), MR_I32);
    net->loss = mr_softmax_xent(t, net->y, net->label);
  } else {
    net->target = mr_input(t, "target", mr_shape3(B, steps, info->out_dim), MR_REAL);
    net->weight = mr_input(t, "weight", mr_shape2(B, steps), MR_REAL);
    net->loss = mr_mse(t, net->y, net->target, net->weight);
  }
}

mr_val mr_build_mixer(mr_tape *t, const mr_config *c, const mr_model_def *m, mr_dims d)
{
  mr_val x = mr_param(t, "x", mr_shape3(d.B, d.T, d.D), mr_init_normal(1));
  for (d.layer = 0; d.layer < d.L; d.layer++) {
    mr_scope_push(t, "block", d.layer);
    mr_scope_push(t, "mixer", -1);
    x = m->mixer(t, c, d, x, NULL);
    mr_scope_pop(t);
    mr_scope_pop(t);
  }
  return x;
}

/* Inputs for all states of one layer. */
static void open_state(mr_tape *t, const mr_config *c, const mr_model_def *m, mr_dims d,
                       mr_state *st)
{
  mr_shape shape[MR_MAX_STATE + 1];
  char name[64];
  const bool grows = st->grows;
  memset(st, 0, sizeof *st);
  st->grows = grows;
  st->n = m->state(c, d, shape);
  if (c->conv > 1) shape[st->n++] = mr_shape3(d.B, c->conv - 1, d.D);
  if (st->n > MR_MAX_STATE) {
    mr_tape_fail(t, MR_ERR_ARG,
                 "model %s with a convolution carries %d states; allowed: at most %d", m->name,
                 st->n, MR_MAX_STATE);
    return;
  }
  for (int i = 0; i < st->n; i++) {
    snprintf(name, sizeof name, "state.%d.%d", d.layer, i);
    st->in[i] = mr_input(t, name, shape[i], MR_REAL);
  }
}

void mr_build_step(mr_tape *t, const mr_config *c, const mr_model_def *m, const mr_task_info *info,
                   int64_t B, int64_t T, mr_net *net, mr_state *states)
{
  memset(net, 0, sizeof *net);
  net->dims = dims_of(c, B, T, info->T);
  mr_dims d = net->dims;
  for (d.layer = 0; d.layer < d.L; d.layer++) open_state(t, c, m, d, &states[d.layer]);
  body(t, c, m, info, 0, net, states);
  for (int64_t l = 0; l < d.L; l++)
    for (int i = 0; i < states[l].n; i++) {
      mr_keep(t, states[l].out[i]);
      mr_keep(t, states[l].initial[i]);
    }
}
