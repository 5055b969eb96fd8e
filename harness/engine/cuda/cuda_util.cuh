/* cuda_util.cuh — all that kernels see of CUDA: launching, shared memory, reductions, wide loads.
 * SPDX-License-Identifier: MIT
 *
 * A .cu file includes this and nothing of CUDA's own. nvcc compiles it for the device; with
 * MR_HOST_CUDA a C++ compiler makes of the same file kernels that run on the host, one fiber per
 * thread (cuda_host.cuh). Kernels are static or in an anonymous namespace. */
#ifndef MR_CUDA_UTIL_CUH
#define MR_CUDA_UTIL_CUH
#include "backend_cuda.h"
#include "op.h"
#include "scalar.h"

/* Offered alike on both: threadIdx, blockIdx, blockDim, gridDim, dim3, __global__, __device__,
 * __forceinline__, __launch_bounds__, __syncthreads(), __syncwarp(), __shfl_sync, __shfl_up_sync,
 * __shfl_down_sync, __shfl_xor_sync, __ballot_sync, __any_sync, __all_sync (masks: all lanes),
 * __ldg, __threadfence, atomicAdd of integers. Barriers are reached by all live threads of the
 * block, shuffles and votes by all live lanes of the warp; the host build reports anything else. */
#ifdef MR_HOST_CUDA
#include "cuda_host.cuh"
#else
#include <cuda_runtime.h>

/* MR_SHARED(mr_real, tile, [32][33]); declares an array in shared memory; undefined at first, and
 * poisoned on the host. */
#define MR_SHARED(type, name, dims) __shared__ type name dims
/* MR_DYN_SHARED(mr_real, row); points at the launch's shared_bytes; 16-byte aligned. One per
 * kernel. */
#define MR_DYN_SHARED(type, name)                                                                  \
  extern __shared__ __align__(16) unsigned char mr_dynamic_shared[];                               \
  type *name = reinterpret_cast<type *>(mr_dynamic_shared)

template <class... P, class... A>
mr_status mr_launch(mr_backend *be, const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
                    size_t shared_bytes, A... args)
{
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return MR_OK;
  MR_CHECK(mr_cuda_allow_shared(reinterpret_cast<const void *>(kernel), name, shared_bytes));
  cudaStream_t stream = static_cast<cudaStream_t>(mr_cuda_stream(be));
  be->launches++;
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<P>(args)...);
  return mr_cuda_launched(be, name);
}

template <class F> mr_status mr_queue(mr_backend *be, F work)
{
  be->launches++;
  return work(mr_cuda_stream(be));
}
#endif

/* mr_queue(be, work) has a library queue its work on the stream: work(void *stream) gives a status. On
 * the host it is called later, when somebody waits, so it holds copies of what it needs. */

/* Queues a kernel on the backend's stream; an expression of type mr_status. grid, block: dim3 or a
 * number. A grid with a side of 0 is no work. A template kernel with a comma in its arguments
 * stands in parentheses: MR_LAUNCH(be, (k<A, B>), grid, block, 0, x, y). */
#define MR_LAUNCH(be, kernel, grid, block, shared_bytes, ...)                                      \
  mr_launch(be, #kernel, kernel, dim3(grid), dim3(block), shared_bytes, __VA_ARGS__)

enum { MR_WARP = 32, MR_GRID_YZ_MAX = 65535 };
#define MR_FULL_WARP 0xffffffffu

/* Streaming multiprocessors of the device; 4 on the host. */
static inline int mr_sm_count(const mr_backend *be)
{
  return be->sm_count;
}

/* Blocks of `block` threads for a loop MR_GRID_FOR over n items: enough for all, at most as many as
 * the device holds at one time. */
static inline unsigned mr_grid(const mr_backend *be, int64_t n, int block)
{
  const int64_t want = (n + block - 1) / block;
  const int64_t most = (int64_t)be->sm_count * (block < 2048 ? 2048 / block : 1);
  return (unsigned)(want < most ? want : most);
}

/* for (each i in 0 .. n-1 that is this thread's), neighbouring threads taking neighbouring i. */
#define MR_GRID_FOR(i, n)                                                                          \
  for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < (n);                        \
       i += (int64_t)gridDim.x * blockDim.x)

static inline int64_t mr_ceil_div(int64_t a, int64_t b)
{
  return (a + b - 1) / b;
}

template <class T> MR_HD inline T mr_min(T a, T b)
{
  return b < a ? b : a;
}

template <class T> MR_HD inline T mr_max(T a, T b)
{
  return a < b ? b : a;
}

/* Rank of this thread in its block, and of its lane and warp. */
__device__ __forceinline__ int mr_thread()
{
  return (int)(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
}

__device__ __forceinline__ int mr_lane()
{
  return mr_thread() % MR_WARP;
}

__device__ __forceinline__ int mr_warp()
{
  return mr_thread() / MR_WARP;
}

/* Sum, or largest, over the 32 lanes of a full warp, the same bits in every lane. */
template <class T> __device__ __forceinline__ T mr_warp_sum(T x)
{
#pragma unroll
  for (int d = MR_WARP / 2; d > 0; d /= 2) x += __shfl_xor_sync(MR_FULL_WARP, x, d);
  return x;
}

template <class T> __device__ __forceinline__ T mr_warp_max(T x)
{
#pragma unroll
  for (int d = MR_WARP / 2; d > 0; d /= 2) x = mr_max(x, __shfl_xor_sync(MR_FULL_WARP, x, d));
  return x;
}

/* The same over a block of BLOCK threads, a multiple of 32, in a fixed order. `shared` has room for
 * BLOCK / 32 and may be used again at once. */
template <int BLOCK, class T> __device__ __forceinline__ T mr_block_sum(T x, T *shared)
{
  x = mr_warp_sum(x);
  if (BLOCK == MR_WARP) return x;
  __syncthreads();
  if (mr_lane() == 0) shared[mr_warp()] = x;
  __syncthreads();
  x = shared[0];
#pragma unroll
  for (int w = 1; w < BLOCK / MR_WARP; w++) x += shared[w];
  return x;
}

template <int BLOCK, class T> __device__ __forceinline__ T mr_block_max(T x, T *shared)
{
  x = mr_warp_max(x);
  if (BLOCK == MR_WARP) return x;
  __syncthreads();
  if (mr_lane() == 0) shared[mr_warp()] = x;
  __syncthreads();
  x = shared[0];
#pragma unroll
  for (int w = 1; w < BLOCK / MR_WARP; w++) x = mr_max(x, shared[w]);
  return x;
}

/* Four reals at once: one 16-byte load or store in float, two in double. p is 16-byte aligned. */
struct alignas(16) mr_vec4 {
  mr_real x, y, z, w;
};

__device__ __forceinline__ mr_vec4 mr_load4(const mr_real *p)
{
  return *reinterpret_cast<const mr_vec4 *>(p);
}

__device__ __forceinline__ void mr_store4(mr_real *p, mr_vec4 v)
{
  *reinterpret_cast<mr_vec4 *>(p) = v;
}

/* True where mr_load4 may read p. NULL is aligned. */
static inline bool mr_aligned4(const void *p)
{
  return (uintptr_t)p % 16 == 0;
}

/* beta * old + g for beta 0 or 1; *old is read only when beta is not 0. */
__device__ __forceinline__ mr_real mr_plus_at(mr_real beta, const mr_real *old, mr_real g)
{
  return beta != 0 ? *old + g : g;
}
#endif
