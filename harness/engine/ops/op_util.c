/* op_util.c — shape rules, parameter names, sums of partial results. SPDX-License-Identifier: MIT */
#include "op_util.h"
#include <stdio.h>

bool mr_rule_given(const mr_view *in, int32_t n_in, int32_t i)
{
  return i < n_in && in[i].shape.rank >= 0;
}

mr_status mr_rule_rank(const char *op, const char *name, const mr_view *v, mr_dtype type,
                       int32_t rank)
{
  char text[80];
  if (v->shape.rank < 0) return MR_FAIL(MR_ERR_SHAPE, "%s: %s is not given", op, name);
  if (v->dtype != type) {
    return MR_FAIL(MR_ERR_SHAPE, "%s: %s %s must hold %s", op, name,
                   mr_shape_text(&v->shape, text, sizeof text),
                   type == MR_I32 ? "integers" : "reals");
  }
  if (rank >= 0 && v->shape.rank != rank) {
    return MR_FAIL(MR_ERR_SHAPE, "%s: %s is %s but must have rank %d", op, name,
                   mr_shape_text(&v->shape, text, sizeof text), (int)rank);
  }
  return MR_OK;
}

mr_status mr_rule_shape(const char *op, const char *name, const mr_view *v, mr_dtype type,
                        const mr_shape *want)
{
  char is[80], must[80];
  MR_CHECK(mr_rule_rank(op, name, v, type, -1));
  if (mr_shape_eq(&v->shape, want)) return MR_OK;
  return MR_FAIL(MR_ERR_SHAPE, "%s: %s is %s but must be %s", op, name,
                 mr_shape_text(&v->shape, is, sizeof is), mr_shape_text(want, must, sizeof must));
}

void mr_rule_map(mr_need *need, const mr_shape *x, double flops, double streams, double back)
{
  need->out[0] = *x;
  need->flops = flops * (double)mr_count(x);
  need->flops_bwd = back * (double)mr_count(x);
  need->bytes = streams * (double)mr_bytes(x, MR_REAL);
}

mr_val mr_part(mr_tape *t, const char *base, const char *part, mr_shape s, mr_init init)
{
  char name[128];
  int n = snprintf(name, sizeof name, "%s.%s", base, part);
  if (n < 0 || (size_t)n >= sizeof name) {
    mr_tape_fail(t, MR_ERR_ARG, "the parameter name \"%s.%s\" is longer than %d characters", base,
                 part, (int)sizeof name - 1);
    return (mr_val){0};
  }
  return mr_param(t, name, s, init);
}

void mr_sum_parts(mr_real *dst, mr_real beta, const mr_real *part, int64_t stride, int parts,
                  int64_t n)
{
  for (int p = 0; p < parts; p++) {
    const mr_real *row = part + p * stride;
    const mr_real b = p == 0 ? beta : 1;
    MR_SIMD
    for (int64_t i = 0; i < n; i++) dst[i] = mr_plus(b, dst[i], row[i]);
  }
}
