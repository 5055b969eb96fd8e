/* linear.c — y = x W^T + b on the CPU. SPDX-License-Identifier: MIT
 *
 * Rows go through in panels that stay in the cache of one core: bias, product and, in backward, dx,
 * dW and db meet the same panel while it is warm. */
#include <math.h>
#include <string.h>
#include "linear.h"
#include "op_util.h"
#include "ops.h"
#include "partial.h"

enum { PANEL_REALS = 1 << 18, PANEL_GRANULE = 64 };

typedef struct dims {
  int64_t rows, k, m; /* x [rows,k], y [rows,m] */
} dims;

static dims dims_of(const mr_view *x, const mr_view *w)
{
  const dims d = {mr_rows(&x->shape), mr_cols(&x->shape), w->shape.dim[0]};
  return d;
}

static int64_t panel_rows(dims d)
{
  const int64_t n = PANEL_REALS / (d.k + d.m) / PANEL_GRANULE * PANEL_GRANULE;
  return n < PANEL_GRANULE ? PANEL_GRANULE : n;
}

/* Many rows: every thread sums its own dW, added up at the end. Few rows: threads own rows of W. */
static bool many_rows(dims d)
{
  return d.rows >= 2 * (d.k < d.m ? d.m : d.k);
}

static bool worth(dims d)
{
  return d.rows * d.k * d.m >= 1 << 19;
}

static mr_status linear_infer(const void *attr, const mr_view *in, int32_t n_in,
                              const mr_site *site, mr_need *need)
{
  char x[80], w[80], b[80];
  (void)attr;
  if (n_in < 2 || in[0].shape.rank < 1 || in[1].shape.rank != 2 ||
      in[0].shape.dim[in[0].shape.rank - 1] != in[1].shape.dim[1])
    return MR_FAIL(MR_ERR_SHAPE,
                   "linear: x is %s but the weight is %s; their last dimensions must agree",
                   mr_shape_text(&in[0].shape, x, sizeof x),
                   n_in < 2 ? "missing" : mr_shape_text(&in[1].shape, w, sizeof w));
  for (int32_t i = 0; i < n_in; i++)
    if (in[i].shape.rank >= 0 && in[i].dtype != MR_REAL)
      return MR_FAIL(MR_ERR_SHAPE, "linear: input %d holds integers, not reals", i);
  const dims d = dims_of(&in[0], &in[1]);
  const bool biased = n_in > 2 && in[2].shape.rank >= 0;
  if (biased && (in[2].shape.rank != 1 || in[2].shape.dim[0] != d.m))
    return MR_FAIL(MR_ERR_SHAPE, "linear: the weight is %s but the bias is %s",
                   mr_shape_text(&in[1].shape, w, sizeof w),
                   mr_shape_text(&in[2].shape, b, sizeof b));
  need->out[0] = in[0].shape;
  need->out[0].dim[in[0].shape.rank - 1] = d.m;
  need->reads_in = 1u << 0 | 1u << 1;
  if (site->device == MR_CPU && many_rows(d))
    need->work_bwd = (size_t)(site->threads - 1) * (size_t)(d.m * d.k + d.m) * sizeof(mr_real);
  if (site->device == MR_CUDA && biased) need->work_bwd = mr_partial_bytes(d.rows, d.m);
  need->flops = 2.0 * (double)d.rows * (double)d.k * (double)d.m;
  need->flops_din[0] = need->flops_din[1] = need->flops;
  need->flops_din[2] = (double)(d.rows * d.m);
  need->bytes = (double)(d.rows * (d.k + d.m) + d.k * d.m) * sizeof(mr_real);
  return MR_OK;
}

