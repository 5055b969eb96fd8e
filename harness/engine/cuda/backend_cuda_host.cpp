/* backend_cuda_host.cpp — the CUDA device played on the host: kernels on fibers, products by the CPU
 * backend, or by what stands in for cuBLASLt where MINRNN_CUBLASLT names it. SPDX-License-Identifier: MIT
 *
 * As on a device, work is done only when somebody waits for it, and device memory belongs to the
 * device: between waits its pages cannot be read or written, so that a host that uses a device
 * pointer stops right there. Fresh memory is poisoned, and ends at a page that nobody may touch. */
#include "backend_cuda.h"
#include "backend_cpu.h"
#include "cuda_blas.h"
#include "cuda_host.cuh"
#include "mem.h"
#include <sys/mman.h>
#include <time.h>
#include <cstdlib>
#include <memory>
#include <vector>

namespace
{

using work = std::function<mr_status()>;
constexpr size_t PAGE = 4096, MAX_PENDING = 1 << 14;
constexpr int MARKS = 16;

struct block {
  char *map; /* whole pages, the last one a guard */
  size_t map_bytes;
  void *data;
};

struct host {
  mr_backend base;
  mr_backend *cpu;
  mr_cuda_blas *blas; /* NULL: products are the CPU's */
  void *workspace;    /* of products                  */
  std::vector<work> pending;
  std::vector<block> blocks;
  mr_graph *recording; /* NULL: not capturing */
  double mark[MARKS];  /* ns */
  int64_t used, peak;
};

host *of(mr_backend *be)
{
  return reinterpret_cast<host *>(be);
}

} // namespace

struct mr_graph {
  std::vector<work> items;
};

