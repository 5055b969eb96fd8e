/* cases_pointwise.c — cases of the ops that work element by element. SPDX-License-Identifier: MIT */
#include "cases.h"
#include "act.h"
#include "add.h"
#include "dropout.h"
#include "geglu.h"
#include "mul.h"

static const char one[] = "one or two roundings per element";
static const char function[] = "scalar functions to a few units of the last place";

/* A single element, an odd row, more than one vector with a rest, and enough for two threads. */
static const int64_t size[] = {1, 13, 67, 17000};
enum { N_SIZES = sizeof size / sizeof *size, LARGE_SIZE = 16384 };

static void binary(mr_case_sink *s, const mr_op *op, mr_ref_fn ref)
{
  for (int i = 0; i < N_SIZES; i++) {
    mr_case c = mr_case_begin(op, ref, NULL, "N%d", (int)size[i]);
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(size[i]));
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(size[i]));
    c.large = size[i] >= LARGE_SIZE;
    mr_case_emit(s, &c, 5e-7, 1e-7, one);
  }
  mr_case c = mr_case_begin(op, ref, NULL, "B3T5D7");
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(3, 5, 7));
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(3, 5, 7));
  mr_case_emit(s, &c, 5e-7, 1e-7, one);
}

static void scaled(mr_case_sink *s)
{
  const scale_attr factor[] = {{-1.75}, {0}, {1}};
  for (int i = 0; i < N_SIZES; i++)
    for (int k = 0; k < 3; k++) {
      if (k > 0 && size[i] != 67) continue;
      mr_case c = mr_case_begin(&mr_scale_op, mr_ref_scale, &factor[k], "N%d:s=%g", (int)size[i],
                                factor[k].s);
      mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(size[i]));
      c.large = size[i] >= LARGE_SIZE;
      mr_case_emit(s, &c, 5e-7, 1e-7, one);
    }
}

static void activations(mr_case_sink *s)
{
  static const char *const name[MR_N_ACTS] = {"sigmoid", "tanh",     "relu", "exp",   "gelu",
                                              "silu",    "softplus", "g",    "log_g", "log"};
  for (int kind = 0; kind < MR_N_ACTS; kind++) {
    const act_attr attr = {(mr_act_kind)kind};
    for (int i = 0; i < N_SIZES; i++) {
      mr_case c = mr_case_begin(&mr_act_op, mr_ref_act, &attr, "%s:N%d", name[kind], (int)size[i]);
      mr_case_real(&c, kind == MR_LOG ? MR_FILL_POSITIVE : MR_FILL_OFF_ZERO, mr_shape1(size[i]));
      c.large = size[i] >= LARGE_SIZE;
      mr_case_emit(s, &c, 2e-6, 2e-7, function);
    }
    if (kind == MR_EXP || kind == MR_LOG) continue; /* overflow, and log of negative numbers */
    mr_case c = mr_case_begin(&mr_act_op, mr_ref_act, &attr, "%s:N67:wide", name[kind]);
    mr_case_real(&c, MR_FILL_WIDE, mr_shape1(67));
    mr_case_emit(s, &c, 2e-6, 2e-7, function);
  }
}

static void gated(mr_case_sink *s)
{
  const struct {
    int n, f;
  } shape[] = {{1, 1}, {3, 7}, {5, 67}, {130, 128}};
  for (int i = 0; i < 4; i++) {
    mr_case c = mr_case_begin(&mr_geglu_op, mr_ref_geglu, NULL, "N%dF%d", shape[i].n, shape[i].f);
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape2(shape[i].n, 2 * (int64_t)shape[i].f));
    c.large = shape[i].n > 100;
    mr_case_emit(s, &c, 2e-6, 2e-7, function);
  }
}

static void dropped(mr_case_sink *s)
{
  const dropout_attr p[] = {{0}, {0.25}, {0.9}};
  for (int i = 0; i < N_SIZES; i++)
    for (int k = 0; k < 3; k++) {
      mr_case c =
          mr_case_begin(&mr_dropout_op, mr_ref_dropout, &p[k], "N%d:p=%g", (int)size[i], p[k].p);
      mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(size[i]));
      c.large = size[i] >= LARGE_SIZE;
      mr_case_emit(s, &c, 5e-7, 1e-7, one);
    }
}

void mr_cases_pointwise(mr_case_sink *s)
{
  binary(s, &mr_add_op, mr_ref_add);
  binary(s, &mr_sub_op, mr_ref_sub);
  binary(s, &mr_mul_op, mr_ref_mul);
  scaled(s);
  activations(s);
  gated(s);
  dropped(s);
}
