/* cuda_blas.c — matrix products by cuBLASLt. SPDX-License-Identifier: MIT
 *
 * cuBLASLt counts columns first. A row-major C = op(A) op(B) is the column-major C' = op(B)' op(A)',
 * whose rows are C's columns: there a bias per column of C is the library's bias per row. */
#ifdef MR_WITH_CUBLASLT
#include "cuda_blas.h"
#include <cublasLt.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem.h"

enum { BUCKETS = 256, CANDIDATES = 8 };

/* Every function of the library that is called. */
#define LT_CALLS(X)                                                                                \
  X(cublasLtCreate)                                                                                \
  X(cublasLtDestroy)                                                                               \
  X(cublasLtGetVersion)                                                                            \
  X(cublasLtGetStatusString)                                                                       \
  X(cublasLtMatmul)                                                                                \
  X(cublasLtMatmulDescCreate)                                                                      \
  X(cublasLtMatmulDescDestroy)                                                                     \
  X(cublasLtMatmulDescSetAttribute)                                                                \
  X(cublasLtMatrixLayoutCreate)                                                                    \
  X(cublasLtMatrixLayoutDestroy)                                                                   \
  X(cublasLtMatmulPreferenceCreate)                                                                \
  X(cublasLtMatmulPreferenceDestroy)                                                               \
  X(cublasLtMatmulPreferenceSetAttribute)                                                          \
  X(cublasLtMatmulAlgoGetHeuristic)

/* All that a plan depends on. Zeroed before it is filled: compared as bytes. */
typedef struct key {
  int64_t m, n, k, lda, ldb, ldc;
  uint32_t align_a, align_b, align_c; /* bytes */
  uint8_t trans_a, trans_b, bias, math;
} key;

typedef struct plan {
  struct plan *next; /* of the same bucket */
  key key;
  cublasLtMatmulDesc_t desc;
  cublasLtMatrixLayout_t a, b, c; /* of the library's A, which is our B, and so on */
  cublasLtMatmulAlgo_t algo;
  bool adds_bias;
  uint8_t math; /* that of key, or f32 */
} plan;

struct mr_cuda_blas {
  void *library;
#define DECLARE(f) __typeof__(f) *f;
  LT_CALLS(DECLARE)
#undef DECLARE
  cublasLtHandle_t handle;
  plan *bucket[BUCKETS];
  int64_t f32_products;
};

static const cudaDataType_t type = sizeof(mr_real) == 8 ? CUDA_R_64F : CUDA_R_32F;

static mr_status status_of(const mr_cuda_blas *b, cublasStatus_t s, const char *what)
{
  if (s == CUBLAS_STATUS_SUCCESS) return MR_OK;
  return MR_FAIL(MR_ERR_CUDA, "cuBLASLt could not %s: %s", what, b->cublasLtGetStatusString(s));
}

/* For functions with `b`. */
#define LT(call, what) MR_CHECK(status_of(b, b->call, what))

/* ---- The library ---------------------------------------------------------------------------- */

