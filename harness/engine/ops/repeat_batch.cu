/* repeat_batch.cu — one row for every sequence, on CUDA; the gradient is a column sum.
 * SPDX-License-Identifier: MIT */
#include "repeat_batch.h"
#include "strided.cuh"
#include "sums.cuh"

mr_status repeat_batch_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const int64_t B = c->out[0].shape.dim[0], D = c->out[0].shape.dim[2];
  return mr_copy_rows(be, B, D, MR_IN(c, 0), 0, 0, MR_OUT(c, 0), D);
}

mr_status repeat_batch_bwd_cuda(mr_backend *be, const mr_call *c)
{
  const int64_t B = c->dout[0].shape.dim[0], D = c->dout[0].shape.dim[2];
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  return mr_column_sums(be, MR_DOUT(c, 0), B, {MR_DIN(c, 0), c->beta[0], D}, c->work);
}
