/* cublaslt.c — the part of cuBLASLt's interface that products use, computed plainly on the host: what
 * order, strides, transposes, bias and types mean can be tested without a GPU. Loaded in place of
 * libcublasLt.so by test_cublaslt.c. SPDX-License-Identifier: MIT
 *
 * As a stand-in it is strict: an argument that a caller of ours never has to pass is an error, a kernel
 * is taken only for the product and the alignment that it was found for, and the first one found does
 * not work. It has no kernel for sums of 77 or 78, none on tensor cores for sums of 75, and none with a
 * bias for results of 7, 14, ... rows (columns first). */
#include <cublasLt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define OK     CUBLAS_STATUS_SUCCESS
#define BAD    CUBLAS_STATUS_INVALID_VALUE
#define EXPORT __attribute__((visibility("default")))

enum { WORKSPACE = 4096, MAGIC = 4711 };
/* What the opaque objects hold. */
enum { COMPUTE, SCALE, TRANS_A, TRANS_B, EPILOGUE, BIAS };       /* of a product     */
enum { TYPE, ROWS, COLS, LD };                                   /* of a matrix      */
enum { MEMORY, REDUCTIONS, ALIGN_A, ALIGN_B, ALIGN_C, ALIGN_D }; /* of a preference  */
enum { WHO, PROBLEM, FOR_A, FOR_B, FOR_C, FOR_D };               /* of a kernel      */

/* Searches for a kernel so far. */
EXPORT int fake_cublaslt_searches(void);
static int searches;

EXPORT int fake_cublaslt_searches(void)
{
  return searches;
}

EXPORT cublasStatus_t cublasLtCreate(cublasLtHandle_t *out)
{
  *out = malloc(1);
  return *out != NULL ? OK : CUBLAS_STATUS_ALLOC_FAILED;
}

EXPORT cublasStatus_t cublasLtDestroy(cublasLtHandle_t h)
{
  free(h);
  return OK;
}

EXPORT size_t cublasLtGetVersion(void)
{
  return 130002;
}

EXPORT const char *cublasLtGetStatusString(cublasStatus_t s)
{
  return s == BAD ? "an unsupported value or parameter" : "not supported";
}

/* ---- Objects -------------------------------------------------------------------------------------- */

EXPORT cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out,
                                               cublasComputeType_t compute, cudaDataType_t scale)
{
  const bool f64 = compute == CUBLAS_COMPUTE_64F;
  if (!f64 && compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_FAST_TF32 &&
      compute != CUBLAS_COMPUTE_32F_FAST_16BF)
    return BAD;
  if (scale != (f64 ? CUDA_R_64F : CUDA_R_32F)) return BAD;
  *out = calloc(1, sizeof **out);
  if (*out == NULL) return CUBLAS_STATUS_ALLOC_FAILED;
  (*out)->data[COMPUTE] = compute, (*out)->data[SCALE] = scale;
  (*out)->data[EPILOGUE] = CUBLASLT_EPILOGUE_DEFAULT;
  return OK;
}

EXPORT cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t p)
{
  free(p);
  return OK;
}

static cublasStatus_t set32(uint64_t *to, const void *from, size_t bytes, uint32_t a, uint32_t b)
{
  uint32_t x;
  if (bytes != sizeof x) return BAD;
  memcpy(&x, from, sizeof x);
  *to = x;
  return x == a || x == b ? OK : BAD;
}

EXPORT cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t p,
                                                     cublasLtMatmulDescAttributes_t name,
                                                     const void *value, size_t bytes)
{
  switch (name) {
  case CUBLASLT_MATMUL_DESC_TRANSA:
    return set32(&p->data[TRANS_A], value, bytes, CUBLAS_OP_N, CUBLAS_OP_T);
  case CUBLASLT_MATMUL_DESC_TRANSB:
    return set32(&p->data[TRANS_B], value, bytes, CUBLAS_OP_N, CUBLAS_OP_T);
  case CUBLASLT_MATMUL_DESC_EPILOGUE:
    return set32(&p->data[EPILOGUE], value, bytes, CUBLASLT_EPILOGUE_DEFAULT,
                 CUBLASLT_EPILOGUE_BIAS);
  case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
    if (bytes != sizeof(void *) || p->data[EPILOGUE] != CUBLASLT_EPILOGUE_BIAS) return BAD;
    memcpy(&p->data[BIAS], value, bytes);
    return p->data[BIAS] != 0 && p->data[BIAS] % 16 == 0 ? OK : BAD;
  default:
    return BAD;
  }
}

