/* tape.c — recording: inputs, parameters and ops, with errors that stick.
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "tape_impl.h"

enum { ARENA_BLOCK = 1 << 16 };

/* Of one value: products of its sizes with those of a weight still fit 64 bits. */
#define MOST_ELEMENTS ((int64_t)1 << 44)

/* ==== Growing memory ========================================================================= */

mr_status mr_room(void **p, int32_t n, int32_t *cap, size_t size)
{
  if (n < *cap) return MR_OK;
  const int32_t grown = *cap > 0 ? 2 * *cap : 64;
  MR_CHECK(mr_regrow(p, (size_t)grown, size));
  *cap = grown;
  return MR_OK;
}

/* Blocks start with the pointer to the one before. */
mr_status mr_arena_copy(mr_tape *t, const void *p, size_t n, void **out)
{
  const size_t head = 16, need = (n + 15) / 16 * 16;
  if (t->arena == NULL || t->arena_used + need > ARENA_BLOCK) {
    void *block = NULL;
    const size_t room = head + need > ARENA_BLOCK ? head + need : ARENA_BLOCK;
    MR_CHECK(mr_calloc(&block, 1, room));
    memcpy(block, &t->arena, sizeof t->arena);
    t->arena = block;
    t->arena_used = head;
  }
  *out = (char *)t->arena + t->arena_used;
  if (n > 0) memcpy(*out, p, n);
  t->arena_used += need;
  return MR_OK;
}

static void free_arena(void *block)
{
  while (block != NULL) {
    void *before = NULL;
    memcpy(&before, block, sizeof before);
    mr_free(block);
    block = before;
  }
}

mr_status mr_tape_create(mr_tape **out, mr_backend *be, uint64_t seed)
{
  void *p = NULL;
  MR_CHECK(mr_calloc(&p, 1, sizeof(mr_tape)));
  mr_tape *t = p;
  t->be = be;
  t->seed = seed;
  t->n_values = 1; /* id 0 means none */
  *out = t;
  return MR_OK;
}

void mr_tape_destroy(mr_tape *t)
{
  if (t == NULL) return;
  const mr_backend_api *api = t->be->api;
  if (t->owner == NULL) {
    api->release(t->be, t->values);
    api->release(t->be, t->grads);
  }
  api->release(t->be, t->slab);
  api->release(t->be, t->tick);
  api->release(t->be, t->scale);
  void *own[] = {t->value, t->node,  t->operand,    t->param,        t->slot,   t->table,
                 t->use,   t->buf,   t->alias,      t->fwd,          t->bwd,    t->views,
                 t->betas, t->error, t->beta_first, t->slot_written, t->member, t->grad_of};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) mr_free(own[i]);
  free_arena(t->arena);
  mr_free(t);
}

void mr_tape_borrow(mr_tape *t, const mr_tape *owner)
{
  t->owner = owner;
}

mr_init mr_init_const(double x)
{
  const mr_init i = {MR_INIT_CONST, x, 0, 0, 0};
  return i;
}

mr_init mr_init_uniform(double bound)
{
  const mr_init i = {MR_INIT_UNIFORM, bound, 0, 0, 0};
  return i;
}

mr_init mr_init_normal(double deviation)
{
  const mr_init i = {MR_INIT_NORMAL, deviation, 0, 0, 0};
  return i;
}

mr_init mr_init_log_index(int64_t cols)
{
  const mr_init i = {MR_INIT_LOG_INDEX, (double)cols, 0, 0, 0};
  return i;
}

mr_init mr_init_step(double least)
{
  const mr_init i = {MR_INIT_STEP, least, 0, 0, 0};
  return i;
}

/* ==== Sticky errors ========================================================================== */

/* Keeps the first failure's sentence; later ones are consequences. */
static void stick(mr_tape *t, mr_status st)
{
  if (st == MR_OK || t->st != MR_OK) return;
  t->st = st;
  /* Without memory for the copy the status alone remains. */
  if (mr_strdup(&t->error, mr_error_message()) != MR_OK) t->error = NULL;
}

void mr_tape_fail(mr_tape *t, mr_status code, const char *fmt, ...)
{
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  stick(t, MR_FAIL(code, "%s%s", t->scope, text));
}

static mr_val none(void)
{
  const mr_val v = {0};
  return v;
}

