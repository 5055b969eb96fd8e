/* adamw.cu — squared norm of the gradients and the AdamW update, on CUDA.
 * SPDX-License-Identifier: MIT
 *
 * A block takes a piece of a parameter; all parameters are one launch. The norm reads the gradients
 * once; sums are made in double in an order that the shapes alone decide. Scale and finiteness of
 * the norm are settled on the device, so that a step needs no word from the host. The update reads
 * four arrays and writes three, 16 bytes at a time. */
#include "adamw.h"
#include "cuda_util.cuh"

namespace
{
enum { BLOCK = 256 };

__global__ void __launch_bounds__(BLOCK) square_sums(const mr_piece *piece, double *part)
{
  MR_SHARED(double, shared, [BLOCK / MR_WARP]);
  const mr_piece q = piece[blockIdx.x];
  const int64_t n4 = (uintptr_t)q.grad % 16 == 0 ? q.n / 4 : 0;
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n4; i += BLOCK) {
    const mr_vec4 g = mr_load4(q.grad + 4 * i);
    sum += ((double)g.x * g.x + (double)g.y * g.y) + ((double)g.z * g.z + (double)g.w * g.w);
  }
  for (int64_t i = 4 * n4 + threadIdx.x; i < q.n; i += BLOCK)
    sum += (double)q.grad[i] * (double)q.grad[i];
  sum = mr_block_sum<BLOCK>(sum, shared);
  if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(BLOCK)
    finish_norm(const double *part, int64_t n, const mr_adamw_in *in, mr_adamw_out *out)
{
  MR_SHARED(double, shared, [BLOCK / MR_WARP]);
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += BLOCK) sum += part[i];
  sum = mr_block_sum<BLOCK>(sum, shared);
  if (threadIdx.x != 0) return;
  const double norm = sqrt(sum), room = in->clip / (norm + 1e-6);
  out->norm = norm;
  out->scale = in->clip > 0 && room < 1 ? room : 1;
  if (out->bad < 0 && !isfinite(norm)) out->bad = in->step;
}

/* The numbers of a step in the precision of the parameters. */
struct rates {
  mr_real b1, c1, b2, c2, scale, eps, rate, unbias2, shrink;
};

__device__ __forceinline__ void update(const rates &a, mr_real grad, mr_real &p, mr_real &m,
                                       mr_real &v)
{
  const mr_real g = a.scale * grad;
  m = a.b1 * m + a.c1 * g;
  v = a.b2 * v + a.c2 * g * g;
  p -= a.shrink * p + a.rate * m / (mr_sqrt1(a.unbias2 * v) + a.eps);
}

__global__ void __launch_bounds__(BLOCK)
    step(const mr_piece *piece, const mr_adamw_in *in, const mr_adamw_out *out)
{
  const mr_piece q = piece[blockIdx.x];
  const mr_adamw s = in->a;
  if (out->bad >= 0) return;
  const rates a = {(mr_real)s.beta1,
                   (mr_real)(1 - s.beta1),
                   (mr_real)s.beta2,
                   (mr_real)(1 - s.beta2),
                   (mr_real)out->scale,
                   (mr_real)s.eps,
                   (mr_real)(s.lr * s.unbias1),
                   (mr_real)s.unbias2,
                   (mr_real)(s.lr * q.decay)};
  const uintptr_t low = (uintptr_t)q.value | (uintptr_t)q.m | (uintptr_t)q.v | (uintptr_t)q.grad;
  const int64_t n4 = low % 16 == 0 ? q.n / 4 : 0;
  for (int64_t i = threadIdx.x; i < n4; i += BLOCK) {
    const mr_vec4 g = mr_load4(q.grad + 4 * i);
    mr_vec4 p = mr_load4(q.value + 4 * i), m = mr_load4(q.m + 4 * i), v = mr_load4(q.v + 4 * i);
    update(a, g.x, p.x, m.x, v.x);
    update(a, g.y, p.y, m.y, v.y);
    update(a, g.z, p.z, m.z, v.z);
    update(a, g.w, p.w, m.w, v.w);
    mr_store4(q.value + 4 * i, p);
    mr_store4(q.m + 4 * i, m);
    mr_store4(q.v + 4 * i, v);
  }
  for (int64_t i = 4 * n4 + threadIdx.x; i < q.n; i += BLOCK)
    update(a, q.grad[i], q.value[i], q.m[i], q.v[i]);
}
} // namespace

mr_status mr_adamw_norm_cuda(mr_backend *be, const mr_pieces *all, double *part,
                             const mr_adamw_in *in, mr_adamw_out *out)
{
  MR_CHECK(MR_LAUNCH(be, square_sums, (unsigned)all->n, BLOCK, 0, all->piece, part));
  return MR_LAUNCH(be, finish_norm, 1, BLOCK, 0, part, all->n, in, out);
}

mr_status mr_adamw_step_cuda(mr_backend *be, const mr_pieces *all, const mr_adamw_in *in,
                             const mr_adamw_out *out)
{
  return MR_LAUNCH(be, step, (unsigned)all->n, BLOCK, 0, all->piece, in, out);
}
