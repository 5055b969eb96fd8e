/* slice_time.c — a stretch of steps, on the CPU. SPDX-License-Identifier: MIT */
#include "slice_time.h"
#include <string.h>
#include "op_util.h"
#include "ops.h"

/* [B,T,D], or [T,D] as one sequence. */
static void sizes(const mr_shape *s, int64_t *B, int64_t *T, int64_t *D)
{
  *B = s->rank == 3 ? s->dim[0] : 1;
  *T = s->dim[s->rank - 2];
  *D = s->dim[s->rank - 1];
}

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  const slice_time_attr *a = attr;
  (void)n_in, (void)site;
  int64_t B, T, D;
  MR_CHECK(mr_rule_rank("slice_time", "x", &in[0], MR_REAL, in[0].shape.rank == 2 ? 2 : 3));
  sizes(&in[0].shape, &B, &T, &D);
  if (a->from < 0 || a->n < 1 || a->n > T - a->from) {
    char text[80];
    return MR_FAIL(MR_ERR_SHAPE, "slice_time: x %s has no %lld steps from step %lld on",
                   mr_shape_text(&in[0].shape, text, sizeof text), (long long)a->n,
                   (long long)a->from);
  }
  const mr_shape out = in[0].shape.rank == 2 ? mr_shape2(a->n, D) : mr_shape3(B, a->n, D);
  mr_rule_map(need, &out, 0, 2, 0);
  need->part = 1;
  return MR_OK;
}

mr_status slice_time_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const slice_time_attr *a = c->attr;
  int64_t B, T, D;
  (void)be;
  sizes(&c->in[0].shape, &B, &T, &D);
  MR_PARALLEL_FOR(be, MR_WORTH(B * a->n * D))
  for (int64_t b = 0; b < B; b++) {
    memcpy(MR_OUT(c, 0) + b * a->n * D, MR_IN(c, 0) + (b * T + a->from) * D,
           (size_t)(a->n * D) * sizeof(mr_real));
  }
  return MR_OK;
}

/* The first gradient of x fills all of it, zeros outside the slice; later ones touch the slice
 * alone, so that T slices of one x cost T slices of work. */
mr_status slice_time_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const slice_time_attr *a = c->attr;
  int64_t B, T, D;
  sizes(&c->din[0].shape, &B, &T, &D);
  const int64_t n = a->n * D, before = a->from * D, after = (T - a->from - a->n) * D;
  const mr_real beta = c->beta[0];
  (void)be;
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  MR_PARALLEL_FOR(be, MR_WORTH(beta == 0 ? B * T * D : B * n))
  for (int64_t b = 0; b < B; b++) {
    const mr_real *restrict dy = MR_DOUT(c, 0) + b * n;
    mr_real *restrict dx = MR_DIN(c, 0) + b * T * D;
    if (beta == 0) {
      memset(dx, 0, (size_t)before * sizeof *dx);
      memcpy(dx + before, dy, (size_t)n * sizeof *dx);
      memset(dx + before + n, 0, (size_t)after * sizeof *dx);
    } else {
      for (int64_t i = 0; i < n; i++) dx[before + i] += dy[i];
    }
  }
  return MR_OK;
}

const mr_op mr_slice_time_op = {"slice_time",
                                1,
                                1,
                                sizeof(slice_time_attr),
                                infer,
                                MR_TWIN(slice_time, fwd),
                                MR_TWIN(slice_time, bwd)};

mr_val mr_slice_time(mr_tape *t, mr_val x, int64_t from, int64_t n)
{
  const slice_time_attr a = {from, n};
  return mr_apply(t, &mr_slice_time_op, &a, &x, 1);
}
