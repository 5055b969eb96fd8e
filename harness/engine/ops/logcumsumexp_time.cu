/* logcumsumexp_time.cu — log of the running sum of exponentials, on CUDA. SPDX-License-Identifier: MIT
 *
 * The sweep of sweep.cuh: two passes over memory forward, and backward five, of which the second read
 * of y, one step earlier, comes from the cache:
 *   s_t = dy_t + exp(y_t - y_{t+1}) s_{t+1};  dx_t = exp(x_t - y_t) s_t: no exponent is above 0. */
#include "logcumsumexp_time.h"
#include "sweep.cuh"

namespace
{
struct value {
  typedef mr_log_affine map;
  enum { IN = 1, OUT = 1, ELEMENTS = 16, GATES = 1, BACK = 0, BEFORE = -1, WIDE = 0 };

  static __device__ __forceinline__ void prepare(mr_real (&)[IN])
  {
  }
  static __device__ __forceinline__ map of(const mr_real (&x)[IN])
  {
    return {0, x[0]};
  }
  static __device__ __forceinline__ mr_real step(const mr_real (&x)[IN], mr_real s,
                                                 mr_real (&y)[OUT])
  {
    return y[0] = of(x).at(s);
  }
  static __device__ __forceinline__ mr_real begin(mr_real)
  {
    return -INFINITY;
  }
};

/* exp(a - b), where both may be the same infinity. */
__device__ __forceinline__ mr_real ratio(mr_real a, mr_real b)
{
  return mr_exp1(a == b ? 0 : a - b);
}

/* x: x, y, y_{t-1}, dy. The ratio to what stands before step 0 is of no use to anyone. */
struct gradients {
  typedef mr_affine map;
  enum { IN = 4, OUT = 1, ELEMENTS = 8, GATES = 1, BACK = 1, BEFORE = 2, WIDE = 1 };

  static __device__ __forceinline__ void prepare(mr_real (&x)[IN])
  {
    x[0] = ratio(x[0], x[1]);
    x[2] = ratio(x[2], x[1]);
  }
  static __device__ __forceinline__ map of(const mr_real (&x)[IN])
  {
    return {x[2], x[2] * x[3]};
  }
  static __device__ __forceinline__ mr_real step(const mr_real (&x)[IN], mr_real s,
                                                 mr_real (&y)[OUT])
  {
    const mr_real d = x[3] + s;
    y[0] = x[0] * d;
    return x[2] * d;
  }
  static __device__ __forceinline__ mr_real begin(mr_real none)
  {
    return none;
  }
};
} // namespace

mr_status logcumsumexp_time_fwd_cuda(mr_backend *be, const mr_call *c)
{
  mr_sweep_flow<1, 1> f = mr_sweep_over<1, 1>(&c->out[0].shape);
  f.in[0] = MR_IN(c, 0);
  f.out[0] = MR_OUT(c, 0);
  return mr_sweep_run<value>(be, f, c->work);
}

mr_status logcumsumexp_time_bwd_cuda(mr_backend *be, const mr_call *c)
{
  mr_sweep_flow<4, 1> f = mr_sweep_over<4, 1>(&c->dout[0].shape);
  f.in[0] = MR_IN(c, 0);
  f.in[1] = f.in[2] = MR_OUT(c, 0);
  f.in[3] = MR_DOUT(c, 0);
  f.out[0] = MR_DIN(c, 0);
  f.beta[0] = c->beta[0];
  return mr_sweep_run<gradients>(be, f, c->work);
}
