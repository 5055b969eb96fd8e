/* tape_run.c — running a planned tape: wiring, forward, backward, profile, dump.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "tape_impl.h"

/* ==== Wiring: every view of every call, once ================================================== */

static void *place_of(const mr_tape *t, int32_t buf)
{
  return buf == MR_NONE ? NULL : (char *)t->slab + t->buf[buf].offset;
}

static void *data_of(const mr_tape *t, const value *v)
{
  return v->kind == VALUE_PARAM ? t->slot[v->slot].value.data : place_of(t, v->buf);
}

static void *grad_of(const mr_tape *t, const value *v)
{
  if (!v->has_grad) return NULL;
  return v->kind == VALUE_PARAM ? t->slot[v->slot].grad.data : place_of(t, v->grad_buf);
}

static mr_view *take(mr_tape *t, size_t *used, int32_t n)
{
  mr_view *v = t->views + *used;
  *used += (size_t)n;
  return v;
}

static void wire_forward(mr_tape *t, int32_t i, size_t *used)
{
  node *n = &t->node[i];
  mr_call *c = &t->fwd[i].c;
  mr_view *in = take(t, used, n->n_in), *out = take(t, used, n->op->n_out);
  mr_view *save = take(t, used, n->need.n_save);
  t->fwd[i].fn = n->op->fwd[t->be->device];
  for (int32_t k = 0; k < n->n_in; k++) {
    const int32_t id = t->operand[n->in + k].value;
    if (id == 0) {
      in[k].shape.rank = -1;
      continue;
    }
    const value *v = &t->value[id];
    in[k].shape = v->shape, in[k].dtype = v->dtype, in[k].data = data_of(t, v);
  }
  for (int32_t k = 0; k < n->op->n_out; k++) {
    const value *v = &t->value[n->out + k];
    out[k].shape = v->shape, out[k].dtype = v->dtype, out[k].data = data_of(t, v);
  }
  for (int32_t k = 0; k < n->need.n_save; k++) {
    save[k].shape = n->need.save[k], save[k].dtype = MR_REAL;
    save[k].data = place_of(t, n->save + k);
  }
  c->attr = n->attr;
  c->n_in = n->n_in, c->n_out = n->op->n_out;
  c->in = in, c->out = out, c->save = save;
  c->work = place_of(t, n->work_fwd);
  c->tick = t->tick;
  c->node = (uint32_t)i;
}

static bool bit(uint32_t mask, int32_t i)
{
  return (mask >> (i < 31 ? i : 31) & 1u) != 0;
}

/* Backward sees only what the op declared. */
static void wire_backward(mr_tape *t, int32_t i, size_t *used, size_t *n_beta)
{
  node *n = &t->node[i];
  const mr_call *f = &t->fwd[i].c;
  mr_call *c = &t->bwd[i].c;
  mr_view *in = take(t, used, n->n_in), *out = take(t, used, n->op->n_out);
  mr_view *dout = take(t, used, n->op->n_out), *din = take(t, used, n->n_in);
  mr_real *beta = t->betas + *n_beta;
  *n_beta += (size_t)n->n_in;
  if (!n->active) return;
  *c = *f;
  t->bwd[i].fn = n->op->bwd[t->be->device];
  for (int32_t k = 0; k < n->n_in; k++) {
    const operand *x = &t->operand[n->in + k];
    value *v = &t->value[x->value];
    in[k] = f->in[k], din[k] = f->in[k];
    if (!bit(n->need.reads_in, k)) in[k].data = NULL;
    din[k].data = x->wanted ? grad_of(t, v) : NULL;
    beta[k] = x->first ? 0 : 1;
    if (!x->wanted || v->kind != VALUE_PARAM) continue;
    t->slot_written[v->slot] = true;
    if (x->first) t->beta_first[t->n_beta_first++] = &beta[k];
  }
  for (int32_t k = 0; k < n->op->n_out; k++) {
    out[k] = f->out[k], dout[k] = f->out[k];
    if (!bit(n->need.reads_out, k)) out[k].data = NULL;
    dout[k].data = grad_of(t, &t->value[n->out + k]);
  }
  if (n->zero_out != MR_NONE) dout[0].data = place_of(t, n->zero_out);
  c->in = in, c->out = out, c->dout = dout, c->din = din, c->beta = beta;
  c->work = place_of(t, n->work_bwd);
}

