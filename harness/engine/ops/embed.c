/* embed.c — rows of a table by token, on the CPU. SPDX-License-Identifier: MIT */
#include "embed.h"
#include <string.h>
#include "op_util.h"
#include "ops.h"
#include "partial.h"

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  char text[80];
  (void)attr, (void)n_in;
  MR_CHECK(mr_rule_rank("embed", "token", &in[0], MR_I32, -1));
  MR_CHECK(mr_rule_rank("embed", "weight", &in[1], MR_REAL, 2));
  mr_shape s = in[0].shape;
  if (s.rank >= MR_MAX_RANK) {
    return MR_FAIL(MR_ERR_SHAPE, "embed: token is %s but may have at most %d dimensions",
                   mr_shape_text(&s, text, sizeof text), MR_MAX_RANK - 1);
  }
  s.dim[s.rank++] = in[1].shape.dim[1];
  mr_rule_map(need, &s, 0, 2, 1);
  need->part = 1u << 1;
  need->bytes += (double)mr_bytes(&in[0].shape, MR_I32);
  need->reads_in = 1;
  if (site->device == MR_CUDA)
    need->work_bwd = (size_t)mr_table_partials(mr_count(&in[0].shape), in[1].shape.dim[0]) *
                     mr_bytes(&in[1].shape, MR_REAL);
  return MR_OK;
}

mr_status embed_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const int32_t *token = c->in[0].data;
  const mr_real *table = MR_IN(c, 1);
  mr_real *y = MR_OUT(c, 0);
  const int64_t n = mr_count(&c->in[0].shape), vocab = c->in[1].shape.dim[0];
  const int64_t d = c->in[1].shape.dim[1];
  const size_t bytes = (size_t)d * sizeof *y;
  (void)be;
  MR_PARALLEL_FOR(be, MR_WORTH(n * d))
  for (int64_t i = 0; i < n; i++) {
    const bool known = token[i] >= 0 && token[i] < vocab;
    if (known)
      memcpy(y + i * d, table + token[i] * d, bytes);
    else
      memset(y + i * d, 0, bytes);
  }
  return MR_OK;
}

/* Each thread owns some columns of the table and walks all tokens in order: no partial tables. */
mr_status embed_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const int32_t *token = c->in[0].data;
  const mr_real *dy = MR_DOUT(c, 0);
  mr_real *table = MR_DIN(c, 1);
  const int64_t n = mr_count(&c->in[0].shape), vocab = c->din[1].shape.dim[0];
  const int64_t d = c->din[1].shape.dim[1];
  (void)be;
  if (table == NULL) return MR_OK;
  MR_PARALLEL(be, MR_WORTH(n * d))
  {
    int64_t from, to;
    mr_share(d, 16, mr_tid(), mr_team(), &from, &to);
    for (int64_t v = 0; v < vocab && c->beta[1] == 0; v++)
      for (int64_t j = from; j < to; j++) table[v * d + j] = 0;
    for (int64_t i = 0; i < n; i++) {
      if (token[i] < 0 || token[i] >= vocab) continue;
      mr_real *row = table + token[i] * d;
      MR_SIMD
      for (int64_t j = from; j < to; j++) row[j] += dy[i * d + j];
    }
  }
  return MR_OK;
}

const mr_op mr_embed_op = {"embed", 2, 1, 0, infer, MR_TWIN(embed, fwd), MR_TWIN(embed, bwd)};

mr_val mr_embed(mr_tape *t, mr_val token, const char *name, int64_t vocab, int64_t width)
{
  mr_val table = mr_part(t, name, "weight", mr_shape2(vocab, width), mr_init_normal(1));
  mr_val in[] = {token, table};
  return mr_apply(t, &mr_embed_op, NULL, in, 2);
}
