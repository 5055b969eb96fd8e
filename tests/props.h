/* props.h — what ops keep to beyond their equation; each false, with a sentence, for a case that does
 * not. Properties that do not apply to a case are true. SPDX-License-Identifier: MIT */
#ifndef MR_PROPS_H
#define MR_PROPS_H
#include "rig.h"

/* Gradients in the memory of dout[0] or of inputs, wherever passes and overwrites allow it. */
bool prop_shares(const mr_case *c, mr_backend *be, char *text, size_t n);
/* beta 1 adds to what is there. */
bool prop_adds(const mr_case *c, mr_backend *be, char *text, size_t n);
/* A gradient does not depend on which others are wanted. */
bool prop_alone(const mr_case *c, mr_backend *be, char *text, size_t n);
/* One thread and those of `be` agree. */
bool prop_threads(const mr_case *c, mr_backend *be, char *text, size_t n);
/* Inputs from step t on leave outputs before t as they were, to the bit, and change some later one. */
bool prop_causal(const mr_case *c, mr_backend *be, char *text, size_t n);
/* Two stretches with the state handed over equal the whole sequence. */
bool prop_carries(const mr_case *c, mr_backend *be, char *text, size_t n);
/* The batch in two parts gives the same outputs and gradients. */
bool prop_batch(const mr_case *c, mr_backend *be, char *text, size_t n);
/* Linear form equals log form; scan is linear in b and h0; softmax ignores a shift. */
bool prop_algebra(const mr_case *c, mr_backend *be, char *text, size_t n);
#endif
