/* feed.c — one batch at a time from the task to the network. SPDX-License-Identifier: MIT
 *
 * Where the device works by itself, a thread draws the next training batch meanwhile. */
#include "feed.h"
#include <pthread.h>
#include "mem.h"

enum { N_PARTS = 5, N_SETS = 2 };

/* Host memory of a batch, and which one the thread was asked to draw there. */
typedef struct batch_set {
  void *part[N_PARTS];
  mr_batch batch;
  mr_split split;
  uint64_t index;
} batch_set;

/* What the thread is doing; it fills the set that is not `shown`. */
typedef enum errand { NOTHING, DRAW, DRAWN, FAILED, LEAVE } errand;

struct mr_feed {
  mr_backend *be;
  const mr_task_def *def;
  const mr_task *task;
  int64_t B;
  /* One row per input the network has: where it goes. */
  struct {
    mr_view device;
    size_t bytes;
  } part[N_PARTS];
  batch_set set[N_SETS];
  int n_sets, shown; /* shown: the set last uploaded */
  bool ahead;        /* there is a thread            */
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t turned; /* errand has changed */
  errand errand;
};

/* ---- Memory ----------------------------------------------------------------------------------- */

/* Input v, if the network has it. */
static mr_status add_part(mr_feed *f, int i, const mr_tape *t, mr_val v)
{
  if (v.id == 0) return MR_OK;
  MR_CHECK(mr_tape_view(t, v, &f->part[i].device));
  f->part[i].bytes = mr_bytes(&f->part[i].device.shape, f->part[i].device.dtype);
  for (int k = 0; k < f->n_sets; k++) MR_CHECK(mr_calloc(&f->set[k].part[i], f->part[i].bytes, 1));
  return MR_OK;
}

static mr_status draw(const mr_feed *f, batch_set *to, mr_split s, uint64_t index)
{
  return f->def->batch(f->task, s, index, f->B, &to->batch);
}

/* ---- The thread -------------------------------------------------------------------------------- */

static void turn(mr_feed *f, errand e)
{
  f->errand = e;
  (void)pthread_cond_broadcast(&f->turned); /* valid objects: no way to fail */
}

static void *draw_ahead(void *arg)
{
  mr_feed *f = arg;
  (void)pthread_mutex_lock(&f->mutex);
  while (f->errand != LEAVE) {
    if (f->errand != DRAW) {
      (void)pthread_cond_wait(&f->turned, &f->mutex);
      continue;
    }
    batch_set *to = &f->set[1 - f->shown];
    (void)pthread_mutex_unlock(&f->mutex);
    const mr_status st = draw(f, to, to->split, to->index);
    (void)pthread_mutex_lock(&f->mutex);
    if (f->errand == DRAW) turn(f, st == MR_OK ? DRAWN : FAILED);
  }
  (void)pthread_mutex_unlock(&f->mutex);
  return NULL;
}

static mr_status start_thread(mr_feed *f)
{
  if (pthread_mutex_init(&f->mutex, NULL) != 0 || pthread_cond_init(&f->turned, NULL) != 0 ||
      pthread_create(&f->thread, NULL, draw_ahead, f) != 0)
    return MR_FAIL(MR_ERR_INTERNAL, "no thread can be started to draw batches");
  f->ahead = true;
  return MR_OK;
}

static void stop_thread(mr_feed *f)
{
  if (!f->ahead) return;
  (void)pthread_mutex_lock(&f->mutex);
  turn(f, LEAVE);
  (void)pthread_mutex_unlock(&f->mutex);
  (void)pthread_join(f->thread, NULL);
  (void)pthread_cond_destroy(&f->turned);
  (void)pthread_mutex_destroy(&f->mutex);
}

/* Has the thread drawn that batch? Waits where it is about to. What it failed at is tried again by the
 * caller, whose sentence it becomes. */
static bool drawn_ahead(mr_feed *f, mr_split s, uint64_t index)
{
  const batch_set *to = &f->set[1 - f->shown];
  if (!f->ahead || to->split != s || to->index != index) return false;
  (void)pthread_mutex_lock(&f->mutex);
  while (f->errand == DRAW) (void)pthread_cond_wait(&f->turned, &f->mutex);
  const bool drawn = f->errand == DRAWN;
  f->errand = NOTHING;
  (void)pthread_mutex_unlock(&f->mutex);
  return drawn;
}

static void ask_ahead(mr_feed *f, mr_split s, uint64_t index)
{
  if (!f->ahead) return;
  (void)pthread_mutex_lock(&f->mutex);
  while (f->errand == DRAW) (void)pthread_cond_wait(&f->turned, &f->mutex);
  f->set[1 - f->shown].split = s;
  f->set[1 - f->shown].index = index;
  turn(f, DRAW);
  (void)pthread_mutex_unlock(&f->mutex);
}

/* ---- What others call --------------------------------------------------------------------------- */

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
  f->n_sets = be->device == MR_CPU ? 1 : N_SETS;
  const mr_val input[N_PARTS] = {net->token, net->value, net->label, net->target, net->weight};
  for (int i = 0; i < N_PARTS; i++) MR_TRY(add_part(f, i, t, input[i]));
  for (int k = 0; k < f->n_sets; k++) {
    batch_set *s = &f->set[k];
    s->batch = (mr_batch){.token = s->part[0],
                          .value = s->part[1],
                          .label = s->part[2],
                          .target = s->part[3],
                          .weight = s->part[4]};
  }
  if (f->n_sets > 1) MR_TRY(start_thread(f));
  *out = f;
  f = NULL;
out:
  mr_feed_destroy(f);
  return st;
}

void mr_feed_destroy(mr_feed *f)
{
  if (f == NULL) return;
  stop_thread(f);
  for (int i = 0; i < N_PARTS * N_SETS; i++) mr_free(f->set[i / N_PARTS].part[i % N_PARTS]);
  mr_free(f);
}

mr_status mr_feed_next(mr_feed *f, mr_split s, uint64_t index)
{
  if (drawn_ahead(f, s, index))
    f->shown = 1 - f->shown;
  else
    MR_CHECK(draw(f, &f->set[f->shown], s, index));
  for (int i = 0; i < N_PARTS; i++) {
    if (f->part[i].bytes == 0) continue;
    MR_CHECK(f->be->api->upload(f->be, f->part[i].device.data, f->set[f->shown].part[i],
                                f->part[i].bytes));
  }
  if (s == MR_TRAIN) ask_ahead(f, s, index + 1);
  return MR_OK;
}

const mr_batch *mr_feed_batch(const mr_feed *f)
{
  return &f->set[f->shown].batch;
}
