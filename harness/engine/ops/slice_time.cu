/* slice_time.cu — a stretch of steps, on CUDA: one pass over the stretch.
 * SPDX-License-Identifier: MIT */
#include "slice_time.h"
#include "strided.cuh"

namespace
{
/* The steps of a sequence and the channels of a step make one row. */
struct sizes {
  int64_t rows, row, from, n;
};

sizes sizes_of(const mr_call *c, const mr_shape *s)
{
  const slice_time_attr *a = (const slice_time_attr *)c->attr;
  const int64_t D = s->dim[s->rank - 1];
  return {s->rank == 3 ? s->dim[0] : 1, s->dim[s->rank - 2] * D, a->from * D, a->n * D};
}
} // namespace

mr_status slice_time_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const sizes s = sizes_of(c, &c->in[0].shape);
  return mr_copy_rows(be, s.rows, s.n, MR_IN(c, 0) + s.from, s.row, 0, MR_OUT(c, 0), s.n);
}

mr_status slice_time_bwd_cuda(mr_backend *be, const mr_call *c)
{
  const sizes s = sizes_of(c, &c->din[0].shape);
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  return mr_slice_gradient(be, s.rows, s.n, MR_DOUT(c, 0), s.from, c->beta[0], MR_DIN(c, 0), s.row);
}
