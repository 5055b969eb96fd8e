/* evaluate.c — loss and metrics over fixed batches of a split. SPDX-License-Identifier: MIT */
#include "evaluate.h"
#include "mem.h"

struct mr_eval {
  mr_backend *be;
  mr_tape *tape;
  const mr_task_def *def;
  mr_task *task;
  mr_feed *feed;
  mr_policy *policy;
  mr_task_info info;
  int64_t B;
  mr_view loss, y;
  void *host_y; /* [B,T_out,out_dim] */
};

mr_status mr_eval_create(mr_eval **out, mr_backend *be, mr_tape *t, const mr_net *net,
                         const mr_task_def *def, mr_task *task, mr_feed *feed, mr_policy *policy)
{
  mr_status st = MR_OK;
  mr_eval *e = NULL;
  void *memory;
  MR_TRY(mr_calloc(&memory, 1, sizeof *e));
  e = memory;
  e->be = be;
  e->tape = t;
  e->def = def;
  e->task = task;
  e->feed = feed;
  e->policy = policy;
  e->B = net->dims.B;
  def->info(task, &e->info);
  MR_TRY(mr_tape_view(t, net->loss, &e->loss));
  MR_TRY(mr_tape_view(t, net->y, &e->y));
  MR_TRY(mr_calloc(&e->host_y, mr_bytes(&e->y.shape, e->y.dtype), 1));
  *out = e;
  e = NULL;
out:
  mr_eval_destroy(e);
  return st;
}

void mr_eval_destroy(mr_eval *e)
{
  if (e == NULL) return;
  mr_free(e->host_y);
  mr_free(e);
}

/* What the batch's loss is a mean over: positions that have a label, or their weights. */
static double scored(const mr_eval *e, const mr_batch *b)
{
  const int64_t positions = e->B * (e->info.T - e->info.from);
  double n = 0;
  for (int64_t i = 0; i < positions; i++) n += b->label ? b->label[i] >= 0 : (double)b->weight[i];
  return n;
}

/* What is summed over batches. */
typedef struct sums {
  double loss, scored, metric[MR_MAX_METRICS], count[MR_MAX_METRICS];
} sums;

/* Adds one batch to the sums. */
static mr_status add_batch(mr_eval *e, mr_split s, uint64_t index, sums *to)
{
  mr_real loss;
  MR_CHECK(mr_feed_next(e->feed, s, index));
  MR_CHECK(mr_tape_tick(e->tape, 0, false));
  MR_CHECK(mr_tape_forward(e->tape));
  MR_CHECK(e->be->api->download(e->be, &loss, e->loss.data, sizeof loss));
  MR_CHECK(e->be->api->download(e->be, e->host_y, e->y.data, mr_bytes(&e->y.shape, e->y.dtype)));
  const mr_batch *batch = mr_feed_batch(e->feed);
  const double n = scored(e, batch);
  to->loss += n * (double)loss;
  to->scored += n;
  if (e->def->rollout != NULL) return MR_OK;
  return e->def->score(e->task, batch, e->B, e->host_y, to->metric, to->count);
}

mr_status mr_evaluate(mr_eval *e, mr_split s, int64_t batches, mr_score *out)
{
  sums sum = {.loss = 0};
  if (s != MR_TRAIN && e->info.n_eval > 0) batches = (e->info.n_eval + e->B - 1) / e->B;
  for (int64_t i = 0; i < batches; i++) MR_CHECK(add_batch(e, s, (uint64_t)i, &sum));
  if (e->def->rollout != NULL)
    MR_CHECK(e->def->rollout(e->task, s, e->policy, sum.metric, sum.count));
  out->loss = sum.scored > 0 ? sum.loss / sum.scored : 0;
  for (int i = 0; i < MR_MAX_METRICS; i++)
    out->metric[i] = i < e->info.n_metrics && sum.count[i] > 0 ? sum.metric[i] / sum.count[i] : 0;
  return MR_OK;
}