/* ==== Names ================================================================================== */

void mr_scope_push(mr_tape *t, const char *name, int index)
{
  const size_t n = strlen(t->scope);
  int m;
  if (index >= 0)
    m = snprintf(t->scope + n, sizeof t->scope - n, "%s.%d.", name, index);
  else
    m = snprintf(t->scope + n, sizeof t->scope - n, "%s.", name);
  if (m < 0 || (size_t)m >= sizeof t->scope - n) {
    t->scope[n] = '\0';
    mr_tape_fail(t, MR_ERR_ARG, "scope names are longer than %d characters", MR_MAX_SCOPE - 1);
  }
}

void mr_scope_pop(mr_tape *t)
{
  size_t n = strlen(t->scope);
  if (n > 0) n--;
  while (n > 0 && t->scope[n - 1] != '.') n--;
  /* "block.3." is one scope: drop the index and then the name. */
  if (t->scope[n] >= '0' && t->scope[n] <= '9') {
    if (n > 0) n--;
    while (n > 0 && t->scope[n - 1] != '.') n--;
  }
  t->scope[n] = '\0';
}

uint64_t mr_name_hash(const char *s)
{
  uint64_t h = 1469598103934665603u;
  for (; *s != '\0'; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
  return h;
}

static int32_t lookup(const mr_tape *t, const char *name)
{
  if (t->cap_table == 0) return 0;
  const uint32_t mask = (uint32_t)t->cap_table - 1;
  for (uint32_t i = (uint32_t)mr_name_hash(name) & mask;; i = (i + 1) & mask) {
    const int32_t id = t->table[i];
    if (id == 0 || strcmp(t->value[id].name, name) == 0) return id;
  }
}

static void enter(mr_tape *t, int32_t id)
{
  const uint32_t mask = (uint32_t)t->cap_table - 1;
  uint32_t i = (uint32_t)mr_name_hash(t->value[id].name) & mask;
  while (t->table[i] != 0) i = (i + 1) & mask;
  t->table[i] = id;
}

/* Keeps the table at most half full; `used` names are in it. */
static mr_status table_room(mr_tape *t, int32_t used)
{
  void *p = NULL;
  if (2 * (used + 1) <= t->cap_table) return MR_OK;
  MR_CHECK(mr_calloc(&p, (size_t)(t->cap_table > 0 ? 2 * t->cap_table : 64), sizeof(int32_t)));
  mr_free(t->table);
  t->table = p;
  t->cap_table = t->cap_table > 0 ? 2 * t->cap_table : 64;
  for (int32_t id = 1; id < t->n_values; id++)
    if (t->value[id].name != NULL) enter(t, id);
  return MR_OK;
}

mr_val mr_tape_find(const mr_tape *t, const char *name)
{
  const mr_val v = {lookup(t, name)};
  return v;
}

/* ==== Values ================================================================================= */

static mr_status add_value(mr_tape *t, value_kind kind, const mr_shape *s, mr_dtype d, int32_t *id)
{
  void *p = t->value;
  char text[80];
  for (int32_t i = 0; i < s->rank; i++)
    if (s->dim[i] < 1)
      return MR_FAIL(MR_ERR_SHAPE, "%sa shape %s has a dimension below 1", t->scope,
                     mr_shape_text(s, text, sizeof text));
  if (mr_count(s) >= MOST_ELEMENTS)
    return MR_FAIL(MR_ERR_NOMEM, "%sa value of shape %s has too many elements; allowed: below 2^44",
                   t->scope, mr_shape_text(s, text, sizeof text));
  MR_CHECK(mr_room(&p, t->n_values, &t->cap_values, sizeof *t->value));
  t->value = p;
  value *v = &t->value[t->n_values];
  memset(v, 0, sizeof *v);
  v->kind = kind, v->shape = *s, v->dtype = d;
  v->node = v->slot = v->buf = v->grad_buf = MR_NONE;
  *id = t->n_values++;
  return MR_OK;
}

static mr_status add_named(mr_tape *t, value_kind kind, const char *name, const mr_shape *s,
                           mr_dtype d, int32_t *id)
{
  char full[MR_MAX_SCOPE + 128];
  void *copy = NULL;
  const int n = snprintf(full, sizeof full, "%s%s", t->scope, name);
  if (n < 0 || (size_t)n >= sizeof full)
    return MR_FAIL(MR_ERR_ARG, "the name %s%s is too long", t->scope, name);
  if (lookup(t, full) != 0)
    return MR_FAIL(MR_ERR_ARG, "the name %s is used twice; give each input and parameter its own",
                   full);
  MR_CHECK(table_room(t, t->n_values));
  MR_CHECK(mr_arena_copy(t, full, (size_t)n + 1, &copy));
  MR_CHECK(add_value(t, kind, s, d, id));
  t->value[*id].name = copy;
  enter(t, *id);
  return MR_OK;
}

mr_val mr_input(mr_tape *t, const char *name, mr_shape s, mr_dtype d)
{
  mr_val v = none();
  if (t->st == MR_OK) stick(t, add_named(t, VALUE_INPUT, name, &s, d, &v.id));
  return t->st == MR_OK ? v : none();
}

static mr_status add_param(mr_tape *t, const char *name, const mr_shape *s, mr_init init,
                           int32_t *id)
{
  void *p;
  int32_t owner_slot = MR_NONE;
  if (t->n_slots == t->cap_slots) {
    p = t->param;
    MR_CHECK(mr_room(&p, t->n_slots, &t->cap_params, sizeof *t->param));
    t->param = p;
    p = t->slot;
    MR_CHECK(mr_room(&p, t->n_slots, &t->cap_slots, sizeof *t->slot));
    t->slot = p;
  }
  MR_CHECK(add_named(t, VALUE_PARAM, name, s, MR_REAL, id));
  value *v = &t->value[*id];
  if (t->owner != NULL) {
    char want[80], have[80];
    const int32_t o = lookup(t->owner, v->name);
    if (o == 0 || t->owner->value[o].kind != VALUE_PARAM)
      return MR_FAIL(MR_ERR_ARG, "parameter %s is not among the borrowed ones", v->name);
    if (!mr_shape_eq(s, &t->owner->value[o].shape))
      return MR_FAIL(MR_ERR_SHAPE, "parameter %s is %s, but the borrowed one is %s", v->name,
                     mr_shape_text(s, want, sizeof want),
                     mr_shape_text(&t->owner->value[o].shape, have, sizeof have));
    owner_slot = t->owner->value[o].slot;
  }
  v->slot = t->n_slots;
  v->wants_grad = true;
  param *q = &t->param[t->n_slots];
  q->init = init, q->offset = 0, q->owner_slot = owner_slot;
  mr_slot *slot = &t->slot[t->n_slots++];
  memset(slot, 0, sizeof *slot);
  slot->name = v->name;
  slot->decays = true;
  return MR_OK;
}

mr_val mr_param(mr_tape *t, const char *name, mr_shape s, mr_init init)
{
  mr_val v = none();
  if (t->st == MR_OK) stick(t, add_param(t, name, &s, init, &v.id));
  return t->st == MR_OK ? v : none();
}

void mr_no_decay(mr_tape *t, mr_val v)
{
  if (v.id > 0 && t->value[v.id].slot >= 0) t->slot[t->value[v.id].slot].decays = false;
}

void mr_keep(mr_tape *t, mr_val v)
{
  if (v.id > 0) t->value[v.id].kept = true;
}

mr_shape mr_shape_of(const mr_tape *t, mr_val v)
{
  return v.id > 0 ? t->value[v.id].shape : mr_shape0();
}

/* ==== Ops ==================================================================================== */

static mr_status check_operands(const mr_tape *t, const mr_op *op, const mr_val *in, int n_in)
{
  const char *device = t->be->api->name;
  if (op->n_in != MR_VARIADIC && n_in > op->n_in)
    return MR_FAIL(MR_ERR_ARG, "%s%s takes %d inputs at most, got %d", t->scope, op->name, op->n_in,
                   n_in);
  if (op->fwd[t->be->device] == NULL)
    return MR_FAIL(MR_ERR_UNSUPPORTED, "%s%s has no kernel on device %s", t->scope, op->name,
                   device);
  for (int i = 0; i < n_in; i++) {
    if (in[i].id < 0 || in[i].id >= t->n_values)
      return MR_FAIL(MR_ERR_ARG, "%s%s: input %d is no value of this tape", t->scope, op->name, i);
    if (op->n_in == MR_VARIADIC) continue;
    for (int j = 0; j < i; j++)
      if (in[i].id != 0 && in[i].id == in[j].id && t->value[in[i].id].wants_grad)
        return MR_FAIL(
            MR_ERR_ARG,
            "%s%s: inputs %d and %d are one value; pass mr_scale(t, x, 1) as one of them", t->scope,
            op->name, j, i);
  }
  return MR_OK;
}

/* infer over the operands' shapes, in a buffer of their own when there are many. */
static mr_status infer(const mr_tape *t, const mr_op *op, const void *attr, const mr_val *in,
                       int n_in, mr_need *need)
{
  mr_status st = MR_OK;
  mr_view few[8], *v = few;
  void *many = NULL;
  const mr_site site = {t->be->device, t->be->threads, t->be->math, t->be->sm_count,
                        t->be->shared_limit};
  if (n_in > 8) {
    MR_TRY(mr_calloc(&many, (size_t)n_in, sizeof *v));
    v = many;
  }
  for (int i = 0; i < n_in; i++) {
    memset(&v[i], 0, sizeof v[i]);
    if (in[i].id == 0) {
      v[i].shape.rank = -1;
    } else {
      v[i].shape = t->value[in[i].id].shape;
      v[i].dtype = t->value[in[i].id].dtype;
    }
  }
  memset(need, 0, sizeof *need);
  MR_TRY(op->infer(attr, v, n_in, &site, need));
out:
  mr_free(many);
  return st;
}

static mr_status add_node(mr_tape *t, const mr_op *op, const void *attr, const mr_val *in, int n_in,
                          int32_t *out)
{
  void *p = t->node;
  MR_CHECK(check_operands(t, op, in, n_in));
  MR_CHECK(mr_room(&p, t->n_nodes, &t->cap_nodes, sizeof *t->node));
  t->node = p;
  node *n = &t->node[t->n_nodes];
  memset(n, 0, sizeof *n);
  n->op = op;
  n->in = t->n_operands;
  n->n_in = n_in;
  n->save = n->work_fwd = n->work_bwd = n->zero_out = MR_NONE;
  MR_CHECK(infer(t, op, attr, in, n_in, &n->need));
  MR_CHECK(mr_arena_copy(t, attr, op->attr_bytes, &n->attr));
  void *scope = NULL;
  if (t->n_nodes > 0 && strcmp(t->node[t->n_nodes - 1].scope, t->scope) == 0) {
    n->scope = t->node[t->n_nodes - 1].scope;
  } else {
    MR_CHECK(mr_arena_copy(t, t->scope, strlen(t->scope) + 1, &scope));
    n->scope = scope;
  }
  bool wants = false;
  for (int i = 0; i < n_in; i++) {
    p = t->operand;
    MR_CHECK(mr_room(&p, t->n_operands, &t->cap_operands, sizeof *t->operand));
    t->operand = p;
    memset(&t->operand[t->n_operands], 0, sizeof *t->operand);
    t->operand[t->n_operands].node = t->n_nodes;
    t->operand[t->n_operands++].value = in[i].id;
    wants = wants || (in[i].id != 0 && t->value[in[i].id].wants_grad);
  }
  for (int i = 0; i < op->n_out; i++) {
    int32_t id;
    MR_CHECK(add_value(t, VALUE_NODE, &n->need.out[i], MR_REAL, &id));
    t->value[id].node = t->n_nodes, t->value[id].output = i, t->value[id].wants_grad = wants;
    if (i == 0) n->out = id;
  }
  *out = n->out;
  t->n_nodes++;
  return MR_OK;
}

mr_val mr_apply(mr_tape *t, const mr_op *op, const void *attr, const mr_val *in, int n_in)
{
  mr_val v = none();
  if (t->st == MR_OK) stick(t, add_node(t, op, attr, in, n_in, &v.id));
  return t->st == MR_OK ? v : none();
}

mr_val mr_output(mr_tape *t, mr_val v, int i)
{
  if (t->st != MR_OK || v.id == 0) return none();
  const value *x = &t->value[v.id];
  if (x->kind != VALUE_NODE || i < 0 || i >= t->node[x->node].op->n_out) {
    mr_tape_fail(t, MR_ERR_ARG, "output %d was asked of a value that has none such", i);
    return none();
  }
  const mr_val out = {t->node[x->node].out + i};
  return out;
}
