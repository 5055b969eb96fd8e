/* backend_cuda.cu — the CUDA device: one stream, pinned staging, events, captured graphs.
 * SPDX-License-Identifier: MIT
 *
 * An upload goes into pinned memory and is queued in the one stream. So the host makes and hands over the
 * next batch while the device computes, but the copy itself takes its turn between kernels and overlaps
 * none: a batch is some kilobytes, microseconds of a step. */
#include "backend_cuda.h"
#include <cuda_runtime.h>
#include "cuda_blas.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>

/* Returns with MR_ERR_CUDA and the error's text when a call of the run time fails. The run time forgets
 * it, or the next kernel would be blamed. */
#define MR_CU(call)                                                                                \
  do {                                                                                             \
    const cudaError_t error_ = (call);                                                             \
    if (error_ != cudaSuccess) {                                                                   \
      (void)cudaGetLastError();                                                                    \
      return MR_FAIL(MR_ERR_CUDA, "%s: %s", #call, cudaGetErrorString(error_));                    \
    }                                                                                              \
  } while (0)

namespace
{

constexpr int MARKS = 16;
/* Staging: a ring of bytes, and of the events that say when a stretch of it was read. */
constexpr size_t STAGING = 32 << 20, CHUNK = STAGING / 4;
constexpr int EVENTS = 64;

struct stretch {
  size_t from, to; /* bytes of the ring */
  cudaEvent_t read;
};

struct cuda {
  mr_backend base;
  mr_gpu gpu;
  cudaStream_t stream;
  mr_cuda_blas *blas;
  void *workspace; /* of products */
  cudaEvent_t mark[MARKS];
  char *staging; /* [STAGING], pinned */
  size_t head;   /* first byte not given out yet */
  stretch ring[EVENTS];
  int first, n; /* stretches in use: ring[first] is the oldest */
  bool capturing, careful;
  int64_t peak;
};

cuda *of(mr_backend *be)
{
  return reinterpret_cast<cuda *>(be);
}

mr_status refuse_capturing(const cuda *c, const char *what)
{
  if (!c->capturing) return MR_OK;
  return MR_FAIL(MR_ERR_CUDA, "%s cannot be part of a captured step", what);
}

/* ==== Memory ================================================================================= */

mr_status cuda_mem(mr_backend *be, mr_device_mem *out)
{
  size_t left, total;
  MR_CU(cudaMemGetInfo(&left, &total));
  out->used_bytes = (int64_t)(total - left);
  if (out->used_bytes > of(be)->peak) of(be)->peak = out->used_bytes;
  out->peak_bytes = of(be)->peak;
  out->total_bytes = (int64_t)total;
  return MR_OK;
}

mr_status cuda_alloc(mr_backend *be, size_t bytes, void **out)
{
  mr_device_mem mem;
  MR_CHECK(refuse_capturing(of(be), "allocation"));
  const cudaError_t error = cudaMalloc(out, bytes > 0 ? bytes : 1);
  if (error == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    MR_CHECK(cuda_mem(be, &mem));
    return MR_FAIL(MR_ERR_NOMEM, "%zu bytes of device memory are wanted, %lld of %lld are free",
                   bytes, (long long)(mem.total_bytes - mem.used_bytes),
                   (long long)mem.total_bytes);
  }
  MR_CU(error);
  return cuda_mem(be, &mem);
}

void cuda_release(mr_backend *be, void *p)
{
  (void)be;
  (void)cudaFree(p); /* an earlier kernel's failure is told when it is waited for */
}

bool overlaps(const cuda *c, size_t from, size_t to)
{
  for (int i = 0; i < c->n; i++) {
    const stretch *s = &c->ring[(c->first + i) % EVENTS];
    if (s->from < to && from < s->to) return true;
  }
  return false;
}

/* A stretch of staging that the device has read; waits for it where it must. */
mr_status stage(cuda *c, size_t bytes, stretch **out)
{
  if (c->head + bytes > STAGING) c->head = 0;
  while (c->n == EVENTS || overlaps(c, c->head, c->head + bytes)) {
    MR_CU(cudaEventSynchronize(c->ring[c->first].read));
    c->first = (c->first + 1) % EVENTS;
    c->n--;
  }
  stretch *s = &c->ring[(c->first + c->n) % EVENTS];
  s->from = c->head;
  s->to = c->head + bytes;
  c->head = (s->to + 255) / 256 * 256;
  c->n++;
  *out = s;
  return MR_OK;
}

mr_status cuda_upload(mr_backend *be, void *dst, const void *host, size_t bytes)
{
  cuda *c = of(be);
  MR_CHECK(refuse_capturing(c, "an upload"));
  for (size_t done = 0; done < bytes;) {
    const size_t n = bytes - done < CHUNK ? bytes - done : CHUNK;
    stretch *s;
    MR_CHECK(stage(c, n, &s));
    memcpy(c->staging + s->from, static_cast<const char *>(host) + done, n);
    MR_CU(cudaMemcpyAsync(static_cast<char *>(dst) + done, c->staging + s->from, n,
                          cudaMemcpyHostToDevice, c->stream));
    MR_CU(cudaEventRecord(s->read, c->stream));
    done += n;
  }
  return MR_OK;
}

mr_status cuda_download(mr_backend *be, void *host, const void *src, size_t bytes)
{
  cuda *c = of(be);
  MR_CHECK(refuse_capturing(c, "a download"));
  if (bytes > 0) MR_CU(cudaMemcpyAsync(host, src, bytes, cudaMemcpyDeviceToHost, c->stream));
  MR_CU(cudaStreamSynchronize(c->stream));
  return MR_OK;
}

mr_status cuda_copy(mr_backend *be, void *dst, const void *src, size_t bytes)
{
  if (bytes > 0) MR_CU(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToDevice, of(be)->stream));
  return MR_OK;
}

mr_status cuda_copy_rows(mr_backend *be, void *dst, size_t dst_pitch, const void *src,
                         size_t src_pitch, size_t bytes, int64_t n)
{
  if (bytes > 0 && n > 0)
    MR_CU(cudaMemcpy2DAsync(dst, dst_pitch, src, src_pitch, bytes, (size_t)n,
                            cudaMemcpyDeviceToDevice, of(be)->stream));
  return MR_OK;
}

mr_status cuda_fill(mr_backend *be, void *dst, unsigned char byte, size_t bytes)
{
  if (bytes > 0) MR_CU(cudaMemsetAsync(dst, byte, bytes, of(be)->stream));
  return MR_OK;
}

/* ==== Work =================================================================================== */

/* c [m,n], rows ldc apart, plus bias [n] in each row. */
__global__ void add_bias(mr_real *c, const mr_real *bias, int64_t m, int64_t n, int64_t ldc)
{
  for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < m * n;
       i += (int64_t)gridDim.x * blockDim.x)
    c[i / n * ldc + i % n] += bias[i % n];
}

