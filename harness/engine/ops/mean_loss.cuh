/* mean_loss.cuh — what losses share: block sums in double, and the mean they end in.
 * SPDX-License-Identifier: MIT */
#ifndef MR_MEAN_LOSS_CUH
#define MR_MEAN_LOSS_CUH
#include "cuda_util.cuh"
#include "partial.h"

enum { MR_LOSS_BLOCK = 256 };

/* What one block found: losses, and what they are divided by. */
typedef struct mr_loss_part {
  double sum, weight;
} mr_loss_part;

static __device__ __forceinline__ void mr_put_loss(mr_loss_part *part, double sum, double weight)
{
  MR_SHARED(double, shared, [MR_LOSS_BLOCK / MR_WARP]);
  sum = mr_block_sum<MR_LOSS_BLOCK>(sum, shared);
  weight = mr_block_sum<MR_LOSS_BLOCK>(weight, shared);
  if (threadIdx.x == 0) part[blockIdx.x] = {sum, weight};
}

/* *loss = sum / weight over all parts, in their order, and *share = 1 / weight; 0 without weight. */
static __global__ void __launch_bounds__(MR_LOSS_BLOCK)
    mr_mean_loss(const mr_loss_part *part, int64_t parts, mr_real *loss, mr_real *share)
{
  MR_SHARED(double, shared, [MR_LOSS_BLOCK / MR_WARP]);
  double sum = 0, weight = 0;
  for (int64_t i = threadIdx.x; i < parts; i += MR_LOSS_BLOCK)
    sum += part[i].sum, weight += part[i].weight;
  sum = mr_block_sum<MR_LOSS_BLOCK>(sum, shared);
  weight = mr_block_sum<MR_LOSS_BLOCK>(weight, shared);
  if (threadIdx.x != 0) return;
  *loss = (mr_real)(weight != 0 ? sum / weight : 0);
  *share = (mr_real)(weight != 0 ? 1 / weight : 0);
}
#endif