mr_status mr_tape_wire(mr_tape *t)
{
  size_t n_views = 0, n_betas = 0, used = 0, used_betas = 0;
  void *p = NULL;
  for (int32_t i = 0; i < t->n_nodes; i++) {
    const node *n = &t->node[i];
    n_views += 3 * (size_t)n->n_in + 3 * (size_t)n->op->n_out + (size_t)n->need.n_save;
    n_betas += (size_t)n->n_in;
  }
  MR_CHECK(mr_calloc(&p, n_views, sizeof *t->views));
  t->views = p;
  MR_CHECK(mr_calloc(&p, n_betas, sizeof *t->betas));
  t->betas = p;
  MR_CHECK(mr_calloc(&p, (size_t)t->n_slots, sizeof *t->beta_first));
  t->beta_first = p;
  MR_CHECK(mr_calloc(&p, (size_t)t->n_nodes, sizeof *t->fwd));
  t->fwd = p;
  MR_CHECK(mr_calloc(&p, (size_t)t->n_nodes, sizeof *t->bwd));
  t->bwd = p;
  for (int32_t i = 0; i < t->n_nodes; i++) wire_forward(t, i, &used);
  for (int32_t i = 0; t->train && i < t->n_nodes; i++) wire_backward(t, i, &used, &used_betas);
  return MR_OK;
}

/* ==== Views ================================================================================== */

static mr_status check_ready(const mr_tape *t, mr_val v)
{
  if (!t->allocated) return MR_FAIL(MR_ERR_ARG, "the tape is not allocated yet");
  if (v.id <= 0 || v.id >= t->n_values) return MR_FAIL(MR_ERR_ARG, "no such value on this tape");
  return MR_OK;
}

mr_status mr_tape_view(const mr_tape *t, mr_val v, mr_view *out)
{
  MR_CHECK(check_ready(t, v));
  const value *x = &t->value[v.id];
  out->shape = x->shape, out->dtype = x->dtype, out->data = data_of(t, x);
  return MR_OK;
}

mr_status mr_tape_grad_view(const mr_tape *t, mr_val v, mr_view *out)
{
  MR_CHECK(check_ready(t, v));
  const value *x = &t->value[v.id];
  out->shape = x->shape, out->dtype = MR_REAL, out->data = grad_of(t, x);
  if (out->data == NULL) return MR_FAIL(MR_ERR_ARG, "the plan has no gradient of this value");
  return MR_OK;
}

mr_status mr_tape_slots(const mr_tape *t, const mr_slot **slots, int *n)
{
  if (!t->allocated) return MR_FAIL(MR_ERR_ARG, "the tape is not allocated yet");
  *slots = t->slot;
  *n = t->n_slots;
  return MR_OK;
}

/* ==== Running ================================================================================ */

mr_status mr_tape_tick(mr_tape *t, uint64_t step, bool training)
{
  t->tick_host.seed = t->seed;
  t->tick_host.step = step;
  t->tick_host.training = training;
  return t->be->api->upload(t->be, t->tick, &t->tick_host, sizeof t->tick_host);
}

mr_status mr_tape_set_scale(mr_tape *t, mr_real scale)
{
  t->scale_host = scale;
  return t->be->api->upload(t->be, t->scale, &t->scale_host, sizeof scale);
}

void mr_tape_poison(mr_tape *t, bool on)
{
  t->poison = on;
}

static mr_status poison_view(mr_tape *t, const mr_view *v)
{
  if (v->data == NULL) return MR_OK;
  return t->be->api->fill(t->be, v->data, 0xff, mr_bytes(&v->shape, v->dtype));
}

static mr_status poison_work(mr_tape *t, void *work, size_t bytes)
{
  return work != NULL ? t->be->api->fill(t->be, work, 0xff, bytes) : MR_OK;
}

static mr_status poison_forward(mr_tape *t, int32_t i)
{
  const node *n = &t->node[i];
  const mr_call *c = &t->fwd[i].c;
  for (int32_t k = 0; k < c->n_out; k++) MR_CHECK(poison_view(t, &c->out[k]));
  for (int32_t k = 0; k < n->need.n_save; k++) MR_CHECK(poison_view(t, &c->save[k]));
  return poison_work(t, c->work, n->need.work_fwd);
}

