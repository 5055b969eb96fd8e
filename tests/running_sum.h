/* running_sum.h — one small CUDA kernel, right and with the mistakes that kernels are made with.
 * SPDX-License-Identifier: MIT */
#ifndef RUNNING_SUM_H
#define RUNNING_SUM_H
#include "backend.h"
MR_C_BEGIN

typedef enum running_sum_fault {
  SUM_RIGHT,
  SUM_NO_BARRIER,        /* a tile is read while it is still being written          */
  SUM_NO_BARRIER_BEHIND, /* a tile is written while the last one is still being read */
  SUM_SHORT_TILE,        /* the last element of each tile is left out               */
  SUM_OLD_CARRY,         /* a tile starts from the carry before last                */
  SUM_UNSET,             /* shared memory is read that nobody wrote                 */
  SUM_IDLE_LEAVES,       /* threads behind the end pass by the barrier              */
  SUM_IDLE_LANES,        /* lanes behind the end pass by the shuffle                */
  SUM_TWO_BARRIERS,      /* the barrier of one branch meets that of the other      */
  SUM_N_FAULTS
} running_sum_fault;

enum { SUM_TILE = 64 };

/* y_i = x_0 + ... + x_i, both [n] on the device, by one block of SUM_TILE threads. */
MR_MUST mr_status running_sum(mr_backend *be, const mr_real *x, mr_real *y, int64_t n,
                              running_sum_fault fault);
/* The right one on no numbers, launched so. */
MR_MUST mr_status running_sum_launch(mr_backend *be, unsigned grid, unsigned block,
                                     size_t shared_bytes);
MR_C_END
#endif
