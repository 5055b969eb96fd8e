/* rule.h — the optimizer that a config describes. SPDX-License-Identifier: MIT */
#ifndef MR_RULE_H
#define MR_RULE_H
#include "config.h"
#include "optim.h"
MR_C_BEGIN

mr_optim_rule mr_optim_rule_of(const mr_config *c);
/* mr_optim_create by that rule, with the decay groups of the keys `decay` and `nodecay`: matrices
 * are parameters of rank 2 or more. The tape must be allocated. */
MR_MUST mr_status mr_optim_open(mr_optim **out, const mr_config *c, mr_backend *be,
                                const mr_tape *t);
MR_C_END
#endif
