/* mlp.c — small perceptrons forward and backward. SPDX-License-Identifier: MIT */
#include "mlp.h"
#include <math.h>
#include "mem.h"
#include "op_util.h"
#include "panel.h"
#include "scalar.h"

enum { H = MR_MLP_HIDDEN, LAYERS = 3 };

struct mr_mlp {
  int64_t dim[LAYERS + 1];
  const mr_real *bias[LAYERS];
  mr_real *w[LAYERS], *back[LAYERS]; /* matrices packed; transposed and packed, but the first */
  mr_real *hidden[LAYERS - 1];       /* [rows,H]                                              */
  mr_real *delta, *delta_below;      /* [rows,H], derivatives by the inputs of tanh           */
  mr_real *delta_packed, *turned;    /* the same packed; inputs of a layer transposed         */
  mr_real *memory;
};

static mr_backend one_thread = {.device = MR_CPU, .threads = 1};

int64_t mr_mlp_reals(int64_t in, int64_t out)
{
  const int64_t h = H;
  return (in + 1) * h + (h + 1) * h + (h + 1) * out;
}

/* ---- Initial values -------------------------------------------------------------------------- */

/* v -= share of u in it. */
static void remove_share(double *v, const double *u, int64_t n)
{
  double share = 0;
  for (int64_t k = 0; k < n; k++) share += u[k] * v[k];
  for (int64_t k = 0; k < n; k++) v[k] -= share * u[k];
}

/* w [rows,cols] with orthonormal rows or columns, whichever are fewer, times gain: normal numbers,
 * made orthogonal one after the other (Gram and Schmidt), twice for accuracy. */
static void orthogonal(mr_real *w, int64_t rows, int64_t cols, double gain, mr_rng *r, double *work)
{
  const int64_t few = rows < cols ? rows : cols, many = rows < cols ? cols : rows;
  for (int64_t i = 0; i < few * many; i++) work[i] = mr_rng_normal(r);
  for (int64_t i = 0; i < few; i++) {
    double *v = work + i * many, square = 0;
    for (int64_t j = 0; j < 2 * i; j++) remove_share(v, work + j % i * many, many);
    for (int64_t k = 0; k < many; k++) square += v[k] * v[k];
    for (int64_t k = 0; k < many; k++) {
      v[k] /= sqrt(square);
      w[rows < cols ? i * cols + k : k * cols + i] = (mr_real)(gain * v[k]);
    }
  }
}