namespace
{

mr_status refuse_capturing(mr_backend *be, const char *what)
{
  if (of(be)->recording == nullptr) return MR_OK;
  return MR_FAIL(MR_ERR_CUDA, "%s cannot be part of a captured step", what);
}

mr_status protect(host *h, int how)
{
  for (const block &b : h->blocks)
    if (mprotect(b.map, b.map_bytes - PAGE, how) != 0)
      return MR_FAIL(MR_ERR_INTERNAL, "pages of device memory cannot be protected");
  return MR_OK;
}

mr_status run_all(const std::vector<work> &items)
{
  for (const work &w : items) MR_CHECK(w());
  return MR_OK;
}

/* Does what is queued, then `last`, while device memory is open. Work behind a failure is dropped, as
 * on a device. */
mr_status flush(host *h, const work &last)
{
  std::vector<work> items;
  items.swap(h->pending);
  MR_CHECK(protect(h, PROT_READ | PROT_WRITE));
  mr_status st = run_all(items);
  if (st == MR_OK) st = last();
  const mr_status closed = protect(h, PROT_NONE);
  return st != MR_OK ? st : closed;
}

/* ---- Products: the CPU's, or those of a library ---- */

#ifdef MR_WITH_CUBLASLT
mr_status open_products(host *h)
{
  const char *named = getenv("MINRNN_CUBLASLT");
  if (named == nullptr || *named == '\0') return MR_OK;
  MR_CHECK(mr_cuda_blas_open(&h->blas));
  h->base.workspace_bytes = MR_CUDA_BLAS_WORKSPACE;
  return mr_alloc_slab(&h->workspace, MR_CUDA_BLAS_WORKSPACE);
}

void close_products(host *h)
{
  mr_cuda_blas_close(h->blas);
  mr_free(h->workspace);
}

mr_status product(host *h, mr_math math, const mr_gemm *g, bool *bias_left)
{
  if (h->blas != nullptr) {
    const mr_status st = mr_cuda_blas_gemm(h->blas, nullptr, h->workspace, math, g, bias_left);
    h->base.f32_products = mr_cuda_blas_f32_products(h->blas);
    return st;
  }
  *bias_left = g->bias != nullptr;
  return h->cpu->api->gemm(h->cpu, g);
}
#else
mr_status open_products(host *)
{
  return MR_OK;
}

void close_products(host *)
{
}

mr_status product(host *h, mr_math, const mr_gemm *g, bool *bias_left)
{
  *bias_left = g->bias != nullptr;
  return h->cpu->api->gemm(h->cpu, g);
}
#endif

mr_status nothing()
{
  return MR_OK;
}

mr_status host_sync(mr_backend *be)
{
  MR_CHECK(refuse_capturing(be, "waiting"));
  return flush(of(be), nothing);
}

mr_status host_alloc(mr_backend *be, size_t bytes, void **out)
{
  host *h = of(be);
  const size_t room = (bytes + 255) / 256 * 256, pages = (room + PAGE - 1) / PAGE * PAGE;
  MR_CHECK(refuse_capturing(be, "allocation"));
  void *p = mmap(nullptr, pages + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    return MR_FAIL(MR_ERR_NOMEM, "%zu bytes of device memory are not there", bytes);
  block b = {static_cast<char *>(p), pages + PAGE, static_cast<char *>(p) + pages - room};
  memset(b.map, 0xff, pages);
  if (mprotect(b.map, b.map_bytes, PROT_NONE) != 0)
    return MR_FAIL(MR_ERR_INTERNAL, "pages of device memory cannot be protected");
  h->blocks.push_back(b);
  h->used += (int64_t)pages;
  if (h->used > h->peak) h->peak = h->used;
  *out = b.data;
  return MR_OK;
}

void host_release(mr_backend *be, void *p)
{
  host *h = of(be);
  if (p == nullptr) return;
  if (flush(h, nothing) != MR_OK)
    h->pending.clear(); /* the failure was told when it was waited for */
  for (size_t i = 0; i < h->blocks.size(); i++) {
    if (h->blocks[i].data != p) continue;
    h->used -= (int64_t)(h->blocks[i].map_bytes - PAGE);
    munmap(h->blocks[i].map, h->blocks[i].map_bytes);
    h->blocks.erase(h->blocks.begin() + (std::ptrdiff_t)i);
    return;
  }
}

mr_status host_upload(mr_backend *be, void *dst, const void *src, size_t bytes)
{
  MR_CHECK(refuse_capturing(be, "an upload"));
  const char *from = static_cast<const char *>(src);
  std::vector<char> staged(from, from + bytes);
  return mr_host_queue(be, [dst, staged]() {
    if (!staged.empty()) memcpy(dst, staged.data(), staged.size());
    return MR_OK;
  });
}

mr_status host_download(mr_backend *be, void *dst, const void *src, size_t bytes)
{
  MR_CHECK(refuse_capturing(be, "a download"));
  return flush(of(be), [=]() {
    if (bytes > 0) memcpy(dst, src, bytes);
    return MR_OK;
  });
}

mr_status host_copy(mr_backend *be, void *dst, const void *src, size_t bytes)
{
  return mr_host_queue(be, [=]() {
    if (bytes > 0) memcpy(dst, src, bytes);
    return MR_OK;
  });
}

mr_status host_copy_rows(mr_backend *be, void *dst, size_t dst_pitch, const void *src,
                         size_t src_pitch, size_t bytes, int64_t n)
{
  return mr_host_queue(be, [=]() {
    for (int64_t i = 0; bytes > 0 && i < n; i++)
      memcpy(static_cast<char *>(dst) + (size_t)i * dst_pitch,
             static_cast<const char *>(src) + (size_t)i * src_pitch, bytes);
    return MR_OK;
  });
}

mr_status host_fill(mr_backend *be, void *dst, unsigned char byte, size_t bytes)
{
  return mr_host_queue(be, [=]() {
    if (bytes > 0) memset(dst, byte, bytes);
    return MR_OK;
  });
}

mr_status host_gemm(mr_backend *be, const mr_gemm *g)
{
  const mr_gemm call = *g;
  const mr_math math = be->math;
  return mr_host_queue(be, [be, math, call]() {
    bool bias_left;
    MR_CHECK(product(of(be), math, &call, &bias_left));
    for (int64_t i = 0; bias_left && i < call.m; i++)
      for (int64_t j = 0; j < call.n; j++) call.c[i * call.ldc + j] += call.bias[j];
    return MR_OK;
  });
}

mr_status host_mark(mr_backend *be, int slot)
{
  double *mark = of(be)->mark;
  if (slot < 0 || slot >= MARKS)
    return MR_FAIL(MR_ERR_ARG, "time mark %d; allowed: 0 to %d", slot, MARKS - 1);
  return mr_host_queue(be, [=]() {
    struct timespec ts;
    if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
      return MR_FAIL(MR_ERR_INTERNAL, "the monotonic clock cannot be read");
    mark[slot] = (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
    return MR_OK;
  });
}

mr_status host_elapsed(mr_backend *be, int from, int to, double *ns)
{
  if (from < 0 || from >= MARKS || to < 0 || to >= MARKS)
    return MR_FAIL(MR_ERR_ARG, "time marks %d and %d; allowed: 0 to %d", from, to, MARKS - 1);
  MR_CHECK(host_sync(be));
  *ns = of(be)->mark[to] - of(be)->mark[from];
  return MR_OK;
}

mr_status host_mem(mr_backend *be, mr_device_mem *out)
{
  out->used_bytes = of(be)->used;
  out->peak_bytes = of(be)->peak;
  out->total_bytes = (int64_t)1 << 40;
  return MR_OK;
}

void host_close(mr_backend *be)
{
  host *h = of(be);
  while (!h->blocks.empty()) host_release(be, h->blocks.back().data);
  delete h->recording;
  close_products(h);
  mr_backend_close(h->cpu);
  delete h;
}

mr_status host_capture_begin(mr_backend *be)
{
  MR_CHECK(refuse_capturing(be, "a second capture"));
  of(be)->recording = new mr_graph;
  return MR_OK;
}

mr_status host_capture_end(mr_backend *be, mr_graph **out)
{
  *out = of(be)->recording;
  of(be)->recording = nullptr;
  if (*out == nullptr) return MR_FAIL(MR_ERR_ARG, "no capture was begun");
  return MR_OK;
}

mr_status host_launch(mr_backend *be, mr_graph *g)
{
  return mr_host_queue(be, [g]() { return run_all(g->items); });
}

void host_free_graph(mr_backend *be, mr_graph *g)
{
  if (g == nullptr) return;
  if (flush(of(be), nothing) != MR_OK) of(be)->pending.clear();
  delete g;
}

const mr_backend_api host_api = {
    "cuda",           host_alloc,  host_release,   host_upload,    host_download,
    host_copy,        host_fill,   host_gemm,      host_mark,      host_elapsed,
    host_sync,        host_mem,    host_close,     host_copy_rows, host_capture_begin,
    host_capture_end, host_launch, host_free_graph};

} // namespace

mr_status mr_host_queue(mr_backend *be, std::function<mr_status()> item)
{
  host *h = of(be);
  if (h->recording != nullptr) {
    h->recording->items.push_back(std::move(item));
    return MR_OK;
  }
  h->pending.push_back(std::move(item));
  return h->pending.size() < MAX_PENDING ? MR_OK : flush(h, nothing);
}

static const mr_gpu played = {"none: played on the host", "0.0", "none", "none", "none"};

mr_status mr_cuda_open(mr_backend **out)
{
  std::unique_ptr<host> h(new host());
  MR_CHECK(mr_cpu_open(&h->cpu, 1));
  const mr_status st = open_products(h.get());
  if (st != MR_OK) {
    host_close(&h.release()->base);
    return st;
  }
  h->base.api = &host_api;
  h->base.device = MR_CUDA;
  h->base.threads = 1;
  h->base.sm_count = 4;
  h->base.shared_limit = 227 << 10; /* of compute capability 9.0 */
  h->base.binding = "on the host";
  h->base.gpu = &played;
  *out = &h.release()->base;
  return MR_OK;
}
