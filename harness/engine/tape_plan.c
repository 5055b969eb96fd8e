/* tape_plan.c — live ranges, shared memory, placement and the slabs. SPDX-License-Identifier: MIT
 *
 * With N nodes, forward of node i is time i and its backward is 2N-1-i. A value lives from its
 * producer to its last reader, backward readers counting only where the op declares them. A gradient
 * lives from the backward of the value's last consumer to the backward of its producer. */
#include <math.h>
#include <string.h>
#include "rng.h"
#include "tape_impl.h"

static int32_t backward_time(const mr_tape *t, int32_t i)
{
  return 2 * t->n_nodes - 1 - i;
}

static int32_t step_end(const mr_tape *t)
{
  return t->train ? 2 * t->n_nodes - 1 : t->n_nodes - 1;
}

/* ==== Who reads what, who needs a gradient ==================================================== */

static mr_status group_uses(mr_tape *t)
{
  void *p = NULL;
  int32_t sum = 0;
  MR_CHECK(mr_calloc(&p, (size_t)t->n_operands, sizeof *t->use));
  t->use = p;
  for (int32_t i = 0; i < t->n_values; i++) t->value[i].n_uses = 0;
  for (int32_t i = 0; i < t->n_operands; i++) t->value[t->operand[i].value].n_uses++;
  for (int32_t i = 0; i < t->n_values; i++) {
    t->value[i].first_use = sum;
    sum += t->value[i].n_uses;
    t->value[i].n_uses = 0;
  }
  for (int32_t i = 0; i < t->n_operands; i++) {
    value *v = &t->value[t->operand[i].value];
    t->use[v->first_use + v->n_uses++] = i;
  }
  return MR_OK;
}

static mr_status spread_gradients(mr_tape *t)
{
  value *root = &t->value[t->root];
  if (!root->wants_grad)
    return MR_FAIL(MR_ERR_ARG, "the root depends on no parameter, so there is nothing to train");
  root->has_grad = true;
  for (int32_t i = t->n_nodes - 1; i >= 0; i--) {
    node *n = &t->node[i];
    for (int32_t o = 0; o < n->op->n_out; o++) n->active |= t->value[n->out + o].has_grad;
    if (!n->active) continue;
    if (n->op->bwd[t->be->device] == NULL)
      return MR_FAIL(MR_ERR_UNSUPPORTED, "%s%s has no backward kernel on device %s", n->scope,
                     n->op->name, t->be->api->name);
    for (int32_t k = n->n_in - 1; k >= 0; k--) {
      operand *x = &t->operand[n->in + k];
      x->wanted = x->value != 0 && t->value[x->value].wants_grad;
      if (x->wanted) t->value[x->value].has_grad = true;
    }
  }
  /* The first to write a gradient is its last consumer; the root's is given from outside. */
  for (int32_t id = 1; id < t->n_values; id++) {
    int32_t first = MR_NONE;
    for (int32_t u = 0; u < t->value[id].n_uses; u++) {
      const int32_t i = t->use[t->value[id].first_use + u];
      if (!t->operand[i].wanted) continue;
      if (first == MR_NONE || t->operand[i].node > t->operand[first].node) first = i;
    }
    if (first != MR_NONE && id != t->root) t->operand[first].first = true;
  }
  return MR_OK;
}

/* ==== Buffers ================================================================================ */

static int32_t add_buf(mr_tape *t, size_t bytes, int32_t first, int32_t last, int32_t grad_of)
{
  const int32_t i = t->n_bufs++;
  t->buf[i].bytes = bytes, t->buf[i].first = first, t->buf[i].last = last;
  t->alias[i] = i;
  t->member[i] = MR_NONE;
  t->grad_of[i] = grad_of;
  return i;
}

static bool bit(uint32_t mask, int32_t i)
{
  return (mask >> (i < 31 ? i : 31) & 1u) != 0;
}

static int32_t last_read(const mr_tape *t, const value *v, int32_t from)
{
  int32_t last = from;
  for (int32_t u = 0; u < v->n_uses; u++) {
    const int32_t i = t->use[v->first_use + u];
    const node *n = &t->node[t->operand[i].node];
    int32_t at = t->operand[i].node;
    if (t->train && n->active && bit(n->need.reads_in, i - n->in))
      at = backward_time(t, t->operand[i].node);
    last = at > last ? at : last;
  }
  if (v->kind == VALUE_NODE) {
    const node *n = &t->node[v->node];
    if (t->train && n->active && bit(n->need.reads_out, v->output)) {
      const int32_t at = backward_time(t, v->node);
      last = at > last ? at : last;
    }
  }
  /* Kept values must outlast the caller's upload of the root's gradient, which starts at time N. */
  if (v->kept && last < t->n_nodes) last = t->train ? t->n_nodes : t->n_nodes - 1;
  /* The loss is read whenever the caller likes. */
  if (v == &t->value[t->root] && v->shape.rank == 0) last = step_end(t);
  return last;
}

