/* mingru_seq.cu — the fused minGRU sweep, on CUDA. SPDX-License-Identifier: MIT
 *
 *   z = sigmoid(k);  h_t = (1 - z_t) h_{t-1} + z_t g(c_t)
 * The sweep of sweep.cuh: three passes over memory forward (c, k; h), six backward (c, k, h, dh; dc,
 * dk), gates recomputed, gradients possibly written over c and k. Backward with d the gradient of
 * h_t:  dc = d z g'(c);  dk = d z (1 - z) (g(c) - h_{t-1});  d (1 - z) goes on to h_{t-1}. */
#include "mingru_seq.h"
#include "ops.h"
#include "sweep.cuh"

namespace
{
struct linear_space {
  typedef mr_affine map;
  enum { IN = 2, OUT = 1, ELEMENTS = 16, GATES = 2, BACK = 0, BEFORE = -1, WIDE = 1 };

  static __device__ __forceinline__ void prepare(mr_real (&x)[IN])
  {
    const mr_real z = mr_sigmoid1(x[1]);
    x[1] = z * mr_g1(x[0]);
    x[0] = 1 - z;
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

/* log h_t = logaddexp(log(1-z) + log h_{t-1}, log z + log g(c)) (paper, appendix B). */
struct log_space {
  typedef mr_log_affine map;
  enum { IN = 2, OUT = 1, ELEMENTS = 16, GATES = 2, BACK = 0, BEFORE = -1, WIDE = 0 };

  static __device__ __forceinline__ void prepare(mr_real (&x)[IN])
  {
    const mr_real k = x[1];
    x[1] = mr_log_g1(x[0]) - mr_softplus1(-k);
    x[0] = -mr_softplus1(k);
  }
  static __device__ __forceinline__ map of(const mr_real (&x)[IN])
  {
    return {x[0], x[1]};
  }
  static __device__ __forceinline__ mr_real step(const mr_real (&x)[IN], mr_real s,
                                                 mr_real (&y)[OUT])
  {
    s = of(x).at(s);
    y[0] = mr_exp1(s);
    return s;
  }
  static __device__ __forceinline__ mr_real begin(mr_real h0)
  {
    return mr_log1(h0);
  }
};

/* x: c, k, h_{t-1}, dh, and after prepare: what d is multiplied with for dc, for dk and for the state
 * before; dh. */
struct gradients {
  typedef mr_affine map;
  enum { IN = 4, OUT = 2, ELEMENTS = 8, GATES = 2, BACK = 1, BEFORE = 2, WIDE = 1 };

  static __device__ __forceinline__ void prepare(mr_real (&x)[IN])
  {
    const mr_real z = mr_sigmoid1(x[1]), sv = mr_sigmoid1(x[0]);
    const bool up = x[0] >= 0;
    const mr_real g = up ? x[0] + (mr_real)0.5 : sv, dg = up ? 1 : sv * (1 - sv);
    x[0] = z * dg;
    x[1] = z * (1 - z) * (g - x[2]);
    x[2] = 1 - z;
  }
  static __device__ __forceinline__ map of(const mr_real (&x)[IN])
  {
    return {x[2], x[2] * x[3]};
  }
  static __device__ __forceinline__ mr_real step(const mr_real (&x)[IN], mr_real s,
                                                 mr_real (&y)[OUT])
  {
    const mr_real d = x[3] + s;
    y[0] = d * x[0];
    y[1] = d * x[1];
    return x[2] * d;
  }
  static __device__ __forceinline__ mr_real begin(mr_real none)
  {
    return none;
  }
};
} // namespace

mr_status mingru_seq_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const mr_sweep_flow<2, 1> f = mr_sweep_gated<2>(c);
  const bool log = static_cast<const mingru_seq_attr *>(c->attr)->form == MR_FORM_LOG;
  return log ? mr_sweep_run<log_space>(be, f, c->work) : mr_sweep_run<linear_space>(be, f, c->work);
}

mr_status mingru_seq_bwd_cuda(mr_backend *be, const mr_call *c)
{
  return mr_sweep_run<gradients>(be, mr_sweep_gated_back<2>(c), c->work);
}
