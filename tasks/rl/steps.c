/* steps.c — columns that grow step by step. SPDX-License-Identifier: MIT */
#include "steps.h"
#include <string.h>
#include "mem.h"

enum { FIRST_ROOM = 1024 };

size_t mr_step_size(mr_step_field f)
{
  if (f == MR_STEP_TERMINAL || f == MR_STEP_TIMEOUT) return sizeof(int8_t);
  return f == MR_STEP_QPOS || f == MR_STEP_QVEL ? sizeof(double) : sizeof(float);
}

void mr_steps_init(mr_steps *s, const mr_env_spec *spec)
{
  *s = (mr_steps){.width = {[MR_STEP_OB] = spec->obs,
                            [MR_STEP_NEXT] = spec->obs,
                            [MR_STEP_AC] = spec->act,
                            [MR_STEP_REWARD] = 1,
                            [MR_STEP_LOGP] = 1,
                            [MR_STEP_TERMINAL] = 1,
                            [MR_STEP_TIMEOUT] = 1,
                            [MR_STEP_QPOS] = spec->nq,
                            [MR_STEP_QVEL] = spec->nv}};
}

void mr_steps_free(mr_steps *s)
{
  for (int f = 0; f < MR_STEP_FIELDS; f++) mr_free(s->data[f]);
  *s = (mr_steps){.n = 0};
}

mr_status mr_steps_add(mr_steps *s)
{
  if (s->n == s->room) {
    const int64_t room = s->room == 0 ? FIRST_ROOM : 2 * s->room;
    for (int f = 0; f < MR_STEP_FIELDS; f++)
      MR_CHECK(mr_regrow(&s->data[f], (size_t)(room * s->width[f]), mr_step_size(f)));
    s->room = room;
  }
  for (int f = 0; f < MR_STEP_FIELDS; f++)
    memset(mr_step_at(s, f, s->n), 0, (size_t)s->width[f] * mr_step_size(f));
  s->n++;
  return MR_OK;
}

void *mr_step_at(const mr_steps *s, mr_step_field f, int64_t i)
{
  return (char *)s->data[f] + (size_t)(i * s->width[f]) * mr_step_size(f);
}
