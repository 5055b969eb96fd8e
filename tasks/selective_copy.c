/* selective_copy.c — remember data tokens scattered in noise, then name them in order.
 * SPDX-License-Identifier: MIT
 *
 * L context tokens: n of them, at distinct places, are data (1 .. 14), the rest is noise (15). Then
 * n query tokens (0), at which the answers are the data tokens in order of appearance. Only the
 * queries are scored. */
#include <inttypes.h>
#include <math.h>
#include "mem.h"
#include "rng.h"
#include "task.h"

enum { QUERY = 0, N_DATA = 14, NOISE = 15, VOCAB = 16, DEFAULT_LENGTH = 4096, MAX_DATA = 1024 };

static const char name[] = "selective_copy";
static const mr_opt opts[] = {
    {"data_tokens", "16", NULL, 1, MAX_DATA, "data tokens per sequence, a whole number"},
};

struct mr_task {
  uint64_t seed;
  int64_t L, n;
};

static mr_status copy_open(mr_task **out, const mr_config *c)
{
  int64_t L = c->length == 0 ? DEFAULT_LENGTH : c->length;
  double n = mr_option_num(c, name, "data_tokens");
  if (n != floor(n))
    return MR_FAIL(MR_ERR_CONFIG, "%s.data_tokens = %g is no whole number", name, n);
  if ((double)L < n)
    return MR_FAIL(MR_ERR_CONFIG, "length = %" PRId64 " has no room for %s.data_tokens = %g", L,
                   name, n);
  void *p = NULL;
  MR_CHECK(mr_calloc(&p, 1, sizeof **out));
  *out = p;
  **out = (mr_task){.seed = (uint64_t)c->seed, .L = L, .n = (int64_t)n};
  return MR_OK;
}

static void copy_close(mr_task *k)
{
  mr_free(k);
}

static void copy_info(const mr_task *k, mr_task_info *out)
{
  *out = (mr_task_info){.loss = MR_LOSS_XENT,
                        .T = k->L + k->n,
                        .from = k->L,
                        .vocab = VOCAB,
                        .out_dim = VOCAB,
                        .n_metrics = 1,
                        .metric = {"accuracy"},
                        .unit = {"1"},
                        .chance = {1.0 / N_DATA}};
}

/* One sequence: token [L + n], label [n]. */
static void copy_row(const mr_task *k, mr_rng *r, int32_t *token, int32_t *label)
{
  uint32_t place[MAX_DATA];
  mr_rng_subset(r, (uint32_t)k->L, (uint32_t)k->n, place);
  for (int64_t t = 0; t < k->L; t++) token[t] = NOISE;
  for (int64_t i = 0; i < k->n; i++) {
    label[i] = 1 + (int32_t)mr_rng_below(r, N_DATA);
    token[place[i]] = label[i];
    token[k->L + i] = QUERY;
  }
}

/* Row b of batch `index` is drawn from sequence index * 2^20 + b, so it does not depend on B. The
 * validation and test sets are the same for every config seed, so that runs can be compared. */
static mr_status copy_batch(const mr_task *k, mr_split s, uint64_t index, int64_t B, mr_batch *out)
{
  static const mr_stream stream[] = {MR_STREAM_TRAIN, MR_STREAM_VALID, MR_STREAM_TEST};
  uint64_t seed = s == MR_TRAIN ? k->seed : 0;
  for (int64_t b = 0; b < B; b++) {
    mr_rng r;
    mr_rng_seek(&r, seed, stream[s], index << 20 | (uint64_t)b);
    copy_row(k, &r, out->token + b * (k->L + k->n), out->label + b * k->n);
  }
  return MR_OK;
}

/* Accuracy: an answer is right when its class is above all others. Ties and NaN are not. */
static mr_status copy_score(const mr_task *k, const mr_batch *batch, int64_t B, const mr_real *y,
                            double *sum, double *count)
{
  for (int64_t i = 0; i < B * k->n; i++) {
    const mr_real *row = y + i * VOCAB;
    int32_t want = batch->label[i];
    if (want < 0) continue;
    int right = 1;
    for (int32_t v = 0; v < VOCAB; v++) right &= v == want || row[want] > row[v];
    sum[0] += right;
    count[0] += 1;
  }
  return MR_OK;
}

MR_TASK(selective_copy) = {
    .name = name,
    .summary = "copy the data tokens scattered in noise, in order",
    .opts = opts,
    .n_opts = sizeof opts / sizeof *opts,
    .open = copy_open,
    .close = copy_close,
    .info = copy_info,
    .batch = copy_batch,
    .score = copy_score,
};
