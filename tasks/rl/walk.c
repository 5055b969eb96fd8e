/* walk.c — steps of episodes, recorded. SPDX-License-Identifier: MIT */
#include "walk.h"
#include <math.h>
#include <string.h>
#include "mem.h"

mr_status mr_walk_open(mr_walk *w, const mr_env_def *def, const mr_config *c)
{
  mr_status st = MR_OK;
  *w = (mr_walk){.def = def};
  MR_TRY(def->open(&w->env, c));
  def->spec(w->env, &w->spec);
  const mr_env_spec *s = &w->spec;
  MR_TRY(mr_calloc((void **)&w->ob, (size_t)(2 * s->obs), sizeof *w->ob));
  MR_TRY(mr_calloc((void **)&w->taken, (size_t)(s->horizon * s->act), sizeof *w->taken));
  w->next = w->ob + s->obs;
out:
  if (st != MR_OK) mr_walk_close(w);
  return st;
}

void mr_walk_close(mr_walk *w)
{
  if (w->def) w->def->close(w->env);
  mr_free(w->ob);
  mr_free(w->taken);
  *w = (mr_walk){.def = NULL};
}

void mr_walk_begin(mr_walk *w, uint64_t seed, uint64_t episode)
{
  w->seed = seed, w->episode = episode;
  w->t = 0, w->total = 0;
  mr_rng_seek(&w->noise, seed, MR_STREAM_ACTION, episode);
  w->def->reset(w->env, seed, episode, w->ob);
}

void mr_walk_retrace(mr_walk *w)
{
  double reward;
  bool terminal;
  w->def->reset(w->env, w->seed, w->episode, w->ob);
  for (int64_t t = 0; t < w->t; t++)
    w->def->step(w->env, w->taken + t * w->spec.act, w->ob, &reward, &terminal);
}

static void put(float *to, const double *from, int64_t n, double most)
{
  for (int64_t i = 0; i < n; i++) to[i] = (float)fmin(fmax(from[i], -most), most);
}

/* What is known before the step. */
static mr_status record_before(const mr_walk *w, mr_steps *s, const mr_walk_event *e)
{
  MR_CHECK(mr_steps_add(s));
  const int64_t i = s->n - 1;
  put(mr_step_at(s, MR_STEP_OB, i), w->ob, w->spec.obs, INFINITY);
  put(mr_step_at(s, MR_STEP_AC, i), e->action, w->spec.act, 1);
  put(mr_step_at(s, MR_STEP_LOGP, i), &e->logp, 1, INFINITY);
  if (w->def->state)
    w->def->state(w->env, mr_step_at(s, MR_STEP_QPOS, i), mr_step_at(s, MR_STEP_QVEL, i));
  return MR_OK;
}

static void record_after(const mr_walk *w, mr_steps *s, const mr_walk_event *e)
{
  const int64_t i = s->n - 1;
  put(mr_step_at(s, MR_STEP_NEXT, i), w->next, w->spec.obs, INFINITY);
  put(mr_step_at(s, MR_STEP_REWARD, i), &e->reward, 1, INFINITY);
  *(int8_t *)mr_step_at(s, MR_STEP_TERMINAL, i) = e->terminal;
  *(int8_t *)mr_step_at(s, MR_STEP_TIMEOUT, i) = e->timeout;
}

mr_status mr_walk_step(mr_walk *w, mr_actor *p, mr_steps *record, mr_walk_event *event)
{
  double *action = w->taken + w->t * w->spec.act;
  *event = (mr_walk_event){.action = action};
  event->logp = mr_actor_draw(p, w->ob, &w->noise, action);
  if (record) MR_CHECK(record_before(w, record, event));
  w->def->step(w->env, action, w->next, &event->reward, &event->terminal);
  w->t++;
  w->total += event->reward;
  event->timeout = !event->terminal && w->t == w->spec.horizon;
  event->total = w->total;
  if (record) record_after(w, record, event);
  if (event->terminal || event->timeout)
    mr_walk_begin(w, w->seed, w->episode + 1);
  else
    memcpy(w->ob, w->next, (size_t)w->spec.obs * sizeof *w->ob);
  return MR_OK;
}
