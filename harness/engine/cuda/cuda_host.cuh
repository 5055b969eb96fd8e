/* cuda_host.cuh — CUDA's language on the host: each thread of a block is a fiber, blocks run one
 * after the other. SPDX-License-Identifier: MIT
 *
 * Between barriers the fibers run in random order (seeded), so do the blocks: a missing barrier, a
 * race or an assumed order of lanes changes the result or reads poison. A barrier, shuffle or vote
 * that not all live threads of the block or warp reach together fails the launch, with a sentence
 * that names kernel, block and places. What exists here exists on the device with the same meaning;
 * what does not exist here does not compile. */
#ifndef MR_CUDA_HOST_CUH
#define MR_CUDA_HOST_CUH
#include <cstring>
#include <functional>
#include <type_traits>
#include "backend.h"

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c)
  {
  }
};

/* Of the running fiber. */
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

#define __global__ __attribute__((unused)) /* headers may hold more than a file needs */
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__   static_assert(false, "shared memory is declared by MR_SHARED");

/* The first thread of each block that comes by poisons the array. */
#define MR_SHARED(type, name, dims)                                                                \
  static type name dims;                                                                           \
  static uint64_t name##_block;                                                                    \
  mr_host_fresh(&name, sizeof name, &name##_block)
#define MR_DYN_SHARED(type, name) type *name = static_cast<type *>(mr_host_dynamic_shared())

void mr_host_fresh(void *array, size_t bytes, uint64_t *block);
void *mr_host_dynamic_shared();

/* ---- Meeting points. `line` tells them apart. ------------------------------------------------- */

void mr_host_sync_block(int line);
/* Hands bytes <= 16 of every lane round; from: the lane to read, of this warp. A lane that does not
 * exist or has ended gives poison. */
void mr_host_exchange(int line, void *value, size_t bytes, int from);
unsigned mr_host_vote(int line, bool yes);

template <class T> T mr_host_shuffle(int line, T value, int from)
{
  static_assert(sizeof(T) <= 16 && std::is_trivially_copyable<T>::value, "no shuffle of this type");
  mr_host_exchange(line, &value, sizeof value, from);
  return value;
}

/* Lane of the running thread, and the lane `to` if that is in the same group of `width`, else
 * `own`. */
int mr_host_lane();
static inline int mr_host_in_group(int own, int to, int width)
{
  return to >= own / width * width && to < (own / width + 1) * width ? to : own;
}

template <class T> T mr_host_shfl(int line, T v, int from, int width = 32)
{
  const int own = mr_host_lane();
  return mr_host_shuffle(line, v, own / width * width + (from & (width - 1)));
}

template <class T> T mr_host_shfl_by(int line, T v, int by, int width = 32)
{
  const int own = mr_host_lane();
  return mr_host_shuffle(line, v, mr_host_in_group(own, own + by, width));
}

template <class T> T mr_host_shfl_up(int line, T v, unsigned by, int width = 32)
{
  return mr_host_shfl_by(line, v, -(int)by, width);
}

template <class T> T mr_host_shfl_down(int line, T v, unsigned by, int width = 32)
{
  return mr_host_shfl_by(line, v, (int)by, width);
}

template <class T> T mr_host_shfl_xor(int line, T v, int bits, int width = 32)
{
  const int own = mr_host_lane();
  return mr_host_shuffle(line, v, mr_host_in_group(own, own ^ bits, width));
}

#define __syncthreads()             mr_host_sync_block(__LINE__)
#define __syncwarp(...)             ((void)mr_host_vote(__LINE__, true))
#define __shfl_sync(mask, ...)      mr_host_shfl(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(mask, ...)   mr_host_shfl_up(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(mask, ...) mr_host_shfl_down(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(mask, ...)  mr_host_shfl_xor(__LINE__, __VA_ARGS__)
#define __ballot_sync(mask, yes)    mr_host_vote(__LINE__, (yes) != 0)
#define __any_sync(mask, yes)       (mr_host_vote(__LINE__, (yes) != 0) != 0)
#define __all_sync(mask, yes)       (mr_host_vote(__LINE__, !(yes)) == 0)

template <class T> T __ldg(const T *p)
{
  return *p;
}

static inline void __threadfence()
{
}

template <class T> T atomicAdd(T *p, T x)
{
  static_assert(std::is_integral<T>::value, "sums of reals by atomics depend on the order");
  const T old = *p;
  *p = old + x;
  return old;
}

/* ---- Launching -------------------------------------------------------------------------------- */

/* Runs `body` as every thread of every block. MR_ERR_CUDA where a device would refuse the launch,
 * and for threads that did not meet. */
MR_MUST mr_status mr_host_run(const char *name, dim3 grid, dim3 block, size_t shared_bytes,
                              const std::function<void()> &body);
/* Order of fibers and blocks from now on. */
void mr_host_seed(uint64_t seed);
/* Does the work, or records it while the backend is capturing; see backend_cuda_host.cpp. */
MR_MUST mr_status mr_host_queue(mr_backend *be, std::function<mr_status()> work);

template <class... P, class... A>
mr_status mr_launch(mr_backend *be, const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
                    size_t shared_bytes, A... args)
{
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return MR_OK;
  be->launches++;
  return mr_host_queue(be, [=]() {
    return mr_host_run(name, grid, block, shared_bytes, [=]() { kernel(static_cast<P>(args)...); });
  });
}

template <class F> mr_status mr_queue(mr_backend *be, F work)
{
  be->launches++;
  return mr_host_queue(be, [=]() { return work(nullptr); });
}
#endif
