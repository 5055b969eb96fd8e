/* stream.c — recurrent mode: sequences as they come. SPDX-License-Identifier: MIT */
#include "stream.h"
#include <string.h>
#include "mem.h"

/* The network over T steps, with the states it takes and gives. */
typedef struct stretch {
  mr_tape *tape;
  mr_net net;
  mr_state *state; /* [L] */
  int64_t T;
  bool started; /* knows the initial states */
  mr_plan_report plan;
} stretch;

/* Where the rows of a state that grows stand: step k's in row[k % n]. */
typedef struct rows {
  int64_t *row, n; /* NULL: the state does not grow */
} rows;

enum { MANY, ONE, N_STRETCHES };

struct mr_streamer {
  mr_backend *be;
  const mr_config *c;
  const mr_model_def *m;
  mr_task_info info;
  int64_t B;
  mr_tape *own;          /* the whole network over one sequence, for its parameters */
  const mr_tape *params; /* the same or another's                                   */
  mr_net whole;
  mr_plan_report plan;
  stretch part[N_STRETCHES];
  rows rows[MR_MAX_STATE]; /* the same in all layers                          */
  const stretch *last;     /* that ran last; NULL: the sequences begin        */
  int64_t n_read;          /* steps of these sequences                        */
  unsigned char *stage;    /* [B,T] of the longer stretch and the wider input */
};

/* ---- Opening --------------------------------------------------------------------------------- */

static mr_status record_params(mr_streamer *s)
{
  MR_CHECK(mr_tape_create(&s->own, s->be, (uint64_t)s->c->seed));
  s->params = s->own;
  mr_build(s->own, s->c, s->m, &s->info, 1, &s->whole);
  return mr_tape_plan(s->own, s->whole.y, false, &s->plan);
}

static mr_status record_stretch(mr_streamer *s, stretch *p, int64_t T)
{
  p->T = T;
  MR_CHECK(mr_calloc((void **)&p->state, (size_t)s->c->layers, sizeof *p->state));
  for (int64_t l = 0; l < s->c->layers; l++) p->state[l].grows = true;
  MR_CHECK(mr_tape_create(&p->tape, s->be, (uint64_t)s->c->seed));
  mr_tape_borrow(p->tape, s->params);
  mr_build_step(p->tape, s->c, s->m, &s->info, s->B, T, &p->net, p->state);
  return mr_tape_plan(p->tape, p->net.y, false, &p->plan);
}

/* Tapes and their plans, without device memory. */
static mr_status record(mr_streamer **out, mr_backend *be, const mr_config *c,
                        const mr_model_def *m, const mr_task_info *info, int64_t B, int64_t chunk,
                        const mr_tape *owner)
{
  mr_status st = MR_OK;
  mr_streamer *s = NULL;
  MR_TRY(mr_calloc((void **)&s, 1, sizeof *s));
  *s = (mr_streamer){.be = be, .c = c, .m = m, .info = *info, .B = B, .params = owner};
  if (owner == NULL) MR_TRY(record_params(s));
  if (chunk > 1) MR_TRY(record_stretch(s, &s->part[MANY], chunk));
  MR_TRY(record_stretch(s, &s->part[ONE], 1));
  *out = s;
  s = NULL;
out:
  mr_streamer_close(s);
  return st;
}

static mr_status alloc_rows(mr_streamer *s)
{
  const stretch *p = &s->part[ONE];
  for (int i = 0; i < p->state[0].n; i++) {
    if (!p->state[0].rows[i]) continue;
    const mr_shape shape = mr_shape_of(p->tape, p->state[0].in[i]);
    s->rows[i].n = shape.dim[1];
    MR_CHECK(mr_calloc((void **)&s->rows[i].row, (size_t)shape.dim[1], sizeof(int64_t)));
  }
  return MR_OK;
}