EXPORT cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType_t type,
                                                 uint64_t rows, uint64_t cols, int64_t ld)
{
  if ((type != CUDA_R_32F && type != CUDA_R_64F) || rows == 0 || cols == 0 || ld < (int64_t)rows)
    return BAD;
  *out = calloc(1, sizeof **out);
  if (*out == NULL) return CUBLAS_STATUS_ALLOC_FAILED;
  (*out)->data[TYPE] = type, (*out)->data[ROWS] = rows;
  (*out)->data[COLS] = cols, (*out)->data[LD] = (uint64_t)ld;
  return OK;
}

EXPORT cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t p)
{
  free(p);
  return OK;
}

EXPORT cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
  *out = calloc(1, sizeof **out);
  return *out != NULL ? OK : CUBLAS_STATUS_ALLOC_FAILED;
}

EXPORT cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p)
{
  free(p);
  return OK;
}

static cublasStatus_t set_alignment(uint64_t *to, const void *value, size_t bytes)
{
  uint32_t x;
  if (bytes != sizeof x) return BAD;
  memcpy(&x, value, sizeof x);
  *to = x;
  return x >= 4 && (x & (x - 1)) == 0 ? OK : BAD;
}

EXPORT cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t p, cublasLtMatmulPreferenceAttributes_t name, const void *value,
    size_t bytes)
{
  uint32_t mask;
  switch (name) {
  case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
    if (bytes != sizeof p->data[MEMORY]) return BAD;
    memcpy(&p->data[MEMORY], value, bytes);
    return OK;
  case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
    if (bytes != sizeof mask) return BAD;
    memcpy(&mask, value, bytes);
    p->data[REDUCTIONS] = 1;
    return (mask & CUBLASLT_REDUCTION_SCHEME_INPLACE) == 0 ? OK : BAD; /* sums that vary */
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    return set_alignment(&p->data[ALIGN_A], value, bytes);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    return set_alignment(&p->data[ALIGN_B], value, bytes);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    return set_alignment(&p->data[ALIGN_C], value, bytes);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
    return set_alignment(&p->data[ALIGN_D], value, bytes);
  default:
    return BAD;
  }
}

/* ---- Kernels -------------------------------------------------------------------------------------- */

/* Rows of op(A), which the result has too, its columns, and how many products are summed; false where
 * the matrices do not fit. */
static bool sizes(const uint64_t *p, const uint64_t *a, const uint64_t *b, const uint64_t *c,
                  int64_t *rows, int64_t *cols, int64_t *depth)
{
  const bool ta = p[TRANS_A] == CUBLAS_OP_T, tb = p[TRANS_B] == CUBLAS_OP_T;
  const uint64_t type = p[COMPUTE] == CUBLAS_COMPUTE_64F ? CUDA_R_64F : CUDA_R_32F;
  *rows = (int64_t)c[ROWS], *cols = (int64_t)c[COLS], *depth = (int64_t)a[ta ? ROWS : COLS];
  return a[TYPE] == type && b[TYPE] == type && c[TYPE] == type && a[ta ? COLS : ROWS] == c[ROWS] &&
         b[tb ? ROWS : COLS] == c[COLS] && b[tb ? COLS : ROWS] == a[ta ? ROWS : COLS];
}

static uint64_t mix(uint64_t h, const uint64_t *x, int n)
{
  for (int i = 0; i < n; i++) h = (h ^ x[i]) * 1099511628211U;
  return h;
}

static uint64_t problem(const uint64_t *p, const uint64_t *a, const uint64_t *b, const uint64_t *c)
{
  return mix(mix(mix(mix(14695981039346656037U, p, BIAS), a, 4), b, 4), c, 4);
}

EXPORT cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t h, cublasLtMatmulDesc_t p, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
    cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t how, int most,
    cublasLtMatmulHeuristicResult_t *guess, int *n)
{
  int64_t rows, cols, depth;
  *n = 0;
  searches++;
  if (h == NULL || most < 2 || memcmp(c, d, sizeof *c) != 0) return BAD;
  if (!sizes(p->data, a->data, b->data, c->data, &rows, &cols, &depth)) return BAD;
  if (how->data[MEMORY] < WORKSPACE || how->data[REDUCTIONS] == 0) return BAD;
  for (int i = ALIGN_A; i <= ALIGN_D; i++)
    if (how->data[i] == 0) return BAD;
  if (p->data[EPILOGUE] == CUBLASLT_EPILOGUE_BIAS && p->data[BIAS] == 0) return BAD;
  if (depth == 77) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (depth == 78) return OK;
  if (depth == 75 && p->data[COMPUTE] != CUBLAS_COMPUTE_32F &&
      p->data[COMPUTE] != CUBLAS_COMPUTE_64F)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (p->data[EPILOGUE] == CUBLASLT_EPILOGUE_BIAS && rows % 7 == 0)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  memset(guess, 0, 2 * sizeof *guess);
  guess[0].state = CUBLAS_STATUS_NOT_SUPPORTED;
  uint64_t *kernel = guess[1].algo.data;
  kernel[WHO] = MAGIC;
  kernel[PROBLEM] = problem(p->data, a->data, b->data, c->data);
  for (int i = 0; i < 4; i++) kernel[FOR_A + i] = how->data[ALIGN_A + i];
  guess[1].workspaceSize = WORKSPACE;
  *n = 2;
  return OK;
}