static mr_status poison_backward(mr_tape *t, int32_t i)
{
  const node *n = &t->node[i];
  const mr_call *c = &t->bwd[i].c;
  for (int32_t k = 0; k < c->n_in; k++) {
    const operand *x = &t->operand[n->in + k];
    if (x->wanted && c->beta[k] == 0 && !x->shared) MR_CHECK(poison_view(t, &c->din[k]));
  }
  return poison_work(t, c->work, n->need.work_bwd);
}

static mr_status run_call(mr_tape *t, const call *c, int32_t i)
{
  const mr_status st = c->fn(t->be, &c->c);
  if (st != MR_OK) mr_trace_at(t->node[i].op->name, i);
  return st;
}

mr_status mr_tape_forward(mr_tape *t)
{
  if (!t->allocated) return MR_FAIL(MR_ERR_ARG, "the tape is not allocated yet");
  for (int32_t i = 0; i < t->n_nodes; i++) {
    if (t->poison) MR_CHECK(poison_forward(t, i));
    MR_CHECK(run_call(t, &t->fwd[i], i));
  }
  return MR_OK;
}

/* Betas, gradients of unused parameters and the root's own gradient. */
static mr_status begin_backward(mr_tape *t, mr_real beta, mr_real scale)
{
  const mr_backend_api *api = t->be->api;
  const value *root = &t->value[t->root];
  if (!t->allocated || !t->train)
    return MR_FAIL(MR_ERR_ARG, "backward needs a tape planned for training");
  if (beta != 0 && beta != 1) return MR_FAIL(MR_ERR_ARG, "beta is %g; allowed: 0, 1", (double)beta);
  for (int32_t i = 0; i < t->n_beta_first; i++) *t->beta_first[i] = beta;
  for (int32_t i = 0; i < t->n_slots; i++)
    if (!t->slot_written[i] && beta == 0)
      MR_CHECK(
          api->fill(t->be, t->slot[i].grad.data, 0, mr_bytes(&t->slot[i].grad.shape, MR_REAL)));
  if (root->shape.rank != 0) return MR_OK;
  if (scale != t->scale_host) MR_CHECK(mr_tape_set_scale(t, scale));
  return api->copy(t->be, grad_of(t, root), t->scale, sizeof scale);
}

static mr_status backward_node(mr_tape *t, int32_t i)
{
  const node *n = &t->node[i];
  if (t->poison) MR_CHECK(poison_backward(t, i));
  if (n->zero_out != MR_NONE) {
    const mr_view *z = &t->bwd[i].c.dout[0];
    MR_CHECK(t->be->api->fill(t->be, z->data, 0, mr_bytes(&z->shape, MR_REAL)));
  }
  return run_call(t, &t->bwd[i], i);
}

mr_status mr_tape_backward(mr_tape *t, mr_real beta, mr_real scale)
{
  MR_CHECK(begin_backward(t, beta, scale));
  for (int32_t i = t->n_nodes - 1; i >= 0; i--)
    if (t->node[i].active) MR_CHECK(backward_node(t, i));
  return MR_OK;
}

/* ==== Looking inside ========================================================================= */

typedef struct profile {
  mr_tape *t;
  mr_status (*before)(void *ctx);
  void *ctx;
  mr_op_time *rows;
  int cap, n;
} profile;

static mr_status add_time(profile *p, const node *n, bool backward, double ns)
{
  int r = 0;
  while (r < p->n && (p->rows[r].op != n->op->name || p->rows[r].backward != backward)) r++;
  if (r == p->cap) return MR_FAIL(MR_ERR_ARG, "a profile needs more than %d rows", p->cap);
  mr_op_time *row = &p->rows[r];
  if (r == p->n) {
    *row = (mr_op_time){.op = n->op->name, .backward = backward};
    p->n++;
  }
  row->calls++;
  row->ns += ns;
  row->flops += backward ? n->flops_bwd : n->need.flops;
  row->bytes += backward ? n->bytes_bwd : n->need.bytes;
  return MR_OK;
}

static mr_status time_call(profile *p, int32_t i, bool backward)
{
  mr_tape *t = p->t;
  const mr_backend_api *api = t->be->api;
  double ns;
  if (p->before != NULL) MR_CHECK(p->before(p->ctx));
  MR_CHECK(api->mark(t->be, 0));
  MR_CHECK(backward ? backward_node(t, i) : run_call(t, &t->fwd[i], i));
  MR_CHECK(api->mark(t->be, 1));
  MR_CHECK(api->elapsed(t->be, 0, 1, &ns));
  return add_time(p, &t->node[i], backward, ns);
}

