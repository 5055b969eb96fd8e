/* linear.cu — y = x W^T + b on CUDA. SPDX-License-Identifier: MIT
 *
 * All rows are one product, the bias is added as it ends; dx and dW are one product each, db is a
 * column sum of dy in a fixed order. */
#include "linear.h"
#include "sums.cuh"

namespace
{
bool wants(const mr_call *c, int i)
{
  return i < c->n_in && c->din[i].data != NULL;
}

/* A product of row-major arrays without gaps between rows. */
mr_gemm product(int64_t m, int64_t n, int64_t k, bool trans_a, bool trans_b, const mr_real *a,
                const mr_real *b, mr_real beta, mr_real *c)
{
  mr_gemm g = {};
  g.m = m, g.n = n, g.k = k, g.trans_a = trans_a, g.trans_b = trans_b;
  g.alpha = 1, g.beta = beta;
  g.a = a, g.lda = trans_a ? m : k;
  g.b = b, g.ldb = trans_b ? k : n;
  g.c = c, g.ldc = n;
  return g;
}
} // namespace

mr_status linear_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const int64_t rows = mr_rows(&c->in[0].shape), k = mr_cols(&c->in[0].shape);
  const int64_t m = c->in[1].shape.dim[0];
  mr_gemm g = product(rows, m, k, false, true, MR_IN(c, 0), MR_IN(c, 1), 0, MR_OUT(c, 0));
  if (MR_GIVEN(c, 2)) g.bias = MR_IN(c, 2);
  return be->api->gemm(be, &g);
}

mr_status linear_bwd_cuda(mr_backend *be, const mr_call *c)
{
  const int64_t rows = mr_rows(&c->din[0].shape), k = mr_cols(&c->din[0].shape);
  const int64_t m = c->din[1].shape.dim[0];
  const mr_real *dy = MR_DOUT(c, 0);
  if (wants(c, 0)) {
    const mr_gemm g = product(rows, k, m, false, false, dy, MR_IN(c, 1), c->beta[0], MR_DIN(c, 0));
    MR_CHECK(be->api->gemm(be, &g));
  }
  if (wants(c, 1)) {
    const mr_gemm g = product(m, k, rows, true, false, dy, MR_IN(c, 0), c->beta[1], MR_DIN(c, 1));
    MR_CHECK(be->api->gemm(be, &g));
  }
  if (!wants(c, 2)) return MR_OK;
  return mr_column_sums(be, dy, rows, {MR_DIN(c, 2), c->beta[2], m}, c->work);
}
