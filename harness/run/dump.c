/* dump.c — one training batch with all that was computed from it, in one file.
 * SPDX-License-Identifier: MIT */
#include "dump.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "checkpoint.h"
#include "device.h"
#include "feed.h"
#include "folder.h"
#include "h5params.h"
#include "mem.h"

#define SCHEMA "minrnn-dump 1"

/* What is opened for one dump. */
typedef struct job {
  const mr_config *c;
  const mr_dump_opts *o;
  const mr_task_def *def;
  mr_task *task;
  mr_task_info info;
  mr_backend *be;
  mr_tape *tape;
  mr_net net;
  mr_plan_report plan;
  mr_feed *feed;
  void *host; /* room for the largest array */
} job;

/* ---- Before anything is written -------------------------------------------------------------- */

static mr_status check_out(const mr_config *c, bool force)
{
  struct stat s;
  const size_t n = strlen(c->out);
  if (n == 0) return MR_FAIL(MR_ERR_CONFIG, "dump needs the name of a file: --out=FILE.h5");
  if (n < 4 || strcmp(c->out + n - 3, ".h5") != 0 || c->out[n - 4] == '/')
    return MR_FAIL(MR_ERR_CONFIG, "out is %s, but the name of a dump ends in .h5", c->out);
  if (lstat(c->out, &s) == 0 && !force)
    return MR_FAIL(MR_ERR_CONFIG, "%s exists already: give --force to replace it", c->out);
  if (stat(c->out, &s) == 0 && !S_ISREG(s.st_mode))
    return MR_FAIL(MR_ERR_CONFIG, "%s is no file that could be replaced", c->out);
  if (c->accum != 1)
    return MR_FAIL(MR_ERR_CONFIG, "accum is %lld, but a dump holds one batch whole; allowed: 1",
                   (long long)c->accum);
  return MR_OK;
}

static mr_status host_room(job *k)
{
  const mr_slot *slot;
  int n;
  size_t largest, total;
  const mr_val part[] = {k->net.token,  k->net.value,  k->net.label,
                         k->net.target, k->net.weight, k->net.y};
  MR_CHECK(mr_tape_slots(k->tape, &slot, &n));
  mr_slot_bytes(slot, n, &largest, &total);
  for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
    if (part[i].id == 0) continue;
    const mr_shape s = mr_shape_of(k->tape, part[i]);
    const size_t bytes = mr_bytes(&s, MR_REAL); /* no less than those of integers */
    if (bytes > largest) largest = bytes;
  }
  return mr_calloc(&k->host, largest, 1);
}

static mr_status open_job(job *k)
{
  const mr_config *c = k->c;
  const mr_model_def *model = mr_find_model(c->model);
  MR_CHECK(check_out(c, k->o->force));
  k->def = mr_find_task(c->task);
  if (model == NULL || k->def == NULL)
    return MR_FAIL(MR_ERR_CONFIG, "there is no %s, see minrnn list",
                   model == NULL ? c->model : c->task);
  MR_CHECK(k->def->open(&k->task, c));
  k->def->info(k->task, &k->info);
  MR_CHECK(mr_device_open(&k->be, c));
  MR_CHECK(mr_tape_create(&k->tape, k->be, (uint64_t)c->seed));
  mr_build(k->tape, c, model, &k->info, c->batch, &k->net);
  MR_CHECK(mr_tape_plan(k->tape, k->net.loss, true, &k->plan));
  MR_CHECK(mr_check_room(c->out, 2 * k->plan.params + (1 << 20)));
  MR_CHECK(mr_tape_alloc(k->tape));
  MR_CHECK(mr_feed_create(&k->feed, k->be, k->tape, &k->net, k->def, k->task));
  MR_CHECK(host_room(k));
  if (k->o->init != NULL) return mr_checkpoint_load(k->o->init, k->be, k->tape, NULL, NULL);
  return MR_OK;
}

static void close_job(job *k)
{
  mr_free(k->host);
  mr_feed_destroy(k->feed);
  mr_tape_destroy(k->tape);
  mr_backend_close(k->be);
  if (k->def != NULL) k->def->close(k->task);
}

/* ---- The file -------------------------------------------------------------------------------- */

