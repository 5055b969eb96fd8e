/* bench_pace.c — work that all cells share: the fixed work that tells the machine's pace, the space in
 * front of what is timed on a device, and the flood that flushes caches. SPDX-License-Identifier: MIT */
#include "bench_impl.h"

/* About a millisecond on two CPU cores, and on a GPU. */
enum { CPU_SIDE = 384, GPU_SIDE = 2048, LINE = 64 };
static const int64_t cpu_bytes = 8 << 20, gpu_bytes = (int64_t)256 << 20;
static const int64_t least_flood = 64 << 20, gpu_flood = (int64_t)512 << 20;

int64_t mr_flood_bytes(const mr_backend *be)
{
  if (be->device != MR_CPU) return gpu_flood; /* a few times the last cache of any GPU so far */
  const int64_t bytes = mr_last_cache_bytes() / 4 * 5;
  return bytes > least_flood ? bytes : least_flood;
}

mr_status mr_pace_open(mr_pace *p, mr_backend *be)
{
  const bool large = mr_is_large_device(be);
  p->be = be;
  return mr_probe_open(&p->probe, be, large ? gpu_bytes : cpu_bytes, large ? GPU_SIDE : CPU_SIDE);
}

void mr_pace_close(mr_pace *p)
{
  mr_probe_close(p->probe);
  if (p->be != NULL) p->be->api->release(p->be, p->flood);
  *p = (mr_pace){.probe = NULL};
}

mr_status mr_pace_once(mr_pace *p)
{
  MR_CHECK(mr_probe_product(p->probe));
  return mr_probe_copy(p->probe);
}

mr_status mr_pace_space(void *pace)
{
  const mr_pace *p = pace;
  return p->be->device == MR_CPU ? MR_OK : mr_probe_copy(p->probe);
}

mr_status mr_pace_flush(mr_pace *p)
{
  mr_backend *be = p->be;
  if (p->flood == NULL) {
    p->flood_bytes = (size_t)mr_flood_bytes(be);
    MR_CHECK(be->api->alloc(be, p->flood_bytes, &p->flood));
    MR_CHECK(be->api->fill(be, p->flood, 1, p->flood_bytes));
  }
  if (be->device != MR_CPU) {
    MR_CHECK(be->api->fill(be, p->flood, 1, p->flood_bytes));
    return be->api->sync(be);
  }
  /* Read and written line by line: memset would pass by the caches. */
  MR_PARALLEL(be, true)
  {
    int64_t from, to;
    mr_share((int64_t)p->flood_bytes, 4096, mr_tid(), mr_team(), &from, &to);
    volatile unsigned char *x = p->flood;
    for (int64_t i = from; i < to; i += LINE) x[i] = (unsigned char)(x[i] + 1);
  }
  return MR_OK;
}