static mr_status load(mr_cuda_blas *b)
{
  char usual[128];
  const char *named = getenv("MINRNN_CUBLASLT"), *path = named;
  (void)snprintf(usual, sizeof usual, "/usr/local/cuda/lib64/libcublasLt.so.%d", CUBLAS_VER_MAJOR);
  const bool given = named != NULL && *named != '\0';
  if (!given) path = strrchr(usual, '/') + 1;
  b->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (b->library == NULL && !given) b->library = dlopen(usual, RTLD_NOW | RTLD_LOCAL);
  if (b->library == NULL)
    return MR_FAIL(MR_ERR_UNSUPPORTED,
                   "device cuda needs CUDA's library %s: name the file in MINRNN_CUBLASLT", path);
#define FIND(f)                                                                                    \
  *(void **)&b->f = dlsym(b->library, #f);                                                         \
  if (b->f == NULL) return MR_FAIL(MR_ERR_UNSUPPORTED, "%s has no " #f, path);
  LT_CALLS(FIND)
#undef FIND
  return MR_OK;
}

mr_status mr_cuda_blas_open(mr_cuda_blas **out)
{
  mr_status st = MR_OK;
  mr_cuda_blas *b = NULL;
  void *p;
  MR_TRY(mr_calloc(&p, 1, sizeof *b));
  b = p;
  MR_TRY(load(b));
  MR_TRY(status_of(b, b->cublasLtCreate(&b->handle), "start"));
  *out = b;
  b = NULL;
out:
  mr_cuda_blas_close(b);
  return st;
}

/* Destroying valid objects cannot fail. */
static void undescribe(const mr_cuda_blas *b, plan *p)
{
  if (p->desc != NULL) (void)b->cublasLtMatmulDescDestroy(p->desc);
  if (p->a != NULL) (void)b->cublasLtMatrixLayoutDestroy(p->a);
  if (p->b != NULL) (void)b->cublasLtMatrixLayoutDestroy(p->b);
  if (p->c != NULL) (void)b->cublasLtMatrixLayoutDestroy(p->c);
  p->desc = NULL, p->a = p->b = p->c = NULL;
}

/* The library stays loaded: it has handed its kernels to the driver. */
void mr_cuda_blas_close(mr_cuda_blas *b)
{
  if (b == NULL) return;
  for (int i = 0; i < BUCKETS; i++)
    for (plan *p = b->bucket[i], *next; p != NULL; p = next) {
      next = p->next;
      undescribe(b, p);
      mr_free(p);
    }
  if (b->handle != NULL) (void)b->cublasLtDestroy(b->handle);
  mr_free(b);
}

void mr_cuda_blas_version(const mr_cuda_blas *b, char *buf, size_t n)
{
  const size_t v = b->cublasLtGetVersion();
  (void)snprintf(buf, n, "%zu.%zu.%zu", v / 10000, v / 100 % 100, v % 100);
}

/* ---- Plans ---------------------------------------------------------------------------------- */

/* Few kinds, so that there are few plans. */
static uint32_t alignment(const void *p)
{
  const uintptr_t at = (uintptr_t)p;
  return at % 256 == 0 ? 256 : at % 16 == 0 ? 16 : (uint32_t)sizeof(mr_real);
}

static key key_of(const mr_gemm *g, mr_math math)
{
  key k;
  memset(&k, 0, sizeof k);
  k.m = g->m, k.n = g->n, k.k = g->k;
  k.lda = g->lda, k.ldb = g->ldb, k.ldc = g->ldc;
  k.align_a = alignment(g->a), k.align_b = alignment(g->b), k.align_c = alignment(g->c);
  k.trans_a = g->trans_a, k.trans_b = g->trans_b;
  /* Kernels that add a bias read it in vectors. */
  k.bias = g->bias != NULL && (uintptr_t)g->bias % 16 == 0;
  k.math = (uint8_t)math;
  return k;
}

static plan **bucket_of(mr_cuda_blas *b, const key *k)
{
  const unsigned char *byte = (const unsigned char *)k;
  uint64_t h = 14695981039346656037U; /* FNV-1a */
  for (size_t i = 0; i < sizeof *k; i++) h = (h ^ byte[i]) * 1099511628211U;
  return &b->bucket[h % BUCKETS];
}

static cublasComputeType_t compute_type(uint8_t math)
{
  if (type == CUDA_R_64F) return CUBLAS_COMPUTE_64F;
  if (math == MR_MATH_TF32) return CUBLAS_COMPUTE_32F_FAST_TF32;
  return math == MR_MATH_BF16 ? CUBLAS_COMPUTE_32F_FAST_16BF : CUBLAS_COMPUTE_32F;
}

static mr_status set(const mr_cuda_blas *b, const plan *p, cublasLtMatmulDescAttributes_t name,
                     const void *value, size_t bytes)
{
  LT(cublasLtMatmulDescSetAttribute(p->desc, name, value, bytes), "describe a product");
  return MR_OK;
}

static mr_status describe(const mr_cuda_blas *b, plan *p, const mr_real *bias)
{
  const key *k = &p->key;
  const int32_t op_a = k->trans_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                op_b = k->trans_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  const uint32_t end = p->adds_bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  const uint64_t n = (uint64_t)k->n, m = (uint64_t)k->m, depth = (uint64_t)k->k;
  LT(cublasLtMatmulDescCreate(&p->desc, compute_type(p->math), type), "describe a product");
  MR_CHECK(set(b, p, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a));
  MR_CHECK(set(b, p, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b));
  MR_CHECK(set(b, p, CUBLASLT_MATMUL_DESC_EPILOGUE, &end, sizeof end));
  if (p->adds_bias) MR_CHECK(set(b, p, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof(void *)));
  LT(cublasLtMatrixLayoutCreate(&p->a, type, k->trans_b ? depth : n, k->trans_b ? n : depth,
                                k->ldb),
     "describe a matrix");
  LT(cublasLtMatrixLayoutCreate(&p->b, type, k->trans_a ? m : depth, k->trans_a ? depth : m,
                                k->lda),
     "describe a matrix");
  LT(cublasLtMatrixLayoutCreate(&p->c, type, n, m, k->ldc), "describe a matrix");
  return MR_OK;
}

/* Sums that are split over blocks and put together as blocks finish differ from run to run. */
static mr_status prefer(const mr_cuda_blas *b, const key *k, cublasLtMatmulPreference_t how)
{
  const uint32_t reductions =
      CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
  const uint64_t workspace = MR_CUDA_BLAS_WORKSPACE;
  const struct {
    cublasLtMatmulPreferenceAttributes_t name;
    const void *value;
    size_t bytes;
  } wish[] = {{CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace},
              {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof reductions},
              {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &k->align_b, sizeof k->align_b},
              {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &k->align_a, sizeof k->align_a},
              {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &k->align_c, sizeof k->align_c},
              {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &k->align_c, sizeof k->align_c}};
  for (size_t i = 0; i < sizeof wish / sizeof *wish; i++)
    LT(cublasLtMatmulPreferenceSetAttribute(how, wish[i].name, wish[i].value, wish[i].bytes),
       "take a preference");
  return MR_OK;
}

/* The first kernel that the library thinks of and that it can run. */
static mr_status choose(const mr_cuda_blas *b, plan *p, cublasLtMatmulPreference_t how)
{
  const key *k = &p->key;
  cublasLtMatmulHeuristicResult_t guess[CANDIDATES];
  int n = 0;
  MR_CHECK(prefer(b, k, how));
  const cublasStatus_t s = b->cublasLtMatmulAlgoGetHeuristic(b->handle, p->desc, p->a, p->b, p->c,
                                                             p->c, how, CANDIDATES, guess, &n);
  if (s != CUBLAS_STATUS_NOT_SUPPORTED) MR_CHECK(status_of(b, s, "look for a kernel"));
  for (int i = 0; s == CUBLAS_STATUS_SUCCESS && i < n; i++) {
    if (guess[i].state != CUBLAS_STATUS_SUCCESS) continue;
    p->algo = guess[i].algo;
    return MR_OK;
  }
  return MR_FAIL(MR_ERR_CUDA, "cuBLASLt has no kernel for a product [%lld,%lld] [%lld,%lld]",
                 (long long)k->m, (long long)k->k, (long long)k->k, (long long)k->n);
}

static mr_status make(const mr_cuda_blas *b, plan *p, const mr_real *bias)
{
  cublasLtMatmulPreference_t how = NULL;
  MR_CHECK(describe(b, p, bias));
  LT(cublasLtMatmulPreferenceCreate(&how), "take a preference");
  const mr_status st = choose(b, p, how);
  (void)b->cublasLtMatmulPreferenceDestroy(how);
  return st;
}

/* In the math asked for where the library can, or else in f32; with the bias where it can, or else
 * without. */
static mr_status make_any(mr_cuda_blas *b, plan *p, const mr_real *bias)
{
  mr_status st = MR_OK;
  const int last = type == CUDA_R_32F && p->key.math != MR_MATH_F32;
  for (int f32 = 0; f32 <= last; f32++)
    for (int with = p->key.bias; with >= 0; with--) {
      p->math = f32 ? MR_MATH_F32 : p->key.math;
      p->adds_bias = with;
      st = make(b, p, with ? bias : NULL);
      b->f32_products += f32 && st == MR_OK;
      if (st == MR_OK) return MR_OK;
      undescribe(b, p);
    }
  return st;
}

static mr_status find_plan(mr_cuda_blas *b, const key *k, const mr_real *bias, plan **out)
{
  mr_status st = MR_OK;
  plan *p = NULL, **bucket = bucket_of(b, k);
  void *memory;
  for (p = *bucket; p != NULL; p = p->next)
    if (memcmp(&p->key, k, sizeof *k) == 0) {
      *out = p;
      return MR_OK;
    }
  MR_CHECK(mr_calloc(&memory, 1, sizeof *p));
  p = memory;
  p->key = *k;
  MR_TRY(make_any(b, p, bias));
  p->next = *bucket;
  *out = *bucket = p;
  p = NULL;
out:
  if (p != NULL) undescribe(b, p);
  mr_free(p);
  return st;
}

int64_t mr_cuda_blas_f32_products(const mr_cuda_blas *b)
{
  return b->f32_products;
}

/* ---- Products ------------------------------------------------------------------------------- */

mr_status mr_cuda_blas_gemm(mr_cuda_blas *b, void *stream, void *workspace, mr_math math,
                            const mr_gemm *g, bool *bias_left)
{
  const key k = key_of(g, math);
  plan *p;
  *bias_left = false;
  if (g->m <= 0 || g->n <= 0) return MR_OK;
  MR_CHECK(find_plan(b, &k, g->bias, &p));
  *bias_left = g->bias != NULL && !p->adds_bias;
  if (p->adds_bias)
    MR_CHECK(set(b, p, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &g->bias, sizeof(void *)));
  LT(cublasLtMatmul(b->handle, p->desc, &g->alpha, g->b, p->a, g->a, p->b, &g->beta, g->c, p->c,
                    g->c, p->c, &p->algo, workspace, MR_CUDA_BLAS_WORKSPACE, stream),
     "queue a product");
  return MR_OK;
}
#else
typedef int mr_cublaslt_is_not_built; /* a file without a declaration is no C */
#endif