static mr_status alloc_all(mr_streamer *s)
{
  const int64_t most = s->part[MANY].T > 1 ? s->part[MANY].T : 1;
  const size_t step = sizeof(int32_t) + (size_t)s->info.in_dim * sizeof(mr_real);
  MR_CHECK(mr_calloc((void **)&s->stage, (size_t)(s->B * most), step));
  MR_CHECK(alloc_rows(s));
  if (s->own != NULL) MR_CHECK(mr_tape_alloc(s->own));
  for (stretch *p = s->part; p < s->part + N_STRETCHES; p++) {
    if (p->tape == NULL) continue;
    MR_CHECK(mr_tape_alloc(p->tape));
    MR_CHECK(mr_tape_tick(p->tape, 0, false));
  }
  return MR_OK;
}

mr_status mr_streamer_open(mr_streamer **out, mr_backend *be, const mr_config *c,
                           const mr_model_def *m, const mr_task_info *info, int64_t B,
                           int64_t chunk, const mr_tape *owner)
{
  mr_status st = MR_OK;
  mr_streamer *s = NULL;
  MR_TRY(record(&s, be, c, m, info, B, chunk, owner));
  MR_TRY(alloc_all(s));
  *out = s;
  s = NULL;
out:
  mr_streamer_close(s);
  return st;
}

mr_status mr_streamer_bytes(mr_backend *be, const mr_config *c, const mr_model_def *m,
                            const mr_task_info *info, int64_t B, int64_t chunk, int64_t *bytes)
{
  mr_streamer *s = NULL;
  MR_CHECK(record(&s, be, c, m, info, B, chunk, NULL));
  *bytes = s->plan.params + s->plan.acts_peak;
  for (const stretch *p = s->part; p < s->part + N_STRETCHES; p++)
    if (p->tape != NULL) *bytes += p->plan.acts_peak;
  mr_streamer_close(s);
  return MR_OK;
}

void mr_streamer_close(mr_streamer *s)
{
  if (s == NULL) return;
  for (int i = 0; i < N_STRETCHES; i++) {
    mr_tape_destroy(s->part[i].tape);
    mr_free(s->part[i].state);
  }
  for (int i = 0; i < MR_MAX_STATE; i++) mr_free(s->rows[i].row);
  mr_tape_destroy(s->own);
  mr_free(s->stage);
  mr_free(s);
}

const mr_tape *mr_streamer_params(const mr_streamer *s)
{
  return s->params;
}

int64_t mr_streamer_context(const mr_streamer *s)
{
  return s->m->context != NULL ? s->m->context(s->c, s->part[ONE].net.dims) : 0;
}

/* ---- States ---------------------------------------------------------------------------------- */

/* Copies value `source` of tape `from` to input `to` of p; source id 0: zeros. */
static mr_status set_state(mr_streamer *s, const stretch *p, mr_val to, const mr_tape *from,
                           mr_val source)
{
  mr_view a, b;
  MR_CHECK(mr_tape_view(p->tape, to, &b));
  const size_t bytes = mr_bytes(&b.shape, b.dtype);
  if (source.id == 0) return s->be->api->fill(s->be, b.data, 0, bytes);
  MR_CHECK(mr_tape_view(from, source, &a));
  return s->be->api->copy(s->be, b.data, a.data, bytes);
}

/* Chooses rows for steps k .. k + T - 1: the last free ones, then those of the oldest steps. */
static void choose_rows(const rows *r, int64_t k, int64_t T)
{
  if (k >= r->n) return;
  const int64_t fresh = T < r->n - k ? T : r->n - k;
  for (int64_t i = 0; i < fresh; i++) r->row[k + i] = r->n - k - fresh + i;
}