mr_status mr_tape_profile(mr_tape *t, mr_status (*before)(void *ctx), void *ctx, mr_op_time *rows,
                          int *n)
{
  profile p = {t, before, ctx, rows, *n, 0};
  *n = 0;
  if (!t->allocated) return MR_FAIL(MR_ERR_ARG, "the tape is not allocated yet");
  for (int32_t i = 0; i < t->n_nodes; i++) MR_CHECK(time_call(&p, i, false));
  if (t->train) MR_CHECK(begin_backward(t, 0, 1));
  for (int32_t i = t->n_nodes - 1; t->train && i >= 0; i--)
    if (t->node[i].active) MR_CHECK(time_call(&p, i, true));
  *n = p.n;
  return MR_OK;
}

mr_status mr_tape_node(const mr_tape *t, int32_t i, mr_node_info *out)
{
  if (!t->planned || i < 0 || i >= t->n_nodes)
    return MR_FAIL(MR_ERR_ARG, "node %d of a tape with %d planned nodes", i,
                   t->planned ? t->n_nodes : 0);
  const node *n = &t->node[i];
  memset(out, 0, sizeof *out);
  out->scope = n->scope, out->op = n->op->name, out->variant = n->need.variant;
  out->hides_products = n->need.hides_products;
  for (int32_t k = 0; k < n->op->n_out; k++)
    out->out_bytes += (int64_t)mr_bytes(&n->need.out[k], MR_REAL);
  for (int32_t k = 0; k < n->need.n_save; k++)
    out->saved_bytes += (int64_t)mr_bytes(&n->need.save[k], MR_REAL);
  const size_t fwd = n->need.work_fwd, bwd = n->need.work_bwd;
  out->work_bytes = (int64_t)(fwd > bwd ? fwd : bwd);
  out->flops = n->need.flops, out->bytes = n->need.bytes;
  out->flops_bwd = n->flops_bwd, out->bytes_bwd = n->bytes_bwd;
  return MR_OK;
}

static void dump_buf(const mr_tape *t, FILE *f, int32_t node_id, const char *op, const char *what,
                     const mr_shape *s, int32_t b)
{
  char text[80];
  if (b == MR_NONE) return;
  fprintf(f, "%d\t%s\t%s\t%s\t%zu\t%zu\t%d\t%d\t%d\n", node_id, op, what,
          s != NULL ? mr_shape_text(s, text, sizeof text) : "-", t->buf[b].bytes, t->buf[b].offset,
          t->buf[b].first, t->buf[b].last, t->alias[b] != b);
}

mr_status mr_tape_dump(const mr_tape *t, const char *path)
{
  mr_status st = MR_OK;
  char op[MR_MAX_SCOPE + 64];
  FILE *f = NULL;
  if (!t->planned) return MR_FAIL(MR_ERR_ARG, "the tape is not planned yet");
  f = fopen(path, "w");
  if (f == NULL) return MR_FAIL(MR_ERR_IO, "%s cannot be written", path);
  fprintf(f, "node\top\tbuffer\tshape\tbytes\toffset\tfirst\tlast\tshared\n");
  for (int32_t id = 1; id < t->n_values; id++)
    if (t->value[id].kind == VALUE_INPUT)
      dump_buf(t, f, -1, t->value[id].name, "input", &t->value[id].shape, t->value[id].buf);
  for (int32_t i = 0; i < t->n_nodes; i++) {
    const node *n = &t->node[i];
    snprintf(op, sizeof op, "%s%s", n->scope, n->op->name);
    for (int32_t k = 0; k < n->op->n_out; k++) {
      const value *v = &t->value[n->out + k];
      dump_buf(t, f, i, op, "value", &v->shape, v->buf);
      dump_buf(t, f, i, op, "gradient", &v->shape, v->grad_buf);
    }
    for (int32_t k = 0; k < n->need.n_save; k++)
      dump_buf(t, f, i, op, "saved", &n->need.save[k], n->save + k);
    dump_buf(t, f, i, op, "work_forward", NULL, n->work_fwd);
    dump_buf(t, f, i, op, "work_backward", NULL, n->work_bwd);
  }
  if (ferror(f)) st = MR_FAIL(MR_ERR_IO, "%s cannot be written in full", path);
  if (fclose(f) != 0 && st == MR_OK) st = MR_FAIL(MR_ERR_IO, "%s cannot be written in full", path);
  return st;
}
