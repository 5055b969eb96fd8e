/* rnn_vendor_impl.h — what the vendor layers share between their devices.
 * SPDX-License-Identifier: MIT */
#ifndef MR_RNN_VENDOR_IMPL_H
#define MR_RNN_VENDOR_IMPL_H
#include "op.h"
MR_C_BEGIN

typedef struct mr_vendor_attr {
  int32_t gru;  /* else LSTM */
  int32_t algo; /* of cuDNN: mr_cudnn_algo */
} mr_vendor_attr;

/* Where inputs stand: x, w, wb, u, then ub (GRU), then the states. */
enum { MR_VENDOR_X, MR_VENDOR_W, MR_VENDOR_WB, MR_VENDOR_U, MR_VENDOR_UB };
static inline int mr_vendor_state(const mr_vendor_attr *a)
{
  return a->gru ? 5 : 4;
}

MR_KERNELS(rnn_vendor);
/* Fill in what each vendor saves and works on for inputs that have been checked. */
MR_MUST mr_status mr_vendor_cpu_need(const mr_vendor_attr *a, const mr_view *in, int32_t n_in,
                                     const mr_site *site, mr_need *need);
MR_MUST mr_status mr_vendor_cuda_need(const mr_vendor_attr *a, const mr_view *in, int32_t n_in,
                                      const mr_site *site, mr_need *need);
MR_C_END
#endif
