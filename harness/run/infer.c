/* infer.c — cells of inference: which take turns, when to stop, and what they come to.
 * SPDX-License-Identifier: MIT */
#include "infer.h"
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "device.h"
#include "facts.h"
#include "folder.h"
#include "infer_impl.h"
#include "machine.h"
#include "mem.h"
#include "stats.h"

enum { LEAST_SAMPLES = 5 };
#define NOISE_TARGET 0.01 /* median absolute deviation / median */

/* ---- Descriptors ----------------------------------------------------------------------------- */

mr_status mr_infer_describe(const mr_cell *c, const mr_infer_opts *o, int threads, char *text)
{
  char part[64];
  const int64_t usual = mr_infer_chunk(c->config.length);
  int n = snprintf(part, sizeof part, ":infer%" PRId64, o->tokens);
  if (o->chunk > 0 && o->chunk != usual)
    snprintf(part + n, sizeof part - (size_t)n, "c%" PRId64, o->chunk);
  MR_CHECK(mr_cell_describe(c, c->config.length, threads, text));
  if (strlen(text) + strlen(part) >= MR_CELL_TEXT)
    return MR_FAIL(MR_ERR_CONFIG, "the cell %.60s... takes more than %d letters to describe", text,
                   MR_CELL_TEXT - 1);
  memcpy(text + strlen(text), part, strlen(part) + 1);
  return MR_OK;
}

