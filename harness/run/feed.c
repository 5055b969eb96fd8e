/* feed.c — one batch at a time from the task to the network. SPDX-License-Identifier: MIT */
#include "feed.h"
#include "mem.h"

enum { N_PARTS = 5 };

struct mr_feed {
  mr_backend *be;
  const mr_task_def *def;
  const mr_task *task;
  int64_t B;
  mr_batch batch;
  /* One row per input the network has: host memory and where it goes. */
  struct {
    void *host;
    mr_view device;
    size_t bytes;
  } part[N_PARTS];
};

/* Host memory for input v; none where the network has no such input. */
static mr_status add_part(mr_feed *f, int i, const mr_tape *t, mr_val v)
{
  if (v.id == 0) return MR_OK;
  MR_CHECK(mr_tape_view(t, v, &f->part[i].device));
  f->part[i].bytes = mr_bytes(&f->part[i].device.shape, f->part[i].device.dtype);
  return mr_calloc(&f->part[i].host, f->part[i].bytes, 1);
}

mr_status mr_feed_create(mr_feed **out, mr_backend *be, const mr_tape *t, const mr_net *net,
                         const mr_task_def *def, const mr_task *task)
{
  mr_status st = MR_OK;
  mr_feed *f = NULL;
  void *memory;
  MR_TRY(mr_calloc(&memory, 1, sizeof *f));
  f = memory;
  f->be = be;
  f->def = def;
  f->task = task;
  f->B = net->dims.B;
  const mr_val input[N_PARTS] = {net->token, net->value, net->label, net->target, net->weight};
  for (int i = 0; i < N_PARTS; i++) MR_TRY(add_part(f, i, t, input[i]));
  f->batch.token = f->part[0].host;
  f->batch.value = f->part[1].host;
  f->batch.label = f->part[2].host;
  f->batch.target = f->part[3].host;
  f->batch.weight = f->part[4].host;
  *out = f;
  f = NULL;
out:
  mr_feed_destroy(f);
  return st;
}

void mr_feed_destroy(mr_feed *f)
{
  if (f == NULL) return;
  for (int i = 0; i < N_PARTS; i++) mr_free(f->part[i].host);
  mr_free(f);
}

mr_status mr_feed_next(mr_feed *f, mr_split s, uint64_t index)
{
  MR_CHECK(f->def->batch(f->task, s, index, f->B, &f->batch));
  for (int i = 0; i < N_PARTS; i++) {
    if (f->part[i].host == NULL) continue;
    MR_CHECK(f->be->api->upload(f->be, f->part[i].device.data, f->part[i].host, f->part[i].bytes));
  }
  return MR_OK;
}

const mr_batch *mr_feed_batch(const mr_feed *f)
{
  return &f->batch;
}
