/* cases.c — building and drawing cases. SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <assert.h>
#include <string.h>
#include "cases.h"
#include "rng.h"

mr_case mr_case_begin(const mr_op *op, mr_ref_fn ref, const void *attr, const char *fmt, ...)
{
  mr_case c;
  memset(&c, 0, sizeof c);
  c.op = op, c.ref = ref;
  assert(op->attr_bytes <= sizeof c.attr.byte);
  if (op->attr_bytes > 0) memcpy(c.attr.byte, attr, op->attr_bytes);
  int used = snprintf(c.name, sizeof c.name, "%s:", op->name);
  va_list args;
  va_start(args, fmt);
  (void)vsnprintf(c.name + used, sizeof c.name - (size_t)used, fmt, args);
  va_end(args);
  return c;
}

static mr_case_in *next(mr_case *c, mr_fill fill, mr_shape s)
{
  mr_case_in *in = &c->in[c->n_in++];
  in->fill = fill, in->shape = s, in->dtype = MR_REAL;
  return in;
}

void mr_case_real(mr_case *c, mr_fill fill, mr_shape s)
{
  (void)next(c, fill, s);
}

void mr_case_fixed(mr_case *c, mr_fill fill, mr_shape s)
{
  next(c, fill, s)->fixed = true;
}

void mr_case_ints(mr_case *c, mr_fill fill, mr_shape s, int32_t range)
{
  mr_case_in *in = next(c, fill, s);
  in->dtype = MR_I32, in->range = range, in->fixed = true;
}

void mr_case_absent(mr_case *c)
{
  mr_shape none = mr_shape0();
  none.rank = -1;
  next(c, MR_FILL_ABSENT, none)->fixed = true;
}

void mr_case_emit(mr_case_sink *s, mr_case *c, double rtol, double atol, const char *why)
{
  c->rtol = rtol, c->atol = atol, c->why = why;
  if (s->st == MR_OK) s->st = s->fn(s->ctx, c);
}

mr_status mr_cases_each(mr_case_fn fn, void *ctx)
{
  mr_case_sink s = {fn, ctx, MR_OK};
  mr_cases_pointwise(&s);
  mr_cases_rows(&s);
  mr_cases_time(&s);
  mr_cases_cells(&s);
  mr_cases_ssm(&s);
  mr_cases_attention(&s);
  return s.st;
}

static double draw_real(mr_rng *r, const mr_case_in *in, int64_t at)
{
  double x = mr_rng_normal(r), u = mr_rng_uniform(r);
  switch (in->fill) {
  case MR_FILL_OFF_ZERO:
    return x + copysign(0.1, x);
  case MR_FILL_WEIGHT:
    return x / sqrt((double)mr_cols(&in->shape));
  case MR_FILL_POSITIVE:
    return 0.1 + 1.9 * u;
  case MR_FILL_GATE:
    return 0.05 + 0.9 * u;
  case MR_FILL_WIDE:
    return 10 * x;
  case MR_FILL_MASK:
    return at > 0 && u < 0.3 ? 0 : 0.5 + 1.5 * mr_rng_uniform(r);
  default:
    return x;
  }
}

static int32_t draw_int(mr_rng *r, const mr_case_in *in, int64_t at)
{
  int32_t v = (int32_t)mr_rng_below(r, (uint32_t)in->range);
  if (in->fill == MR_FILL_NO_LABEL) return -1;
  if (in->fill == MR_FILL_LABEL) return at > 0 && mr_rng_below(r, 3) == 0 ? -1 : v;
  if (in->range > 2 && at == 1) return -1;
  if (in->range > 2 && at == 2) return in->range;
  return v;
}

void mr_case_draw(const mr_case *c, int i, void *data)
{
  const mr_case_in *in = &c->in[i];
  int64_t n = mr_count(&in->shape);
  mr_rng r;
  mr_rng_seek(&r, 7, MR_STREAM_CHECK, (uint64_t)i);
  for (int64_t j = 0; j < n; j++)
    if (in->dtype == MR_I32)
      ((int32_t *)data)[j] = draw_int(&r, in, j);
    else
      ((double *)data)[j] = (mr_real)draw_real(&r, in, j);
}
