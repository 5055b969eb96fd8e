/* map.cuh — element-by-element kernels: any function of one or two arrays.
 * SPDX-License-Identifier: MIT
 *
 * One pass, 16 bytes per thread and load; the last few elements, or all where a pointer is not
 * aligned, go one by one. y may be an input: an element is read before it is written. */
#ifndef MR_MAP_CUH
#define MR_MAP_CUH
#include "cuda_util.cuh"

enum { MR_MAP_BLOCK = 256 };

/* beta * old + g, four at a time; *old is read only when beta is not 0. */
static __device__ __forceinline__ mr_vec4 mr_plus4_at(mr_real beta, const mr_real *old, mr_vec4 g)
{
  if (beta == 0) return g;
  const mr_vec4 o = mr_load4(old);
  return {o.x + g.x, o.y + g.y, o.z + g.z, o.w + g.w};
}

template <class F>
static __global__ void __launch_bounds__(MR_MAP_BLOCK)
    mr_map1_kernel(int64_t n, int64_t n4, const mr_real *x, mr_real beta, mr_real *y, F f)
{
  MR_GRID_FOR(i, n4)
  {
    const mr_vec4 a = mr_load4(x + 4 * i);
    mr_store4(y + 4 * i, mr_plus4_at(beta, y + 4 * i, {f(a.x), f(a.y), f(a.z), f(a.w)}));
  }
  MR_GRID_FOR(j, n - 4 * n4)
  {
    const int64_t i = 4 * n4 + j;
    y[i] = mr_plus_at(beta, y + i, f(x[i]));
  }
}

template <class F>
static __global__ void __launch_bounds__(MR_MAP_BLOCK)
    mr_map2_kernel(int64_t n, int64_t n4, const mr_real *x, const mr_real *z, mr_real beta,
                   mr_real *y, F f)
{
  MR_GRID_FOR(i, n4)
  {
    const mr_vec4 a = mr_load4(x + 4 * i), b = mr_load4(z + 4 * i);
    mr_store4(y + 4 * i,
              mr_plus4_at(beta, y + 4 * i, {f(a.x, b.x), f(a.y, b.y), f(a.z, b.z), f(a.w, b.w)}));
  }
  MR_GRID_FOR(j, n - 4 * n4)
  {
    const int64_t i = 4 * n4 + j;
    y[i] = mr_plus_at(beta, y + i, f(x[i], z[i]));
  }
}

/* y[i] = beta y[i] + f(x[i]) for i < n. */
template <class F>
static mr_status mr_map1(mr_backend *be, int64_t n, const mr_real *x, mr_real beta, mr_real *y, F f)
{
  const int64_t n4 = mr_aligned4(x) && mr_aligned4(y) ? n / 4 : 0;
  return MR_LAUNCH(be, mr_map1_kernel<F>, mr_grid(be, mr_max(n4, n - 4 * n4), MR_MAP_BLOCK),
                   MR_MAP_BLOCK, 0, n, n4, x, beta, y, f);
}

/* y[i] = beta y[i] + f(x[i], z[i]) for i < n. */
template <class F>
static mr_status mr_map2(mr_backend *be, int64_t n, const mr_real *x, const mr_real *z,
                         mr_real beta, mr_real *y, F f)
{
  const int64_t n4 = mr_aligned4(x) && mr_aligned4(z) && mr_aligned4(y) ? n / 4 : 0;
  return MR_LAUNCH(be, mr_map2_kernel<F>, mr_grid(be, mr_max(n4, n - 4 * n4), MR_MAP_BLOCK),
                   MR_MAP_BLOCK, 0, n, n4, x, z, beta, y, f);
}
#endif
