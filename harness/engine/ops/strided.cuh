/* strided.cuh — copies and sums of rows that need not touch, and the gradient of slices.
 * SPDX-License-Identifier: MIT
 *
 * One pass over each array; rows of whole, aligned groups of four go 16 bytes at a time. */
#ifndef MR_STRIDED_CUH
#define MR_STRIDED_CUH
#include "rows.cuh"

/* y[r] = beta y[r] + x[r], rows of n units, ldx and ldy units apart. */
template <class T>
static __global__ void __launch_bounds__(MR_ROWS_BLOCK)
    mr_copy_rows_kernel(int64_t rows, int64_t n, const T *x, int64_t ldx, bool add, T *y,
                        int64_t ldy)
{
  MR_ROWS_FOR(r, rows, i, n)
  {
    const T v = x[r * ldx + i];
    T *to = y + r * ldy + i;
    *to = add ? mr_sum_of(*to, v) : v;
  }
}

/* y[r] = zeros but for x[r], n units, from unit `from` on; rows of y hold ldy units. */
template <class T>
static __global__ void __launch_bounds__(MR_ROWS_BLOCK)
    mr_pad_rows_kernel(int64_t rows, int64_t n, const T *x, int64_t from, T *y, int64_t ldy)
{
  MR_ROWS_FOR(r, rows, i, ldy)
  {
    const bool inside = i >= from && i < from + n;
    y[r * ldy + i] = inside ? x[r * n + i - from] : T{};
  }
}

/* y[r] = beta y[r] + x[r] for `rows` rows of n reals, ldx and ldy reals apart (ldx 0: one row). */
static inline mr_status mr_copy_rows(mr_backend *be, int64_t rows, int64_t n, const mr_real *x,
                                     int64_t ldx, mr_real beta, mr_real *y, int64_t ldy)
{
  const bool wide = (n | ldx | ldy) % 4 == 0 && mr_aligned4(x) && mr_aligned4(y);
  const mr_rows_launch l = mr_rows_over(rows, wide ? n / 4 : n);
  if (wide)
    return MR_LAUNCH(be, mr_copy_rows_kernel<mr_vec4>, l.grid, l.block, 0, rows, n / 4,
                     (const mr_vec4 *)x, ldx / 4, beta != 0, (mr_vec4 *)y, ldy / 4);
  return MR_LAUNCH(be, mr_copy_rows_kernel<mr_real>, l.grid, l.block, 0, rows, n, x, ldx, beta != 0,
                   y, ldy);
}

/* The gradient dx, rows of ld reals, of a slice: the n reals from `from` on. The first gradient
 * (beta 0) fills all of dx, zeros outside the slice; later ones touch the slice alone. */
static inline mr_status mr_slice_gradient(mr_backend *be, int64_t rows, int64_t n,
                                          const mr_real *dy, int64_t from, mr_real beta,
                                          mr_real *dx, int64_t ld)
{
  const bool wide = (n | from | ld) % 4 == 0 && mr_aligned4(dy) && mr_aligned4(dx);
  if (beta != 0) return mr_copy_rows(be, rows, n, dy, n, beta, dx + from, ld);
  const mr_rows_launch l = mr_rows_over(rows, wide ? ld / 4 : ld);
  if (wide)
    return MR_LAUNCH(be, mr_pad_rows_kernel<mr_vec4>, l.grid, l.block, 0, rows, n / 4,
                     (const mr_vec4 *)dy, from / 4, (mr_vec4 *)dx, ld / 4);
  return MR_LAUNCH(be, mr_pad_rows_kernel<mr_real>, l.grid, l.block, 0, rows, n, dy, from, dx, ld);
}
#endif