static void value_buffers(mr_tape *t)
{
  for (int32_t id = 1; id < t->n_values; id++) {
    value *v = &t->value[id];
    const size_t bytes = mr_bytes(&v->shape, v->dtype);
    /* Inputs stay, so that a step can run again on the same batch. */
    if (v->kind == VALUE_INPUT) v->buf = add_buf(t, bytes, 0, step_end(t), 0);
    if (v->kind != VALUE_NODE) continue;
    v->buf = add_buf(t, bytes, v->node, last_read(t, v, v->node), 0);
    if (!v->has_grad) continue;
    int32_t first = t->n_nodes;
    if (id != t->root) {
      first = backward_time(t, v->node);
      for (int32_t u = 0; u < v->n_uses; u++) {
        const operand *x = &t->operand[t->use[v->first_use + u]];
        if (x->first) first = backward_time(t, x->node);
      }
    }
    v->grad_buf = add_buf(t, bytes, first, backward_time(t, v->node), id);
  }
}

static void node_buffers(mr_tape *t)
{
  for (int32_t i = 0; i < t->n_nodes; i++) {
    node *n = &t->node[i];
    const bool back = t->train && n->active;
    const int32_t at = backward_time(t, i);
    for (int32_t s = 0; s < n->need.n_save; s++) {
      const size_t bytes = mr_bytes(&n->need.save[s], MR_REAL);
      const int32_t b = add_buf(t, bytes, i, back ? at : i, 0);
      if (s == 0) n->save = b;
    }
    if (n->need.work_fwd > 0) n->work_fwd = add_buf(t, n->need.work_fwd, i, i, 0);
    if (back && n->need.work_bwd > 0) n->work_bwd = add_buf(t, n->need.work_bwd, at, at, 0);
    if (back && !t->value[n->out].has_grad)
      n->zero_out = add_buf(t, mr_bytes(&n->need.out[0], MR_REAL), at, at, 0);
  }
}

/* ==== Shared memory ========================================================================== */

/* Is the gradient of value id added to at a time in (after, until]? */
static bool written_within(const mr_tape *t, int32_t id, int32_t after, int32_t until)
{
  for (int32_t u = 0; id != 0 && u < t->value[id].n_uses; u++) {
    const operand *x = &t->operand[t->use[t->value[id].first_use + u]];
    const int32_t at = backward_time(t, x->node);
    if (x->wanted && at > after && at <= until) return true;
  }
  return false;
}

static int32_t leader(const mr_tape *t, int32_t b)
{
  while (t->alias[b] != b) b = t->alias[b];
  return b;
}

/* Puts buffer b, empty until now = its first time, into the memory of `into`. */
static void join(mr_tape *t, int32_t b, int32_t into)
{
  const int32_t l = leader(t, into);
  t->alias[b] = l;
  t->member[b] = t->member[l];
  t->member[l] = b;
}

/* Can the gradient in b, starting now, live beside what buffer m holds? */
static bool agree(const mr_tape *t, int32_t b, int32_t m, int32_t now)
{
  if (t->buf[m].last <= now) return true;
  return t->grad_of[m] != 0 && !written_within(t, t->grad_of[b], now, t->buf[m].last) &&
         !written_within(t, t->grad_of[m], now, t->buf[b].last);
}

/* May the gradient in buffer b start now in the memory of `into`? Members that have been read for
 * the last time no longer matter and leave the list, which keeps it short in unrolled loops. */
static bool may_pass(mr_tape *t, int32_t b, int32_t into, int32_t now)
{
  const int32_t l = leader(t, into);
  if (!agree(t, b, l, now)) return false;
  for (int32_t *link = &t->member[l]; *link != MR_NONE;) {
    const int32_t m = *link;
    if (!agree(t, b, m, now)) return false;
    if (t->buf[m].last <= now)
      *link = t->member[m];
    else
      link = &t->member[m];
  }
  return true;
}

static void share_gradients(mr_tape *t)
{
  for (int32_t i = t->n_nodes - 1; i >= 0; i--) {
    node *n = &t->node[i];
    const int32_t now = backward_time(t, i);
    if (!n->active) continue;
    for (int32_t k = 0; k < n->n_in && k < 31; k++) {
      operand *x = &t->operand[n->in + k];
      value *v = &t->value[x->value];
      if (!x->wanted || !x->first || v->kind != VALUE_NODE || v->grad_buf == MR_NONE) continue;
      const value *y = &t->value[n->out];
      if (bit(n->need.passes, k) && y->has_grad && mr_count(&y->shape) == mr_count(&v->shape) &&
          may_pass(t, v->grad_buf, y->grad_buf, now)) {
        join(t, v->grad_buf, y->grad_buf);
        x->shared = true;
      } else if (bit(n->need.overwrites, k) && t->buf[v->buf].last == now) {
        join(t, v->grad_buf, v->buf);
        x->shared = true;
      }
    }
  }
}

