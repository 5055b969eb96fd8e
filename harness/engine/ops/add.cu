/* add.cu — a + b, a - b and s * a on CUDA: one pass over each array. SPDX-License-Identifier: MIT */
#include "add.h"
#include "map.cuh"

namespace
{
struct plus_times {
  mr_real s;
  __device__ __forceinline__ mr_real operator()(mr_real a, mr_real b) const
  {
    return a + s * b;
  }
};

struct times {
  mr_real s;
  __device__ __forceinline__ mr_real operator()(mr_real x) const
  {
    return s * x;
  }
};

/* y = a + s b. */
mr_status combine(mr_backend *be, const mr_call *c, mr_real s)
{
  return mr_map2(be, mr_count(&c->out[0].shape), MR_IN(c, 0), MR_IN(c, 1), 0, MR_OUT(c, 0),
                 plus_times{s});
}

/* dx = beta dx + s dy. */
mr_status pass_on(mr_backend *be, const mr_call *c, int i, mr_real s)
{
  const mr_real *dy = MR_DOUT(c, 0), beta = c->beta[i];
  mr_real *dx = MR_DIN(c, i);
  if (dx == NULL || (dx == dy && beta == 0 && s == 1)) return MR_OK;
  return mr_map1(be, mr_count(&c->din[i].shape), dy, beta, dx, times{s});
}
} // namespace

mr_status add_fwd_cuda(mr_backend *be, const mr_call *c)
{
  return combine(be, c, 1);
}

mr_status add_bwd_cuda(mr_backend *be, const mr_call *c)
{
  MR_CHECK(pass_on(be, c, 0, 1));
  return pass_on(be, c, 1, 1);
}

mr_status sub_fwd_cuda(mr_backend *be, const mr_call *c)
{
  return combine(be, c, -1);
}

mr_status sub_bwd_cuda(mr_backend *be, const mr_call *c)
{
  MR_CHECK(pass_on(be, c, 0, 1));
  return pass_on(be, c, 1, -1);
}

mr_status scale_fwd_cuda(mr_backend *be, const mr_call *c)
{
  return mr_map1(be, mr_count(&c->out[0].shape), MR_IN(c, 0), 0, MR_OUT(c, 0),
                 times{(mr_real)((const scale_attr *)c->attr)->s});
}

mr_status scale_bwd_cuda(mr_backend *be, const mr_call *c)
{
  return pass_on(be, c, 0, (mr_real)((const scale_attr *)c->attr)->s);
}