static bool aligned(const void *p, uint64_t to)
{
  return p != NULL && (uintptr_t)p % to == 0;
}

/* x with so many bits behind the point. */
static double rounded(float x, int bits)
{
  uint32_t u, half = 1U << (22 - bits);
  memcpy(&u, &x, sizeof u);
  u = (u + half - 1 + (u >> (23 - bits) & 1U)) & ~(2 * half - 1);
  memcpy(&x, &u, sizeof u);
  return (double)x;
}

/* Element i of a matrix of the product's type, as its kernels read it. */
static double get(const uint64_t *p, const void *x, int64_t i)
{
  if (p[COMPUTE] == CUBLAS_COMPUTE_64F) return ((const double *)x)[i];
  const float v = ((const float *)x)[i];
  if (p[COMPUTE] == CUBLAS_COMPUTE_32F_FAST_TF32) return rounded(v, 10);
  return p[COMPUTE] == CUBLAS_COMPUTE_32F_FAST_16BF ? rounded(v, 7) : (double)v;
}

static double plain(const uint64_t *p, const void *x, int64_t i)
{
  return p[COMPUTE] == CUBLAS_COMPUTE_64F ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

/* op(X)[i,j] of a matrix with columns ld apart. */
static double at(const uint64_t *p, const void *x, const uint64_t *m, bool transposed, int64_t i,
                 int64_t j)
{
  return get(p, x, transposed ? j + i * (int64_t)m[LD] : i + j * (int64_t)m[LD]);
}

static double bias(const uint64_t *p, int64_t i)
{
  const void *from;
  if (p[EPILOGUE] != CUBLASLT_EPILOGUE_BIAS) return 0;
  memcpy(&from, &p[BIAS], sizeof from);
  return plain(p, from, i);
}

EXPORT cublasStatus_t cublasLtMatmul(cublasLtHandle_t h, cublasLtMatmulDesc_t desc,
                                     const void *alpha, const void *A, cublasLtMatrixLayout_t a,
                                     const void *B, cublasLtMatrixLayout_t b, const void *beta,
                                     const void *C, cublasLtMatrixLayout_t c, void *D,
                                     cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t *algo,
                                     void *workspace, size_t bytes, cudaStream_t stream)
{
  const uint64_t *p = desc->data, *kernel = algo->data;
  int64_t rows, cols, depth;
  (void)stream;
  if (h == NULL || !sizes(p, a->data, b->data, c->data, &rows, &cols, &depth)) return BAD;
  if (kernel[WHO] != MAGIC || kernel[PROBLEM] != problem(p, a->data, b->data, c->data)) return BAD;
  if (!aligned(A, kernel[FOR_A]) || !aligned(B, kernel[FOR_B]) || !aligned(C, kernel[FOR_C]) ||
      C != D || memcmp(c, d, sizeof *c) != 0 || bytes < WORKSPACE || !aligned(workspace, 256))
    return BAD;
  memset(workspace, 0xff, WORKSPACE); /* nobody keeps anything there */
  const double scale = plain(p, alpha, 0), keep = plain(p, beta, 0);
  for (int64_t j = 0; j < cols; j++)
    for (int64_t i = 0; i < rows; i++) {
      const int64_t to = i + j * (int64_t)c->data[LD];
      double sum = 0;
      for (int64_t l = 0; l < depth; l++)
        sum += at(p, A, a->data, p[TRANS_A] == CUBLAS_OP_T, i, l) *
               at(p, B, b->data, p[TRANS_B] == CUBLAS_OP_T, l, j);
      sum = scale * sum + (keep != 0 ? keep * plain(p, C, to) : 0) + bias(p, i);
      if (p[COMPUTE] == CUBLAS_COMPUTE_64F)
        ((double *)D)[to] = sum;
      else
        ((float *)D)[to] = (float)sum;
    }
  return OK;
}
