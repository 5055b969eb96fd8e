/* backend_cpu.h — the CPU device. SPDX-License-Identifier: MIT */
#ifndef MR_BACKEND_CPU_H
#define MR_BACKEND_CPU_H
#include "backend.h"
MR_C_BEGIN
MR_MUST mr_status mr_cpu_open(mr_backend **out, int threads);
MR_C_END
#endif
