/* d4rl_impl.h — how the reader's two halves share what a file holds. SPDX-License-Identifier: MIT */
#ifndef MR_RL_D4RL_IMPL_H
#define MR_RL_D4RL_IMPL_H
#include "d4rl.h"
MR_C_BEGIN

/* The arrays of a file as they stand there, unchecked but for their shapes. */
typedef struct mr_d4rl_raw {
  int64_t n, obs, act;
  float *ob, *ac, *reward;
  int64_t *terminal,
      *timeout; /* wide enough to tell any false value; timeout NULL: there is none */
  bool has_timeouts, generated;
  double expert;    /* attributes of our files, */
  char origin[256]; /* "" in others             */
} mr_d4rl_raw;

/* Fetches them through a process of its own. Shapes fit each other; n, obs and act are positive. */
MR_MUST mr_status mr_d4rl_fetch(mr_d4rl_raw *r, const char *path);
void mr_d4rl_raw_free(mr_d4rl_raw *r); /* zeroed or filled */
/* The reading itself, in this process. */
MR_MUST mr_status mr_d4rl_load(mr_d4rl_raw *r, const char *path);

/* Makes room for the arrays of r->n steps. */
MR_MUST mr_status mr_d4rl_raw_alloc(mr_d4rl_raw *r);
MR_C_END
#endif
