/* machine_rates.c — the machine's copy bandwidth and matrix product rate, measured.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "machine.h"
#include "machine_impl.h"
#include "mem.h"

enum { SAMPLES = 15, CPU_SIDE = 1024, GPU_SIDE = 8192, ROUND = 4096 };
static const int64_t block_least = 64 << 20, block_most = 512 << 20;

int64_t mr_rate_block_bytes(void)
{
  int64_t bytes = 4 * mr_last_cache_bytes(), quarter = mr_ram_bytes() / 4;
  if (bytes < block_least) bytes = block_least;
  if (bytes > block_most) bytes = block_most;
  if (quarter > 0 && bytes > quarter) bytes = quarter;
  return bytes / ROUND * ROUND;
}

struct mr_probe {
  mr_backend *be;
  void *from, *to; /* [bytes] each, copied          */
  void *a, *b, *c; /* [side, side] each, multiplied */
  size_t bytes;
  int64_t side;
};

/* Non-zero bytes, as pages of zeros may all be one page; each thread first touches its share. */
static mr_status touch(mr_backend *be, void *p, size_t bytes)
{
  if (be->device != MR_CPU) return be->api->fill(be, p, 0x3C, bytes);
  MR_PARALLEL(be, true)
  {
    int64_t from, to;
    mr_share((int64_t)bytes, ROUND, mr_tid(), mr_team(), &from, &to);
    if (to > from) memset((char *)p + from, 0x3C, (size_t)(to - from));
  }
  return MR_OK;
}

mr_status mr_probe_open(mr_probe **out, mr_backend *be, int64_t bytes, int64_t side)
{
  mr_status st = MR_OK;
  void *memory;
  const size_t matrix = (size_t)(side * side) * sizeof(mr_real);
  MR_CHECK(mr_calloc(&memory, 1, sizeof(mr_probe)));
  mr_probe *p = memory;
  *p = (mr_probe){.be = be, .bytes = (size_t)bytes, .side = side};
  MR_TRY(be->api->alloc(be, p->bytes, &p->from));
  MR_TRY(be->api->alloc(be, p->bytes, &p->to));
  MR_TRY(be->api->alloc(be, matrix, &p->a));
  MR_TRY(be->api->alloc(be, matrix, &p->b));
  MR_TRY(be->api->alloc(be, matrix, &p->c));
  MR_TRY(touch(be, p->from, p->bytes));
  MR_TRY(touch(be, p->to, p->bytes));
  MR_TRY(touch(be, p->a, matrix)); /* numbers of about 0.0115 in float, 1.5e-18 in double */
  MR_TRY(touch(be, p->b, matrix));
  MR_TRY(touch(be, p->c, matrix));
  *out = p;
  p = NULL;
out:
  mr_probe_close(p);
  return st;
}

void mr_probe_close(mr_probe *p)
{
  if (p == NULL) return;
  void *const memory[] = {p->from, p->to, p->a, p->b, p->c};
  for (int i = 0; i < 5; i++) p->be->api->release(p->be, memory[i]);
  mr_free(p);
}

mr_status mr_probe_copy(mr_probe *p)
{
  if (p->be->device != MR_CPU) return p->be->api->copy(p->be, p->to, p->from, p->bytes);
  MR_PARALLEL(p->be, true)
  {
    int64_t from, to;
    mr_share((int64_t)p->bytes, ROUND, mr_tid(), mr_team(), &from, &to);
    if (to > from) memcpy((char *)p->to + from, (const char *)p->from + from, (size_t)(to - from));
  }
  return MR_OK;
}

mr_status mr_probe_product(mr_probe *p)
{
  const mr_gemm g = {.m = p->side,
                     .n = p->side,
                     .k = p->side,
                     .alpha = 1,
                     .beta = 0,
                     .a = p->a,
                     .lda = p->side,
                     .b = p->b,
                     .ldb = p->side,
                     .c = p->c,
                     .ldc = p->side};
  return p->be->api->gemm(p->be, &g);
}

bool mr_is_one_cpu_thread(const mr_backend *be)
{
  return be->device == MR_CPU && be->threads == 1;
}

static double now(const mr_backend *be)
{
  return mr_is_one_cpu_thread(be) ? mr_processor_ns() : (double)mr_now_ns();
}

/* Seconds of the fastest of some calls, after one that is not counted: what the machine can when
 * nobody else uses it. */
static mr_status fastest(mr_probe *p, mr_status (*once)(mr_probe *p), double *seconds)
{
  *seconds = INFINITY;
  for (int i = -1; i < SAMPLES; i++) {
    MR_CHECK(p->be->api->sync(p->be));
    const double start = now(p->be);
    MR_CHECK(once(p));
    MR_CHECK(p->be->api->sync(p->be));
    if (i >= 0) *seconds = fmin(*seconds, (now(p->be) - start) * 1e-9);
  }
  return MR_OK;
}

/* Lets the kernel count the peak of the resident set anew, so that blocks held only for measuring
 * do not show in it. Where it cannot, the peak just stays higher. */
static void forget_peak(void)
{
  FILE *f = fopen("/proc/self/clear_refs", "w");
  if (!f) return;
  (void)fputs("5", f);
  (void)fclose(f);
}

mr_status mr_machine_rates(mr_backend *be, double *copy_bytes_per_s, double *gemm_flop_per_s)
{
  mr_status st = MR_OK;
  const int64_t block = mr_rate_block_bytes() / 2,
                side = be->device == MR_CPU ? CPU_SIDE : GPU_SIDE;
  double seconds = 0;
  mr_probe *p = NULL;
  MR_TRY(mr_probe_open(&p, be, block, side));
  MR_TRY(fastest(p, mr_probe_copy, &seconds));
  *copy_bytes_per_s = 2 * (double)block / seconds;
  MR_TRY(fastest(p, mr_probe_product, &seconds));
  *gemm_flop_per_s = 2 * (double)side * (double)side * (double)side / seconds;
out:
  mr_probe_close(p);
  forget_peak();
  return st;
}
