/* env.h — the contract of environments: what an agent sees, does and is paid, one step at a time.
 * SPDX-License-Identifier: MIT */
#ifndef MR_RL_ENV_H
#define MR_RL_ENV_H
#include <stdbool.h>
#include <stdint.h>
#include "config.h"
MR_C_BEGIN

typedef struct mr_env mr_env; /* defined by each environment for itself */

typedef struct mr_env_spec {
  const char *name;   /* "hopper"                                                        */
  const char *engine; /* "built in", "MuJoCo 2.2.2"; as long as the environment          */
  const char *model;  /* mark of a model of the user's, which engine tells too; or NULL  */
  int64_t obs, act;   /* numbers observed and acted per step; actions lie in -1 .. 1     */
  int64_t horizon;    /* most steps of an episode                                        */
  double low, high;   /* returns that score 0 and 100                                    */
  double scale;       /* returns-to-go are divided by it                                 */
  double target[2];   /* returns to ask for                                              */
  int64_t nq, nv;     /* positions and velocities of the simulator's state; 0: not told  */
} mr_env_spec;

typedef struct mr_env_def {
  const char *name, *summary;
  /* One simulator. May be called from several threads at once; a simulator belongs to one thread at a
   * time. MR_ERR_IO: something it needs is not on this machine, and how to get it. */
  MR_MUST mr_status (*open)(mr_env **out, const mr_config *c);
  void (*close)(mr_env *e); /* NULL is fine */
  /* e may be NULL where there is no controller: what holds without a simulator; engine is NULL then. */
  void (*spec)(const mr_env *e, mr_env_spec *out);
  /* Starts episode `episode` of `seed`, a pure function of both, and writes what is seen first. */
  void (*reset)(mr_env *e, uint64_t seed, uint64_t episode, double *obs);
  /* Acts. *reward is of this step, *terminal says that the episode ended by itself; the caller counts
   * to the horizon. Actions outside -1 .. 1 are cut. */
  void (*step)(mr_env *e, const double *act, double *obs, double *reward, bool *terminal);
  /* (optional) State of the simulator: qpos [nq], qvel [nv]. */
  void (*state)(const mr_env *e, double *qpos, double *qvel);
  /* (optional) What a good controller does now that sees all of the state, hidden parts too. Where
   * there is one, data sets are made with it. */
  void (*expert)(const mr_env *e, double *act);
  /* (optional) From the next reset on, episodes of this share of the full difficulty, in (0, 1]. Data
   * sets hold episodes of every difficulty; scores are of the full one, as after open. */
  void (*ease)(mr_env *e, double share);
} mr_env_def;

/* The environment of that name, or NULL. */
const mr_env_def *mr_env_find(const char *name);
MR_C_END
#endif
