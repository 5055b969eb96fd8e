/* options.h — the keys "offline_rl.*", which environments and data read too.
 * SPDX-License-Identifier: MIT */
#ifndef MR_RL_OPTIONS_H
#define MR_RL_OPTIONS_H
#include "config.h"
MR_C_BEGIN
#define MR_RL "offline_rl" /* their owner, for mr_option_num and mr_option_text */

enum { MR_RL_OPTIONS = 19 };
extern const mr_opt mr_rl_opts[];
MR_C_END
#endif
