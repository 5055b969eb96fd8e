/* philox.h — one block of four 32-bit random words, for kernels on either device.
 * SPDX-License-Identifier: MIT */
#ifndef MR_PHILOX_H
#define MR_PHILOX_H
#include "shape.h"
#ifdef __CUDACC__
#define R123_CUDA_DEVICE MR_HD
#endif
#include <Random123/philox.h>

/* Words of counter (block, step, node, stream) under key seed. */
MR_HD static inline philox4x32_ctr_t mr_philox(uint64_t seed, uint32_t block, uint32_t step,
                                               uint32_t node, uint32_t stream)
{
  philox4x32_ctr_t c;
  philox4x32_key_t k;
  c.v[0] = block, c.v[1] = step, c.v[2] = node, c.v[3] = stream;
  k.v[0] = (uint32_t)seed, k.v[1] = (uint32_t)(seed >> 32);
  return philox4x32(c, k);
}
#endif
