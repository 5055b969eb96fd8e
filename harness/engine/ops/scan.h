/* scan.h — h_t = a_t h_{t-1} + b_t: in a [B,T,H], b [B,T,H], h0 [B,1,H] or none; out h [B,T,H].
 * SPDX-License-Identifier: MIT */
#ifndef MR_SCAN_H
#define MR_SCAN_H
#include "op.h"
MR_C_BEGIN

extern const mr_op mr_scan_op;
MR_KERNELS(scan);
MR_C_END
#endif
