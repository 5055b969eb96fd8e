/* repeat_batch.c — one row for every sequence, on the CPU. SPDX-License-Identifier: MIT */
#include "repeat_batch.h"
#include <string.h>
#include "op_util.h"
#include "ops.h"
#include "partial.h"

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  const repeat_batch_attr *a = attr;
  (void)n_in;
  MR_CHECK(mr_rule_rank("repeat_batch", "v", &in[0], MR_REAL, 1));
  if (a->batch < 1) {
    return MR_FAIL(MR_ERR_SHAPE, "repeat_batch: batch is %lld but must be at least 1",
                   (long long)a->batch);
  }
  const mr_shape out = mr_shape3(a->batch, 1, in[0].shape.dim[0]);
  mr_rule_map(need, &out, 0, 1, 1);
  need->bytes += (double)mr_bytes(&in[0].shape, MR_REAL);
  if (site->device == MR_CUDA) need->work_bwd = mr_partial_bytes(a->batch, out.dim[2]);
  return MR_OK;
}

mr_status repeat_batch_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t B = c->out[0].shape.dim[0], D = c->out[0].shape.dim[2];
  (void)be;
  MR_PARALLEL_FOR(be, MR_WORTH(B * D))
  for (int64_t b = 0; b < B; b++)
    memcpy(MR_OUT(c, 0) + b * D, MR_IN(c, 0), (size_t)D * sizeof(mr_real));
  return MR_OK;
}

/* Each thread sums some of the channels over the batch. */
mr_status repeat_batch_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t B = c->dout[0].shape.dim[0], D = c->dout[0].shape.dim[2];
  (void)be;
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  MR_PARALLEL(be, MR_WORTH(B * D))
  {
    int64_t from, to;
    mr_share(D, 16, mr_tid(), mr_team(), &from, &to);
    mr_sum_parts(MR_DIN(c, 0) + from, c->beta[0], MR_DOUT(c, 0) + from, D, (int)B, to - from);
  }
  return MR_OK;
}

const mr_op mr_repeat_batch_op = {"repeat_batch",
                                  1,
                                  1,
                                  sizeof(repeat_batch_attr),
                                  infer,
                                  MR_TWIN(repeat_batch, fwd),
                                  MR_TWIN(repeat_batch, bwd)};

mr_val mr_repeat_batch(mr_tape *t, mr_val v, int64_t batch)
{
  const repeat_batch_attr a = {batch};
  return mr_apply(t, &mr_repeat_batch_op, &a, &v, 1);
}
