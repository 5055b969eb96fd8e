/* cases_rows.c — cases of projections, normalisation and losses. SPDX-License-Identifier: MIT */
#include "cases.h"
#include "embed.h"
#include "layernorm.h"
#include "linear.h"
#include "mse.h"
#include "rmsnorm.h"
#include "softmax_xent.h"

static const char products[] = "float sums over the inner dimension, in any order";
static const char sums[] = "float sums over a row, in any order";
static const char exact[] = "copies, and float sums of gradients";

static void linear(mr_case_sink *s)
{
  const struct {
    int n, k, m;
  } shape[] = {{1, 1, 1}, {7, 3, 5}, {14, 5, 4}, {13, 67, 37}, {2, 37, 130}, {256, 64, 96}};
  for (int i = 0; i < 6; i++)
    for (int bias = 0; bias < 2; bias++) {
      mr_case c = mr_case_begin(&mr_linear_op, mr_ref_linear, NULL, "N%dK%dM%d%s", shape[i].n,
                                shape[i].k, shape[i].m, bias ? ":bias" : "");
      mr_case_real(&c, MR_FILL_NORMAL, mr_shape2(shape[i].n, shape[i].k));
      mr_case_real(&c, MR_FILL_WEIGHT, mr_shape2(shape[i].m, shape[i].k));
      if (bias)
        mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(shape[i].m));
      else
        mr_case_absent(&c);
      c.large = shape[i].n > 100;
      mr_case_emit(s, &c, 2e-6, 2e-6, products);
    }
  mr_case c = mr_case_begin(&mr_linear_op, mr_ref_linear, NULL, "B3T5K7M13:bias");
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(3, 5, 7));
  mr_case_real(&c, MR_FILL_WEIGHT, mr_shape2(13, 7));
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(13));
  mr_case_emit(s, &c, 2e-6, 2e-6, products);
}

static void embed(mr_case_sink *s)
{
  const struct {
    int b, t, v, d;
  } shape[] = {{1, 1, 1, 1},     {2, 5, 3, 7},    {1, 13, 16, 67},
               {3, 300, 400, 5}, {8, 64, 16, 64}, {5, 300, 100, 36}};
  for (int i = 0; i < 6; i++) {
    mr_case c = mr_case_begin(&mr_embed_op, mr_ref_embed, NULL, "B%dT%dV%dD%d", shape[i].b,
                              shape[i].t, shape[i].v, shape[i].d);
    mr_case_ints(&c, MR_FILL_TOKEN, mr_shape2(shape[i].b, shape[i].t), shape[i].v);
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape2(shape[i].v, shape[i].d));
    c.large = i > 2;
    mr_case_emit(s, &c, 2e-6, 2e-6, exact);
  }
}

static void norms(mr_case_sink *s)
{
  const struct {
    int n, d;
  } shape[] = {{1, 1},   {5, 3},   {1, 67},   {13, 37}, {3, 128},
               {9, 132}, {5, 260}, {20, 520}, {300, 64}};
  for (int i = 0; i < 9; i++)
    for (int layer = 0; layer < 2; layer++) {
      const mr_op *op = layer ? &mr_layernorm_op : &mr_rmsnorm_op;
      if (layer && shape[i].d == 1) continue; /* the output is the bias and the gradient rounding */
      mr_case c = mr_case_begin(op, layer ? mr_ref_layernorm : mr_ref_rmsnorm, NULL, "N%dD%d",
                                shape[i].n, shape[i].d);
      mr_case_real(&c, MR_FILL_OFF_ZERO, mr_shape2(shape[i].n, shape[i].d));
      mr_case_real(&c, MR_FILL_POSITIVE, mr_shape1(shape[i].d));
      if (layer) mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(shape[i].d));
      c.large = shape[i].n * shape[i].d > 5000;
      if (shape[i].d == 1)
        mr_case_emit(s, &c, 2e-6, 2e-3, "the gradient of x / |x| is what rounding leaves of 0");
      else
        mr_case_emit(s, &c, 2e-6, 2e-6, sums);
    }
}

static void softmax_xent(mr_case_sink *s)
{
  const struct {
    int n, v;
  } shape[] = {{1, 2}, {5, 3}, {40, 16}, {7, 31}, {13, 67}, {9, 130}, {300, 64}};
  for (int i = 0; i < 7; i++) {
    mr_case c = mr_case_begin(&mr_softmax_xent_op, mr_ref_softmax_xent, NULL, "N%dV%d", shape[i].n,
                              shape[i].v);
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape2(shape[i].n, shape[i].v));
    mr_case_ints(&c, MR_FILL_LABEL, mr_shape1(shape[i].n), shape[i].v);
    c.large = shape[i].n == 300;
    mr_case_emit(s, &c, 2e-6, 2e-6, sums);
  }
  for (int i = 0; i < 3; i++) {
    static const char *const name[] = {"wide", "unlabelled", "rank3"};
    mr_case c = mr_case_begin(&mr_softmax_xent_op, mr_ref_softmax_xent, NULL, "N10V7:%s", name[i]);
    mr_case_real(&c, i == 0 ? MR_FILL_WIDE : MR_FILL_NORMAL,
                 i == 2 ? mr_shape3(2, 5, 7) : mr_shape2(10, 7));
    mr_case_ints(&c, i == 1 ? MR_FILL_NO_LABEL : MR_FILL_LABEL,
                 i == 2 ? mr_shape2(2, 5) : mr_shape1(10), 7);
    mr_case_emit(s, &c, 2e-6, 2e-6, sums);
  }
}

static void mse(mr_case_sink *s)
{
  const struct {
    int n, d;
  } shape[] = {{1, 1}, {5, 3}, {13, 67}, {300, 64}};
  for (int i = 0; i < 5; i++) {
    int n = shape[i % 4].n, d = shape[i % 4].d;
    mr_case c = mr_case_begin(&mr_mse_op, mr_ref_mse, NULL, "N%dD%d%s", n, d, i < 4 ? "" : ":3d");
    mr_shape full = i < 4 ? mr_shape2(n, d) : mr_shape3(1, n, d);
    mr_case_real(&c, MR_FILL_NORMAL, full);
    mr_case_fixed(&c, MR_FILL_NORMAL, full);
    mr_case_fixed(&c, MR_FILL_MASK, i < 4 ? mr_shape1(n) : mr_shape2(1, n));
    c.large = n == 300;
    mr_case_emit(s, &c, 2e-6, 2e-6, sums);
  }
}

void mr_cases_rows(mr_case_sink *s)
{
  linear(s);
  embed(s);
  norms(s);
  softmax_xent(s);
  mse(s);
}
