/* selective_scan.h — the selective scan of Mamba. SPDX-License-Identifier: MIT */
#ifndef MR_OP_SELECTIVE_SCAN_H
#define MR_OP_SELECTIVE_SCAN_H
#include "op.h"
MR_C_BEGIN
/* Steps between two states that forward keeps. */
enum { MR_SELECTIVE_CHUNK = 64 };
/* Inputs u, delta_raw [B,T,E], a_log [E,N], b, c [B,T,N], skip [E], h0 [B,E,N] (optional); outputs
 * y [B,T,E], last state [B,E,N]. Saved when T > 64: states before steps 64, 128, ... */
extern const mr_op mr_selective_scan_op;
MR_KERNELS(selective_scan);
MR_C_END
#endif