/* Places one buffer per shared memory, over the union of its members' lives. */
static mr_status place(mr_tape *t)
{
  mr_status st = MR_OK;
  void *p = NULL;
  MR_TRY(mr_calloc(&p, (size_t)t->n_bufs, sizeof(mr_buf)));
  mr_buf *b = p;
  memcpy(b, t->buf, (size_t)t->n_bufs * sizeof *b);
  for (int32_t i = 0; i < t->n_bufs; i++) {
    const int32_t l = leader(t, i);
    if (l == i) continue;
    b[i].bytes = 0;
    if (t->buf[i].first < b[l].first) b[l].first = t->buf[i].first;
    if (t->buf[i].last > b[l].last) b[l].last = t->buf[i].last;
  }
  MR_TRY(mr_place(b, t->n_bufs, &t->slab_bytes, &t->bound_bytes));
  for (int32_t i = 0; i < t->n_bufs; i++) t->buf[i].offset = b[leader(t, i)].offset;
out:
  mr_free(p);
  return st;
}

/* ==== The plan =============================================================================== */

static mr_status room_for_buffers(mr_tape *t)
{
  size_t n = 2 * (size_t)t->n_values;
  void *p = NULL;
  for (int32_t i = 0; i < t->n_nodes; i++) n += (size_t)t->node[i].need.n_save + 3;
  MR_CHECK(mr_calloc(&p, n, sizeof *t->buf));
  t->buf = p;
  int32_t **index[] = {&t->alias, &t->member, &t->grad_of};
  for (int i = 0; i < 3; i++) {
    MR_CHECK(mr_calloc(&p, n, sizeof(int32_t)));
    *index[i] = p;
  }
  return MR_OK;
}

static void place_params(mr_tape *t)
{
  t->param_bytes = 0;
  for (int32_t id = 1; id < t->n_values; id++) {
    const value *v = &t->value[id];
    if (v->kind != VALUE_PARAM) continue;
    t->param[v->slot].offset = t->param_bytes;
    t->param_bytes +=
        (mr_bytes(&v->shape, MR_REAL) + MR_PLAN_ALIGN - 1) / MR_PLAN_ALIGN * MR_PLAN_ALIGN;
  }
}

static void report(const mr_tape *t, mr_plan_report *rep)
{
  memset(rep, 0, sizeof *rep);
  rep->params = (int64_t)t->param_bytes;
  rep->grads = t->train ? rep->params : 0;
  rep->acts_peak = (int64_t)t->slab_bytes;
  rep->acts_bound = (int64_t)t->bound_bytes;
  rep->nodes = t->n_nodes;
  rep->launches = t->n_nodes;
  for (int32_t id = 1; id < t->n_values; id++)
    if (t->value[id].kind == VALUE_PARAM) rep->n_params += mr_count(&t->value[id].shape);
  size_t work = 0;
  for (int32_t i = 0; i < t->n_nodes; i++) {
    const mr_need *need = &t->node[i].need;
    work = need->work_fwd > work ? need->work_fwd : work;
    work = t->train && need->work_bwd > work ? need->work_bwd : work;
    rep->flops += need->flops;
    rep->launches += t->train && t->node[i].active;
  }
  rep->workspace = t->be->workspace_bytes + (int64_t)work;
  for (int32_t i = 0; i < t->n_bufs; i++)
    if (t->buf[i].first < t->n_nodes && t->buf[i].last >= t->n_nodes)
      rep->acts_saved += (int64_t)t->buf[i].bytes;
}

mr_status mr_tape_plan(mr_tape *t, mr_val root, bool train, mr_plan_report *rep)
{
  if (t->st != MR_OK)
    return MR_FAIL(t->st, "%s", t->error != NULL ? t->error : mr_status_text(t->st));
  if (t->planned) return MR_FAIL(MR_ERR_INTERNAL, "a tape is planned once");
  if (root.id <= 0 || root.id >= t->n_values || t->value[root.id].kind != VALUE_NODE)
    return MR_FAIL(MR_ERR_ARG, "the root of a plan must be the output of an op");
  t->root = root.id;
  t->train = train;
  MR_CHECK(group_uses(t));
  if (train) MR_CHECK(spread_gradients(t));
  MR_CHECK(room_for_buffers(t));
  value_buffers(t);
  node_buffers(t);
  if (train) share_gradients(t);
  MR_CHECK(place(t));
  place_params(t);
  t->planned = true;
  if (rep != NULL) report(t, rep);
  return MR_OK;
}

