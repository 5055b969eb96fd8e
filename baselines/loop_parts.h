/* loop_parts.h — what the per-step baselines share. SPDX-License-Identifier: MIT */
#ifndef MR_LOOP_PARTS_H
#define MR_LOOP_PARTS_H
#include <math.h>
#include "mem.h"
#include "model.h"

/* Puts T steps h[t] [B,1,H] behind each other -> [B,T,H], and carries the last one as state i. */
static inline mr_val mr_loop_join(mr_tape *t, mr_state *st, int i, const mr_val *h, int64_t T)
{
  if (st != NULL) st->out[i] = h[T - 1];
  return mr_concat_time(t, h, (int)T);
}

/* Room for T handles; a failure sticks to the tape and gives NULL. */
static inline mr_val *mr_loop_steps(mr_tape *t, int64_t T)
{
  void *p = NULL;
  if (mr_calloc(&p, (size_t)T, sizeof(mr_val)) == MR_OK) return p;
  mr_tape_fail(t, MR_ERR_NOMEM, "no memory for the handles of %lld steps", (long long)T);
  return NULL;
}
#endif
