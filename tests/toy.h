/* toy.h — an environment that is learnt in a second, for tests. SPDX-License-Identifier: MIT */
#ifndef MR_TOY_H
#define MR_TOY_H
#include "env.h"

/* A point on a line, x <- x + 0.1 act, pays 40 (1 - x^2) per step; past +-1.5 the episode ends, after 40
 * steps it is cut. It starts within +-1 and sees x and -x / 2. It is called hopper, so that returns of
 * 1422 are "medium". */
extern const mr_env_def toy_env;
/* The same, starting 3 further right and ending there past 4.5. */
extern const mr_env_def far_env;
/* Simulators that are open. */
int toy_open_count(void);
#endif
