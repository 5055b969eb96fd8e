/* backend_cuda.cpp — the real CUDA device compiled for the host, over a stand-in for CUDA's run time
 * (cudart.c): its own kernels run as one thread of one block. SPDX-License-Identifier: MIT */
#include <cuda_runtime.h>
static const uint3 threadIdx = {0, 0, 0}, blockIdx = {0, 0, 0};
static const dim3 blockDim(1), gridDim(1);
#include "../../harness/engine/cuda/backend_cuda.cu"