/* ==== The slabs ============================================================================== */

/* Element k, the next number of r. */
static double initial_value(const mr_init *in, int64_t k, mr_rng *r)
{
  switch (in->kind) {
  case MR_INIT_UNIFORM:
    return in->scale * (2 * mr_rng_uniform(r) - 1);
  case MR_INIT_NORMAL:
    return in->scale * mr_rng_normal(r);
  case MR_INIT_LOG_INDEX:
    return log(1 + (double)(k % (int64_t)in->scale));
  case MR_INIT_STEP: {
    const double step = in->scale * pow(100, mr_rng_uniform(r));
    return step + log(-expm1(-step)); /* softplus backwards */
  }
  default:
    return in->scale;
  }
}

/* Draws are keyed by the parameter's name, so models with like-named parameters start alike. */
mr_status mr_tape_init_params(mr_tape *t)
{
  mr_status st = MR_OK;
  void *host = NULL;
  for (int32_t i = 0; i < t->n_slots; i++) {
    const mr_slot *s = &t->slot[i];
    const mr_init in = t->param[i].init;
    const int64_t n = mr_count(&s->value.shape);
    mr_rng r;
    mr_rng_seek(&r, t->seed, MR_STREAM_INIT, mr_name_hash(s->name));
    MR_TRY(mr_calloc(&host, (size_t)n, sizeof(mr_real)));
    mr_real *x = host;
    for (int64_t k = 0; k < n; k++) {
      double a = initial_value(&in, k, &r);
      if (k >= in.shift_from && k - in.shift_from < in.shift_n) a += in.shift;
      x[k] = (mr_real)a;
    }
    MR_TRY(t->be->api->upload(t->be, s->value.data, x, (size_t)n * sizeof *x));
    mr_free(host);
    host = NULL;
  }
out:
  mr_free(host);
  return st;
}

static mr_status bind_params(mr_tape *t)
{
  const mr_tape *o = t->owner;
  if (o != NULL && !o->allocated)
    return MR_FAIL(MR_ERR_ARG, "the tape that lends its parameters is not allocated yet");
  for (int32_t id = 1; id < t->n_values; id++) {
    const value *v = &t->value[id];
    if (v->kind != VALUE_PARAM) continue;
    mr_slot *s = &t->slot[v->slot];
    if (o != NULL) {
      const mr_slot *lent = &o->slot[t->param[v->slot].owner_slot];
      s->value = lent->value, s->grad = lent->grad;
      if (t->train && lent->grad.data == NULL)
        return MR_FAIL(MR_ERR_ARG, "the tape that lends its parameters has no gradients");
      continue;
    }
    s->value.shape = s->grad.shape = v->shape;
    s->value.dtype = s->grad.dtype = MR_REAL;
    s->value.data = (char *)t->values + t->param[v->slot].offset;
    s->grad.data = t->train ? (char *)t->grads + t->param[v->slot].offset : NULL;
  }
  return MR_OK;
}

mr_status mr_tape_alloc(mr_tape *t)
{
  const mr_backend_api *api = t->be->api;
  void *p = NULL;
  if (!t->planned || t->allocated)
    return MR_FAIL(MR_ERR_INTERNAL, "a tape is allocated once, after it was planned");
  MR_CHECK(api->alloc(t->be, t->slab_bytes > 0 ? t->slab_bytes : 1, &t->slab));
  MR_CHECK(api->alloc(t->be, sizeof *t->tick, &p));
  t->tick = p;
  MR_CHECK(api->alloc(t->be, sizeof *t->scale, &p));
  t->scale = p;
  MR_CHECK(mr_calloc(&p, (size_t)t->n_slots, sizeof *t->slot_written));
  t->slot_written = p;
  if (t->owner == NULL) {
    const size_t bytes = t->param_bytes > 0 ? t->param_bytes : 1;
    MR_CHECK(api->alloc(t->be, bytes, &t->values));
    MR_CHECK(api->fill(t->be, t->values, 0, bytes));
    if (t->train) {
      MR_CHECK(api->alloc(t->be, bytes, &t->grads));
      MR_CHECK(api->fill(t->be, t->grads, 0, bytes));
    }
  }
  MR_CHECK(bind_params(t));
  if (t->owner == NULL) MR_CHECK(mr_tape_init_params(t));
  MR_CHECK(mr_tape_wire(t));
  t->allocated = true;
  MR_CHECK(mr_tape_set_scale(t, 1));
  return mr_tape_tick(t, 0, true);
}
