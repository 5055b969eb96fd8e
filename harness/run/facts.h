/* facts.h — what a log tells about plan and machine. SPDX-License-Identifier: MIT */
#ifndef MR_FACTS_H
#define MR_FACTS_H
#include "h5log.h"
MR_C_BEGIN
/* Bytes that a training step was planned to hold: parameters, gradients, moments, activations. */
int64_t mr_planned_bytes(const mr_plan_report *p, int64_t moments);
/* /plan, and planned_bytes in /memory. moments: bytes of the optimizer's. */
MR_MUST mr_status mr_log_plan(mr_log *l, const mr_plan_report *p, int64_t moments);
/* By how much the device's count may be off the plan. On the CPU, where it is of what was asked for,
 * 4 KiB. On CUDA a tenth of the plan and 256 MiB, for the code of
 * kernels is loaded when they first run, and 8 KiB per node of a captured step. */
int64_t mr_allowance_bytes(mr_device where, int64_t planned, int32_t nodes);
/* What the process may hold on the CPU that nobody here asked for: 32 MiB of libraries and heap, and
 * 16 MiB per thread of stacks and of what its products work in. Only more is doubted: pages count
 * once they are written. */
int64_t mr_most_other_bytes(int threads);
/* By how much memory grew, and what it should have grown by. */
typedef struct mr_growth {
  int64_t planned, allowance, device, other; /* device, other: of mr_device_mem */
  int threads;
} mr_growth;
/* Is it off the plan? Then `why` [n] says by what. */
bool mr_off_plan(const mr_growth *g, char *why, size_t n);
/* device_bytes, other_bytes and allowance_bytes in /memory, and doubt where they are off the plan: the
 * run is then "mistrusted". */
MR_MUST mr_status mr_log_growth(mr_log *l, const mr_growth *g);
/* /plan/variants: which kernel ops got that have several, as "gru_seq: weights on chip; ...". */
MR_MUST mr_status mr_log_variants(mr_log *l, const mr_tape *t, int32_t nodes);
/* Variants and the table /nodes: the planned step node by node, where it has at most 4096. */
MR_MUST mr_status mr_log_nodes(mr_log *l, const mr_tape *t, int32_t nodes);
/* /machine. */
MR_MUST mr_status mr_log_machine(mr_log *l, const mr_backend *be);
MR_C_END
#endif
