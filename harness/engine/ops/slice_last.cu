/* slice_last.cu — a stretch of channels, on CUDA: one pass over the stretch.
 * SPDX-License-Identifier: MIT */
#include "slice_last.h"
#include "strided.cuh"

mr_status slice_last_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const slice_last_attr *a = (const slice_last_attr *)c->attr;
  const mr_shape *s = &c->in[0].shape;
  return mr_copy_rows(be, mr_rows(s), a->n, MR_IN(c, 0) + a->from, mr_cols(s), 0, MR_OUT(c, 0),
                      a->n);
}

mr_status slice_last_bwd_cuda(mr_backend *be, const mr_call *c)
{
  const slice_last_attr *a = (const slice_last_attr *)c->attr;
  const mr_shape *s = &c->din[0].shape;
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  return mr_slice_gradient(be, mr_rows(s), a->n, MR_DOUT(c, 0), a->from, c->beta[0], MR_DIN(c, 0),
                           mr_cols(s));
}
