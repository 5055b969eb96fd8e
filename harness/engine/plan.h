/* plan.h — placing buffers by live range. Pure functions, no device. SPDX-License-Identifier: MIT */
#ifndef MR_PLAN_H
#define MR_PLAN_H
#include <stddef.h>
#include <stdint.h>
#include "status.h"
MR_C_BEGIN

enum { MR_PLAN_ALIGN = 256 };

/* One buffer of the step. Times are kernel calls: forward 0..N-1, backward N..2N-1. */
typedef struct mr_buf {
  size_t bytes;        /* wanted; 0 is allowed and needs no place      */
  int32_t first, last; /* first write and last read, inclusive         */
  size_t offset;       /* result, a multiple of MR_PLAN_ALIGN          */
} mr_buf;

/* Gives every buffer an offset so that no two that live at the same time overlap.
 * slab: bytes needed. bound: most (rounded-up) bytes live at one time; slab >= bound. */
MR_MUST mr_status mr_place(mr_buf *buf, int64_t n, size_t *slab, size_t *bound);
/* The O(n^2) proof used by tests: MR_ERR_INTERNAL names the two that overlap. */
MR_MUST mr_status mr_place_check(const mr_buf *buf, int64_t n, size_t slab);
MR_C_END
#endif
