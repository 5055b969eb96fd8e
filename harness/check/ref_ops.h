/* ref_ops.h — the forward of every op once more: slow, obvious, in double, as the equations in ops.h
 * read. What kernels are held against. SPDX-License-Identifier: MIT */
#ifndef MR_REF_OPS_H
#define MR_REF_OPS_H
#include "op.h"
MR_C_BEGIN

/* One call of a reference. Shapes are those the op has accepted. */
typedef struct mr_ref {
  const void *attr;
  int n_in;
  const mr_view *in; /* data: double for MR_REAL, int32_t for MR_I32; rank < 0: not given */
  double *out[MR_MAX_OUT];
  double *scratch; /* as many doubles as out[0] has */
  mr_tick tick;
  uint32_t node; /* number of the op's node on the tape */
} mr_ref;

typedef void (*mr_ref_fn)(const mr_ref *r);

/* Equations: see the builder of the same name in ops.h. */
void mr_ref_linear(const mr_ref *r);
void mr_ref_embed(const mr_ref *r);
void mr_ref_rmsnorm(const mr_ref *r);
void mr_ref_layernorm(const mr_ref *r);
void mr_ref_add(const mr_ref *r);
void mr_ref_sub(const mr_ref *r);
void mr_ref_mul(const mr_ref *r);
void mr_ref_scale(const mr_ref *r);
void mr_ref_shift(const mr_ref *r);
void mr_ref_act(const mr_ref *r);
void mr_ref_geglu(const mr_ref *r);
void mr_ref_dropout(const mr_ref *r);
void mr_ref_slice_time(const mr_ref *r);
void mr_ref_slice_last(const mr_ref *r);
void mr_ref_concat_time(const mr_ref *r);
void mr_ref_repeat_batch(const mr_ref *r);
void mr_ref_conv1d(const mr_ref *r);
void mr_ref_cumsum_time(const mr_ref *r);
void mr_ref_logcumsumexp_time(const mr_ref *r);
void mr_ref_scan(const mr_ref *r);
void mr_ref_mingru_seq(const mr_ref *r);
void mr_ref_minlstm_seq(const mr_ref *r);
void mr_ref_gru_seq(const mr_ref *r);
void mr_ref_lstm_seq(const mr_ref *r);
void mr_ref_selective_scan(const mr_ref *r);
void mr_ref_attention(const mr_ref *r);
void mr_ref_add_position(const mr_ref *r);
void mr_ref_softmax_xent(const mr_ref *r);
void mr_ref_mse(const mr_ref *r);
MR_C_END
#endif
