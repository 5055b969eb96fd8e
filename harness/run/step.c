/* step.c — one training step: forward, backward, clip, AdamW. SPDX-License-Identifier: MIT */
#include "step.h"
#include <math.h>
#include <stdio.h>
#include "mem.h"
#include "rule.h"

/* A micro-batch in one of four kinds: [first or adding to the gradients][not last or with the
 * update]. */
typedef struct piece {
  mr_graph *graph; /* NULL: not captured        */
  bool ran;        /* once, op by op            */
} piece;

struct mr_step {
  mr_backend *be;
  mr_tape *tape;
  mr_optim *optim;
  mr_feed *feed;
  const char *name;
  int64_t accum, last; /* last: number of the step made last; -1: none */
  mr_optim_rule rule;
  bool captures;     /* the update is part of the last micro-batch       */
  char refused[256]; /* why captured steps go on op by op; "": they do not */
  piece piece[2][2];
  mr_view loss;
  mr_real *micro;  /* device: loss of the micro-batch in hand    */
  mr_real *losses; /* device, [accum]                            */
  mr_real *host;   /* [accum]                                    */
};

mr_status mr_step_create(mr_step **out, const mr_config *c, mr_backend *be, mr_tape *t,
                         const mr_net *net, mr_optim *o, mr_feed *feed, const char *name)
{
  mr_status st = MR_OK;
  mr_step *s = NULL;
  void *p;
  MR_TRY(mr_calloc(&p, 1, sizeof *s));
  s = p;
  *s = (mr_step){.be = be,
                 .tape = t,
                 .optim = o,
                 .feed = feed,
                 .name = name,
                 .accum = c->accum,
                 .last = -1,
                 .rule = mr_optim_rule_of(c),
                 .captures = c->graph != 0 && be->api->capture_begin != NULL};
  MR_TRY(mr_tape_view(t, net->loss, &s->loss));
  MR_TRY(be->api->alloc(be, (size_t)(s->accum + 1) * sizeof *s->micro, &p));
  s->micro = p;
  s->losses = s->micro + 1;
  MR_TRY(mr_calloc(&p, (size_t)s->accum, sizeof *s->host));
  s->host = p;
  *out = s;
  s = NULL;
out:
  mr_step_destroy(s);
  return st;
}

void mr_step_destroy(mr_step *s)
{
  if (s == NULL) return;
  for (int i = 0; i < 4; i++)
    if (s->captures) s->be->api->free_graph(s->be, s->piece[i / 2][i % 2].graph);
  s->be->api->release(s->be, s->micro);
  mr_free(s->host);
  mr_free(s);
}

const char *mr_step_mode(const mr_step *s, const char **why)
{
  *why = s->refused;
  return s->captures && s->refused[0] == '\0' ? "graph" : "eager";
}

/* ---- One micro-batch ------------------------------------------------------------------------- */

static mr_status check_finite(const mr_step *s, const char *what, int64_t step, double x)
{
  if (isfinite(x)) return MR_OK;
  return MR_FAIL(MR_ERR_NUMERIC, "the %s is %g at step %lld of %s", what, x, (long long)(step + 1),
                 s->name);
}

/* Mean of the losses of a step's micro-batches. */
static mr_status mean_loss(mr_step *s, double *loss)
{
  MR_CHECK(s->be->api->download(s->be, s->host, s->losses, (size_t)s->accum * sizeof *s->host));
  *loss = 0;
  for (int64_t i = 0; i < s->accum; i++) *loss += (double)s->host[i] / (double)s->accum;
  return MR_OK;
}

typedef struct micro {
  mr_step *s;
  bool adds, last;
} micro;

/* Forward, the loss while it stands, backward. */
static mr_status queue(void *ctx)
{
  const micro *m = ctx;
  mr_step *s = m->s;
  MR_CHECK(mr_tape_forward(s->tape));
  MR_CHECK(s->be->api->copy(s->be, s->micro, s->loss.data, sizeof *s->micro));
  MR_CHECK(mr_tape_backward(s->tape, m->adds, (mr_real)(1.0 / (double)s->accum)));
  return m->last && s->captures ? mr_optim_update(s->optim) : MR_OK;
}

/* The first time op by op: libraries load their kernels and choose among them then. */
static mr_status run_micro(mr_step *s, bool adds, bool last)
{
  piece *p = &s->piece[adds][last];
  const bool first = !p->ran;
  micro m = {s, adds, last};
  p->ran = true;
  if (s->captures && !first && p->graph == NULL && s->refused[0] == '\0') {
    const mr_status st = mr_backend_capture(s->be, queue, &m, &p->graph);
    if (st != MR_OK) (void)snprintf(s->refused, sizeof s->refused, "%s", mr_error_message());
  }
  return p->graph != NULL ? s->be->api->launch(s->be, p->graph) : queue(&m);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* Op by op: on the CPU the update waits until the loss is seen to be finite. */
static mr_status update(mr_step *s, int64_t step)
{
  double loss, norm;
  int64_t bad;
  if (s->be->device != MR_CPU) return mr_optim_update(s->optim);
  MR_CHECK(mean_loss(s, &loss));
  MR_CHECK(check_finite(s, "training loss", step, loss));
  const mr_status st = mr_optim_update(s->optim);
  if (st != MR_ERR_NUMERIC) return st;
  MR_CHECK(mr_optim_norm(s->optim, &norm, &bad));
  return check_finite(s, "gradient norm", step, norm);
}

mr_status mr_step_run(mr_step *s, int64_t step)
{
  s->last = step;
  MR_CHECK(mr_optim_ready(s->optim, step));
  for (int64_t i = 0; i < s->accum; i++) {
    const uint64_t index = (uint64_t)(step * s->accum + i);
    if (s->feed != NULL) MR_CHECK(mr_feed_next(s->feed, MR_TRAIN, index));
    MR_CHECK(mr_tape_tick(s->tape, index, true));
    MR_CHECK(run_micro(s, i > 0, i == s->accum - 1));
    MR_CHECK(s->be->api->copy(s->be, s->losses + i, s->micro, sizeof *s->micro));
  }
  return s->captures ? MR_OK : update(s, step);
}

mr_status mr_step_read(mr_step *s, mr_step_row *row)
{
  int64_t bad;
  *row = (mr_step_row){NAN, NAN, NAN};
  if (s->last < 0) return MR_OK;
  MR_CHECK(mean_loss(s, &row->loss));
  MR_CHECK(mr_optim_norm(s->optim, &row->grad_norm, &bad));
  row->lr = mr_optim_lr(&s->rule, s->last);
  if (bad >= 0)
    return MR_FAIL(MR_ERR_NUMERIC, "the gradient norm is not finite at step %lld of %s",
                   (long long)(bad + 1), s->name);
  return check_finite(s, "training loss", s->last, row->loss);
}
