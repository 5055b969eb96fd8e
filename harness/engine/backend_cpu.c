/* backend_cpu.c — the CPU as a device: host memory, OpenMP threads, OpenBLAS with one thread per call.
 * SPDX-License-Identifier: MIT
 *
 * Products are split over OpenMP threads here (or by a kernel that owns its parallel region), never
 * inside OpenBLAS: one pool of threads, no oversubscription, and a kernel may interleave products
 * with its own arithmetic without a barrier. */
#include <cblas.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif
#include "backend_cpu.h"
#include "mem.h"
#include "panel.h"

enum { MARKS = 16 };

typedef struct slab {
  void *p;
  int64_t bytes; /* asked for */
} slab;

typedef struct cpu {
  mr_backend base;
  slab *slab; /* [n_slabs], what alloc gave and release has not taken back */
  int n_slabs;
  int64_t used, peak; /* bytes of them */
  double mark[MARKS]; /* ns */
  char binding[64];
} cpu;

static mr_status cpu_alloc(mr_backend *be, size_t bytes, void **out)
{
  cpu *c = (cpu *)be;
  void *p = c->slab;
  MR_CHECK(mr_regrow(&p, (size_t)c->n_slabs + 1, sizeof *c->slab));
  c->slab = p;
  MR_CHECK(mr_alloc_slab(out, bytes));
  c->slab[c->n_slabs++] = (slab){*out, (int64_t)bytes};
  c->used += (int64_t)bytes;
  if (c->used > c->peak) c->peak = c->used;
  return MR_OK;
}

static void cpu_release(mr_backend *be, void *p)
{
  cpu *c = (cpu *)be;
  for (int i = c->n_slabs - 1; i >= 0 && p != NULL; i--) {
    if (c->slab[i].p != p) continue;
    c->used -= c->slab[i].bytes;
    c->slab[i] = c->slab[--c->n_slabs];
    break;
  }
  mr_free(p);
}

static mr_status cpu_copy(mr_backend *be, void *dst, const void *src, size_t bytes)
{
  (void)be;
  if (bytes > 0) memcpy(dst, src, bytes);
  return MR_OK;
}

static mr_status cpu_copy_rows(mr_backend *be, void *dst, size_t dst_pitch, const void *src,
                               size_t src_pitch, size_t bytes, int64_t n)
{
  (void)be;
  for (int64_t i = 0; i < n; i++)
    memcpy((char *)dst + (size_t)i * dst_pitch, (const char *)src + (size_t)i * src_pitch, bytes);
  return MR_OK;
}

static mr_status cpu_fill(mr_backend *be, void *dst, unsigned char byte, size_t bytes)
{
  (void)be;
  if (bytes > 0) memset(dst, byte, bytes);
  return MR_OK;
}

static void multiply(const mr_gemm *g)
{
  if (g->packed) {
    mr_panel_gemm(g);
    return;
  }
  const CBLAS_TRANSPOSE ta = g->trans_a ? CblasTrans : CblasNoTrans;
  const CBLAS_TRANSPOSE tb = g->trans_b ? CblasTrans : CblasNoTrans;
  const blasint m = (blasint)g->m, n = (blasint)g->n, k = (blasint)g->k;
#ifdef MR_REAL_IS_DOUBLE
  cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, g->alpha, g->a, (blasint)g->lda, g->b,
              (blasint)g->ldb, g->beta, g->c, (blasint)g->ldc);
#else
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, g->alpha, g->a, (blasint)g->lda, g->b,
              (blasint)g->ldb, g->beta, g->c, (blasint)g->ldc);
#endif
}

void mr_cpu_gemm(mr_backend *be, const mr_gemm *g)
{
  if (g->m <= 0 || g->n <= 0) return;
  if (be->tracing) mr_trace_record(be, mr_tid(), g);
  multiply(g);
}

/* Splits the longer side of C over the threads. */
static mr_status cpu_gemm(mr_backend *be, const mr_gemm *g)
{
  const bool by_rows = g->m >= g->n;
  MR_PARALLEL(be, g->m * g->n * g->k >= 1 << 20)
  {
    mr_gemm part = *g;
    int64_t from, to;
    mr_share(by_rows ? g->m : g->n, 16, mr_tid(), mr_team(), &from, &to);
    if (by_rows) {
      part.m = to - from;
      part.a += from * (g->trans_a ? 1 : g->lda);
      part.c += from * g->ldc;
    } else {
      part.n = to - from;
      part.b += from * (g->trans_b ? g->ldb : 1);
      part.c += from;
    }
    mr_cpu_gemm(be, &part);
  }
  return MR_OK;
}

