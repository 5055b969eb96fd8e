/* dropout.cu — random zeroing on CUDA, with the masks of the CPU. SPDX-License-Identifier: MIT
 *
 * One pass over each array. One block of Philox, four words, serves the four elements that a thread
 * loads at once. Seed, step and mode are read on the device, so that a replayed graph sees them. */
#include "dropout.h"
#include "map.cuh"
#include "philox.h"
#include "rng.h"

namespace
{
enum { BLOCK = 256 };

/* What survives of the four elements from 4 i on: factors that are 0 or 1/(1-p). */
__device__ __forceinline__ mr_vec4 factors(const mr_tick &tick, uint32_t node, int64_t i, double p)
{
  if (!tick.training) return {1, 1, 1, 1};
  const philox4x32_ctr_t w =
      mr_philox(tick.seed, (uint32_t)i, (uint32_t)tick.step, node, MR_STREAM_DROPOUT);
  const uint32_t limit = (uint32_t)(p * 4294967296.0);
  const mr_real scale = (mr_real)(1 / (1 - p));
  return {w.v[0] >= limit ? scale : 0, w.v[1] >= limit ? scale : 0, w.v[2] >= limit ? scale : 0,
          w.v[3] >= limit ? scale : 0};
}

/* A factor of 0 gives 0 whatever x is. */
__device__ __forceinline__ mr_real kept(mr_real x, mr_real factor)
{
  return factor != 0 ? x * factor : 0;
}

/* y = beta y + mask * x / (1 - p), or beta y + x outside training. The gradient has the same form. */
__global__ void __launch_bounds__(BLOCK)
    drop(int64_t n, bool aligned, const mr_tick *at, uint32_t node, double p, const mr_real *x,
         mr_real beta, mr_real *y)
{
  const mr_tick tick = *at;
  MR_GRID_FOR(i, (n + 3) / 4)
  {
    const mr_vec4 f = factors(tick, node, i, p);
    const mr_real *from = x + 4 * i;
    mr_real *to = y + 4 * i;
    if (aligned && 4 * i + 4 <= n) {
      const mr_vec4 v = mr_load4(from);
      const mr_vec4 g = {kept(v.x, f.x), kept(v.y, f.y), kept(v.z, f.z), kept(v.w, f.w)};
      mr_store4(to, mr_plus4_at(beta, to, g));
      continue;
    }
    const mr_real factor[4] = {f.x, f.y, f.z, f.w};
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (4 * i + j < n) to[j] = mr_plus_at(beta, to + j, kept(from[j], factor[j]));
  }
}

mr_status apply(mr_backend *be, const mr_call *c, const mr_real *x, mr_real beta, mr_real *y,
                int64_t n)
{
  const double p = ((const dropout_attr *)c->attr)->p;
  return MR_LAUNCH(be, drop, mr_grid(be, (n + 3) / 4, BLOCK), BLOCK, 0, n,
                   mr_aligned4(x) && mr_aligned4(y), c->tick, c->node, p, x, beta, y);
}
} // namespace

mr_status dropout_fwd_cuda(mr_backend *be, const mr_call *c)
{
  return apply(be, c, MR_IN(c, 0), 0, MR_OUT(c, 0), mr_count(&c->out[0].shape));
}

mr_status dropout_bwd_cuda(mr_backend *be, const mr_call *c)
{
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  return apply(be, c, MR_DOUT(c, 0), c->beta[0], MR_DIN(c, 0), mr_count(&c->dout[0].shape));
}