static void forward_block(mr_backend *be, const mr_call *c, dims d, int64_t row, int64_t rows,
                          int64_t col, int64_t cols)
{
  const mr_real *bias = MR_GIVEN(c, 2) ? MR_IN(c, 2) + col : NULL;
  mr_real *y = MR_OUT(c, 0) + row * d.m + col;
  for (int64_t r = 0; bias != NULL && r < rows; r++)
    memcpy(y + r * d.m, bias, (size_t)cols * sizeof *y);
  const mr_gemm g = {rows,
                     cols,
                     d.k,
                     false,
                     true,
                     1,
                     bias != NULL ? 1 : 0,
                     MR_IN(c, 0) + row * d.k,
                     d.k,
                     MR_IN(c, 1) + col * d.k,
                     d.k,
                     y,
                     d.m};
  mr_cpu_gemm(be, &g);
}

mr_status linear_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const dims d = dims_of(&c->in[0], &c->in[1]);
  const int parts = be->threads;
  const bool by_rows = d.rows >= (int64_t)16 * parts;
  MR_PARALLEL(be, worth(d))
  for (int part = mr_tid(); part < parts; part += mr_team()) {
    int64_t from, to;
    mr_share(by_rows ? d.rows : d.m, 16, part, parts, &from, &to);
    if (!by_rows) {
      if (from < to) forward_block(be, c, d, 0, d.rows, from, to - from);
      continue;
    }
    const int64_t panel = panel_rows(d);
    for (int64_t r = from; r < to; r += panel)
      forward_block(be, c, d, r, to - r < panel ? to - r : panel, 0, d.m);
  }
  return MR_OK;
}

/* db[j] = beta db[j] + sum over rows of dy[.,j]; four rows at a time, for speed and rounding. */
static void column_sums(const mr_real *dy, int64_t rows, int64_t ld, int64_t n, mr_real beta,
                        mr_real *db)
{
  for (int64_t j = 0; j < n; j++) db[j] = beta == 0 ? 0 : db[j];
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const mr_real *a = dy + r * ld, *b = a + ld, *e = b + ld, *f = e + ld;
    for (int64_t j = 0; j < n; j++) db[j] += (a[j] + b[j]) + (e[j] + f[j]);
  }
  for (; r < rows; r++)
    for (int64_t j = 0; j < n; j++) db[j] += dy[r * ld + j];
}

static void dx_block(mr_backend *be, const mr_call *c, dims d, int64_t row, int64_t rows)
{
  const mr_gemm g = {rows,  d.k,         d.m,        false,
                     false, 1,           c->beta[0], MR_DOUT(c, 0) + row * d.m,
                     d.m,   MR_IN(c, 1), d.k,        MR_DIN(c, 0) + row * d.k,
                     d.k};
  mr_cpu_gemm(be, &g);
}

/* dW[col .. col + cols) += dy^T x over a panel of rows. */
static void dw_block(mr_backend *be, const mr_call *c, dims d, int64_t row, int64_t rows,
                     int64_t col, int64_t cols, mr_real beta, mr_real *dw)
{
  const mr_gemm g = {cols,  d.k,
                     rows,  true,
                     false, 1,
                     beta,  MR_DOUT(c, 0) + row * d.m + col,
                     d.m,   MR_IN(c, 0) + row * d.k,
                     d.k,   dw + col * d.k,
                     d.k};
  mr_cpu_gemm(be, &g);
}

static bool wants(const mr_call *c, int i)
{
  return i < c->n_in && c->din[i].data != NULL;
}

