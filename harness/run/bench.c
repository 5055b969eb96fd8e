/* bench.c — the cells of a group from plan to run file. SPDX-License-Identifier: MIT */
#include "bench.h"
#include <stdio.h>
#include <string.h>
#include "bench_impl.h"
#include "device.h"
#include "mem.h"

/* ---- Groups --------------------------------------------------------------------------------- */

static bool take_turns(const mr_cell *a, const mr_cell *b)
{
  const mr_config *x = &a->config, *y = &b->config;
  return x->batch == y->batch && x->length == y->length && x->width == y->width &&
         x->layers == y->layers && x->threads == y->threads && a->cold == b->cold &&
         strcmp(x->math, y->math) == 0 && strcmp(x->device, y->device) == 0 &&
         strcmp(mr_cell_mode(x), mr_cell_mode(y)) == 0;
}

int mr_bench_group(const mr_cell *cell, int n)
{
  int k = 1;
  while (k < n && take_turns(&cell[0], &cell[k])) k++;
  return k;
}

/* ---- The device ----------------------------------------------------------------------------- */

mr_status mr_bench_open(mr_bench **out, const mr_bench_opts *o)
{
  void *p;
  MR_CHECK(mr_calloc(&p, 1, sizeof **out));
  *out = p;
  (*out)->o = o;
  return MR_OK;
}

static void close_device(mr_bench *b)
{
  mr_pace_close(&b->pace);
  mr_backend_close(b->be);
  b->be = NULL;
}

void mr_bench_close(mr_bench *b)
{
  if (b == NULL) return;
  close_device(b);
  mr_free(b);
}

static mr_status open_device(mr_bench *b, const mr_config *c)
{
  const mr_device device = strcmp(c->device, "cuda") == 0 ? MR_CUDA : MR_CPU;
  if (b->be != NULL && b->device == device && b->threads == (int)c->threads &&
      strcmp(b->math, c->math) == 0)
    return MR_OK;
  close_device(b);
  b->device = device, b->threads = (int)c->threads;
  (void)snprintf(b->math, sizeof b->math, "%s", c->math);
  MR_CHECK(mr_device_open(&b->be, c));
  MR_CHECK(mr_pace_open(&b->pace, b->be));
  return mr_machine_rates(b->be, &b->copy_rate, &b->gemm_rate);
}

/* Bytes that the next cells may use: the limit given, or nine tenths of what is free. */
static mr_status free_bytes(const mr_bench *b, bool cold, int64_t *out)
{
  mr_device_mem mem;
  int64_t room = (int64_t)b->o->limit;
  if (room == 0) {
    MR_CHECK(b->be->api->mem(b->be, &mem));
    room = b->be->device == MR_CPU ? mr_ram_available() : mem.total_bytes - mem.used_bytes;
    room -= room / 10;
  }
  if (cold && b->pace.flood == NULL) room -= mr_flood_bytes(b->be);
  *out = room > 0 ? room : 0;
  return MR_OK;
}

/* ---- Ends ----------------------------------------------------------------------------------- */

mr_cell_state mr_cell_state_of(mr_status st)
{
  return st == MR_ERR_UNSUPPORTED || st == MR_ERR_IO || st == MR_ERR_NOMEM ? MR_CELL_SKIPPED
                                                                           : MR_CELL_FAILED;
}

mr_status mr_subject_end(mr_subject *s, mr_status st)
{
  mr_bench_row *r = s->row;
  if (st == MR_ERR_CONFIG || st == MR_ERR_ARG) return st;
  s->ended = true;
  r->status = st;
  r->state = mr_cell_state_of(st);
  snprintf(r->reason, sizeof r->reason, "%s", mr_error_message());
  r->mistrusted = false;
  return mr_bench_log(s);
}

/* ---- One group ------------------------------------------------------------------------------ */

/* A cell that is named twice has two rows but cannot have one file. */
static mr_status check_distinct(const mr_subject *all, const mr_subject *s)
{
  for (; all < s && s->row->path[0] != '\0'; all++)
    if (strcmp(all->row->path, s->row->path) == 0)
      return MR_FAIL(MR_ERR_CONFIG, "%s is named twice, whose samples would share %s",
                     s->row->descriptor, s->row->path);
  return MR_OK;
}

