/* layernorm.cu — rows to mean 0 and variance 1, on CUDA: norm_rows.cuh with centring.
 * SPDX-License-Identifier: MIT */
#include "layernorm.h"
#include "norm_rows.cuh"

mr_status layernorm_fwd_cuda(mr_backend *be, const mr_call *c)
{
  mr_norm q = {};
  q.x = MR_IN(c, 0), q.gain = MR_IN(c, 1), q.bias = MR_IN(c, 2), q.y = MR_OUT(c, 0);
  q.mean = MR_SAVE(c, 0), q.scale = MR_SAVE(c, 1);
  q.rows = mr_rows(&c->out[0].shape), q.d = (int)mr_cols(&c->out[0].shape);
  return mr_norm_run_forward<true>(be, q);
}

mr_status layernorm_bwd_cuda(mr_backend *be, const mr_call *c)
{
  mr_norm q = {};
  q.x = MR_IN(c, 0), q.gain = MR_IN(c, 1), q.dy = MR_DOUT(c, 0);
  q.mean = MR_SAVE(c, 0), q.scale = MR_SAVE(c, 1);
  q.dx = MR_DIN(c, 0), q.beta = c->beta[0], q.part = (mr_real *)c->work;
  q.rows = mr_rows(&c->dout[0].shape), q.d = (int)mr_cols(&c->dout[0].shape);
  MR_CHECK(mr_norm_run_backward<true>(be, q));
  if (MR_DIN(c, 1) == NULL && MR_DIN(c, 2) == NULL) return MR_OK;
  return mr_add_partials(be, q.part, mr_partials(q.rows), {MR_DIN(c, 1), c->beta[1], q.d},
                         {MR_DIN(c, 2), c->beta[2], q.d});
}
