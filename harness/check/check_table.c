/* check_table.c — the case table on one device: listed, and run case by case.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "check.h"

static mr_status list_one(void *ctx, const mr_case *c)
{
  if (fprintf(ctx, "%-48s rtol %.0e atol %.0e  %s\n", c->name, c->rtol, c->atol, c->why) < 0)
    return MR_FAIL(MR_ERR_IO, "the list of cases could not be written");
  return MR_OK;
}

mr_status mr_check_list(FILE *f)
{
  return mr_cases_each(list_one, f);
}

enum { N_BACKENDS = 2 };
typedef struct session {
  const char *name;
  int what;
  bool exact; /* a case has exactly this name */
  mr_backend *be[N_BACKENDS];
  FILE *out;
  mr_check_count *n;
} session;

static mr_status look_for_exact(void *ctx, const mr_case *c)
{
  session *s = ctx;
  s->exact = s->exact || (s->name && strcmp(c->name, s->name) == 0);
  return MR_OK;
}

static bool asked_for(const session *s, const mr_case *c)
{
  if (!s->name) return true;
  if (s->exact) return strcmp(c->name, s->name) == 0;
  return strncmp(c->name, s->name, strlen(s->name)) == 0;
}

mr_status mr_check_broken(mr_status st, mr_check_result *r)
{
  if (st != MR_ERR_CUDA) return st;
  *r = (mr_check_result){.ok = false, .worst = INFINITY};
  (void)snprintf(r->text, sizeof r->text, "%s", mr_error_message());
  return MR_OK;
}

mr_status mr_check_tell(FILE *out, const mr_check_result *r, const char *name, const char *replay,
                        mr_check_count *n)
{
  n->run++;
  n->failed += !r->ok;
  int written = fprintf(out, "%-4s %9.3g  %s\n", r->ok ? "ok" : "FAIL", r->worst, name);
  if (written >= 0 && !r->ok)
    written = fprintf(out, "     %s\n     replay: minrnn check %s%s\n", r->text, replay, name);
  if (written >= 0 && r->note[0] != '\0') written = fprintf(out, "     note: %s\n", r->note);
  /* At once, so that of a check that hangs it is known where. */
  return written < 0 || fflush(out) != 0
             ? MR_FAIL(MR_ERR_IO, "the results of the check could not be written")
             : MR_OK;
}

static const char *replay_on(const mr_backend *be)
{
  return be->device == MR_CUDA ? "--device=cuda " : "";
}

mr_status mr_check_parity_small(const mr_case *c, mr_backend *be, mr_backend *other,
                                mr_check_result *r)
{
  const int sm_count = be->sm_count;
  be->sm_count = 1;
  const mr_status st = mr_check_parity(c, be, other, r);
  be->sm_count = sm_count;
  return st;
}

/* One of the ways a case is held: on each CPU backend; or on CUDA by itself, against the CPU, and so
 * once more as on a small device. */
static mr_status run_way(const session *s, const mr_case *c, int way, mr_check_result *r)
{
  const bool twins = s->be[0]->device != MR_CPU;
  if (!twins || way == 0) return mr_check_case(c, s->be[way], s->what, r);
  if (way == 1) return mr_check_parity(c, s->be[0], s->be[1], r);
  return mr_check_parity_small(c, s->be[0], s->be[1], r);
}

static mr_status run_one(void *ctx, const mr_case *c)
{
  session *s = ctx;
  const int ways = s->be[0]->device == MR_CPU ? N_BACKENDS : N_BACKENDS + 1;
  mr_check_result worst = {true, -1, ""}, r;
  if (!asked_for(s, c)) return MR_OK;
  for (int way = 0; way < ways && worst.ok; way++) {
    MR_CHECK(mr_check_broken(run_way(s, c, way, &r), &r));
    if (r.worst > worst.worst) worst = r;
  }
  return mr_check_tell(s->out, &worst, c->name, replay_on(s->be[0]), s->n);
}

mr_status mr_check_run(const char *name, mr_device dev, int what, bool models, FILE *out,
                       mr_check_count *n)
{
  mr_status st = MR_OK;
  session s = {name, what, false, {NULL, NULL}, out, n};
  memset(n, 0, sizeof *n);
  MR_TRY(mr_backend_open(&s.be[0], dev, 1));
  MR_TRY(mr_backend_open(&s.be[1], MR_CPU, dev == MR_CPU ? 2 : 1));
  MR_TRY(mr_cases_each(look_for_exact, &s));
  MR_TRY(mr_cases_each(run_one, &s));
  if (models || (name && strncmp(name, "model:", 6) == 0))
    MR_TRY(mr_check_models(name, s.be[0], s.be[1], out, n));
  if (n->run + n->skipped == 0)
    st = MR_FAIL(MR_ERR_ARG, "no check has a name that starts with %s; see minrnn check --list",
                 name ? name : "it");
out:
  for (int b = 0; b < N_BACKENDS; b++) mr_backend_close(s.be[b]);
  return st;
}