/* Everything about a cell that is known before memory is allocated. */
static mr_status prepare(const mr_subject *all, mr_subject *s, mr_status device)
{
  mr_bench_row *r = s->row;
  bool kept = false;
  if (s->c->accum != 1)
    return MR_FAIL(MR_ERR_CONFIG, "accum is %lld: a step is timed in one piece, so accum must be 1",
                   (long long)s->c->accum);
  r->length = s->c->length;
  const mr_status st = device == MR_OK ? mr_subject_plan(s, mr_find_model(s->c->model)) : device;
  char why[sizeof r->reason];
  snprintf(why, sizeof why, "%s", mr_error_message());
  MR_CHECK(mr_cell_describe(r->cell, r->length, s->be != NULL ? s->be->threads : 0, r->descriptor));
  MR_CHECK(mr_bench_path(s, &kept));
  MR_CHECK(check_distinct(all, s));
  if (kept) {
    r->state = MR_CELL_KEPT;
    s->ended = true;
    return MR_OK;
  }
  return st == MR_OK ? MR_OK : mr_subject_end(s, MR_FAIL(st, "%s", why));
}

/* Of the subjects that have not ended as many as fit in memory together; *n of them. One that does not
 * fit alone ends. */
static mr_status choose(mr_subject *s, int n_subjects, mr_subject **chosen, int *n)
{
  int64_t room, used = 0;
  *n = 0;
  MR_CHECK(free_bytes(s[0].b, s[0].row->cell->cold, &room));
  for (int i = 0; i < n_subjects; i++) {
    mr_bench_row *r = s[i].row;
    if (s[i].ended || (*n > 0 && r->needed_bytes > room - used)) continue;
    r->free_bytes = room;
    if (r->needed_bytes > room) {
      MR_CHECK(mr_subject_end(&s[i], MR_FAIL(MR_ERR_NOMEM,
                                             "it needs %lld bytes, %lld of them for the training "
                                             "step, and %lld are free",
                                             (long long)r->needed_bytes,
                                             (long long)r->planned_bytes, (long long)room)));
      continue;
    }
    used += r->needed_bytes;
    chosen[(*n)++] = &s[i];
  }
  return MR_OK;
}

/* Memory and gate; what fails ends the subject. */
static mr_status make_ready(mr_subject *s)
{
  mr_status st = mr_subject_alloc(s);
  if (st == MR_OK) st = mr_subject_gate(s);
  return st == MR_OK ? MR_OK : mr_subject_end(s, st);
}

static mr_status conclude(mr_subject *s)
{
  mr_summarise(s);
  const mr_status st = mr_subject_after(s);
  if (st != MR_OK) return mr_subject_end(s, st);
  s->ended = true;
  return mr_bench_log(s);
}

static mr_status time_chosen(mr_subject *const *s, int n)
{
  for (int i = 0; i < n; i++) MR_CHECK(make_ready(s[i]));
  MR_CHECK(mr_sample_all(s, n));
  for (int i = 0; i < n; i++)
    if (!s[i]->ended) MR_CHECK(conclude(s[i]));
  for (int i = 0; i < n; i++) mr_subject_close(s[i]);
  return MR_OK;
}

static mr_status run_all(mr_bench *b, mr_subject *s, int n, mr_subject **chosen)
{
  const mr_status device = open_device(b, s[0].c);
  if (device != MR_OK && device != MR_ERR_UNSUPPORTED) return device;
  for (int i = 0; i < n; i++) {
    s[i].be = b->be;
    MR_CHECK(prepare(s, &s[i], device));
  }
  for (int n_chosen = 0; device == MR_OK;) {
    MR_CHECK(choose(s, n, chosen, &n_chosen));
    if (n_chosen == 0) break;
    MR_CHECK(time_chosen(chosen, n_chosen));
  }
  return MR_OK;
}

mr_status mr_bench_run(mr_bench *b, const mr_cell *cell, int n, mr_bench_row *rows)
{
  mr_status st = MR_OK;
  void *p = NULL;
  mr_subject *s = NULL;
  mr_subject **chosen = NULL;
  MR_TRY(mr_calloc(&p, (size_t)n, sizeof *s));
  s = p;
  MR_TRY(mr_calloc(&p, (size_t)n, sizeof(mr_subject *)));
  chosen = p;
  for (int i = 0; i < n; i++) {
    memset(&rows[i], 0, sizeof rows[i]);
    rows[i].cell = &cell[i];
    rows[i].mode = mr_cell_mode(&cell[i].config);
    s[i].b = b, s[i].c = &cell[i].config, s[i].row = &rows[i];
  }
  MR_TRY(run_all(b, s, n, chosen));
out:
  for (int i = 0; s != NULL && i < n; i++) mr_subject_close(&s[i]);
  mr_free(chosen);
  mr_free(s);
  return st;
}
