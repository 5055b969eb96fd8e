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
} stretch;

enum { MANY, ONE, N_STRETCHES };

struct mr_streamer {
  mr_backend *be;
  const mr_config *c;
  const mr_model_def *m;
  mr_task_info info;
  int64_t B;
  mr_tape *own;          /* the whole network, recorded for its parameters    */
  const mr_tape *params; /* the same or another's                             */
  stretch part[N_STRETCHES];
  const stretch *last;  /* that ran last; NULL: the sequences begin           */
  unsigned char *stage; /* [B,T] of the longer stretch and the wider input    */
};

/* ---- Opening --------------------------------------------------------------------------------- */

static mr_status open_params(mr_streamer *s)
{
  mr_net net;
  MR_CHECK(mr_tape_create(&s->own, s->be, (uint64_t)s->c->seed));
  s->params = s->own;
  mr_build(s->own, s->c, s->m, &s->info, 1, &net);
  MR_CHECK(mr_tape_plan(s->own, net.y, false, NULL));
  return mr_tape_alloc(s->own);
}

static mr_status open_stretch(mr_streamer *s, stretch *p, int64_t T)
{
  p->T = T;
  MR_CHECK(mr_calloc((void **)&p->state, (size_t)s->c->layers, sizeof *p->state));
  MR_CHECK(mr_tape_create(&p->tape, s->be, (uint64_t)s->c->seed));
  mr_tape_borrow(p->tape, s->params);
  mr_build_step(p->tape, s->c, s->m, &s->info, s->B, T, &p->net, p->state);
  MR_CHECK(mr_tape_plan(p->tape, p->net.y, false, NULL));
  MR_CHECK(mr_tape_alloc(p->tape));
  return mr_tape_tick(p->tape, 0, false);
}

mr_status mr_streamer_open(mr_streamer **out, mr_backend *be, const mr_config *c,
                           const mr_model_def *m, const mr_task_info *info, int64_t B,
                           int64_t chunk, const mr_tape *owner)
{
  mr_status st = MR_OK;
  mr_streamer *s = NULL;
  MR_TRY(mr_calloc((void **)&s, 1, sizeof *s));
  *s = (mr_streamer){.be = be, .c = c, .m = m, .info = *info, .B = B, .params = owner};
  const size_t step = sizeof(int32_t) + (size_t)info->in_dim * sizeof(mr_real);
  MR_TRY(mr_calloc((void **)&s->stage, (size_t)(B * chunk), step));
  if (owner == NULL) MR_TRY(open_params(s));
  if (chunk > 1) MR_TRY(open_stretch(s, &s->part[MANY], chunk));
  MR_TRY(open_stretch(s, &s->part[ONE], 1));
  *out = s;
  s = NULL;
out:
  mr_streamer_close(s);
  return st;
}

void mr_streamer_close(mr_streamer *s)
{
  if (s == NULL) return;
  for (int i = 0; i < N_STRETCHES; i++) {
    mr_tape_destroy(s->part[i].tape);
    mr_free(s->part[i].state);
  }
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

/* Gives p the states that `from` ended with, or those at the start of a sequence as p itself has made
 * them; `zero`: zeros. */
static mr_status set_states(mr_streamer *s, stretch *p, const stretch *from, bool zero)
{
  const mr_val none = {0};
  for (int64_t l = 0; l < s->c->layers; l++)
    for (int i = 0; i < p->state[l].n; i++) {
      const mr_val source = zero ? none : from ? from->state[l].out[i] : p->state[l].initial[i];
      const mr_tape *tape = from ? from->tape : p->tape;
      MR_CHECK(set_state(s, p, p->state[l].in[i], tape, source));
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
  MR_CHECK(zero_input(s, p, p->net.token));
  MR_CHECK(zero_input(s, p, p->net.value));
  MR_CHECK(set_states(s, p, NULL, true));
  MR_CHECK(mr_tape_forward(p->tape));
  return set_states(s, p, NULL, false);
}

void mr_streamer_restart(mr_streamer *s)
{
  s->last = NULL;
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
  MR_CHECK(s->last != NULL ? set_states(s, p, s->last, false) : start(s, p));
  MR_CHECK(feed(s, p, p->net.token, token, from, n));
  MR_CHECK(feed(s, p, p->net.value, value, from, n));
  MR_CHECK(mr_tape_forward(p->tape));
  s->last = p;
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
  const int64_t dim = s->info.out_dim;
  mr_view out;
  if (s->last == NULL) return MR_FAIL(MR_ERR_ARG, "no step was read, so there is no output yet");
  MR_CHECK(mr_tape_view(s->last->tape, s->last->net.y, &out));
  for (int64_t b = 0; b < s->B; b++) {
    const mr_real *from = (const mr_real *)out.data + ((b + 1) * s->last->T - 1) * dim;
    MR_CHECK(s->be->api->download(s->be, y + b * dim, from, (size_t)dim * sizeof *y));
  }
  return MR_OK;
}
