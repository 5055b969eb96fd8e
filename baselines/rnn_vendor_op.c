/* rnn_vendor_op.c — GRU and LSTM layers of vendors as ops: oneDNN's on the CPU, cuDNN's on CUDA.
 * SPDX-License-Identifier: MIT */
#include "rnn_vendor.h"
#include <string.h>
#include "op_util.h"
#include "rnn_vendor_impl.h"
#include "cudnn.h"

const char *const mr_cudnn_algo_name[MR_CUDNN_ALGOS] = {[MR_CUDNN_SMALL_H] =
                                                            "persist_static_small_h",
                                                        [MR_CUDNN_STATIC] = "persist_static",
                                                        [MR_CUDNN_DYNAMIC] = "persist_dynamic",
                                                        [MR_CUDNN_STANDARD] = "standard"};

static mr_status check_shapes(const mr_vendor_attr *a, const mr_view *in, int32_t n_in, bool *state)
{
  const char *name = a->gru ? "gru_vendor" : "lstm_vendor";
  const int64_t G = a->gru ? 3 : 4;
  const int first = mr_vendor_state(a);
  MR_CHECK(mr_rule_rank(name, "x", &in[MR_VENDOR_X], MR_REAL, 3));
  MR_CHECK(mr_rule_rank(name, "u", &in[MR_VENDOR_U], MR_REAL, 2));
  const int64_t B = in[MR_VENDOR_X].shape.dim[0], D = in[MR_VENDOR_X].shape.dim[2],
                H = in[MR_VENDOR_U].shape.dim[1];
  const mr_shape w = mr_shape2(G * H, D), bias = mr_shape1(G * H), u = mr_shape2(G * H, H);
  const mr_shape h = mr_shape3(B, 1, H);
  MR_CHECK(mr_rule_shape(name, "w", &in[MR_VENDOR_W], MR_REAL, &w));
  MR_CHECK(mr_rule_shape(name, "wb", &in[MR_VENDOR_WB], MR_REAL, &bias));
  MR_CHECK(mr_rule_shape(name, "u", &in[MR_VENDOR_U], MR_REAL, &u));
  if (a->gru) MR_CHECK(mr_rule_shape(name, "ub", &in[MR_VENDOR_UB], MR_REAL, &bias));
  *state = mr_rule_given(in, n_in, first);
  if (*state) MR_CHECK(mr_rule_shape(name, "h0", &in[first], MR_REAL, &h));
  if (a->gru) return MR_OK;
  if (mr_rule_given(in, n_in, first + 1) != *state)
    return MR_FAIL(MR_ERR_SHAPE, "%s: h0 and c0 must both be given or both be left out", name);
  if (*state) MR_CHECK(mr_rule_shape(name, "c0", &in[first + 1], MR_REAL, &h));
  return MR_OK;
}

static mr_status vendor_infer(const void *attr, const mr_view *in, int32_t n_in,
                              const mr_site *site, mr_need *need)
{
  const mr_vendor_attr *a = attr;
  bool state;
  MR_CHECK(check_shapes(a, in, n_in, &state));
  const mr_shape *x = &in[MR_VENDOR_X].shape;
  const int64_t B = x->dim[0], T = x->dim[1], D = x->dim[2], H = in[MR_VENDOR_U].shape.dim[1];
  const double G = a->gru ? 3 : 4, steps = (double)(B * T), width = (double)H;
  if (site->device == MR_CPU) MR_CHECK(mr_vendor_cpu_need(a, in, n_in, site, need));
#ifdef MR_WITH_CUDA
  else
    MR_CHECK(mr_vendor_cuda_need(a, in, n_in, site, need));
#endif
  need->out[0] = mr_shape3(B, T, H);
  if (!a->gru) need->out[1] = mr_shape3(B, 1, H);
  for (int i = 0; i < n_in; i++)
    if (mr_rule_given(in, n_in, i)) need->reads_in |= 1u << i;
  need->reads_out = a->gru ? 1 : 3;
  need->flops = steps * 2 * G * width * ((double)D + width) + 20 * steps * width;
  need->flops_bwd = 2 * need->flops;
  need->hides_products = true;
  need->bytes =
      steps * ((double)D + 2 * width) * sizeof(mr_real) + (double)mr_bytes(&need->save[0], MR_REAL);
  return MR_OK;
}

static const mr_op gru_op = {"gru_vendor",
                             6,
                             1,
                             sizeof(mr_vendor_attr),
                             vendor_infer,
                             MR_TWIN(rnn_vendor, fwd),
                             MR_TWIN(rnn_vendor, bwd)};
static const mr_op lstm_op = {
    "lstm_vendor",           6, 2, sizeof(mr_vendor_attr), vendor_infer, MR_TWIN(rnn_vendor, fwd),
    MR_TWIN(rnn_vendor, bwd)};

static int32_t algo_of(const char *name)
{
  int32_t a = 0;
  while (a < MR_CUDNN_AUTO && strcmp(name, mr_cudnn_algo_name[a]) != 0) a++;
  return a;
}

mr_val mr_gru_vendor(mr_tape *t, mr_val x, mr_val w, mr_val wb, mr_val u, mr_val ub, mr_val h0,
                     const char *algo)
{
  const mr_vendor_attr a = {1, algo_of(algo)};
  const mr_val in[] = {x, w, wb, u, ub, h0};
  return mr_apply(t, &gru_op, &a, in, 6);
}

mr_val mr_lstm_vendor(mr_tape *t, mr_val x, mr_val w, mr_val wb, mr_val u, mr_val h0, mr_val c0,
                      const char *algo)
{
  const mr_vendor_attr a = {0, algo_of(algo)};
  const mr_val in[] = {x, w, wb, u, h0, c0};
  return mr_apply(t, &lstm_op, &a, in, 6);
}
