/* cuda_blas.cuh — matrix products by cuBLASLt, which is looked for at run time; plans are made once
 * per shape and kept. SPDX-License-Identifier: MIT */
#ifndef MR_CUDA_BLAS_CUH
#define MR_CUDA_BLAS_CUH
#include <cuda_runtime.h>
#include "backend.h"

/* Returns with MR_ERR_CUDA and the error's text when a call of the run time fails. */
#define MR_CU(call)                                                                                \
  do {                                                                                             \
    const cudaError_t error_ = (call);                                                             \
    if (error_ != cudaSuccess)                                                                     \
      return MR_FAIL(MR_ERR_CUDA, "%s: %s", #call, cudaGetErrorString(error_));                    \
  } while (0)

struct mr_cuda_blas;

/* MR_ERR_UNSUPPORTED where the library is not found. Takes its working memory from the device; see
 * mr_cuda_blas_workspace. */
MR_MUST mr_status mr_cuda_blas_open(mr_cuda_blas **out);
void mr_cuda_blas_close(mr_cuda_blas *b); /* NULL is fine */
MR_MUST mr_status mr_cuda_blas_gemm(mr_cuda_blas *b, cudaStream_t stream, mr_math math,
                                    const mr_gemm *g);
/* "13.0.2" into buf. */
void mr_cuda_blas_version(const mr_cuda_blas *b, char *buf, size_t n);
/* Bytes of device memory. */
size_t mr_cuda_blas_workspace();
#endif
