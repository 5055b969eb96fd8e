/* add_position.cu — x plus the rows of a table by step, on CUDA. SPDX-License-Identifier: MIT
 *
 * One pass over each array. In backward a row of the table gathers the steps that read it, sequence
 * after sequence, so that the order of its sum is fixed. */
#include "add_position.h"
#include "map.cuh"
#include "rows.cuh"

namespace
{
/* Steps before sequence b, at most `last`: seen as a whole number, NaN as 0. */
__device__ __forceinline__ int64_t steps_before(const mr_real *seen, int64_t b, int64_t last)
{
  const mr_real n = seen != NULL ? seen[b] : 0;
  if (!(n > 0)) return 0;
  return n >= (mr_real)last ? last : (int64_t)(n + (mr_real)0.5);
}

/* blockIdx.z: the sequence. */
template <class T>
__global__ void __launch_bounds__(MR_ROWS_BLOCK)
    add_rows(int64_t B, int64_t steps, int64_t d, int64_t last, const mr_real *seen, const T *x,
             const T *table, T *y)
{
  for (int64_t b = blockIdx.z; b < B; b += gridDim.z) {
    const int64_t before = steps_before(seen, b, last), at = b * steps * d;
    MR_ROWS_FOR(t, steps, i, d)
    {
      const int64_t row = mr_min(before + t, last);
      y[at + t * d + i] = mr_sum_of(x[at + t * d + i], table[row * d + i]);
    }
  }
}

/* dtable[p] = beta dtable[p] + sum of dy over the steps that read row p: one of each sequence at
 * most, but for the last row. */
__global__ void __launch_bounds__(MR_ROWS_BLOCK)
    gather(int64_t B, int64_t steps, int64_t d, int64_t last, const mr_real *seen,
           const mr_real *dy, mr_real beta, mr_real *dtable)
{
  MR_ROWS_FOR(p, last + 1, i, d)
  {
    mr_real sum = 0;
    for (int64_t b = 0; b < B; b++) {
      const int64_t first = p - steps_before(seen, b, last), n = p < last ? first + 1 : steps;
      for (int64_t t = mr_max<int64_t>(first, 0); t < mr_min(n, steps); t++)
        sum += dy[(b * steps + t) * d + i];
    }
    mr_real *to = dtable + p * d + i;
    *to = mr_plus_at(beta, to, sum);
  }
}

struct same {
  __device__ __forceinline__ mr_real operator()(mr_real x) const
  {
    return x;
  }
};
} // namespace

mr_status add_position_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const mr_shape *s = &c->out[0].shape;
  const int64_t B = s->dim[0], T = s->dim[1], D = s->dim[2], last = c->in[1].shape.dim[0] - 1;
  const mr_real *x = MR_IN(c, 0), *table = MR_IN(c, 1);
  const mr_real *seen = MR_GIVEN(c, 2) ? MR_IN(c, 2) : NULL;
  mr_real *y = MR_OUT(c, 0);
  const bool wide = D % 4 == 0 && mr_aligned4(x) && mr_aligned4(table) && mr_aligned4(y);
  mr_rows_launch l = mr_rows_over(T, wide ? D / 4 : D);
  l.grid.z = (unsigned)mr_min<int64_t>(B, MR_GRID_YZ_MAX);
  if (wide)
    return MR_LAUNCH(be, add_rows<mr_vec4>, l.grid, l.block, 0, B, T, D / 4, last, seen,
                     (const mr_vec4 *)x, (const mr_vec4 *)table, (mr_vec4 *)y);
  return MR_LAUNCH(be, add_rows<mr_real>, l.grid, l.block, 0, B, T, D, last, seen, x, table, y);
}

mr_status add_position_bwd_cuda(mr_backend *be, const mr_call *c)
{
  const mr_shape *s = &c->dout[0].shape;
  const int64_t P = c->in[1].shape.dim[0], D = s->dim[2];
  const mr_real *dy = MR_DOUT(c, 0);
  mr_real *dx = MR_DIN(c, 0);
  const bool carried = MR_GIVEN(c, 2);
  if (dx != NULL && (dx != dy || c->beta[0] != 0))
    MR_CHECK(mr_map1(be, mr_count(s), dy, c->beta[0], dx, same()));
  if (MR_DIN(c, 1) != NULL) {
    const mr_rows_launch l = mr_rows_over(P, D);
    MR_CHECK(MR_LAUNCH(be, gather, l.grid, l.block, 0, s->dim[0], s->dim[1], D, P - 1,
                       carried ? MR_IN(c, 2) : NULL, dy, c->beta[1], MR_DIN(c, 1)));
  }
  /* Nothing flows to the number of steps: zeros where somebody asks. */
  if (!carried || MR_DIN(c, 2) == NULL || c->beta[2] != 0) return MR_OK;
  return be->api->fill(be, MR_DIN(c, 2), 0, mr_bytes(&c->din[2].shape, MR_REAL));
}
