/* softmax_xent.cu — mean cross entropy on CUDA, loss and gradient fused. SPDX-License-Identifier: MIT
 *
 * A row of logits lies in the registers of 16 or 32 lanes (up to 128 symbols; longer rows are read
 * again from the cache). Forward reads the labelled rows once; backward reads them once and writes
 * the gradient, which may be the logits themselves. Losses are summed in double by blocks and then
 * in the order of blocks. Forward leaves 1 / (labelled rows) for backward. */
#include "softmax_xent.h"
#include "lanes.cuh"
#include "mean_loss.cuh"

namespace
{
enum { BLOCK = MR_LOSS_BLOCK };

struct rows {
  const mr_real *x;
  const int32_t *label;
  int64_t n, v;
};

/* The largest logit of a labelled row and the sum of exp(x - *top). ITEMS > 0: the lane's exp are
 * left in `kept`; 0: rows of any length. Without a label nothing is read, nor is the result. */
template <int LANES, int ITEMS>
__device__ __forceinline__ mr_real exp_sum(const mr_real *x, int64_t v, bool labelled,
                                           mr_real *kept, mr_real *top)
{
  const int lane = threadIdx.x % LANES;
  mr_real max = -INFINITY, sum = 0;
  if constexpr (ITEMS > 0) {
#pragma unroll
    for (int k = 0; k < ITEMS; k++) {
      kept[k] = labelled && lane + LANES * k < v ? x[lane + LANES * k] : -INFINITY;
      max = mr_top(max, kept[k]);
    }
    max = mr_max_lanes<LANES>(max);
#pragma unroll
    for (int k = 0; k < ITEMS; k++) {
      kept[k] = mr_exp1(kept[k] - max);
      sum += kept[k];
    }
  } else {
    for (int64_t i = lane; labelled && i < v; i += LANES) max = mr_top(max, x[i]);
    max = mr_max_lanes<LANES>(max);
    for (int64_t i = lane; labelled && i < v; i += LANES) sum += mr_exp1(x[i] - max);
  }
  *top = max;
  return mr_sum_lanes<LANES>(sum);
}

/* The rows of one part per block. A label of V or more makes the loss NaN. */
template <int LANES, int ITEMS>
__global__ void __launch_bounds__(BLOCK) forward(rows q, mr_loss_part *part)
{
  const int64_t from = q.n * blockIdx.x / gridDim.x, to = q.n * (blockIdx.x + 1) / gridDim.x;
  double loss = 0, count = 0;
  for (int64_t first = from; first < to; first += BLOCK / LANES) {
    const int64_t r = first + threadIdx.x / LANES;
    const int32_t label = r < to ? q.label[r] : -1;
    const mr_real *x = q.x + r * q.v;
    mr_real kept[ITEMS > 0 ? ITEMS : 1], top;
    if (!__any_sync(MR_FULL_WARP, label >= 0)) continue;
    const mr_real sum = exp_sum<LANES, ITEMS>(x, q.v, label >= 0, kept, &top);
    if (label < 0 || threadIdx.x % LANES != 0) continue;
    const mr_real own = label < q.v ? x[label] : NAN;
    loss += (double)mr_log1(sum) + ((double)top - (double)own);
    count += 1;
  }
  mr_put_loss(part, loss, count);
}

/* dx = beta dx + scale (softmax(x) - onehot(label)), scale = dout / (labelled rows). */
template <int LANES, int ITEMS>
__global__ void __launch_bounds__(BLOCK)
    backward(rows q, const mr_real *dout, const mr_real *share, mr_real beta, mr_real *dx)
{
  const mr_real scale = *dout * *share;
  const int lane = threadIdx.x % LANES;
  for (int64_t first = (int64_t)blockIdx.x * (BLOCK / LANES); first < q.n;
       first += (int64_t)gridDim.x * (BLOCK / LANES)) {
    const int64_t r = first + threadIdx.x / LANES;
    const int32_t label = r < q.n ? q.label[r] : -1;
    const mr_real *x = q.x + r * q.v;
    mr_real kept[ITEMS > 0 ? ITEMS : 1], top = 0, factor = 0;
    if (__any_sync(MR_FULL_WARP, label >= 0))
      factor = scale / exp_sum<LANES, ITEMS>(x, q.v, label >= 0, kept, &top);
    if (r >= q.n || (label < 0 && beta != 0)) continue;
    if (label >= q.v) factor = NAN;
#pragma unroll
    for (int k = 0; k < (ITEMS > 0 ? ITEMS : 1); k++) {
      /* Rows in registers end after ITEMS turns, others with the row. */
      for (int64_t i = lane + LANES * k; i<q.v; i += ITEMS> 0 ? q.v : LANES) {
        mr_real *to = dx + r * q.v + i, g = 0;
        if (label >= 0) g = factor * (ITEMS > 0 ? kept[k] : mr_exp1(x[i] - top));
        *to = mr_plus_at(beta, to, i == label ? g - scale : g);
      }
    }
  }
}

rows rows_of(const mr_call *c)
{
  return {MR_IN(c, 0), (const int32_t *)c->in[1].data, mr_rows(&c->in[0].shape),
          mr_cols(&c->in[0].shape)};
}

template <int LANES, int ITEMS> mr_status run_forward(mr_backend *be, const mr_call *c)
{
  const rows q = rows_of(c);
  return MR_LAUNCH(be, (forward<LANES, ITEMS>), (unsigned)mr_partials(q.n), BLOCK, 0, q,
                   (mr_loss_part *)c->work);
}

template <int LANES, int ITEMS> mr_status run_backward(mr_backend *be, const mr_call *c)
{
  const rows q = rows_of(c);
  return MR_LAUNCH(be, (backward<LANES, ITEMS>), mr_grid(be, q.n * LANES, BLOCK), BLOCK, 0, q,
                   MR_DOUT(c, 0), MR_SAVE(c, 0), c->beta[0], MR_DIN(c, 0));
}

mr_kernel variant(const mr_call *c, const mr_kernel (&of)[5])
{
  const int64_t v = mr_cols(&c->in[0].shape);
  return of[v <= 16 ? 0 : v <= 32 ? 1 : v <= 64 ? 2 : v <= 128 ? 3 : 4];
}

#define VARIANTS(f)                                                                                \
  {                                                                                                \
    f<16, 1>, f<32, 1>, f<32, 2>, f<32, 4>, f<32, 0>                                               \
  }
const mr_kernel forward_of[] = VARIANTS(run_forward), backward_of[] = VARIANTS(run_backward);
} // namespace

mr_status softmax_xent_fwd_cuda(mr_backend *be, const mr_call *c)
{
  MR_CHECK(variant(c, forward_of)(be, c));
  return MR_LAUNCH(be, mr_mean_loss, 1, MR_LOSS_BLOCK, 0, (const mr_loss_part *)c->work,
                   mr_partials(mr_rows(&c->in[0].shape)), MR_OUT(c, 0), MR_SAVE(c, 0));
}

mr_status softmax_xent_bwd_cuda(mr_backend *be, const mr_call *c)
{
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  return variant(c, backward_of)(be, c);
}