mr_status mr_infer_load(mr_cell *c, mr_infer_opts *o, const char *text)
{
  static const char word[] = ":infer";
  char cell[MR_CELL_TEXT];
  const char *part = strstr(text, word);
  const size_t n = part != NULL ? (size_t)(part - text) : strlen(text);
  if (n >= sizeof cell)
    return MR_FAIL(MR_ERR_CONFIG, "cell \"%.60s...\" is longer than %zu letters", text,
                   sizeof cell - 1);
  memcpy(cell, text, n);
  cell[n] = '\0';
  if (part != NULL) {
    char *end, *last;
    const char *digits = part + sizeof word - 1;
    const int64_t tokens = strtoll(digits, &end, 10);
    last = end;
    const int64_t chunk = *end == 'c' ? strtoll(end + 1, &last, 10) : 0;
    if (end == digits || tokens < 1 || *last != '\0' || (*end == 'c' && chunk < 1))
      return MR_FAIL(MR_ERR_CONFIG,
                     "\"%s\" in cell \"%s\" is not understood; its last part reads like infer32 or "
                     "infer32c512",
                     part + 1, text);
    o->tokens = tokens;
    o->chunk = chunk;
  }
  return mr_cell_load(c, cell);
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

/* The told ones of n spans, for what sorts them. */
static double *copy_of(mr_speaker *s, const mr_span *x, int64_t n)
{
  for (int64_t i = 0; i < n; i++) s->sorted[i] = x[i].told;
  return s->sorted;
}

static mr_bench_stat summarise(mr_speaker *s, const mr_span *x, int64_t n)
{
  mr_sort(copy_of(s, x, n), n);
  const mr_bench_stat r = {.median = mr_quantile(s->sorted, n, 0.5),
                           .p10 = mr_quantile(s->sorted, n, 0.1),
                           .p90 = mr_quantile(s->sorted, n, 0.9),
                           .min = s->sorted[0]};
  return r;
}

static bool enough(mr_speaker *s)
{
  if (s->n == s->capacity) return true;
  if (s->o->samples > 0 || s->n < LEAST_SAMPLES) return false;
  if (s->spent >= s->o->seconds) return true;
  return mr_noise(copy_of(s, s->prefill, s->n), s->n) < NOISE_TARGET &&
         mr_noise(copy_of(s, s->token, s->n * s->tokens), s->n * s->tokens) < NOISE_TARGET;
}

static mr_status sample(mr_speaker *s)
{
  const int64_t start = mr_now_ns();
  MR_CHECK(mr_speaker_round(s, &s->prefill[s->n], s->token + s->n * s->tokens, NULL));
  s->n++;
  s->spent += (double)(mr_now_ns() - start) * 1e-9;
  s->done = enough(s);
  return MR_OK;
}

static void conclude(mr_speaker *s)
{
  mr_infer_row *r = s->row;
  r->state = MR_CELL_TIMED;
  r->samples = s->n;
  r->prefill = summarise(s, s->prefill, s->n);
  r->token = summarise(s, s->token, s->n * s->tokens);
  const mr_growth growth = mr_speaker_growth(r);
  r->mistrusted = mr_off_plan(&growth, r->reason, sizeof r->reason);
}

/* ---- A cell's end ---------------------------------------------------------------------------- */

static void give_up(mr_speaker *s, mr_status st)
{
  s->row->state = mr_cell_state_of(st);
  s->row->status = st;
  s->done = true;
  snprintf(s->row->reason, sizeof s->row->reason, "%s", mr_error_message());
}

/* Where the cell's file goes; *kept: it is there already, complete. */
static mr_status choose_path(mr_speaker *s, bool *kept)
{
  char name[256];
  mr_infer_row *r = s->row;
  *kept = false;
  MR_CHECK(mr_infer_describe(s->cell, s->o, r->threads, r->descriptor));
  if (s->o->folder == NULL) return MR_OK;
  mr_cell_file(r->descriptor, name);
  if (snprintf(r->path, sizeof r->path, "%s/%s", s->o->folder, name) >= (int)sizeof r->path)
    return MR_FAIL(MR_ERR_CONFIG, "the folder %.60s... makes a path longer than %zu letters",
                   s->o->folder, sizeof r->path - 1);
  if (!s->o->force) MR_CHECK(mr_cell_kept(r->path, r->descriptor, kept));
  return *kept ? MR_OK : mr_check_room(r->path, 1 << 20);
}

/* Bytes that may be used; a tenth is left to others. None without a device. */
static mr_status room(mr_backend *be, const mr_infer_opts *o, int64_t *bytes)
{
  mr_device_mem m;
  *bytes = 0;
  if (be == NULL) return MR_OK;
  const int64_t ram = be->device == MR_CPU ? mr_ram_available() : 0;
  MR_CHECK(be->api->mem(be, &m));
  *bytes = ram > 0 ? ram : m.total_bytes - m.used_bytes;
  *bytes -= *bytes / 10;
  if (o->limit > 0) *bytes = (int64_t)o->limit;
  return MR_OK;
}

/* Path, plan, and whether it can run at all. absent: why there is no device; NULL: there is one. */
static mr_status prepare(mr_speaker *s, const char *absent)
{
  bool kept;
  mr_infer_row *r = s->row;
  r->threads = s->be != NULL ? s->be->threads : 0;
  MR_CHECK(choose_path(s, &kept));
  if (kept) {
    r->state = MR_CELL_KEPT;
    s->done = true;
    return MR_OK;
  }
  mr_status st = absent == NULL ? mr_speaker_plan(s) : MR_FAIL(MR_ERR_UNSUPPORTED, "%s", absent);
  if (st == MR_ERR_NOMEM) return st;
  if (st == MR_ERR_CONFIG) st = MR_ERR_UNSUPPORTED; /* settings that this model does not have */
  if (st != MR_OK) give_up(s, st);
  return MR_OK;
}

/* Opens and passes the gate, or gives up. */
static mr_status open_one(mr_speaker *s)
{
  mr_device_mem before, after;
  (void)malloc_trim(0); /* or what other cells gave back would hide some of it */
  MR_CHECK(s->be->api->mem(s->be, &before));
  mr_status st = mr_speaker_open(s);
  if (st == MR_OK) st = mr_speaker_gate(s);
  if (st != MR_OK) {
    give_up(s, st);
    return MR_OK;
  }
  MR_CHECK(s->be->api->mem(s->be, &after));
  s->row->device_bytes = after.used_bytes - before.used_bytes;
  s->row->other_bytes = after.other_bytes - before.other_bytes;
  return MR_OK;
}

mr_growth mr_speaker_growth(const mr_infer_row *r)
{
  return (mr_growth){r->planned_bytes, r->allowance_bytes, r->device_bytes, r->other_bytes,
                     r->threads};
}

/* Rounds of n speakers alternate, so that a machine that changes its pace meets them alike. */
static mr_status take_turns(mr_speaker *s, int n)
{
  for (int i = 0; i < n; i++)
    if (!s[i].done) MR_CHECK(open_one(&s[i]));
  for (bool going = true; going;) {
    going = false;
    for (int i = 0; i < n; i++) {
      if (s[i].done) continue;
      const mr_status st = sample(&s[i]);
      if (st != MR_OK) give_up(&s[i], st);
      going = going || !s[i].done;
    }
  }
  for (int i = 0; i < n; i++)
    if (s[i].n > 0 && s[i].row->status == MR_OK) conclude(&s[i]);
  return MR_OK;
}

/* How many of the speakers, from the first on, fit in memory together; the first is skipped if it
 * does not fit alone. */
static mr_status admit(mr_speaker *s, int n, int *together)
{
  int64_t left = 0;
  MR_CHECK(room(s->be, s->o, &left));
  *together = 0;
  for (; *together < n; ++*together) {
    mr_speaker *k = &s[*together];
    k->row->free_bytes = left;
    if (k->done) continue;
    if (k->row->needed_bytes <= left) {
      left -= k->row->needed_bytes;
      continue;
    }
    if (*together > 0) return MR_OK;
    give_up(k, MR_FAIL(MR_ERR_NOMEM, "needs %" PRId64 " bytes where %" PRId64 " are free",
                       k->row->needed_bytes, left));
  }
  return MR_OK;
}

static mr_status time_all(mr_speaker *s, int n, const char *absent)
{
  for (int i = 0; i < n; i++) MR_CHECK(prepare(&s[i], absent));
  for (int i = 0, together; i < n; i += together) {
    MR_CHECK(admit(s + i, n - i, &together));
    MR_CHECK(take_turns(s + i, together));
    for (int k = i; k < i + together; k++) {
      if (s[k].row->path[0] != '\0' && s[k].row->state != MR_CELL_KEPT)
        MR_CHECK(mr_speaker_log(&s[k]));
      mr_speaker_close(&s[k]);
      memset(&s[k], 0, sizeof s[k]);
    }
  }
  return MR_OK;
}

mr_status mr_infer(const mr_cell *cell, int n, const mr_infer_opts *o, mr_infer_row *rows)
{
  mr_status st = MR_OK;
  mr_backend *be = NULL;
  mr_speaker *s = NULL;
  char absent[sizeof rows[0].reason];
  MR_TRY(mr_calloc((void **)&s, (size_t)n, sizeof *s));
  const mr_status device = mr_device_open(&be, &cell[0].config);
  if (device != MR_ERR_UNSUPPORTED) MR_TRY(device);
  snprintf(absent, sizeof absent, "%s", mr_error_message());
  for (int i = 0; i < n; i++) {
    memset(&rows[i], 0, sizeof rows[i]);
    rows[i].cell = &cell[i];
    s[i] = (mr_speaker){.cell = &cell[i], .o = o, .row = &rows[i], .be = be};
  }
  MR_TRY(time_all(s, n, device == MR_OK ? NULL : absent));
out:
  for (int i = 0; s != NULL && i < n; i++) mr_speaker_close(&s[i]);
  mr_free(s);
  mr_backend_close(be);
  return st;
}
