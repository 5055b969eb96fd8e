/* concat_time.cu — sequences one after the other, on CUDA. SPDX-License-Identifier: MIT
 *
 * One pass over each array. Up to 64 parts travel in one launch: models that loop over time join as
 * many parts as there are steps. */
#include "concat_time.h"
#include "rows.cuh"

namespace
{
enum { PARTS = 64 };

/* Parts of one launch, which stand in the whole from real `at` on; rows of a part hold n reals. */
struct parts {
  mr_real *data[PARTS]; /* NULL: nobody wants it */
  int64_t at[PARTS], n[PARTS];
  uint64_t add; /* bit i: add to part i */
};

__global__ void __launch_bounds__(MR_ROWS_BLOCK)
    join(parts p, int64_t rows, mr_real *whole, int64_t ld)
{
  const mr_real *x = p.data[blockIdx.z];
  const int64_t n = p.n[blockIdx.z];
  mr_real *y = whole + p.at[blockIdx.z];
  MR_ROWS_FOR(r, rows, i, n) y[r * ld + i] = x[r * n + i];
}

__global__ void __launch_bounds__(MR_ROWS_BLOCK)
    split(parts p, int64_t rows, const mr_real *whole, int64_t ld)
{
  mr_real *x = p.data[blockIdx.z];
  const int64_t n = p.n[blockIdx.z];
  const mr_real *y = whole + p.at[blockIdx.z];
  const mr_real beta = (mr_real)(p.add >> blockIdx.z & 1);
  if (x == NULL) return;
  MR_ROWS_FOR(r, rows, i, n)
  {
    mr_real *to = x + r * n + i;
    *to = mr_plus_at(beta, to, y[r * ld + i]);
  }
}

/* True when memory is wanted twice: its second gradient is added after the first, in a later launch. */
bool repeats(const parts *p, int32_t count, const void *data)
{
  for (int32_t i = 0; i < count; i++)
    if (data != NULL && p->data[i] == data) return true;
  return false;
}

/* Both directions: `whole` [rows,ld] from or to the parts. */
mr_status run(mr_backend *be, const mr_call *c, const mr_view *part, bool joins,
              const mr_view *whole)
{
  const int64_t rows = whole->shape.dim[0], ld = whole->shape.dim[1] * whole->shape.dim[2];
  mr_real *data = (mr_real *)whole->data;
  int64_t at = 0;
  for (int32_t next = 0; next < c->n_in;) {
    parts p = {};
    int64_t most = 1;
    int32_t i = 0;
    for (; i < PARTS && next < c->n_in; i++, next++) {
      const mr_view *v = &part[next];
      if (!joins && repeats(&p, i, v->data)) break;
      p.data[i] = (mr_real *)v->data;
      p.at[i] = at;
      p.n[i] = v->shape.dim[1] * v->shape.dim[2];
      if (!joins && c->beta[next] != 0) p.add |= (uint64_t)1 << i;
      most = mr_max(most, p.n[i]);
      at += p.n[i];
    }
    mr_rows_launch l = mr_rows_over(rows, most);
    l.grid.z = (unsigned)i;
    if (joins)
      MR_CHECK(MR_LAUNCH(be, join, l.grid, l.block, 0, p, rows, data, ld));
    else
      MR_CHECK(MR_LAUNCH(be, split, l.grid, l.block, 0, p, rows, data, ld));
  }
  return MR_OK;
}
} // namespace

mr_status concat_time_fwd_cuda(mr_backend *be, const mr_call *c)
{
  return run(be, c, c->in, true, &c->out[0]);
}

mr_status concat_time_bwd_cuda(mr_backend *be, const mr_call *c)
{
  return run(be, c, c->din, false, &c->dout[0]);
}
