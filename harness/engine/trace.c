/* trace.c — records the matrix products of a piece of work and makes them again, alone.
 * SPDX-License-Identifier: MIT */
#include "backend.h"
#include "mem.h"

/* The products one thread made while recording. */
struct mr_trace {
  mr_gemm *call;
  int64_t n, capacity;
  mr_status st;
};

static mr_status make_lists(const mr_backend *be, mr_trace **out)
{
  void *p;
  MR_CHECK(mr_calloc(&p, (size_t)be->threads, sizeof **out));
  *out = p;
  return MR_OK;
}

mr_status mr_trace_begin(mr_backend *be)
{
  if (be->trace == NULL) MR_CHECK(make_lists(be, &be->trace));
  for (int i = 0; i < be->threads; i++) be->trace[i].n = 0, be->trace[i].st = MR_OK;
  be->tracing = true;
  return MR_OK;
}

void mr_trace_record(mr_backend *be, int thread, const mr_gemm *g)
{
  mr_trace *t = &be->trace[thread];
  if (t->st != MR_OK) return;
  if (t->n == t->capacity) {
    const int64_t capacity = t->capacity > 0 ? 2 * t->capacity : 256;
    void *p = t->call;
    t->st = mr_regrow(&p, (size_t)capacity, sizeof *t->call);
    if (t->st != MR_OK) return;
    t->call = p;
    t->capacity = capacity;
  }
  t->call[t->n++] = *g;
}

mr_status mr_trace_end(mr_backend *be, int64_t *n_calls, double *flops)
{
  be->tracing = false;
  *n_calls = 0, *flops = 0;
  for (int i = 0; i < be->threads; i++) {
    MR_CHECK(be->trace[i].st);
    *n_calls += be->trace[i].n;
    for (int64_t j = 0; j < be->trace[i].n; j++) {
      const mr_gemm *g = &be->trace[i].call[j];
      *flops += 2.0 * (double)g->m * (double)g->n * (double)g->k;
    }
  }
  return MR_OK;
}

mr_status mr_trace_replay(mr_backend *be)
{
  if (be->tracing || be->trace == NULL)
    return MR_FAIL(MR_ERR_ARG, "replay needs a finished recording");
  for (int64_t j = 0; be->device != MR_CPU && j < be->trace[0].n; j++)
    MR_CHECK(be->api->gemm(be, &be->trace[0].call[j]));
  if (be->device != MR_CPU) return MR_OK;
  MR_PARALLEL(be, true)
  {
    /* A smaller team than recorded would drop calls: stride over the lists. */
    for (int i = mr_tid(); i < be->threads; i += mr_team())
      for (int64_t j = 0; j < be->trace[i].n; j++) mr_cpu_gemm(be, &be->trace[i].call[j]);
  }
  return MR_OK;
}

mr_status mr_trace_swap(mr_backend *be, mr_trace **kept)
{
  mr_trace *t = *kept;
  if (t == NULL) MR_CHECK(make_lists(be, &t));
  *kept = be->trace;
  be->trace = t;
  return MR_OK;
}

void mr_trace_free(const mr_backend *be, mr_trace *kept)
{
  for (int i = 0; kept != NULL && i < be->threads; i++) mr_free(kept[i].call);
  mr_free(kept);
}
