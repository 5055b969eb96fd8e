/* cuda_blas.h — matrix products by cuBLASLt, which is looked for at run time; plans are made once per
 * shape and kept. No kernel of ours is in it: a stand-in for the library serves tests without a device.
 * SPDX-License-Identifier: MIT */
#ifndef MR_CUDA_BLAS_H
#define MR_CUDA_BLAS_H
#include "backend.h"
MR_C_BEGIN

typedef struct mr_cuda_blas mr_cuda_blas;

/* Bytes of device memory that products work in: what cuBLAS itself takes on compute capability 9. */
enum { MR_CUDA_BLAS_WORKSPACE = 32 << 20 };

/* Opens the library: the file that MINRNN_CUBLASLT names in the environment, or else the system's.
 * MR_ERR_UNSUPPORTED where it is not found. */
MR_MUST mr_status mr_cuda_blas_open(mr_cuda_blas **out);
void mr_cuda_blas_close(mr_cuda_blas *b); /* NULL is fine */
/* Queues the product on `stream` (cudaStream_t). workspace: [MR_CUDA_BLAS_WORKSPACE] bytes on the
 * device, 256-byte aligned, for this stream alone. *bias_left: g->bias is still to be added, as no
 * kernel of the library does both. Where it has none for `math`, the product is computed in f32 and
 * counted. Allocates only for a shape that is new. */
MR_MUST mr_status mr_cuda_blas_gemm(mr_cuda_blas *b, void *stream, void *workspace, mr_math math,
                                    const mr_gemm *g, bool *bias_left);
/* How many kinds of product (shape, strides, alignment) fell back to f32. */
int64_t mr_cuda_blas_f32_products(const mr_cuda_blas *b);
/* "13.0.2" into buf [n]. */
void mr_cuda_blas_version(const mr_cuda_blas *b, char *buf, size_t n);
MR_C_END
#endif