/* One thread's rows: dx, and sums for dW and db in its own memory (the result itself for part 0). */
static void backward_rows(mr_backend *be, const mr_call *c, dims d, int part, int parts)
{
  int64_t from, to;
  const int64_t panel = panel_rows(d);
  mr_real *own = part == 0 ? NULL : (mr_real *)c->work + (part - 1) * (d.m * d.k + d.m);
  mr_real *dw = own != NULL ? own : (wants(c, 1) ? MR_DIN(c, 1) : NULL);
  mr_real *db = own != NULL ? own + d.m * d.k : (wants(c, 2) ? MR_DIN(c, 2) : NULL);
  mr_real beta_w = own != NULL ? 0 : c->beta[1];
  mr_real beta_b = own != NULL || c->n_in < 3 ? 0 : c->beta[2];
  mr_share(d.rows, 16, part, parts, &from, &to);
  /* A part without rows, part 0 among them, still starts its sums. */
  if (from == to && dw != NULL && beta_w == 0) memset(dw, 0, (size_t)(d.m * d.k) * sizeof *dw);
  if (from == to && db != NULL && beta_b == 0) memset(db, 0, (size_t)d.m * sizeof *db);
  for (int64_t r = from; r < to; r += panel) {
    const int64_t n = to - r < panel ? to - r : panel;
    if (wants(c, 0)) dx_block(be, c, d, r, n);
    if (wants(c, 1)) dw_block(be, c, d, r, n, 0, d.m, beta_w, dw);
    if (wants(c, 2)) column_sums(MR_DOUT(c, 0) + r * d.m, n, d.m, d.m, beta_b, db);
    beta_w = beta_b = 1;
  }
}

/* Adds the other parts' sums to the result, in the order of parts. */
static void add_parts(mr_backend *be, const mr_call *c, dims d, int parts)
{
  const int64_t stride = d.m * d.k + d.m;
  const mr_real *own = c->work;
  if (parts < 2) return;
  if (wants(c, 1)) {
    mr_real *dw = MR_DIN(c, 1);
    MR_PARALLEL_FOR(be, MR_WORTH(d.m * d.k))
    for (int64_t i = 0; i < d.m * d.k; i++)
      for (int p = 0; p + 1 < parts; p++) dw[i] += own[p * stride + i];
  }
  for (int64_t j = 0; wants(c, 2) && j < d.m; j++)
    for (int p = 0; p + 1 < parts; p++) MR_DIN(c, 2)[j] += own[p * stride + d.m * d.k + j];
}

mr_status linear_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const dims d = dims_of(&c->din[0], &c->din[1]);
  const int parts = be->threads;
  const bool many = many_rows(d);
  MR_PARALLEL(be, worth(d))
  for (int part = mr_tid(); part < parts; part += mr_team()) {
    int64_t from, to;
    if (many) {
      backward_rows(be, c, d, part, parts);
      continue;
    }
    mr_share(d.rows, 4, part, parts, &from, &to);
    if (wants(c, 0) && from < to) dx_block(be, c, d, from, to - from);
    mr_share(d.m, 16, part, parts, &from, &to);
    if (from == to) continue;
    if (wants(c, 1)) dw_block(be, c, d, 0, d.rows, from, to - from, c->beta[1], MR_DIN(c, 1));
    if (wants(c, 2))
      column_sums(MR_DOUT(c, 0) + from, d.rows, d.m, to - from, c->beta[2], MR_DIN(c, 2) + from);
  }
  if (many) add_parts(be, c, d, parts);
  return MR_OK;
}

const mr_op mr_linear_op = {
    "linear", 3, 1, 0, linear_infer, MR_TWIN(linear, fwd), MR_TWIN(linear, bwd)};

mr_val mr_linear_with(mr_tape *t, mr_val x, mr_val weight, mr_val bias)
{
  const mr_val in[] = {x, weight, bias};
  return mr_apply(t, &mr_linear_op, NULL, in, 3);
}

static mr_val linear(mr_tape *t, mr_val x, const char *name, int64_t m, bool biased)
{
  mr_val b = {0};
  const mr_shape s = mr_shape_of(t, x);
  const int64_t k = mr_cols(&s);
  const mr_init init = mr_init_uniform(1 / sqrt((double)k));
  const mr_val w = mr_part(t, name, "weight", mr_shape2(m, k), init);
  if (biased) b = mr_part(t, name, "bias", mr_shape1(m), init);
  return mr_linear_with(t, x, w, b);
}

mr_val mr_linear(mr_tape *t, mr_val x, const char *name, int64_t m)
{
  return linear(t, x, name, m, true);
}

mr_val mr_linear_nobias(mr_tape *t, mr_val x, const char *name, int64_t m)
{
  return linear(t, x, name, m, false);
}
