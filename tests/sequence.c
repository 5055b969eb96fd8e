/* sequence.c — cutting cases along time and by sequence. SPDX-License-Identifier: MIT */
#include <string.h>
#include "sequence.h"
#include "mem.h"

static void last_steps(const carry *k, const rig *from, rig *to)
{
  for (int o = 0; o < MR_MAX_OUT; o++) {
    if (k->state_in[o] < 0) continue;
    const mr_view *h = &from->out[o];
    int64_t B = h->shape.dim[0], T = h->shape.dim[1], H = h->shape.dim[2];
    mr_real *state = to->in[k->state_in[o]].data;
    for (int64_t b = 0; b < B; b++)
      memcpy(state + b * H, (mr_real *)h->data + (b * T + T - 1) * H, (size_t)H * sizeof *state);
  }
}

/* The convolution's state is the last steps of tail and input together. */
static void last_inputs(const carry *k, const rig *from, rig *to)
{
  const mr_real *x = from->in[0].data, *tail = from->in[1].data;
  int64_t B = from->in[0].shape.dim[0], T = from->in[0].shape.dim[1], D = from->in[0].shape.dim[2];
  int64_t n = from->in[1].shape.dim[1];
  mr_real *state = to->in[1].data;
  (void)k;
  for (int64_t b = 0; b < B; b++)
    for (int64_t s = 0; s < n; s++) {
      int64_t t = T - n + s; /* before the stretch when negative */
      const mr_real *row = t >= 0 ? x + (b * T + t) * D : tail + (b * n + n + t) * D;
      memcpy(state + (b * n + s) * D, row, (size_t)D * sizeof *state);
    }
}

/* Hands on the number of steps so far. */
static void count_steps(const rig *from, rig *to, int input)
{
  const mr_real *before = from->in[input].data;
  mr_real *after = to->in[input].data;
  for (int64_t b = 0; b < from->in[0].shape.dim[0]; b++)
    after[b] = before[b] + (mr_real)from->in[0].shape.dim[1];
}

/* Keys and values of the last steps, carried and own, and how many steps there were. */
static void last_keys(const carry *k, const rig *from, rig *to)
{
  const int64_t B = from->in[0].shape.dim[0], T = from->in[0].shape.dim[1];
  const int64_t C = from->in[1].shape.dim[1], D = from->in[1].shape.dim[2] / 2;
  const mr_real *qkv = from->in[0].data, *cache = from->in[1].data;
  mr_real *state = to->in[1].data;
  for (int64_t b = 0; b < B; b++)
    for (int64_t s = 0; s < C; s++) {
      const int64_t t = T - C + s; /* before the stretch when negative */
      const mr_real *row = t >= 0 ? qkv + (b * T + t) * 3 * D + D : cache + (b * C + C + t) * 2 * D;
      memcpy(state + (b * C + s) * 2 * D, row, (size_t)(2 * D) * sizeof *state);
    }
  count_steps(from, to, k->state_in[1]);
}

static void next_position(const carry *k, const rig *from, rig *to)
{
  count_steps(from, to, k->state_in[0]);
}

/* Outputs that are the state themselves. */
static void whole_outputs(const carry *k, const rig *from, rig *to)
{
  for (int o = 0; o < MR_MAX_OUT; o++)
    if (k->state_in[o] >= 0)
      memcpy(to->in[k->state_in[o]].data, from->out[o].data,
             (size_t)rig_count(&from->out[o]) * sizeof(mr_real));
}

static const carry carries[] = {
    {"conv1d", {1, -1}, last_inputs},           {"scan", {2, -1}, last_steps},
    {"mingru_seq", {1, -1}, last_steps},        {"minlstm_seq", {1, -1}, last_steps},
    {"gru_seq", {3, -1}, last_steps},           {"lstm_seq", {2, 3}, last_steps},
    {"selective_scan", {-1, 6}, whole_outputs}, {"attention", {1, 2}, last_keys},
    {"add_position", {2, -1}, next_position},
};

static const carry *find(const mr_case *c)
{
  for (size_t i = 0; i < sizeof carries / sizeof *carries; i++)
    if (strcmp(carries[i].op, c->op->name) == 0) return &carries[i];
  return NULL;
}

