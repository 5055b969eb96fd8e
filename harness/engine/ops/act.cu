/* act.cu — activations on CUDA: one pass over each array. SPDX-License-Identifier: MIT */
#include "act.h"
#include "map.cuh"

namespace
{
/* Kinds whose derivative is a function of the result come first. */
constexpr bool reads_result(mr_act_kind kind)
{
  return kind <= MR_EXP;
}

template <mr_act_kind KIND> struct value {
  __device__ __forceinline__ mr_real operator()(mr_real x) const
  {
    if constexpr (KIND == MR_SIGMOID) return mr_sigmoid1(x);
    if constexpr (KIND == MR_TANH) return mr_tanh1(x);
    if constexpr (KIND == MR_RELU) return x < 0 ? 0 : x;
    if constexpr (KIND == MR_EXP) return mr_exp1(x);
    if constexpr (KIND == MR_GELU) return mr_gelu1(x);
    if constexpr (KIND == MR_SILU) return mr_silu1(x);
    if constexpr (KIND == MR_SOFTPLUS) return mr_softplus1(x);
    if constexpr (KIND == MR_G) return mr_g1(x);
    if constexpr (KIND == MR_LOG_G) return mr_log_g1(x);
    if constexpr (KIND == MR_LOG) return mr_log1(x);
  }
};

/* v is the result where reads_result, otherwise the argument. */
template <mr_act_kind KIND> struct gradient {
  __device__ __forceinline__ mr_real operator()(mr_real v, mr_real dy) const
  {
    if constexpr (KIND == MR_SIGMOID) return dy * (v * (1 - v));
    if constexpr (KIND == MR_TANH) return dy * (1 - v * v);
    if constexpr (KIND == MR_RELU) return dy * (mr_real)(v > 0);
    if constexpr (KIND == MR_EXP) return dy * v;
    if constexpr (KIND == MR_GELU) return dy * mr_dgelu1(v);
    if constexpr (KIND == MR_SILU) return dy * mr_dsilu1(v);
    if constexpr (KIND == MR_SOFTPLUS) return dy * mr_sigmoid1(v);
    if constexpr (KIND == MR_G) return dy * mr_dg1(v);
    if constexpr (KIND == MR_LOG_G) return dy * mr_dlog_g1(v);
    if constexpr (KIND == MR_LOG) return dy * (1 / v);
  }
};

template <mr_act_kind KIND> mr_status forward(mr_backend *be, const mr_call *c)
{
  return mr_map1(be, mr_count(&c->out[0].shape), MR_IN(c, 0), 0, MR_OUT(c, 0), value<KIND>());
}

template <mr_act_kind KIND> mr_status backward(mr_backend *be, const mr_call *c)
{
  return mr_map2(be, mr_count(&c->dout[0].shape), reads_result(KIND) ? MR_OUT(c, 0) : MR_IN(c, 0),
                 MR_DOUT(c, 0), c->beta[0], MR_DIN(c, 0), gradient<KIND>());
}

#define KINDS(f)                                                                                   \
  {                                                                                                \
    f<MR_SIGMOID>, f<MR_TANH>, f<MR_RELU>, f<MR_EXP>, f<MR_GELU>, f<MR_SILU>, f<MR_SOFTPLUS>,      \
        f<MR_G>, f<MR_LOG_G>, f<MR_LOG>                                                            \
  }
const mr_kernel forward_of[MR_N_ACTS] = KINDS(forward), backward_of[MR_N_ACTS] = KINDS(backward);
} // namespace

mr_status act_fwd_cuda(mr_backend *be, const mr_call *c)
{
  return forward_of[((const act_attr *)c->attr)->kind](be, c);
}

mr_status act_bwd_cuda(mr_backend *be, const mr_call *c)
{
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  return backward_of[((const act_attr *)c->attr)->kind](be, c);
}