/* Adds the rows that `from` has made, of the last steps read, to state i of layer l of p. */
static mr_status add_rows(mr_streamer *s, const stretch *p, const stretch *from, int64_t l, int i)
{
  const rows *r = &s->rows[i];
  const int64_t T = from->T, k = s->n_read - T;
  mr_view a, b;
  MR_CHECK(mr_tape_view(from->tape, from->state[l].out[i], &a));
  MR_CHECK(mr_tape_view(p->tape, p->state[l].in[i], &b));
  const size_t row = (size_t)b.shape.dim[2] * sizeof(mr_real);
  for (int64_t t = 0, n; t < T; t += n) {
    const int64_t first = r->row[(k + t) % r->n];
    for (n = 1; t + n < T && r->row[(k + t + n) % r->n] == first + n;) n++;
    MR_CHECK(s->be->api->copy_rows(s->be, (char *)b.data + (size_t)first * row, (size_t)r->n * row,
                                   (const char *)a.data + (size_t)t * row, (size_t)T * row,
                                   (size_t)n * row, s->B));
  }
  return MR_OK;
}

/* Gives state i of layer l of p what `from` has left. */
static mr_status carry(mr_streamer *s, const stretch *p, const stretch *from, int64_t l, int i)
{
  if (!from->state[l].rows[i])
    return set_state(s, p, p->state[l].in[i], from->tape, from->state[l].out[i]);
  if (p != from) MR_CHECK(set_state(s, p, p->state[l].in[i], from->tape, from->state[l].in[i]));
  return add_rows(s, p, from, l, i);
}

/* Gives p the states that `from` ended with. */
static mr_status carry_all(mr_streamer *s, const stretch *p, const stretch *from)
{
  for (int i = 0; i < MR_MAX_STATE; i++)
    if (s->rows[i].row != NULL) choose_rows(&s->rows[i], s->n_read - from->T, from->T);
  for (int64_t l = 0; l < s->c->layers; l++)
    for (int i = 0; i < p->state[l].n; i++) MR_CHECK(carry(s, p, from, l, i));
  return MR_OK;
}

/* Gives p the states at the start of a sequence, as it has made them itself; `zero`: zeros. Rows
 * that grow are not read before they are there. */
static mr_status set_initial(mr_streamer *s, const stretch *p, bool zero)
{
  const mr_val none = {0};
  for (int64_t l = 0; l < s->c->layers; l++)
    for (int i = 0; i < p->state[l].n; i++) {
      if (p->state[l].rows[i] && !zero) continue;
      const mr_val source = zero ? none : p->state[l].initial[i];
      MR_CHECK(set_state(s, p, p->state[l].in[i], p->tape, source));
    }
  return MR_OK;
}

static mr_status zero_input(mr_streamer *s, const stretch *p, mr_val v)
{
  mr_view in;
  if (v.id == 0) return MR_OK;
  MR_CHECK(mr_tape_view(p->tape, v, &in));
  return s->be->api->fill(s->be, in.data, 0, mr_bytes(&in.shape, in.dtype));
}

/* Initial states may be functions of parameters, so they are known after a first pass only. */
static mr_status start(mr_streamer *s, stretch *p)
{
  if (!p->started) {
    MR_CHECK(zero_input(s, p, p->net.token));
    MR_CHECK(zero_input(s, p, p->net.value));
    MR_CHECK(set_initial(s, p, true));
    MR_CHECK(mr_tape_forward(p->tape));
    p->started = true;
  }
  return set_initial(s, p, false);
}

void mr_streamer_rewind(mr_streamer *s)
{
  s->last = NULL;
  s->n_read = 0;
}

