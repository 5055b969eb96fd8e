/* feed.h — one batch at a time from the task, through host memory, to the inputs of a network.
 * SPDX-License-Identifier: MIT */
#ifndef MR_FEED_H
#define MR_FEED_H
#include "build.h"
MR_C_BEGIN

typedef struct mr_feed mr_feed;

/* Host memory for batches of net->dims.B sequences. The tape must be allocated. Borrows all but out;
 * the feed must be destroyed before them. */
MR_MUST mr_status mr_feed_create(mr_feed **out, mr_backend *be, const mr_tape *t, const mr_net *net,
                                 const mr_task_def *def, const mr_task *task);
void mr_feed_destroy(mr_feed *f); /* NULL is fine */

/* Draws batch `index` of a split and uploads it to the network's inputs, where it stays until the
 * next call. Allocates nothing. Where the device works by itself (CUDA) a thread then draws training
 * batch index + 1: def->batch may run on two threads at one time. */
MR_MUST mr_status mr_feed_next(mr_feed *f, mr_split s, uint64_t index);
/* The batch last drawn, for scoring; borrowed. */
const mr_batch *mr_feed_batch(const mr_feed *f);
MR_C_END
#endif
