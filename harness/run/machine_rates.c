/* machine_rates.c — the machine's copy bandwidth and matrix product rate, measured.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "machine.h"
#include "machine_impl.h"
#include "mem.h"
#include "rng.h"

/* MANY multiprocessors: a device that only large work keeps busy, unlike one played on the host. */
enum { SAMPLES = 15, CPU_SIDE = 1024, GPU_SIDE = 8192, ROUND = 4096, MANY = 8, DRAWN = 1 << 18 };
static const int64_t block_least = 64 << 20, block_most = 512 << 20, gpu_block = (int64_t)2 << 30;

bool mr_is_large_device(const mr_backend *be)
{
  return be->device != MR_CPU && be->sm_count >= MANY;
}

int64_t mr_rate_block_bytes(const mr_backend *be)
{
  int64_t bytes = 4 * mr_last_cache_bytes(), quarter = mr_ram_bytes() / 4;
  if (mr_is_large_device(be)) return gpu_block;
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

/* Fills a matrix on a device with normal numbers, over and over the same DRAWN: a product of equal
 * numbers takes less power, and so less time, than those of a network. */
static mr_status draw(mr_backend *be, void *to, size_t bytes)
{
  mr_status st = MR_OK;
  const size_t all = DRAWN * sizeof(mr_real);
  void *host = NULL;
  mr_rng r;
  MR_TRY(mr_calloc(&host, DRAWN, sizeof(mr_real)));
  mr_rng_seek(&r, 1, MR_STREAM_CHECK, 0);
  for (int i = 0; i < DRAWN; i++) ((mr_real *)host)[i] = (mr_real)mr_rng_normal(&r);
  MR_TRY(be->api->upload(be, to, host, bytes < all ? bytes : all));
  for (size_t done = all; done < bytes; done *= 2)
    MR_TRY(be->api->copy(be, (char *)to + done, to, done < bytes - done ? done : bytes - done));
out:
  mr_free(host);
  return st;
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
  if (be->device != MR_CPU) {
    MR_TRY(draw(be, p->a, matrix));
    MR_TRY(draw(be, p->b, matrix));
  }
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

static double wall_ns(void)
{
  return (double)mr_now_ns();
}

/* Nanoseconds of one call, by the device's own clock where it has one. */
static mr_status time_once(mr_probe *p, mr_status (*once)(mr_probe *p), double *ns)
{
  const mr_backend_api *api = p->be->api;
  double (*const clock)(void) = mr_is_one_cpu_thread(p->be) ? mr_processor_ns : wall_ns;
  MR_CHECK(api->sync(p->be));
  const double start = clock();
  MR_CHECK(api->mark(p->be, 0));
  MR_CHECK(once(p));
  MR_CHECK(api->mark(p->be, 1));
  MR_CHECK(api->sync(p->be));
  *ns = clock() - start;
  return p->be->device == MR_CPU ? MR_OK : api->elapsed(p->be, 0, 1, ns);
}

/* Seconds of the fastest of some calls, after one that is not counted: what the machine can when
 * nobody else uses it. */
static mr_status fastest(mr_probe *p, mr_status (*once)(mr_probe *p), double *seconds)
{
  double ns;
  *seconds = INFINITY;
  for (int i = -1; i < SAMPLES; i++) {
    MR_CHECK(time_once(p, once, &ns));
    if (i >= 0) *seconds = fmin(*seconds, ns * 1e-9);
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
  const int64_t block = mr_rate_block_bytes(be) / 2,
                side = mr_is_large_device(be) ? GPU_SIDE : CPU_SIDE;
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
