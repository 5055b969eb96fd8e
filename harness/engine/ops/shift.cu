/* shift.cu — x + s on CUDA: one pass over each array. SPDX-License-Identifier: MIT */
#include "shift.h"
#include "map.cuh"

namespace
{
struct shifted {
  mr_real s;
  __device__ __forceinline__ mr_real operator()(mr_real x) const
  {
    return x + s;
  }
};
} // namespace

mr_status shift_fwd_cuda(mr_backend *be, const mr_call *c)
{
  return mr_map1(be, mr_count(&c->out[0].shape), MR_IN(c, 0), 0, MR_OUT(c, 0),
                 shifted{(mr_real)((const shift_attr *)c->attr)->s});
}

mr_status shift_bwd_cuda(mr_backend *be, const mr_call *c)
{
  const mr_real *dy = MR_DOUT(c, 0);
  mr_real *dx = MR_DIN(c, 0);
  if (dx == NULL || (dx == dy && c->beta[0] == 0)) return MR_OK;
  return mr_map1(be, mr_count(&c->dout[0].shape), dy, c->beta[0], dx, shifted{0});
}
