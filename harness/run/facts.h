/* facts.h — what a log tells about plan and machine. SPDX-License-Identifier: MIT */
#ifndef MR_FACTS_H
#define MR_FACTS_H
#include "h5log.h"
MR_C_BEGIN
/* Bytes that a training step was planned to hold: parameters, gradients, moments, activations. */
int64_t mr_planned_bytes(const mr_plan_report *p, int64_t moments);
/* /plan, and planned_bytes in /memory. moments: bytes of the optimizer's. */
MR_MUST mr_status mr_log_plan(mr_log *l, const mr_plan_report *p, int64_t moments);
/* By how much the device's count may be off the plan: a tenth of it and 64 MiB, which libraries,
 * stacks and the allocator may take, and 2 KiB per node for the engine's own tables, which count where
 * a network is unrolled. On CUDA 256 MiB, for the code of kernels is loaded when they first run, and
 * 8 KiB per node of a captured step. */
int64_t mr_allowance_bytes(mr_device where, int64_t planned, int32_t nodes);
/* Is the device's count further from the plan than allowed? On the CPU only more is: pages are counted
 * once they are written, and libraries ask for work space that they may not use. */
bool mr_off_plan(mr_device where, int64_t planned, int64_t device, int64_t allowance);
/* device_bytes and allowance_bytes in /memory, and doubt where the count is off the plan: the run is
 * then "mistrusted". */
MR_MUST mr_status mr_log_device_within(mr_log *l, mr_device where, int64_t planned, int64_t device,
                                       int64_t allowance);
/* /plan/variants: which kernel ops got that have several, as "gru_seq: weights on chip; ...". */
MR_MUST mr_status mr_log_variants(mr_log *l, const mr_tape *t, int32_t nodes);
/* Variants and the table /nodes: the planned step node by node, where it has at most 4096. */
MR_MUST mr_status mr_log_nodes(mr_log *l, const mr_tape *t, int32_t nodes);
/* /machine. */
MR_MUST mr_status mr_log_machine(mr_log *l, const mr_backend *be);
MR_C_END
#endif
