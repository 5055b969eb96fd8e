/* scan.cu — h_t = a_t h_{t-1} + b_t, on CUDA. SPDX-License-Identifier: MIT
 *
 * The sweep of sweep.cuh: three passes over memory forward (a, b; h), five backward (a, h, dh; da,
 * db), da possibly written over a. Backward with g the gradient of h_t:  da = g h_{t-1};  db = g;
 * a g goes on to h_{t-1}. */
#include "scan.h"
#include "sweep.cuh"

namespace
{
struct value {
  typedef mr_affine map;
  enum { IN = 2, OUT = 1, ELEMENTS = 16, GATES = 1, BACK = 0, BEFORE = -1, WIDE = 1 };

  static __device__ __forceinline__ void prepare(mr_real (&)[IN])
  {
  }
  static __device__ __forceinline__ map of(const mr_real (&x)[IN])
  {
    return {x[0], x[1]};
  }
  static __device__ __forceinline__ mr_real step(const mr_real (&x)[IN], mr_real s,
                                                 mr_real (&y)[OUT])
  {
    return y[0] = of(x).at(s);
  }
  static __device__ __forceinline__ mr_real begin(mr_real h0)
  {
    return h0;
  }
};

/* x: a, h_{t-1}, dh. */
struct gradients {
  typedef mr_affine map;
  enum { IN = 3, OUT = 2, ELEMENTS = 8, GATES = 1, BACK = 1, BEFORE = 1, WIDE = 1 };

  static __device__ __forceinline__ void prepare(mr_real (&)[IN])
  {
  }
  static __device__ __forceinline__ map of(const mr_real (&x)[IN])
  {
    return {x[0], x[0] * x[2]};
  }
  static __device__ __forceinline__ mr_real step(const mr_real (&x)[IN], mr_real s,
                                                 mr_real (&y)[OUT])
  {
    const mr_real g = x[2] + s;
    y[0] = g * x[1];
    y[1] = g;
    return x[0] * g;
  }
  static __device__ __forceinline__ mr_real begin(mr_real none)
  {
    return none;
  }
};
} // namespace

mr_status scan_fwd_cuda(mr_backend *be, const mr_call *c)
{
  mr_sweep_flow<2, 1> f = mr_sweep_over<2, 1>(&c->out[0].shape);
  f.in[0] = MR_IN(c, 0);
  f.in[1] = MR_IN(c, 1);
  f.out[0] = MR_OUT(c, 0);
  f.start = MR_GIVEN(c, 2) ? MR_IN(c, 2) : nullptr;
  return mr_sweep_run<value>(be, f, c->work);
}

mr_status scan_bwd_cuda(mr_backend *be, const mr_call *c)
{
  mr_sweep_flow<3, 2> f = mr_sweep_over<3, 2>(&c->dout[0].shape);
  f.in[0] = MR_IN(c, 0);
  f.in[1] = MR_OUT(c, 0);
  f.in[2] = MR_DOUT(c, 0);
  for (int i = 0; i < 2; i++) f.out[i] = MR_DIN(c, i), f.beta[i] = c->beta[i];
  if (MR_GIVEN(c, 2)) {
    f.first = MR_IN(c, 2);
    f.end = MR_DIN(c, 2);
    f.beta_end = c->beta[2];
  }
  return mr_sweep_run<gradients>(be, f, c->work);
}
