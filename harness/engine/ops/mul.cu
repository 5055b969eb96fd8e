/* mul.cu — a * b on CUDA: one pass over each array. SPDX-License-Identifier: MIT */
#include "mul.h"
#include "map.cuh"

namespace
{
struct product {
  __device__ __forceinline__ mr_real operator()(mr_real a, mr_real b) const
  {
    return a * b;
  }
};
} // namespace

mr_status mul_fwd_cuda(mr_backend *be, const mr_call *c)
{
  return mr_map2(be, mr_count(&c->out[0].shape), MR_IN(c, 0), MR_IN(c, 1), 0, MR_OUT(c, 0),
                 product());
}

mr_status mul_bwd_cuda(mr_backend *be, const mr_call *c)
{
  for (int i = 0; i < 2; i++) {
    if (MR_DIN(c, i) == NULL) continue;
    MR_CHECK(mr_map2(be, mr_count(&c->dout[0].shape), MR_DOUT(c, 0), MR_IN(c, 1 - i), c->beta[i],
                     MR_DIN(c, i), product()));
  }
  return MR_OK;
}
