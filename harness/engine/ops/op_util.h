/* op_util.h — what op files share: shape rules, parameter names, writing gradients.
 * SPDX-License-Identifier: MIT */
#ifndef MR_OP_UTIL_H
#define MR_OP_UTIL_H
#include "tape.h"
MR_C_BEGIN

/* The next loop has no dependence between its turns, whatever its pointers. */
#define MR_SIMD MR_PRAGMA(omp simd)

/* ---- Shape rules; each failure is one sentence naming op, input and shapes. ------------------ */

bool mr_rule_given(const mr_view *in, int32_t n_in, int32_t i);
/* Input v is given, holds `type`, and has the rank (-1: any). */
MR_MUST mr_status mr_rule_rank(const char *op, const char *name, const mr_view *v, mr_dtype type,
                               int32_t rank);
/* Input v is given, holds `type`, and has exactly the shape `want`. */
MR_MUST mr_status mr_rule_shape(const char *op, const char *name, const mr_view *v, mr_dtype type,
                                const mr_shape *want);
/* An element-by-element op: one output of the shape of x, `flops` per element, `streams` arrays of
 * that size read and written in all; `back` flops per element in backward, for any gradient. */
void mr_rule_map(mr_need *need, const mr_shape *x, double flops, double streams, double back);

/* ---- Builders -------------------------------------------------------------------------------- */

/* The parameter "<base>.<part>". */
mr_val mr_part(mr_tape *t, const char *base, const char *part, mr_shape s, mr_init init);

/* ---- Kernels --------------------------------------------------------------------------------- */

/* beta * old + g for beta 0 or 1; `old` may be anything when beta is 0. */
static inline mr_real mr_plus(mr_real beta, mr_real old, mr_real g)
{
  return beta != 0 ? old + g : g;
}

/* x [B,T,D] holds B * D lanes, one per sequence and channel, which threads share evenly. A tile is
 * up to MR_TILE lanes from `lane` on, before `to`, that are neighbours in one sequence: its width. */
enum { MR_TILE = 256 };
static inline int64_t mr_tile(int64_t lane, int64_t to, int64_t d)
{
  int64_t n = d - lane % d;
  n = n < to - lane ? n : to - lane;
  return n < MR_TILE ? n : (int64_t)MR_TILE;
}

/* dst[n] = beta * dst + sum over `parts` rows of part, `stride` elements apart, in rising order. */
void mr_sum_parts(mr_real *dst, mr_real beta, const mr_real *part, int64_t stride, int parts,
                  int64_t n);
MR_C_END
#endif
