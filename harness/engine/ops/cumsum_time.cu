/* cumsum_time.cu — running sum over steps, on CUDA. SPDX-License-Identifier: MIT
 *
 * The sweep of sweep.cuh, from the first step on or, backward, from the last back: two passes over
 * memory. */
#include "cumsum_time.h"
#include "sweep.cuh"

namespace
{
template <int DOWN> struct sum {
  typedef mr_affine map;
  enum { IN = 1, OUT = 1, ELEMENTS = 16, GATES = 1, BACK = DOWN, BEFORE = -1, WIDE = 1 };

  static __device__ __forceinline__ void prepare(mr_real (&)[IN])
  {
  }
  static __device__ __forceinline__ map of(const mr_real (&x)[IN])
  {
    return {1, x[0]};
  }
  static __device__ __forceinline__ mr_real step(const mr_real (&x)[IN], mr_real s,
                                                 mr_real (&y)[OUT])
  {
    return y[0] = s + x[0];
  }
  static __device__ __forceinline__ mr_real begin(mr_real zero)
  {
    return zero;
  }
};

template <int DOWN>
mr_status run(mr_backend *be, const mr_shape *s, const mr_real *x, mr_real beta, mr_real *y,
              void *work)
{
  mr_sweep_flow<1, 1> f = mr_sweep_over<1, 1>(s);
  f.in[0] = x;
  f.out[0] = y;
  f.beta[0] = beta;
  return mr_sweep_run<sum<DOWN>>(be, f, work);
}
} // namespace

mr_status cumsum_time_fwd_cuda(mr_backend *be, const mr_call *c)
{
  return run<0>(be, &c->out[0].shape, MR_IN(c, 0), 0, MR_OUT(c, 0), c->work);
}

mr_status cumsum_time_bwd_cuda(mr_backend *be, const mr_call *c)
{
  return run<1>(be, &c->dout[0].shape, MR_DOUT(c, 0), c->beta[0], MR_DIN(c, 0), c->work);
}
