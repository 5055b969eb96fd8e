/* cudart.c — the part of CUDA's run time that the device uses, over host memory. SPDX-License-Identifier: MIT
 *
 * It is as slow as a device may be: what is queued is done only when somebody waits for it, so pinned
 * memory that is written too early shows. It is strict: what must not happen while a stream is captured
 * spoils the capture, memory that is not the device's is no target, an error stays until it is asked
 * for. */
#include "cudart.h"
#include <cuda_runtime_api.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind { COPY, FILL, KERNEL, RECORD } kind;
typedef void (*kernel)(void *c, const void *bias, int64_t m, int64_t n, int64_t ldc);

typedef struct work {
  kind kind;
  char *to;
  const char *from;
  size_t to_pitch, from_pitch, bytes, rows;
  int byte;
  kernel run;
  int64_t arg[3];
  struct CUevent_st *event;
} work;

typedef struct queue {
  work *item;
  int n, room;
} queue;

struct CUevent_st {
  int queued, done; /* how often it was recorded, and how often that was reached */
  float at;
};
struct CUgraph_st {
  queue queue;
};
struct CUgraphExec_st {
  queue queue;
};
struct CUstream_st {
  queue queue;
  struct CUgraph_st *capture; /* NULL: not capturing */
  bool spoilt;
};

struct fake_cudart fake_cudart = {.memory = (size_t)1 << 30};
static struct CUstream_st *stream; /* there is one at most */
static cudaError_t last;
static int alive;
static float clock_ms;

enum { MOST_BLOCKS = 256 };
static struct block {
  char *data;
  size_t bytes;
  bool pinned;
} blocks[MOST_BLOCKS];

int fake_cudart_alive(void)
{
  return alive;
}

int fake_cudart_pending(void)
{
  return stream != NULL ? stream->queue.n : 0;
}

static cudaError_t give(cudaError_t e)
{
  if (e != cudaSuccess) last = e;
  return e;
}

cudaError_t cudaGetLastError(void)
{
  const cudaError_t e = last;
  last = cudaSuccess;
  return e;
}

const char *cudaGetErrorString(cudaError_t e)
{
  switch (e) {
  case cudaErrorNoDevice:
    return "no CUDA-capable device is detected";
  case cudaErrorMemoryAllocation:
    return "out of memory";
  case cudaErrorStreamCaptureUnsupported:
    return "operation not permitted when stream is capturing";
  case cudaErrorStreamCaptureInvalidated:
    return "operation failed due to a previous error during capture";
  default:
    return "invalid argument";
  }
}

/* ---- Machine -------------------------------------------------------------------------------- */

cudaError_t cudaDriverGetVersion(int *version)
{
  *version = fake_cudart.no_driver ? 0 : 13000;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *n)
{
  *n = fake_cudart.no_device ? 0 : 1;
  return give(fake_cudart.no_device ? cudaErrorNoDevice : cudaSuccess);
}