mr_status mr_mlp_init(mr_real *param, int64_t in, int64_t out, double gain, mr_rng *r)
{
  const int64_t dim[] = {in, H, H, out};
  double *work = NULL;
  MR_CHECK(mr_calloc((void **)&work, (size_t)(H * (in + H + out)), sizeof *work));
  for (int l = 0; l < LAYERS; l++) {
    orthogonal(param, dim[l], dim[l + 1], l < LAYERS - 1 ? sqrt(2) : gain, r, work);
    param += dim[l] * dim[l + 1];
    for (int64_t j = 0; j < dim[l + 1]; j++) *param++ = 0;
  }
  mr_free(work);
  return MR_OK;
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* The next n reals of memory; without memory only their count. */
static mr_real *cut(mr_real *memory, int64_t *used, int64_t n)
{
  const int64_t from = *used;
  *used += (n + 15) / 16 * 16; /* a cache line of floats */
  return memory ? memory + from : NULL;
}

/* Points everything into memory, if there is some yet; returns how many reals that takes. */
static int64_t lay_out(mr_mlp *m, int64_t rows, mr_real *memory)
{
  const int64_t *dim = m->dim;
  const int64_t widest = dim[0] > H ? dim[0] : H;
  const int64_t broadest = dim[LAYERS] > H ? dim[LAYERS] : H;
  int64_t used = 0;
  for (int l = 0; l < LAYERS; l++) {
    m->w[l] = cut(memory, &used, mr_panel_reals(dim[l], dim[l + 1]));
    m->back[l] = cut(memory, &used, mr_panel_reals(dim[l + 1], dim[l]));
  }
  for (int l = 0; l < LAYERS - 1; l++) m->hidden[l] = cut(memory, &used, rows * H);
  m->delta = cut(memory, &used, rows * H);
  m->delta_below = cut(memory, &used, rows * H);
  m->delta_packed = cut(memory, &used, mr_panel_reals(rows, broadest));
  m->turned = cut(memory, &used, rows * widest);
  return used;
}

mr_status mr_mlp_open(mr_mlp **out, int64_t in, int64_t out_dim, int64_t rows)
{
  mr_status st = MR_OK;
  mr_mlp *m = NULL;
  MR_CHECK(mr_calloc((void **)&m, 1, sizeof *m));
  const int64_t dim[] = {in, H, H, out_dim};
  for (int l = 0; l <= LAYERS; l++) m->dim[l] = dim[l];
  MR_TRY(mr_alloc_slab((void **)&m->memory, (size_t)lay_out(m, rows, NULL) * sizeof *m->memory));
  (void)lay_out(m, rows, m->memory);
  *out = m;
out:
  if (st != MR_OK) mr_mlp_close(m);
  return st;
}

void mr_mlp_close(mr_mlp *m)
{
  if (!m) return;
  mr_free(m->memory);
  mr_free(m);
}

void mr_mlp_load(mr_mlp *m, const mr_real *param)
{
  const int64_t *dim = m->dim;
  for (int l = 0; l < LAYERS; l++) {
    mr_panel_pack(&one_thread, param, dim[l + 1], false, dim[l], dim[l + 1], m->w[l]);
    if (l > 0) mr_panel_pack(&one_thread, param, dim[l + 1], true, dim[l + 1], dim[l], m->back[l]);
    param += dim[l] * dim[l + 1];
    m->bias[l] = param;
    param += dim[l + 1];
  }
}

/* ---- Forward and backward -------------------------------------------------------------------- */

/* c [n,cols] = a [n,k] times packed b [k,cols]. */
static void multiply(int64_t n, int64_t cols, int64_t k, const mr_real *a, const mr_real *b,
                     mr_real *c)
{
  const mr_gemm g = {.m = n,
                     .n = cols,
                     .k = k,
                     .alpha = 1,
                     .a = a,
                     .lda = k,
                     .b = b,
                     .c = c,
                     .ldc = cols,
                     .packed = true};
  mr_panel_gemm(&g);
}

void mr_mlp_forward(mr_mlp *m, int64_t n, const mr_real *x, mr_real *y)
{
  for (int l = 0; l < LAYERS; l++) {
    const bool last = l == LAYERS - 1;
    const int64_t cols = m->dim[l + 1];
    mr_real *to = last ? y : m->hidden[l];
    multiply(n, cols, m->dim[l], l == 0 ? x : m->hidden[l - 1], m->w[l], to);
    for (int64_t i = 0; i < n; i++, to += cols) {
      const mr_real *b = m->bias[l];
      if (last) {
        for (int64_t j = 0; j < cols; j++) to[j] += b[j];
      } else {
        MR_SIMD
        for (int j = 0; j < H; j++) to[j] = mr_tanh1(to[j] + b[j]);
      }
    }
  }
}

/* t [cols,rows] = x [rows,cols] transposed. */
static void transpose(int64_t rows, int64_t cols, const mr_real *x, mr_real *t)
{
  for (int64_t j = 0; j < cols; j++)
    for (int64_t i = 0; i < rows; i++) t[j * rows + i] = x[i * cols + j];
}

static void column_sums(int64_t rows, int64_t cols, const mr_real *x, mr_real *sum)
{
  for (int64_t j = 0; j < cols; j++) sum[j] = 0;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < cols; j++) sum[j] += x[i * cols + j];
}

void mr_mlp_backward(mr_mlp *m, int64_t n, const mr_real *x, const mr_real *dy, mr_real *grad)
{
  const int64_t *dim = m->dim;
  const mr_real *delta = dy;
  mr_real *spare[2] = {m->delta, m->delta_below};
  grad += mr_mlp_reals(dim[0], dim[LAYERS]);
  for (int l = LAYERS - 1; l >= 0; l--) {
    const mr_real *input = l == 0 ? x : m->hidden[l - 1];
    grad -= dim[l + 1];
    column_sums(n, dim[l + 1], delta, grad);
    grad -= dim[l] * dim[l + 1];
    transpose(n, dim[l], input, m->turned);
    mr_panel_pack(&one_thread, delta, dim[l + 1], false, n, dim[l + 1], m->delta_packed);
    multiply(dim[l], dim[l + 1], n, m->turned, m->delta_packed, grad);
    if (l == 0) break;
    mr_real *below = spare[l % 2];
    multiply(n, H, dim[l + 1], delta, m->back[l], below);
    for (int64_t i = 0; i < n * H; i++) below[i] *= 1 - input[i] * input[i];
    delta = below;
  }
}
