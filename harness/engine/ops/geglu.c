/* geglu.c — a * gelu(b) on the CPU. SPDX-License-Identifier: MIT */
#include "geglu.h"
#include "op_util.h"
#include "ops.h"
#include "scalar.h"

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  char text[80];
  (void)attr, (void)n_in, (void)site;
  MR_CHECK(mr_rule_rank("geglu", "x", &in[0], MR_REAL, -1));
  mr_shape s = in[0].shape;
  if (s.rank < 1 || s.dim[s.rank - 1] % 2 != 0) {
    return MR_FAIL(MR_ERR_SHAPE, "geglu: x is %s but its last dimension must be even",
                   mr_shape_text(&s, text, sizeof text));
  }
  s.dim[s.rank - 1] /= 2;
  mr_rule_map(need, &s, 20, 3, 30);
  need->reads_in = 1;
  need->overwrites = 1;
  return MR_OK;
}

mr_status geglu_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t rows = mr_rows(&c->out[0].shape), f = mr_cols(&c->out[0].shape);
  (void)be;
  MR_PARALLEL_FOR(be, MR_WORTH(rows * f))
  for (int64_t r = 0; r < rows; r++) {
    const mr_real *a = MR_IN(c, 0) + 2 * r * f, *b = a + f;
    mr_real *y = MR_OUT(c, 0) + r * f;
    MR_SIMD
    for (int64_t i = 0; i < f; i++) y[i] = a[i] * mr_gelu1(b[i]);
  }
  return MR_OK;
}

/* dx may be x: both halves of an element are read before either is written. */
static void row_gradient(int64_t f, const mr_real *x, const mr_real *dy, mr_real beta, mr_real *dx)
{
  MR_SIMD
  for (int64_t i = 0; i < f; i++) {
    const mr_real a = x[i], b = x[f + i];
    mr_real density, phi = mr_normal1(b, &density);
    dx[i] = mr_plus(beta, dx[i], dy[i] * b * phi);
    dx[f + i] = mr_plus(beta, dx[f + i], dy[i] * a * (phi + b * density));
  }
}

mr_status geglu_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t rows = mr_rows(&c->dout[0].shape), f = mr_cols(&c->dout[0].shape);
  (void)be;
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  MR_PARALLEL_FOR(be, MR_WORTH(rows * f))
  for (int64_t r = 0; r < rows; r++) {
    row_gradient(f, MR_IN(c, 0) + 2 * r * f, MR_DOUT(c, 0) + r * f, c->beta[0],
                 MR_DIN(c, 0) + 2 * r * f);
  }
  return MR_OK;
}

const mr_op mr_geglu_op = {"geglu", 1, 1, 0, infer, MR_TWIN(geglu, fwd), MR_TWIN(geglu, bwd)};

mr_val mr_geglu(mr_tape *t, mr_val x)
{
  return mr_apply(t, &mr_geglu_op, NULL, &x, 1);
}
