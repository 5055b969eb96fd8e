/* backend_cuda.h — the CUDA device: one stream, cuBLASLt, captured graphs. A CPU build has none of
 * it; a build with MR_HOST_CUDA has the same device over host memory and fibers, for tests.
 * SPDX-License-Identifier: MIT */
#ifndef MR_BACKEND_CUDA_H
#define MR_BACKEND_CUDA_H
#include "backend.h"
MR_C_BEGIN
/* Opens the first device that CUDA shows. MR_ERR_UNSUPPORTED, with the reason, where there is no
 * driver, no device or no cuBLASLt. */
MR_MUST mr_status mr_cuda_open(mr_backend **out);

/* ---- For launching (cuda_util.cuh) ---------------------------------------------------------- */

/* The stream, as cudaStream_t. */
void *mr_cuda_stream(mr_backend *be);
/* Lets the kernel ask for more dynamic shared memory than every kernel may (48 KiB). */
MR_MUST mr_status mr_cuda_allow_shared(const void *kernel, const char *name, size_t bytes);
/* What the launch that came just before gave. With MINRNN_SYNC=1 in the environment it is waited
 * for, so that a fault is reported by the kernel that made it. */
MR_MUST mr_status mr_cuda_launched(mr_backend *be, const char *name);
MR_C_END
#endif
