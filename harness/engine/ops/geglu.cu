/* geglu.cu — a * gelu(b) on CUDA. SPDX-License-Identifier: MIT
 *
 * One pass over each array: both halves of a row are read and, in backward, written by the thread
 * that holds the element, so that the gradient may take the place of x. */
#include "geglu.h"
#include "map.cuh"
#include "rows.cuh"

namespace
{
__device__ __forceinline__ mr_real gated(mr_real a, mr_real b)
{
  return a * mr_gelu1(b);
}

__device__ __forceinline__ mr_vec4 gated(mr_vec4 a, mr_vec4 b)
{
  return {gated(a.x, b.x), gated(a.y, b.y), gated(a.z, b.z), gated(a.w, b.w)};
}

/* a and b become their own gradients. */
__device__ __forceinline__ void gradients(mr_real &a, mr_real &b, mr_real dy)
{
  mr_real density;
  const mr_real phi = mr_normal1(b, &density), da = dy * b * phi;
  b = dy * a * (phi + b * density);
  a = da;
}

__device__ __forceinline__ void gradients(mr_vec4 &a, mr_vec4 &b, mr_vec4 dy)
{
  gradients(a.x, b.x, dy.x);
  gradients(a.y, b.y, dy.y);
  gradients(a.z, b.z, dy.z);
  gradients(a.w, b.w, dy.w);
}

/* T is a real or four; f counts T. */
template <class T>
__global__ void __launch_bounds__(MR_ROWS_BLOCK) forward(int64_t rows, int64_t f, const T *x, T *y)
{
  MR_ROWS_FOR(r, rows, i, f)
  y[r * f + i] = gated(x[2 * r * f + i], x[2 * r * f + f + i]);
}

template <class T>
__global__ void __launch_bounds__(MR_ROWS_BLOCK)
    backward(int64_t rows, int64_t f, const T *x, const T *dy, bool add, T *dx)
{
  MR_ROWS_FOR(r, rows, i, f)
  {
    const int64_t at = 2 * r * f + i;
    T a = x[at], b = x[at + f];
    gradients(a, b, dy[r * f + i]);
    dx[at] = add ? mr_sum_of(dx[at], a) : a;
    dx[at + f] = add ? mr_sum_of(dx[at + f], b) : b;
  }
}
} // namespace

mr_status geglu_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const int64_t rows = mr_rows(&c->out[0].shape), f = mr_cols(&c->out[0].shape);
  const mr_real *x = MR_IN(c, 0);
  mr_real *y = MR_OUT(c, 0);
  const bool wide = f % 4 == 0 && mr_aligned4(x) && mr_aligned4(y);
  const mr_rows_launch l = mr_rows_over(rows, wide ? f / 4 : f);
  if (wide)
    return MR_LAUNCH(be, forward<mr_vec4>, l.grid, l.block, 0, rows, f / 4, (const mr_vec4 *)x,
                     (mr_vec4 *)y);
  return MR_LAUNCH(be, forward<mr_real>, l.grid, l.block, 0, rows, f, x, y);
}

mr_status geglu_bwd_cuda(mr_backend *be, const mr_call *c)
{
  const int64_t rows = mr_rows(&c->dout[0].shape), f = mr_cols(&c->dout[0].shape);
  const mr_real *x = MR_IN(c, 0), *dy = MR_DOUT(c, 0);
  mr_real *dx = MR_DIN(c, 0);
  const bool wide = f % 4 == 0 && mr_aligned4(x) && mr_aligned4(dy) && mr_aligned4(dx);
  const bool add = c->beta[0] != 0;
  if (dx == NULL) return MR_OK;
  const mr_rows_launch l = mr_rows_over(rows, wide ? f / 4 : f);
  if (wide)
    return MR_LAUNCH(be, backward<mr_vec4>, l.grid, l.block, 0, rows, f / 4, (const mr_vec4 *)x,
                     (const mr_vec4 *)dy, add, (mr_vec4 *)dx);
  return MR_LAUNCH(be, backward<mr_real>, l.grid, l.block, 0, rows, f, x, dy, add, dx);
}
