/* backend.c — opens a device by kind. SPDX-License-Identifier: MIT */
#include "backend.h"
#include "backend_cpu.h"
#ifdef MR_WITH_CUDA
#include "cuda/backend_cuda.h"
#endif

bool mr_backend_built(mr_device dev)
{
#ifdef MR_WITH_CUDA
  return dev == MR_CPU || dev == MR_CUDA;
#else
  return dev == MR_CPU;
#endif
}

mr_status mr_backend_open(mr_backend **out, mr_device dev, int threads)
{
  if (threads < 0 || threads > 4096)
    return MR_FAIL(MR_ERR_ARG, "threads is %d; allowed: 0 to 4096", threads);
  if (dev == MR_CPU) return mr_cpu_open(out, threads);
#ifdef MR_WITH_CUDA
  if (dev == MR_CUDA) return mr_cuda_open(out);
#endif
  return MR_FAIL(MR_ERR_UNSUPPORTED, "device %s: this build has no kernels for it",
                 dev == MR_CUDA ? "cuda" : "unknown");
}

void mr_backend_close(mr_backend *be)
{
  if (be == NULL) return;
  mr_trace_free(be, be->trace);
  be->api->close(be);
}

mr_status mr_backend_set_math(mr_backend *be, mr_math math)
{
  if (be->device == MR_CPU && math != MR_MATH_F32)
    return MR_FAIL(MR_ERR_UNSUPPORTED, "device cpu: products are computed in f32 only");
  be->math = math;
  return MR_OK;
}

mr_status mr_backend_capture(mr_backend *be, mr_status (*queue)(void *ctx), void *ctx,
                             mr_graph **out)
{
  MR_CHECK(be->api->capture_begin(be));
  const mr_status queued = queue(ctx);
  const mr_status ended = be->api->capture_end(be, out);
  if (queued == MR_OK) return ended;
  if (ended == MR_OK) be->api->free_graph(be, *out);
  *out = NULL;
  return queued;
}

void mr_share(int64_t n, int64_t granule, int tid, int threads, int64_t *from, int64_t *to)
{
  const int64_t blocks = (n + granule - 1) / granule;
  const int64_t lo = blocks * tid / threads * granule, hi = blocks * (tid + 1) / threads * granule;
  *from = lo < n ? lo : n;
  *to = hi < n ? hi : n;
}
