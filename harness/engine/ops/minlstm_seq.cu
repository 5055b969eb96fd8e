/* minlstm_seq.cu — the fused minLSTM sweep, on CUDA. SPDX-License-Identifier: MIT
 *
 *   f = sigmoid(k_f), i = sigmoid(k_i), normalised: f/(f+i), i/(f+i);  h_t = f h_{t-1} + i g(c)
 * The sweep of sweep.cuh: four passes over memory forward (c, k_f, k_i; h), eight backward (c, k_f,
 * k_i, h, dh; dc, dk_f, dk_i), gates recomputed, gradients possibly written over c, k_f and k_i. */
#include "minlstm_seq.h"
#include "ops.h"
#include "sweep.cuh"

namespace
{
/* e^-k; past 80 neither gate nor ratio of gates changes any more. */
__device__ __forceinline__ mr_real exp_minus(mr_real k)
{
  return mr_exp_gate1(k < -80 ? (mr_real)80 : -k);
}

/* With F = 1/(1 + ef), I = 1/(1 + ei): F/(F+I) and I/(F+I), or F and I themselves. */
template <bool NORMALISE>
__device__ __forceinline__ void gates(mr_real ef, mr_real ei, mr_real *f, mr_real *i)
{
  if (NORMALISE) {
    const mr_real r = mr_div1(1, 2 + ef + ei);
    *f = (1 + ei) * r;
    *i = (1 + ef) * r;
  } else {
    *f = mr_div1(1, 1 + ef);
    *i = mr_div1(1, 1 + ei);
  }
}

/* x: c, k_f, k_i; after prepare the map's a and b, and nothing. */
template <bool NORMALISE> struct linear_space {
  typedef mr_affine map;
  enum { IN = 3, OUT = 1, ELEMENTS = 8, GATES = 3, BACK = 0, BEFORE = -1, WIDE = 1 };

  static __device__ __forceinline__ void prepare(mr_real (&x)[IN])
  {
    mr_real f, i;
    gates<NORMALISE>(exp_minus(x[1]), exp_minus(x[2]), &f, &i);
    x[1] = i * mr_g1(x[0]);
    x[0] = f;
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

/* log h_t = logaddexp(log f + log h_{t-1}, log i + log g(c)) (paper, appendix B). */
template <bool NORMALISE> struct log_space {
  typedef mr_log_affine map;
  enum { IN = 3, OUT = 1, ELEMENTS = 8, GATES = 3, BACK = 0, BEFORE = -1, WIDE = 0 };

  static __device__ __forceinline__ void prepare(mr_real (&x)[IN])
  {
    const mr_real a = mr_softplus1(-x[1]), b = mr_softplus1(-x[2]);
    const mr_real f = NORMALISE ? mr_softplus1(a - b) : a, i = NORMALISE ? mr_softplus1(b - a) : b;
    x[1] = mr_log_g1(x[0]) - i;
    x[0] = -f;
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

/* x: c, k_f, k_i, h_{t-1}, dh, and after prepare: what the gradient d of h_t is multiplied with for dc,
 * dk_f, dk_i and for the state before; dh. */
template <bool NORMALISE> struct gradients {
  typedef mr_affine map;
  enum { IN = 5, OUT = 3, ELEMENTS = 8, GATES = 3, BACK = 1, BEFORE = 3, WIDE = 1 };

  static __device__ __forceinline__ void prepare(mr_real (&x)[IN])
  {
    const mr_real ef = exp_minus(x[1]), ei = exp_minus(x[2]), sv = mr_sigmoid1(x[0]);
    const bool up = x[0] >= 0;
    const mr_real g = up ? x[0] + (mr_real)0.5 : sv, dg = up ? 1 : sv * (1 - sv);
    mr_real f, i;
    gates<NORMALISE>(ef, ei, &f, &i);
    const mr_real df = NORMALISE ? (x[3] - g) * f * i : x[3] * f, di = NORMALISE ? -df : g * i;
    /* d log sigmoid(k) / dk = e^-k / (1 + e^-k) */
    x[0] = i * dg;
    x[1] = df * mr_div1(ef, 1 + ef);
    x[2] = di * mr_div1(ei, 1 + ei);
    x[3] = f;
  }
  static __device__ __forceinline__ map of(const mr_real (&x)[IN])
  {
    return {x[3], x[3] * x[4]};
  }
  static __device__ __forceinline__ mr_real step(const mr_real (&x)[IN], mr_real s,
                                                 mr_real (&y)[OUT])
  {
    const mr_real d = x[4] + s;
    y[0] = d * x[0];
    y[1] = d * x[1];
    y[2] = d * x[2];
    return x[3] * d;
  }
  static __device__ __forceinline__ mr_real begin(mr_real none)
  {
    return none;
  }
};

template <bool NORMALISE> mr_status forward(mr_backend *be, const mr_call *c, int form)
{
  const mr_sweep_flow<3, 1> f = mr_sweep_gated<3>(c);
  if (form == MR_FORM_LOG) return mr_sweep_run<log_space<NORMALISE>>(be, f, c->work);
  return mr_sweep_run<linear_space<NORMALISE>>(be, f, c->work);
}
} // namespace

mr_status minlstm_seq_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const minlstm_seq_attr *a = static_cast<const minlstm_seq_attr *>(c->attr);
  return a->normalise ? forward<true>(be, c, a->form) : forward<false>(be, c, a->form);
}

mr_status minlstm_seq_bwd_cuda(mr_backend *be, const mr_call *c)
{
  const bool normalise = static_cast<const minlstm_seq_attr *>(c->attr)->normalise != 0;
  const mr_sweep_flow<5, 3> f = mr_sweep_gated_back<3>(c);
  if (normalise) return mr_sweep_run<gradients<true>>(be, f, c->work);
  return mr_sweep_run<gradients<false>>(be, f, c->work);
}
