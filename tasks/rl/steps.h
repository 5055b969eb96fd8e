/* steps.h — steps of a policy in an environment as D4RL's files list them, kept in memory until they
 * are written. SPDX-License-Identifier: MIT */
#ifndef MR_RL_STEPS_H
#define MR_RL_STEPS_H
#include "env.h"
MR_C_BEGIN

typedef enum mr_step_field {
  MR_STEP_OB,       /* float [n,obs], seen before acting         */
  MR_STEP_NEXT,     /* float [n,obs], seen after it              */
  MR_STEP_AC,       /* float [n,act], cut to -1 .. 1             */
  MR_STEP_REWARD,   /* float [n]                                 */
  MR_STEP_LOGP,     /* float [n], log-density of the action drawn */
  MR_STEP_TERMINAL, /* int8 [n], the episode ended by itself     */
  MR_STEP_TIMEOUT,  /* int8 [n], it was cut at the horizon       */
  MR_STEP_QPOS,     /* double [n,nq], before acting              */
  MR_STEP_QVEL,     /* double [n,nv]                             */
  MR_STEP_FIELDS
} mr_step_field;

typedef struct mr_steps {
  int64_t n, room;
  int64_t width[MR_STEP_FIELDS]; /* numbers per step; 0: the simulator does not tell */
  void *data[MR_STEP_FIELDS];    /* [room, width] */
} mr_steps;

/* Bytes of one number of a field. */
size_t mr_step_size(mr_step_field f);
/* No steps yet, of an environment. */
void mr_steps_init(mr_steps *s, const mr_env_spec *spec);
void mr_steps_free(mr_steps *s); /* zeroed or filled */

/* Makes room for one more step and zeroes it; step s->n - 1 is to be filled. */
MR_MUST mr_status mr_steps_add(mr_steps *s);
/* Field f of step i. */
void *mr_step_at(const mr_steps *s, mr_step_field f, int64_t i);
MR_C_END
#endif