static mr_status cpu_mark(mr_backend *be, int slot)
{
  struct timespec ts;
  if (slot < 0 || slot >= MARKS)
    return MR_FAIL(MR_ERR_ARG, "time mark %d; allowed: 0 to %d", slot, MARKS - 1);
  if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
    return MR_FAIL(MR_ERR_INTERNAL, "the monotonic clock cannot be read");
  ((cpu *)be)->mark[slot] = (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
  return MR_OK;
}

static mr_status cpu_elapsed(mr_backend *be, int from, int to, double *ns)
{
  if (from < 0 || from >= MARKS || to < 0 || to >= MARKS)
    return MR_FAIL(MR_ERR_ARG, "time marks %d and %d; allowed: 0 to %d", from, to, MARKS - 1);
  *ns = ((cpu *)be)->mark[to] - ((cpu *)be)->mark[from];
  return MR_OK;
}

static mr_status cpu_sync(mr_backend *be)
{
  (void)be;
  return MR_OK;
}

static mr_status cpu_mem(mr_backend *be, mr_device_mem *out)
{
  mr_status st = MR_OK;
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  memset(out, 0, sizeof *out);
  if (f == NULL || fscanf(f, "%*s %ld", &pages) != 1)
    st = MR_FAIL(MR_ERR_IO, "the process's memory use cannot be read from /proc/self/statm");
  if (f != NULL && fclose(f) != 0 && st == MR_OK)
    st = MR_FAIL(MR_ERR_IO, "/proc/self/statm cannot be closed");
  if (st != MR_OK) return st;
  out->used_bytes = ((cpu *)be)->used;
  out->peak_bytes = ((cpu *)be)->peak;
  out->other_bytes = (int64_t)pages * sysconf(_SC_PAGESIZE) - mr_held_bytes();
  out->total_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  return MR_OK;
}

static void cpu_close(mr_backend *be)
{
  mr_free(((cpu *)be)->slab);
  mr_free(be);
}

static const mr_backend_api cpu_api = {"cpu",    cpu_alloc, cpu_release, cpu_copy,     cpu_copy,
                                       cpu_copy, cpu_fill,  cpu_gemm,    cpu_mark,     cpu_elapsed,
                                       cpu_sync, cpu_mem,   cpu_close,   cpu_copy_rows};

/* Ties thread i to the i-th core of the process, so that data stays in its cache. */
static void pin_threads(cpu *c, const cpu_set_t *cores)
{
#ifdef _OPENMP
  MR_PARALLEL(&c->base, true)
  {
    int rank = 0, bad = 0;
    for (int i = 0; i < CPU_SETSIZE; i++) {
      if (!CPU_ISSET(i, cores)) continue;
      if (rank++ != mr_tid()) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(i, &one);
      bad = pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    }
    /* A refused pin costs speed, not correctness: the log says so. */
    if (bad != 0) {
      MR_PRAGMA(omp critical)
      snprintf(c->binding, sizeof c->binding, "not pinned (refused)");
    }
  }
#else
  (void)c, (void)cores;
#endif
}

/* Numbers below 1.2e-38 (2.2e-308 in double) count as zero, in every thread: gradients that fade over
 * many steps end there, where arithmetic takes up to a hundred times as long and a benchmark would
 * time the fading. NaN and infinities stay what they are. */
static void flush_subnormals(mr_backend *be)
{
#ifdef __SSE__
  enum { FLUSH_TO_ZERO = 0x8000, SUBNORMALS_ARE_ZERO = 0x0040 };
  MR_PARALLEL(be, true)
  {
    _mm_setcsr(_mm_getcsr() | FLUSH_TO_ZERO | SUBNORMALS_ARE_ZERO);
  }
#else
  (void)be;
#endif
}

mr_status mr_cpu_open(mr_backend **out, int threads)
{
  mr_status st = MR_OK;
  static cpu_set_t cores; /* the process's own cores, read before the first pin narrows them */
  static int n_cores;
  void *p = NULL;
  cpu *c = NULL;
  if (n_cores == 0) {
    if (sched_getaffinity(0, sizeof cores, &cores) != 0)
      return MR_FAIL(MR_ERR_INTERNAL, "the cores of this process cannot be read");
    n_cores = CPU_COUNT(&cores);
  }
  MR_TRY(mr_calloc(&p, 1, sizeof *c));
  c = p;
  c->base.api = &cpu_api;
  c->base.device = MR_CPU;
  c->base.threads = threads > 0 ? threads : n_cores;
#ifndef _OPENMP
  c->base.threads = 1;
#endif
  c->base.binding = c->binding;
  openblas_set_num_threads(1);
  snprintf(c->binding, sizeof c->binding, "not pinned");
  if (c->base.threads > 1 && c->base.threads == n_cores) {
    snprintf(c->binding, sizeof c->binding, "pinned, one thread per core");
    pin_threads(c, &cores);
  }
  flush_subnormals(&c->base);
  *out = &c->base;
  c = NULL;
out:
  if (c != NULL) cpu_close(&c->base);
  return st;
}
