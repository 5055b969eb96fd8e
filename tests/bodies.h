/* bodies.h — the environments on MuJoCo, opened, changed and played for tests.
 * SPDX-License-Identifier: MIT */
#ifndef MR_BODIES_H
#define MR_BODIES_H
#include "testing.h"
#include "env.h"

enum { N_BODIES = 3, BODY_MOST = 32 /* numbers observed, acted, of state */ };
extern const char *const body_names[N_BODIES]; /* "hopper"       */
extern const char *const body_files[N_BODIES]; /* "half_cheetah" */

/* The program was built with MuJoCo: then it must load. */
bool bodies_here(void);

/* Number k with the models of that folder; "": our own. */
mr_status body_open(mr_env **out, int k, const char *assets);
mr_env *body_ready(int k); /* our own model, or the test fails */
mr_env_spec body_spec(int k, const mr_env *e);

/* Writes our model to the test folder, with the first `from` replaced by `to`; returns the folder. */
const char *body_changed(int k, const char *from, const char *to);

/* What an episode showed and paid. */
typedef struct trace {
  uint64_t hash; /* of all bits */
  int64_t steps;
  double sum; /* of rewards */
} trace;
/* An episode under uniform random actions. */
trace body_play(int k, mr_env *e, uint64_t seed, uint64_t episode, int64_t most);
#endif
