/* sequence.h — cutting the cases of ops along time, and their buffers, by time and by sequence.
 * SPDX-License-Identifier: MIT */
#ifndef MR_SEQUENCE_H
#define MR_SEQUENCE_H
#include "rig.h"

/* How an op hands its state from one stretch to the next. */
typedef struct carry carry;
struct carry {
  const char *op;
  int state_in[MR_MAX_OUT]; /* input that takes output o's last step; -1: none */
  void (*hand_over)(const carry *k, const rig *from, rig *to);
};

/* NULL when the op carries nothing or this case does not take it. */
const carry *carry_of(const mr_case *c);
/* Is input i [B,T,*], no state and no parameter? */
bool runs_along_time(const mr_case *c, int i);
/* Is output o the state behind the last step, not [B,T,*]? */
bool ends_as_state(const mr_case *c, int o);

mr_case cut_time(const mr_case *c, int64_t T);
mr_case cut_batch(const mr_case *c, int64_t B);
/* Inputs of `part`, steps from `from` on (or all, for other inputs), out of those of `whole`. */
void copy_stretch(const rig *whole, rig *part, int64_t from);
/* Inputs and dout of `part`, sequences from `from` on (or all, for other inputs). */
void copy_sequences(const rig *whole, rig *part, int64_t from);
/* v [B,T,*] from sequence b on. */
mr_real *sequences(const mr_view *v, int64_t b);
/* [B,T1,D] and [B,T2,D] -> [B,T1+T2,D] in new memory. */
mr_real *join_time(const mr_view *a, const mr_view *b);
mr_real *copy_of(const mr_view *v);
/* Adds a little to every number of steps from t on. */
void nudge_from(const mr_view *v, int64_t t);
/* Equal bits in steps from .. to - 1 of all sequences. */
bool steps_equal(const mr_real *x, const mr_view *v, int64_t from, int64_t to);
#endif