cudaError_t cudaSetDevice(int device)
{
  return give(device == 0 ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
  memset(p, 0, sizeof *p);
  memcpy(p->name, "stand-in", sizeof "stand-in");
  p->major = 9, p->minor = 0;
  p->multiProcessorCount = 4, p->sharedMemPerBlockOptin = 227 << 10;
  return give(device == 0 ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *a, const void *function)
{
  memset(a, 0, sizeof *a);
  return give(fake_cudart.no_kernels || function == NULL ? cudaErrorInvalidDeviceFunction
                                                         : cudaSuccess);
}

cudaError_t cudaFuncSetAttribute(const void *function, enum cudaFuncAttribute name, int value)
{
  const bool fits = value <= 227 << 10;
  return give(function != NULL && name == cudaFuncAttributeMaxDynamicSharedMemorySize && fits
                  ? cudaSuccess
                  : cudaErrorInvalidValue);
}

/* ---- Memory --------------------------------------------------------------------------------- */

/* What a stream in capture does not bear. */
static bool capturing(void)
{
  if (stream == NULL || stream->capture == NULL) return false;
  stream->spoilt = true;
  return true;
}

static size_t used(void)
{
  size_t n = 0;
  for (int i = 0; i < MOST_BLOCKS; i++) n += blocks[i].pinned ? 0 : blocks[i].bytes;
  return n;
}

static cudaError_t take(void **out, size_t bytes, bool pinned)
{
  int i = 0;
  if (capturing()) return give(cudaErrorStreamCaptureUnsupported);
  if (bytes == 0) return give(cudaErrorInvalidValue);
  if (!pinned && used() + bytes > fake_cudart.memory) return give(cudaErrorMemoryAllocation);
  while (i < MOST_BLOCKS && blocks[i].data != NULL) i++;
  void *p = i < MOST_BLOCKS ? aligned_alloc(256, (bytes + 255) / 256 * 256) : NULL;
  if (p == NULL) return give(cudaErrorMemoryAllocation);
  memset(p, 0xff, bytes);
  blocks[i] = (struct block){p, bytes, pinned};
  *out = p;
  alive++;
  return cudaSuccess;
}

static bool owns(const void *p, size_t bytes, bool pinned)
{
  const char *at = p;
  for (int i = 0; i < MOST_BLOCKS; i++)
    if (blocks[i].data != NULL && at >= blocks[i].data && blocks[i].pinned == pinned &&
        at + bytes <= blocks[i].data + blocks[i].bytes)
      return true;
  return false;
}

cudaError_t cudaMalloc(void **out, size_t bytes)
{
  return take(out, bytes, false);
}

cudaError_t cudaMallocHost(void **out, size_t bytes)
{
  return take(out, bytes, true);
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *total)
{
  *total = fake_cudart.memory;
  *left = *total - used();
  return cudaSuccess;
}

static void work_off(struct CUevent_st *until);

static cudaError_t drop(void *p)
{
  if (p == NULL) return cudaSuccess;
  if (capturing()) return give(cudaErrorStreamCaptureUnsupported);
  work_off(NULL);
  for (int i = 0; i < MOST_BLOCKS; i++) {
    if (blocks[i].data != p) continue;
    blocks[i] = (struct block){NULL, 0, false};
    free(p);
    alive--;
    return cudaSuccess;
  }
  return give(cudaErrorInvalidValue);
}

cudaError_t cudaFree(void *p)
{
  return drop(p);
}

cudaError_t cudaFreeHost(void *p)
{
  return drop(p);
}

/* ---- Work ----------------------------------------------------------------------------------- */

static cudaError_t append(queue *q, const work *w)
{
  if (q->n == q->room) {
    void *p = realloc(q->item, (size_t)(2 * q->room + 16) * sizeof *q->item);
    if (p == NULL) return give(cudaErrorMemoryAllocation);
    q->item = p;
    q->room = 2 * q->room + 16;
  }
  q->item[q->n++] = *w;
  return cudaSuccess;
}

static cudaError_t put(cudaStream_t s, const work *w)
{
  if (s == NULL || s != stream) return give(cudaErrorInvalidValue);
  return append(s->capture != NULL ? &s->capture->queue : &s->queue, w);
}

static void do_work(const work *w)
{
  clock_ms += 1;
  for (size_t i = 0; w->kind == COPY && i < w->rows; i++)
    memmove(w->to + i * w->to_pitch, w->from + i * w->from_pitch, w->bytes);
  if (w->kind == FILL) memset(w->to, w->byte, w->bytes);
  if (w->kind == KERNEL) w->run(w->to, w->from, w->arg[0], w->arg[1], w->arg[2]);
  if (w->kind == RECORD) w->event->done++, w->event->at = clock_ms;
}

/* Does what is queued, up to the last record of an event (NULL: all). */
static void work_off(struct CUevent_st *until)
{
  int n = 0;
  if (stream == NULL) return;
  queue *q = &stream->queue;
  while (n < q->n && (until == NULL || until->done < until->queued)) do_work(&q->item[n++]);
  q->n -= n;
  if (n > 0) memmove(q->item, q->item + n, (size_t)q->n * sizeof *q->item);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind how,
                            cudaStream_t s)
{
  const work w = {.kind = COPY, .to = to, .from = from, .bytes = bytes, .rows = 1};
  const bool to_device = how != cudaMemcpyDeviceToHost, from_device = how != cudaMemcpyHostToDevice;
  if (how != cudaMemcpyDeviceToDevice && capturing())
    return give(cudaErrorStreamCaptureUnsupported);
  if (to_device && !owns(to, bytes, false)) return give(cudaErrorInvalidValue);
  if (!owns(from, bytes, !from_device))
    return give(cudaErrorInvalidValue); /* pinned, or no overlap */
  const cudaError_t e = put(s, &w);
  if (e == cudaSuccess && how == cudaMemcpyDeviceToHost) work_off(NULL);
  return e;
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                              size_t bytes, size_t rows, enum cudaMemcpyKind how, cudaStream_t s)
{
  const work w = {.kind = COPY,
                  .to = to,
                  .from = from,
                  .to_pitch = to_pitch,
                  .from_pitch = from_pitch,
                  .bytes = bytes,
                  .rows = rows};
  if (how != cudaMemcpyDeviceToDevice || bytes > to_pitch || bytes > from_pitch || rows == 0)
    return give(cudaErrorInvalidValue);
  if (!owns(to, (rows - 1) * to_pitch + bytes, false) ||
      !owns(from, (rows - 1) * from_pitch + bytes, false))
    return give(cudaErrorInvalidValue);
  return put(s, &w);
}

cudaError_t cudaMemsetAsync(void *to, int byte, size_t bytes, cudaStream_t s)
{
  const work w = {.kind = FILL, .to = to, .byte = byte, .bytes = bytes};
  return owns(to, bytes, false) ? put(s, &w) : give(cudaErrorInvalidValue);
}

/* The one kernel that the device launches itself: c [m,n] += bias [n]. */
cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **args,
                             size_t shared, cudaStream_t s)
{
  work w = {.kind = KERNEL};
  if (grid.x == 0 || block.x == 0 || block.x > 1024 || shared != 0)
    return give(cudaErrorInvalidValue);
  memcpy(&w.run, &function, sizeof w.run);
  memcpy(&w.to, args[0], sizeof w.to);
  memcpy(&w.from, args[1], sizeof w.from);
  for (int i = 0; i < 3; i++) memcpy(&w.arg[i], args[2 + i], sizeof w.arg[i]);
  return put(s, &w);
}

/* ---- Streams and events --------------------------------------------------------------------- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
  if (stream != NULL || flags != cudaStreamNonBlocking) return give(cudaErrorInvalidValue);
  stream = calloc(1, sizeof *stream);
  if (stream == NULL) return give(cudaErrorMemoryAllocation);
  *out = stream;
  alive++;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
  if (s != stream) return give(cudaErrorInvalidValue);
  if (capturing()) return give(cudaErrorStreamCaptureUnsupported);
  work_off(NULL);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
  if (s != stream) return give(cudaErrorInvalidValue);
  free(s->queue.item);
  free(s);
  stream = NULL;
  alive--;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
  (void)flags;
  *out = calloc(1, sizeof **out);
  if (*out == NULL) return give(cudaErrorMemoryAllocation);
  alive++;
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *out)
{
  return cudaEventCreateWithFlags(out, 0);
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
  free(e);
  alive--;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
  const work w = {.kind = RECORD, .event = e};
  if (s != NULL && s->capture == NULL) e->queued++;
  return put(s, &w);
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
  if (capturing()) return give(cudaErrorStreamCaptureUnsupported);
  work_off(e);
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
  if (from->done < from->queued || to->done < to->queued || to->queued == 0)
    return give(cudaErrorNotReady);
  *ms = to->at - from->at;
  return cudaSuccess;
}

/* ---- Graphs --------------------------------------------------------------------------------- */

cudaError_t cudaStreamBeginCapture(cudaStream_t s, enum cudaStreamCaptureMode mode)
{
  if (s != stream || mode != cudaStreamCaptureModeThreadLocal || s->capture != NULL)
    return give(cudaErrorInvalidValue);
  s->capture = calloc(1, sizeof *s->capture);
  if (s->capture == NULL) return give(cudaErrorMemoryAllocation);
  s->spoilt = false;
  alive++;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
  if (g == NULL) return give(cudaErrorInvalidValue);
  free(g->queue.item);
  free(g);
  alive--;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *out)
{
  *out = NULL;
  if (s != stream || s->capture == NULL) return give(cudaErrorInvalidValue);
  struct CUgraph_st *g = s->capture;
  s->capture = NULL;
  if (s->spoilt || fake_cudart.no_graphs) {
    (void)cudaGraphDestroy(g);
    return give(cudaErrorStreamCaptureInvalidated);
  }
  *out = g;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t g, unsigned long long flags)
{
  if (flags != 0) return give(cudaErrorInvalidValue);
  *out = calloc(1, sizeof **out);
  if (*out == NULL) return give(cudaErrorMemoryAllocation);
  alive++;
  for (int i = 0; i < g->queue.n; i++) (void)append(&(*out)->queue, &g->queue.item[i]);
  return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t g, cudaStream_t s)
{
  if (g != NULL && fake_cudart.no_graph_memory) return give(cudaErrorMemoryAllocation);
  return give(g != NULL && s == stream ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t g, cudaStream_t s)
{
  if (s != stream || s->capture != NULL) return give(cudaErrorInvalidValue);
  for (int i = 0; i < g->queue.n; i++) (void)append(&s->queue, &g->queue.item[i]);
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t g)
{
  if (fake_cudart_pending() > 0) return give(cudaErrorInvalidValue); /* it may be in use */
  free(g->queue.item);
  free(g);
  alive--;
  return cudaSuccess;
}
