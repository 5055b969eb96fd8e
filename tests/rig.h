/* rig.h — one op called directly, on buffers that the test owns and may spoil, share or fill.
 * SPDX-License-Identifier: MIT */
#ifndef MR_RIG_H
#define MR_RIG_H
#include "cases.h"
#include "testing.h"

/* A case with every buffer of its op in memory of its own. */
typedef struct rig {
  mr_case c;
  mr_backend *be;
  mr_need need;
  mr_tick tick;
  mr_view in[MR_CASE_MAX_IN], out[MR_MAX_OUT], save[MR_MAX_SAVE];
  mr_view dout[MR_MAX_OUT], din[MR_CASE_MAX_IN];
  mr_real beta[MR_CASE_MAX_IN];
} rig;

/* Infers shapes, takes memory, draws inputs and dout (fixed by the case and its place). dout[1] is
 * given only for cases with `both`. Gradients are wanted for every input that can have one. */
void rig_open(rig *r, const mr_case *c, mr_backend *be);
void rig_close(rig *r);
/* Draws the inputs again, after a test has overwritten them. */
void rig_redraw(rig *r);

/* One kernel call. Outputs, saves and scratch hold NaN before it; so do gradients with beta 0 that
 * are in memory of their own. rig_backward shows the kernel only what the op declared; the _seen one
 * shows everything. */
void rig_forward(rig *r);
void rig_backward(rig *r);
void rig_backward_seen(rig *r);

int64_t rig_count(const mr_view *v); /* 0 where not given */
/* Fills with bytes of ones: NaN for reals, -1 for ints. */
void rig_spoil(const mr_view *v);
/* All wanted gradients, one after the other, in new memory for mr_free; *n gets their number. */
mr_real *rig_gradients(const rig *r, int64_t *n);

/* Whether the op's declared needs are exact: nothing undeclared is read by backward, and everything
 * declared is. Otherwise false, with a sentence in text. `strict` asks for the second half too. */
bool rig_needs(const mr_case *c, mr_backend *be, bool strict, char *text, size_t n);

/* Runs one test per op of the case table, named "<op>_<what>", over all of the op's cases. `one`
 * returns false, with a sentence in text, for a case that fails. Returns the number of failed tests. */
typedef bool (*rig_case_test)(const mr_case *c, mr_backend *be, char *text, size_t n);
int rig_run_table(const char *what, rig_case_test one, mr_backend *be);

/* Opens the CPU with so many threads; mr_backend_close it. */
mr_backend *rig_backend(int threads);
#endif
