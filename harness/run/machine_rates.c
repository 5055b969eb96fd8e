/* machine_rates.c — the machine's copy bandwidth and matrix product rate, measured.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "machine.h"
#include "machine_impl.h"

enum { SAMPLES = 7, CPU_SIDE = 1536, GPU_SIDE = 8192, ROUND = 4096 };
static const int64_t block_least = 64 << 20, block_most = 512 << 20;

int64_t mr_rate_block_bytes(void)
{
  int64_t bytes = 4 * mr_last_cache_bytes(), quarter = mr_ram_bytes() / 4;
  if (bytes < block_least) bytes = block_least;
  if (bytes > block_most) bytes = block_most;
  if (quarter > 0 && bytes > quarter) bytes = quarter;
  return bytes / ROUND * ROUND;
}

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* One of the two pieces of work that are timed. */
typedef struct work {
  mr_backend *be;
  void *a, *b, *c; /* device memory */
  size_t bytes;    /* of a and of b */
  int64_t side;    /* of the matrices */
} work;

/* On the CPU with every thread of the backend, as kernels do; elsewhere as the device copies. */
static mr_status copy_once(const work *w)
{
  if (w->be->device != MR_CPU) return w->be->api->copy(w->be, w->b, w->a, w->bytes);
  MR_PARALLEL(w->be, true)
  {
    int64_t from, to;
    mr_share((int64_t)w->bytes, ROUND, mr_tid(), mr_team(), &from, &to);
    if (to > from) memcpy((char *)w->b + from, (const char *)w->a + from, (size_t)(to - from));
  }
  return MR_OK;
}

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

static mr_status product_once(const work *w)
{
  const mr_gemm g = {.m = w->side,
                     .n = w->side,
                     .k = w->side,
                     .alpha = 1,
                     .beta = 0,
                     .a = w->a,
                     .lda = w->side,
                     .b = w->b,
                     .ldb = w->side,
                     .c = w->c,
                     .ldc = w->side};
  return w->be->api->gemm(w->be, &g);
}

/* Median seconds of one call, after one that is not counted. */
static mr_status median(const work *w, mr_status (*once)(const work *w), double *seconds)
{
  double sample[SAMPLES];
  for (int i = -1; i < SAMPLES; i++) {
    MR_CHECK(w->be->api->sync(w->be));
    int64_t start = mr_now_ns();
    MR_CHECK(once(w));
    MR_CHECK(w->be->api->sync(w->be));
    if (i >= 0) sample[i] = (double)(mr_now_ns() - start) * 1e-9;
  }
  qsort(sample, SAMPLES, sizeof *sample, by_value);
  *seconds = sample[SAMPLES / 2];
  return MR_OK;
}

static mr_status copy_rate(mr_backend *be, double *bytes_per_s)
{
  mr_status st = MR_OK;
  work w = {.be = be, .bytes = (size_t)mr_rate_block_bytes() / 2};
  double seconds = 0;
  MR_TRY(be->api->alloc(be, w.bytes, &w.a));
  MR_TRY(be->api->alloc(be, w.bytes, &w.b));
  MR_TRY(touch(be, w.a, w.bytes));
  MR_TRY(touch(be, w.b, w.bytes));
  MR_TRY(median(&w, copy_once, &seconds));
  *bytes_per_s = 2 * (double)w.bytes / seconds;
out:
  be->api->release(be, w.a);
  be->api->release(be, w.b);
  return st;
}

static mr_status product_rate(mr_backend *be, double *flop_per_s)
{
  mr_status st = MR_OK;
  work w = {.be = be, .side = be->device == MR_CPU ? CPU_SIDE : GPU_SIDE};
  const size_t bytes = (size_t)(w.side * w.side) * sizeof(mr_real);
  double seconds = 0, side = (double)w.side;
  MR_TRY(be->api->alloc(be, bytes, &w.a));
  MR_TRY(be->api->alloc(be, bytes, &w.b));
  MR_TRY(be->api->alloc(be, bytes, &w.c));
  MR_TRY(
      be->api->fill(be, w.a, 0x3C, bytes)); /* bytes of about 0.0115 in float, 1.5e-18 in double */
  MR_TRY(be->api->fill(be, w.b, 0x3C, bytes));
  MR_TRY(be->api->fill(be, w.c, 0, bytes));
  MR_TRY(median(&w, product_once, &seconds));
  *flop_per_s = 2 * side * side * side / seconds;
out:
  be->api->release(be, w.a);
  be->api->release(be, w.b);
  be->api->release(be, w.c);
  return st;
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
  MR_TRY(copy_rate(be, copy_bytes_per_s));
  MR_TRY(product_rate(be, gemm_flop_per_s));
out:
  forget_peak();
  return st;
}