/* Value v as dataset `name`; nothing where the network has no such value. */
static mr_status put_val(const job *k, hid_t at, const char *name, mr_val v)
{
  mr_view view;
  if (v.id == 0) return MR_OK;
  MR_CHECK(mr_tape_view(k->tape, v, &view));
  return mr_h5_put_view(at, k->c->out, name, k->be, &view, k->host);
}

static mr_status put_batch(const job *k, hid_t file)
{
  mr_status st = MR_OK;
  const char *path = k->c->out;
  hid_t batch = -1;
  MR_TRY(mr_h5_group(file, path, "batch", &batch));
  MR_TRY(put_val(k, batch, "token", k->net.token));
  MR_TRY(put_val(k, batch, "value", k->net.value));
  MR_TRY(put_val(k, batch, "label", k->net.label));
  MR_TRY(put_val(k, batch, "target", k->net.target));
  MR_TRY(put_val(k, batch, "weight", k->net.weight));
out:
  return mr_h5_drop(batch, st, path);
}

static mr_status put_facts(const job *k, hid_t file)
{
  const char *path = k->c->out;
  MR_CHECK(mr_h5_put_text(file, path, "schema", SCHEMA));
  MR_CHECK(mr_h5_put_text(file, path, "command", k->o->command != NULL ? k->o->command : ""));
  MR_CHECK(mr_h5_put_text(file, path, "loss_kind",
                          k->info.loss == MR_LOSS_XENT ? "cross_entropy" : "squared_error"));
  MR_CHECK(mr_h5_put_int(file, path, "from", k->info.from));
  MR_CHECK(mr_h5_put_int(file, path, "hidden", k->net.dims.H));
  MR_CHECK(mr_h5_put_int(file, path, "dropout_drawn", k->o->dropout && k->c->dropout > 0));
  return mr_h5_put_config(file, path, k->c);
}

/* Everything but the gradients; between forward and backward, while y is kept. */
static mr_status put_forward(const job *k, hid_t file)
{
  const char *path = k->c->out;
  const mr_slot *slot;
  int n;
  MR_CHECK(mr_tape_slots(k->tape, &slot, &n));
  MR_CHECK(put_facts(k, file));
  MR_CHECK(put_batch(k, file));
  MR_CHECK(put_val(k, file, "y", k->net.y));
  MR_CHECK(put_val(k, file, "loss", k->net.loss));
  return mr_h5_put_slots(file, path, "params", k->be, slot, n, false, k->host);
}

static mr_status run(const job *k, hid_t file, double *loss)
{
  const mr_slot *slot;
  mr_view view;
  mr_real x;
  int n;
  MR_CHECK(mr_feed_next(k->feed, MR_TRAIN, 0));
  MR_CHECK(mr_tape_tick(k->tape, 0, k->o->dropout));
  MR_CHECK(mr_tape_forward(k->tape));
  MR_CHECK(mr_tape_view(k->tape, k->net.loss, &view));
  MR_CHECK(k->be->api->download(k->be, &x, view.data, sizeof x));
  *loss = (double)x;
  MR_CHECK(put_forward(k, file));
  MR_CHECK(mr_tape_backward(k->tape, 0, 1));
  MR_CHECK(mr_tape_slots(k->tape, &slot, &n));
  return mr_h5_put_slots(file, k->c->out, "grads", k->be, slot, n, true, k->host);
}

mr_status mr_dump(const mr_config *c, const mr_dump_opts *o, mr_dump_result *r)
{
  mr_status st = MR_OK;
  job k = {.c = c, .o = o};
  hid_t file = -1;
  char *tmp = NULL;
  const size_t tmp_bytes = strlen(c->out) + sizeof ".tmp";
  st = open_job(&k);
  /* An unreadable checkpoint or an absent device is the user's to mend: nothing was written yet. */
  if (st == MR_ERR_IO || st == MR_ERR_UNSUPPORTED) st = MR_ERR_CONFIG;
  if (st != MR_OK) goto out;
  MR_TRY(mr_calloc((void **)&tmp, tmp_bytes, 1));
  (void)snprintf(tmp, tmp_bytes, "%s.tmp", c->out);
  MR_TRY(mr_h5_begin(&file, c->out));
  MR_TRY(run(&k, file, &r->loss));
  MR_TRY(mr_make_parents(c->out));
  MR_TRY(mr_h5_commit(file, tmp, c->out));
  r->n_params = k.plan.n_params;
out:
  mr_h5_close(file);
  mr_free(tmp);
  close_job(&k);
  return st;
}