void mr_streamer_restart(mr_streamer *s)
{
  for (int i = 0; i < N_STRETCHES; i++) s->part[i].started = false;
  mr_streamer_rewind(s);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Hands steps from .. from + T - 1 of x, whose sequences have n, to input v of p. */
static mr_status feed(mr_streamer *s, const stretch *p, mr_val v, const void *x, int64_t from,
                      int64_t n)
{
  mr_view in;
  if (v.id == 0) return MR_OK;
  MR_CHECK(mr_tape_view(p->tape, v, &in));
  const size_t bytes = mr_bytes(&in.shape, in.dtype), row = bytes / (size_t)s->B,
               step = row / (size_t)p->T;
  const unsigned char *source = (const unsigned char *)x + (size_t)from * step;
  for (size_t b = 0; b < (size_t)s->B; b++)
    memcpy(s->stage + b * row, source + b * (size_t)n * step, row);
  return s->be->api->upload(s->be, in.data, s->stage, bytes);
}

static mr_status read_stretch(mr_streamer *s, stretch *p, const int32_t *token,
                              const mr_real *value, int64_t from, int64_t n)
{
  MR_CHECK(s->last != NULL ? carry_all(s, p, s->last) : start(s, p));
  MR_CHECK(feed(s, p, p->net.token, token, from, n));
  MR_CHECK(feed(s, p, p->net.value, value, from, n));
  MR_CHECK(mr_tape_forward(p->tape));
  s->last = p;
  s->n_read += p->T;
  return MR_OK;
}

mr_status mr_streamer_read(mr_streamer *s, const int32_t *token, const mr_real *value, int64_t n)
{
  const int64_t chunk = s->part[MANY].T;
  for (int64_t from = 0; from < n;) {
    stretch *p = &s->part[chunk > 0 && n - from >= chunk ? MANY : ONE];
    MR_CHECK(read_stretch(s, p, token, value, from, n));
    from += p->T;
  }
  return MR_OK;
}

mr_status mr_streamer_last(const mr_streamer *s, mr_real *y)
{
  const size_t row = (size_t)s->info.out_dim * sizeof *y;
  mr_view out;
  if (s->last == NULL) return MR_FAIL(MR_ERR_ARG, "no step was read, so there is no output yet");
  const size_t T = (size_t)s->last->T;
  MR_CHECK(mr_tape_view(s->last->tape, s->last->net.y, &out));
  if (T == 1) return s->be->api->download(s->be, y, out.data, (size_t)s->B * row);
  for (size_t b = 0; b < (size_t)s->B; b++) {
    const char *from = (const char *)out.data + ((b + 1) * T - 1) * row;
    MR_CHECK(s->be->api->download(s->be, (char *)y + b * row, from, row));
  }
  return MR_OK;
}

/* The network's loss is computed too, so what it compares with must be valid. */
static mr_status clear_answers(mr_streamer *s)
{
  const mr_val answer[] = {s->whole.label, s->whole.target, s->whole.weight};
  for (int i = 0; i < 3; i++) {
    mr_view v;
    if (answer[i].id == 0) continue;
    MR_CHECK(mr_tape_view(s->own, answer[i], &v));
    MR_CHECK(s->be->api->fill(s->be, v.data, 0, mr_bytes(&v.shape, v.dtype)));
  }
  return MR_OK;
}

/* x to an input of the whole network that it may not have. */
static mr_status whole_input(mr_streamer *s, mr_val v, const void *x)
{
  mr_view in;
  if (v.id == 0) return MR_OK;
  MR_CHECK(mr_tape_view(s->own, v, &in));
  return s->be->api->upload(s->be, in.data, x, mr_bytes(&in.shape, in.dtype));
}

mr_status mr_streamer_whole(mr_streamer *s, const int32_t *token, const mr_real *value, mr_real *y)
{
  mr_view out;
  if (s->own == NULL) return MR_FAIL(MR_ERR_ARG, "this network has the parameters of another");
  MR_CHECK(clear_answers(s));
  MR_CHECK(whole_input(s, s->whole.token, token));
  MR_CHECK(whole_input(s, s->whole.value, value));
  MR_CHECK(mr_tape_tick(s->own, 0, false));
  MR_CHECK(mr_tape_forward(s->own));
  MR_CHECK(mr_tape_view(s->own, s->whole.y, &out));
  return s->be->api->download(s->be, y, out.data, mr_bytes(&out.shape, out.dtype));
}
