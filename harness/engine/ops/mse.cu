/* mse.cu — weighted mean of squares on CUDA. SPDX-License-Identifier: MIT
 *
 * One pass over each array. Sums are made in double by blocks and then in the order of blocks; forward
 * leaves 1 / (D sum w) for backward. */
#include "mse.h"
#include "mean_loss.cuh"
#include "rows.cuh"

namespace
{
/* The rows of one part per block, a warp to a row. */
__global__ void __launch_bounds__(MR_LOSS_BLOCK)
    forward(int64_t rows, int64_t d, const mr_real *y, const mr_real *target, const mr_real *w,
            mr_loss_part *part)
{
  const int64_t from = rows * blockIdx.x / gridDim.x, to = rows * (blockIdx.x + 1) / gridDim.x;
  double loss = 0, weight = 0;
  for (int64_t r = from + mr_warp(); r < to; r += MR_LOSS_BLOCK / MR_WARP) {
    mr_real squares = 0;
    for (int64_t i = r * d + mr_lane(); i < (r + 1) * d; i += MR_WARP)
      squares += (y[i] - target[i]) * (y[i] - target[i]);
    loss += (double)w[r] * (double)squares;
    if (mr_lane() == 0) weight += (double)d * (double)w[r];
  }
  mr_put_loss(part, loss, weight);
}

/* dy may be y. */
__global__ void __launch_bounds__(MR_ROWS_BLOCK)
    backward(int64_t rows, int64_t d, const mr_real *y, const mr_real *target, const mr_real *w,
             const mr_real *dout, const mr_real *share, mr_real beta, mr_real *dy)
{
  const mr_real scale = 2 * *dout * *share;
  MR_ROWS_FOR(r, rows, i, d)
  {
    const int64_t at = r * d + i;
    dy[at] = mr_plus_at(beta, dy + at, scale * w[r] * (y[at] - target[at]));
  }
}
} // namespace

mr_status mse_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const int64_t rows = mr_rows(&c->in[0].shape), parts = mr_partials(rows);
  mr_loss_part *part = (mr_loss_part *)c->work;
  MR_CHECK(MR_LAUNCH(be, forward, (unsigned)parts, MR_LOSS_BLOCK, 0, rows, mr_cols(&c->in[0].shape),
                     MR_IN(c, 0), MR_IN(c, 1), MR_IN(c, 2), part));
  return MR_LAUNCH(be, mr_mean_loss, 1, MR_LOSS_BLOCK, 0, part, parts, MR_OUT(c, 0), MR_SAVE(c, 0));
}

mr_status mse_bwd_cuda(mr_backend *be, const mr_call *c)
{
  const int64_t rows = mr_rows(&c->in[0].shape), d = mr_cols(&c->in[0].shape);
  const mr_rows_launch l = mr_rows_over(rows, d);
  if (MR_DIN(c, 0) != NULL)
    MR_CHECK(MR_LAUNCH(be, backward, l.grid, l.block, 0, rows, d, MR_IN(c, 0), MR_IN(c, 1),
                       MR_IN(c, 2), MR_DOUT(c, 0), MR_SAVE(c, 0), c->beta[0], MR_DIN(c, 0)));
  /* Nothing flows to target and weights: zeros where somebody asks. */
  for (int i = 1; i < 3; i++) {
    if (MR_DIN(c, i) != NULL && c->beta[i] == 0)
      MR_CHECK(be->api->fill(be, MR_DIN(c, i), 0, mr_bytes(&c->din[i].shape, MR_REAL)));
  }
  return MR_OK;
}