mr_status cuda_gemm(mr_backend *be, const mr_gemm *g)
{
  cuda *c = of(be);
  bool bias_left;
  MR_CHECK(mr_cuda_blas_gemm(c->blas, c->stream, c->workspace, be->math, g, &bias_left));
  be->f32_products = mr_cuda_blas_f32_products(c->blas);
  if (bias_left) {
    mr_gemm k = *g;
    void *args[] = {&k.c, &k.bias, &k.m, &k.n, &k.ldc};
    MR_CU(cudaLaunchKernel(reinterpret_cast<const void *>(add_bias), dim3(1024), dim3(256), args, 0,
                           c->stream));
  }
  return mr_cuda_launched(be, "of a matrix product");
}

mr_status cuda_mark(mr_backend *be, int slot)
{
  if (slot < 0 || slot >= MARKS)
    return MR_FAIL(MR_ERR_ARG, "time mark %d; allowed: 0 to %d", slot, MARKS - 1);
  MR_CU(cudaEventRecord(of(be)->mark[slot], of(be)->stream));
  return MR_OK;
}

mr_status cuda_elapsed(mr_backend *be, int from, int to, double *ns)
{
  float ms;
  if (from < 0 || from >= MARKS || to < 0 || to >= MARKS)
    return MR_FAIL(MR_ERR_ARG, "time marks %d and %d; allowed: 0 to %d", from, to, MARKS - 1);
  MR_CHECK(refuse_capturing(of(be), "waiting"));
  MR_CU(cudaEventSynchronize(of(be)->mark[to]));
  MR_CU(cudaEventElapsedTime(&ms, of(be)->mark[from], of(be)->mark[to]));
  *ns = (double)ms * 1e6;
  return MR_OK;
}

