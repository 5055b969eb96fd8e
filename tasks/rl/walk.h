/* walk.h — a policy acting in an environment, episode after episode. SPDX-License-Identifier: MIT */
#ifndef MR_RL_WALK_H
#define MR_RL_WALK_H
#include "actor.h"
MR_C_BEGIN

typedef struct mr_walk {
  const mr_env_def *def;
  mr_env *env;
  mr_env_spec spec;
  uint64_t seed, episode;
  int64_t t;     /* steps of this episode so far    */
  double total;  /* and its rewards                 */
  mr_rng noise;  /* of actions, anew every episode  */
  double *ob;    /* [obs], seen now                 */
  double *next;  /* [obs], seen after the last step */
  double *taken; /* [horizon,act], actions so far   */
} mr_walk;

/* What a step brought. */
typedef struct mr_walk_event {
  const double *action; /* [act], as drawn              */
  double logp, reward;
  bool terminal, timeout; /* then the next episode has begun */
  double total;           /* rewards of the episode that ended */
} mr_walk_event;

MR_MUST mr_status mr_walk_open(mr_walk *w, const mr_env_def *def, const mr_config *c);
void mr_walk_close(mr_walk *w); /* zeroed or open */
/* Begins an episode. Episodes are functions of policy, seed and number alone. */
void mr_walk_begin(mr_walk *w, uint64_t seed, uint64_t episode);
/* Brings the environment to where w->seed, episode, t and taken say that it is. */
void mr_walk_retrace(mr_walk *w);
/* One step. It is added to `record` unless that is NULL. */
MR_MUST mr_status mr_walk_step(mr_walk *w, mr_actor *p, mr_steps *record, mr_walk_event *event);
MR_C_END
#endif