const carry *carry_of(const mr_case *c)
{
  const carry *k = find(c);
  for (int o = 0; k && o < MR_MAX_OUT; o++)
    if (k->state_in[o] >= 0 && c->in[k->state_in[o]].fill == MR_FILL_ABSENT) return NULL;
  return k;
}

bool runs_along_time(const mr_case *c, int i)
{
  const carry *k = find(c);
  if (c->in[i].shape.rank != 3) return false;
  return !k || (i != k->state_in[0] && i != k->state_in[1]);
}

bool ends_as_state(const mr_case *c, int o)
{
  const carry *k = find(c);
  return k && k->hand_over == whole_outputs && k->state_in[o] >= 0;
}

mr_case cut_time(const mr_case *c, int64_t T)
{
  mr_case less = *c;
  for (int i = 0; i < c->n_in; i++)
    if (runs_along_time(c, i)) less.in[i].shape.dim[1] = T;
  return less;
}

mr_case cut_batch(const mr_case *c, int64_t B)
{
  mr_case less = *c;
  for (int i = 0; i < c->n_in; i++)
    if (c->in[i].shape.rank == 3) less.in[i].shape.dim[0] = B;
  return less;
}

mr_real *sequences(const mr_view *v, int64_t b)
{
  return (mr_real *)v->data + b * v->shape.dim[1] * v->shape.dim[2];
}

void copy_stretch(const rig *whole, rig *part, int64_t from)
{
  for (int i = 0; i < whole->c.n_in; i++) {
    const mr_view *w = &whole->in[i], *p = &part->in[i];
    if (!w->data) continue;
    if (!runs_along_time(&whole->c, i)) {
      memcpy(p->data, w->data, (size_t)rig_count(w) * sizeof(mr_real));
      continue;
    }
    int64_t T = p->shape.dim[1], D = p->shape.dim[2];
    for (int64_t b = 0; b < p->shape.dim[0]; b++)
      memcpy(sequences(p, b), sequences(w, b) + from * D, (size_t)(T * D) * sizeof(mr_real));
  }
}

void copy_sequences(const rig *whole, rig *part, int64_t from)
{
  for (int i = 0; i < whole->c.n_in; i++) {
    const mr_view *w = &whole->in[i], *p = &part->in[i];
    if (!w->data) continue;
    memcpy(p->data, w->shape.rank == 3 ? sequences(w, from) : w->data,
           (size_t)rig_count(p) * sizeof(mr_real));
  }
  for (int o = 0; o < whole->c.op->n_out; o++)
    memcpy(part->dout[o].data, sequences(&whole->dout[o], from),
           (size_t)rig_count(&part->dout[o]) * sizeof(mr_real));
}

mr_real *join_time(const mr_view *a, const mr_view *b)
{
  void *p = NULL;
  int64_t n_a = a->shape.dim[1] * a->shape.dim[2], n_b = b->shape.dim[1] * b->shape.dim[2];
  assert_ok(mr_calloc(&p, (size_t)(rig_count(a) + rig_count(b)), sizeof(mr_real)));
  mr_real *to = p;
  for (int64_t s = 0; s < a->shape.dim[0]; s++) {
    memcpy(to, sequences(a, s), (size_t)n_a * sizeof *to);
    memcpy(to + n_a, sequences(b, s), (size_t)n_b * sizeof *to);
    to += n_a + n_b;
  }
  return p;
}

mr_real *copy_of(const mr_view *v)
{
  void *p = NULL;
  assert_ok(mr_calloc(&p, (size_t)rig_count(v), sizeof(mr_real)));
  memcpy(p, v->data, (size_t)rig_count(v) * sizeof(mr_real));
  return p;
}

void nudge_from(const mr_view *v, int64_t t)
{
  int64_t T = v->shape.dim[1], D = v->shape.dim[2];
  for (int64_t b = 0; b < v->shape.dim[0]; b++)
    for (int64_t j = t * D; j < T * D; j++) sequences(v, b)[j] += (mr_real)0.25;
}

bool steps_equal(const mr_real *x, const mr_view *v, int64_t from, int64_t to)
{
  int64_t T = v->shape.dim[1], D = v->shape.dim[2];
  for (int64_t b = 0; b < v->shape.dim[0]; b++)
    if (memcmp(x + (b * T + from) * D, sequences(v, b) + from * D,
               (size_t)((to - from) * D) * sizeof *x) != 0)
      return false;
  return true;
}
