/* dropout.c — random zeroing on the CPU. SPDX-License-Identifier: MIT */
#include "dropout.h"
#include "op_util.h"
#include "ops.h"
#include "philox.h"
#include "rng.h"

/* Random words made at a time, so that making and using them are two plain loops. */
enum { CHUNK = 256 };

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  const dropout_attr *a = attr;
  (void)n_in, (void)site;
  if (!(a->p >= 0 && a->p < 1)) {
    return MR_FAIL(MR_ERR_ARG, "dropout: p is %g but must be at least 0 and less than 1", a->p);
  }
  MR_CHECK(mr_rule_rank("dropout", "x", &in[0], MR_REAL, -1));
  mr_rule_map(need, &in[0].shape, 1, 2, 1);
  return MR_OK;
}

/* The CHUNK words that belong to elements from `at`, a multiple of 4, on. */
static void draw(const mr_call *c, int64_t at, uint32_t *word)
{
  const uint64_t seed = c->tick->seed;
  const uint32_t step = (uint32_t)c->tick->step, node = c->node, first = (uint32_t)(at / 4);
  for (uint32_t k = 0; k < CHUNK / 4; k++) {
    const philox4x32_ctr_t w = mr_philox(seed, first + k, step, node, MR_STREAM_DROPOUT);
    for (uint32_t j = 0; j < 4; j++) word[4 * k + j] = w.v[j];
  }
}

/* y = beta y + mask * x / (1 - p), or beta y + x outside training. The gradient has the same form. */
static void apply(mr_backend *be, const mr_call *c, const mr_real *x, mr_real beta, mr_real *y,
                  int64_t n)
{
  const dropout_attr *a = c->attr;
  const bool training = c->tick->training != 0;
  const mr_real scale = (mr_real)(training ? 1 / (1 - a->p) : 1);
  const uint32_t limit = (uint32_t)(training ? a->p * 4294967296.0 : 0);
  (void)be;
  MR_PARALLEL(be, MR_WORTH(n))
  {
    uint32_t word[CHUNK] = {0};
    int64_t from, to;
    mr_share(n, CHUNK, mr_tid(), mr_team(), &from, &to);
    for (int64_t i = from; i < to; i += CHUNK) {
      const int64_t m = to - i < CHUNK ? to - i : CHUNK;
      if (training) draw(c, i, word);
      MR_SIMD
      for (int64_t j = 0; j < m; j++)
        y[i + j] = mr_plus(beta, y[i + j], word[j] >= limit ? x[i + j] * scale : 0);
    }
  }
}

mr_status dropout_fwd_cpu(mr_backend *be, const mr_call *c)
{
  apply(be, c, MR_IN(c, 0), 0, MR_OUT(c, 0), mr_count(&c->out[0].shape));
  return MR_OK;
}

mr_status dropout_bwd_cpu(mr_backend *be, const mr_call *c)
{
  if (MR_DIN(c, 0) == NULL) return MR_OK;
  apply(be, c, MR_DOUT(c, 0), c->beta[0], MR_DIN(c, 0), mr_count(&c->dout[0].shape));
  return MR_OK;
}

const mr_op mr_dropout_op = {
    "dropout", 1, 1, sizeof(dropout_attr), infer, MR_TWIN(dropout, fwd), MR_TWIN(dropout, bwd)};

mr_val mr_dropout(mr_tape *t, mr_val x, double p)
{
  const dropout_attr a = {p};
  if (p == 0) return x;
  return mr_apply(t, &mr_dropout_op, &a, &x, 1);
}