mr_status cuda_sync(mr_backend *be)
{
  MR_CHECK(refuse_capturing(of(be), "waiting"));
  MR_CU(cudaStreamSynchronize(of(be)->stream));
  return MR_OK;
}

void cuda_close(mr_backend *be)
{
  cuda *c = of(be);
  if (c->stream != NULL) (void)cudaStreamSynchronize(c->stream);
  mr_cuda_blas_close(c->blas);
  (void)cudaFree(c->workspace);
  for (cudaEvent_t e : c->mark)
    if (e != NULL) (void)cudaEventDestroy(e);
  for (const stretch &s : c->ring)
    if (s.read != NULL) (void)cudaEventDestroy(s.read);
  (void)cudaFreeHost(c->staging);
  if (c->stream != NULL) (void)cudaStreamDestroy(c->stream);
  delete c;
}

/* ==== Captured steps ========================================================================= */

cudaGraphExec_t exec_of(mr_graph *g)
{
  return reinterpret_cast<cudaGraphExec_t>(g);
}

/* Other threads go on as they like: none of them queues work. */
mr_status cuda_capture_begin(mr_backend *be)
{
  MR_CHECK(refuse_capturing(of(be), "a second capture"));
  MR_CU(cudaStreamBeginCapture(of(be)->stream, cudaStreamCaptureModeThreadLocal));
  of(be)->capturing = true;
  return MR_OK;
}

mr_status send_graph(const cuda *c, cudaGraphExec_t exec)
{
  MR_CU(cudaGraphUpload(exec, c->stream));
  return MR_OK;
}

mr_status cuda_capture_end(mr_backend *be, mr_graph **out)
{
  cuda *c = of(be);
  cudaGraph_t graph = NULL;
  cudaGraphExec_t exec = NULL;
  *out = NULL;
  if (!c->capturing) return MR_FAIL(MR_ERR_ARG, "no capture was begun");
  c->capturing = false;
  MR_CU(cudaStreamEndCapture(c->stream, &graph));
  const cudaError_t error = cudaGraphInstantiate(&exec, graph, 0);
  (void)cudaGraphDestroy(graph);
  MR_CU(error);
  const mr_status st = send_graph(c, exec);
  if (st == MR_OK)
    *out = reinterpret_cast<mr_graph *>(exec);
  else
    (void)cudaGraphExecDestroy(exec);
  return st;
}

mr_status cuda_launch(mr_backend *be, mr_graph *g)
{
  MR_CU(cudaGraphLaunch(exec_of(g), of(be)->stream));
  return MR_OK;
}

void cuda_free_graph(mr_backend *be, mr_graph *g)
{
  if (g == NULL) return;
  (void)cudaStreamSynchronize(of(be)->stream);
  (void)cudaGraphExecDestroy(exec_of(g));
}

const mr_backend_api cuda_api = {
    "cuda",           cuda_alloc,  cuda_release,   cuda_upload,    cuda_download,
    cuda_copy,        cuda_fill,   cuda_gemm,      cuda_mark,      cuda_elapsed,
    cuda_sync,        cuda_mem,    cuda_close,     cuda_copy_rows, cuda_capture_begin,
    cuda_capture_end, cuda_launch, cuda_free_graph};

/* ==== Opening ================================================================================ */

__global__ void probe()
{
}

void version_text(int version, char *buf, size_t n)
{
  (void)snprintf(buf, n, "%d.%d", version / 1000, version % 1000 / 10);
}

