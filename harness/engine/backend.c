/* backend.c — opens a device by kind. SPDX-License-Identifier: MIT */
#include "backend.h"
#include "backend_cpu.h"

mr_status mr_backend_open(mr_backend **out, mr_device dev, int threads)
{
  if (threads < 0 || threads > 4096)
    return MR_FAIL(MR_ERR_ARG, "threads is %d; allowed: 0 to 4096", threads);
  if (dev == MR_CPU) return mr_cpu_open(out, threads);
  return MR_FAIL(MR_ERR_UNSUPPORTED, "device %s: this build has no kernels for it",
                 dev == MR_CUDA ? "cuda" : "unknown");
}

void mr_backend_close(mr_backend *be)
{
  if (be != NULL) be->api->close(be);
}

void mr_share(int64_t n, int64_t granule, int tid, int threads, int64_t *from, int64_t *to)
{
  const int64_t blocks = (n + granule - 1) / granule;
  const int64_t lo = blocks * tid / threads * granule, hi = blocks * (tid + 1) / threads * granule;
  *from = lo < n ? lo : n;
  *to = hi < n ? hi : n;
}