/* Is there a device, and does this program hold kernels for it? */
mr_status find_device(cuda *c)
{
  int n = 0, driver = 0, runtime = 0;
  cudaDeviceProp p;
  cudaFuncAttributes a;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
    return MR_FAIL(MR_ERR_UNSUPPORTED, "device cuda: this machine has no NVIDIA driver");
  const cudaError_t error = cudaGetDeviceCount(&n);
  if (error != cudaSuccess || n == 0)
    return MR_FAIL(MR_ERR_UNSUPPORTED, "device cuda: %s",
                   error != cudaSuccess ? cudaGetErrorString(error) : "there is no device");
  MR_CU(cudaSetDevice(0));
  MR_CU(cudaGetDeviceProperties(&p, 0));
  MR_CU(cudaRuntimeGetVersion(&runtime));
  if (cudaFuncGetAttributes(&a, reinterpret_cast<const void *>(probe)) != cudaSuccess)
    return MR_FAIL(MR_ERR_UNSUPPORTED,
                   "device cuda: %s has compute capability %d.%d, for which this program was not "
                   "built (CMake's MR_CUDA_ARCH)",
                   p.name, p.major, p.minor);
  (void)snprintf(c->gpu.name, sizeof c->gpu.name, "%s", p.name);
  (void)snprintf(c->gpu.capability, sizeof c->gpu.capability, "%d.%d", p.major, p.minor);
  version_text(driver, c->gpu.driver, sizeof c->gpu.driver);
  version_text(runtime, c->gpu.runtime, sizeof c->gpu.runtime);
  c->base.sm_count = p.multiProcessorCount;
  c->base.shared_limit = (int)p.sharedMemPerBlockOptin;
  return MR_OK;
}

mr_status open_device(cuda *c)
{
  const char *sync = getenv("MINRNN_SYNC");
  void *pinned = NULL;
  MR_CHECK(find_device(c));
  c->base.api = &cuda_api;
  c->base.device = MR_CUDA;
  c->base.threads = 1;
  c->base.binding = "does not apply";
  c->base.gpu = &c->gpu;
  c->careful = sync != NULL && strcmp(sync, "1") == 0;
  MR_CU(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking));
  MR_CU(cudaMallocHost(&pinned, STAGING));
  c->staging = static_cast<char *>(pinned);
  for (cudaEvent_t &e : c->mark) MR_CU(cudaEventCreate(&e));
  for (stretch &s : c->ring) MR_CU(cudaEventCreateWithFlags(&s.read, cudaEventDisableTiming));
  MR_CHECK(mr_cuda_blas_open(&c->blas));
  MR_CU(cudaMalloc(&c->workspace, MR_CUDA_BLAS_WORKSPACE));
  c->base.workspace_bytes = MR_CUDA_BLAS_WORKSPACE;
  mr_cuda_blas_version(c->blas, c->gpu.blas, sizeof c->gpu.blas);
  return MR_OK;
}

} // namespace

mr_status mr_cuda_open(mr_backend **out)
{
  cuda *c = new cuda();
  const mr_status st = open_device(c);
  if (st == MR_OK)
    *out = &c->base;
  else
    cuda_close(&c->base);
  return st;
}

void *mr_cuda_stream(mr_backend *be)
{
  return of(be)->stream;
}

mr_status mr_cuda_allow_shared(const void *kernel, const char *name, size_t bytes)
{
  if (bytes <= (size_t)48 << 10) return MR_OK;
  const cudaError_t error =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
  if (error == cudaSuccess) return MR_OK;
  (void)cudaGetLastError();
  return MR_FAIL(MR_ERR_CUDA, "kernel %s wants %zu bytes of shared memory: %s", name, bytes,
                 cudaGetErrorString(error));
}

mr_status mr_cuda_launched(mr_backend *be, const char *name)
{
  cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess && of(be)->careful && !of(be)->capturing)
    error = cudaStreamSynchronize(of(be)->stream);
  if (error != cudaSuccess)
    return MR_FAIL(MR_ERR_CUDA, "kernel %s: %s", name, cudaGetErrorString(error));
  return MR_OK;
}
