/* cuda_blas.cu — matrix products by cuBLASLt. SPDX-License-Identifier: MIT
 *
 * cuBLASLt counts columns first. A row-major C = op(A) op(B) is the column-major C' = op(B)' op(A)',
 * whose rows are C's columns: there a bias per column of C is the library's bias per row. */
#include "cuda_blas.cuh"
#include <cublasLt.h>
#include <dlfcn.h>
#include <cstdio>
#include <cstring>
#include <memory>
#include <unordered_map>

namespace
{

/* What cuBLAS itself takes on compute capability 9. */
constexpr size_t WORKSPACE = 32 << 20;

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

struct calls {
#define X(name) decltype(&::name) name;
  LT_CALLS(X)
#undef X
};

/* All that a plan depends on. Zeroed before it is filled: compared as bytes. */
struct key {
  int64_t m, n, k, lda, ldb, ldc;
  int32_t align_a, align_b, align_c;
  uint8_t trans_a, trans_b, bias, adds, math;
};

struct same {
  bool operator()(const key &a, const key &b) const
  {
    return memcmp(&a, &b, sizeof a) == 0;
  }
};

struct hash {
  size_t operator()(const key &k) const
  {
    const unsigned char *byte = reinterpret_cast<const unsigned char *>(&k);
    uint64_t h = 14695981039346656037ull; /* FNV-1a */
    for (size_t i = 0; i < sizeof k; i++) h = (h ^ byte[i]) * 1099511628211ull;
    return h;
  }
};

struct plan {
  cublasLtMatmulDesc_t desc;
  cublasLtMatrixLayout_t a, b, c; /* of the library's A, which is our B, and so on */
  cublasLtMatmulAlgo_t algo;
  bool bias_apart; /* the library has no kernel that adds the bias too */
};

constexpr bool DOUBLE = sizeof(mr_real) == sizeof(double);
constexpr cudaDataType_t TYPE = DOUBLE ? CUDA_R_64F : CUDA_R_32F;

cublasComputeType_t compute_type(int math)
{
  if (DOUBLE) return CUBLAS_COMPUTE_64F;
  if (math == MR_MATH_TF32) return CUBLAS_COMPUTE_32F_FAST_TF32;
  return math == MR_MATH_BF16 ? CUBLAS_COMPUTE_32F_FAST_16BF : CUBLAS_COMPUTE_32F;
}

/* Few kinds, so that there are few plans. */
int32_t alignment(const void *p)
{
  const uintptr_t at = reinterpret_cast<uintptr_t>(p);
  return at % 256 == 0 ? 256 : at % 16 == 0 ? 16 : (int32_t)sizeof(mr_real);
}

} // namespace

struct mr_cuda_blas {
  void *library;
  calls lt;
  cublasLtHandle_t handle;
  void *workspace;
  std::unordered_map<key, plan, hash, same> plans;
};

/* Returns with MR_ERR_CUDA when a call of the library fails; for functions with `b`. */
#define MR_LT(call)                                                                                \
  do {                                                                                             \
    const cublasStatus_t status_ = (b->lt.call);                                                   \
    if (status_ != CUBLAS_STATUS_SUCCESS)                                                          \
      return MR_FAIL(MR_ERR_CUDA, "%s: %s", #call, b->lt.cublasLtGetStatusString(status_));        \
  } while (0)

/* ==== The library ============================================================================ */

static mr_status load(mr_cuda_blas *b)
{
  char versioned[64], usual[128];
  (void)snprintf(versioned, sizeof versioned, "libcublasLt.so.%d", CUBLAS_VER_MAJOR);
  (void)snprintf(usual, sizeof usual, "/usr/local/cuda/lib64/%s", versioned);
  b->library = dlopen(versioned, RTLD_NOW | RTLD_LOCAL);
  if (b->library == NULL) b->library = dlopen(usual, RTLD_NOW | RTLD_LOCAL);
  if (b->library == NULL)
    return MR_FAIL(MR_ERR_UNSUPPORTED,
                   "device cuda needs CUDA's library %s: name its folder in LD_LIBRARY_PATH",
                   versioned);
#define X(name)                                                                                    \
  b->lt.name = reinterpret_cast<decltype(&::name)>(dlsym(b->library, #name));                      \
  if (b->lt.name == NULL) return MR_FAIL(MR_ERR_UNSUPPORTED, "%s has no %s", versioned, #name);
  LT_CALLS(X)
#undef X
  return MR_OK;
}

static mr_status open_handle(mr_cuda_blas *b)
{
  MR_CHECK(load(b));
  MR_LT(cublasLtCreate(&b->handle));
  MR_CU(cudaMalloc(&b->workspace, WORKSPACE));
  return MR_OK;
}

mr_status mr_cuda_blas_open(mr_cuda_blas **out)
{
  mr_cuda_blas *b = new mr_cuda_blas();
  const mr_status st = open_handle(b);
  if (st == MR_OK)
    *out = b;
  else
    mr_cuda_blas_close(b);
  return st;
}

static void drop(const mr_cuda_blas *b, const plan &p)
{
  if (p.desc != NULL) (void)b->lt.cublasLtMatmulDescDestroy(p.desc);
  if (p.a != NULL) (void)b->lt.cublasLtMatrixLayoutDestroy(p.a);
  if (p.b != NULL) (void)b->lt.cublasLtMatrixLayoutDestroy(p.b);
  if (p.c != NULL) (void)b->lt.cublasLtMatrixLayoutDestroy(p.c);
}

void mr_cuda_blas_close(mr_cuda_blas *b)
{
  if (b == NULL) return;
  for (const auto &entry : b->plans) drop(b, entry.second);
  if (b->workspace != NULL) (void)cudaFree(b->workspace);
  if (b->handle != NULL) (void)b->lt.cublasLtDestroy(b->handle);
  if (b->library != NULL) (void)dlclose(b->library);
  delete b;
}

void mr_cuda_blas_version(const mr_cuda_blas *b, char *buf, size_t n)
{
  const size_t v = b->lt.cublasLtGetVersion();
  (void)snprintf(buf, n, "%zu.%zu.%zu", v / 10000, v / 100 % 100, v % 100);
}

size_t mr_cuda_blas_workspace()
{
  return WORKSPACE;
}

/* ==== Plans ================================================================================== */

static key key_of(const mr_gemm *g, mr_math math)
{
  key k;
  memset(&k, 0, sizeof k);
  k.m = g->m, k.n = g->n, k.k = g->k;
  k.lda = g->lda, k.ldb = g->ldb, k.ldc = g->ldc;
  k.align_a = alignment(g->a), k.align_b = alignment(g->b), k.align_c = alignment(g->c);
  k.trans_a = g->trans_a, k.trans_b = g->trans_b;
  k.bias = g->bias != NULL, k.adds = g->beta != 0;
  k.math = (uint8_t)math;
  return k;
}

static mr_status describe(mr_cuda_blas *b, const key &k, plan *p)
{
  const bool bias = k.bias && !p->bias_apart;
  const cublasOperation_t op_a = k.trans_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                          op_b = k.trans_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasLtEpilogue_t epilogue = bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  const uint64_t n = (uint64_t)k.n, m = (uint64_t)k.m, depth = (uint64_t)k.k;
  MR_LT(cublasLtMatmulDescCreate(&p->desc, compute_type(k.math), TYPE));
  MR_LT(cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a));
  MR_LT(cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b));
  MR_LT(cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                       sizeof epilogue));
  MR_LT(
      cublasLtMatrixLayoutCreate(&p->a, TYPE, k.trans_b ? depth : n, k.trans_b ? n : depth, k.ldb));
  MR_LT(
      cublasLtMatrixLayoutCreate(&p->b, TYPE, k.trans_a ? m : depth, k.trans_a ? depth : m, k.lda));
  MR_LT(cublasLtMatrixLayoutCreate(&p->c, TYPE, n, m, k.ldc));
  return MR_OK;
}

/* Sums that are split over blocks and put together as blocks finish differ from run to run. */
static mr_status prefer(mr_cuda_blas *b, const key &k, cublasLtMatmulPreference_t how)
{
  const uint32_t reductions =
      CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
  const uint64_t workspace = WORKSPACE;
  const uint32_t a = (uint32_t)k.align_b, bb = (uint32_t)k.align_a, c = (uint32_t)k.align_c;
  const struct {
    cublasLtMatmulPreferenceAttributes_t name;
    const void *value;
    size_t bytes;
  } set[] = {{CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace},
             {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof reductions},
             {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &a, sizeof a},
             {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &bb, sizeof bb},
             {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &c, sizeof c},
             {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &c, sizeof c}};
  for (const auto &s : set)
    MR_LT(cublasLtMatmulPreferenceSetAttribute(how, s.name, s.value, s.bytes));
  return MR_OK;
}

static mr_status choose(mr_cuda_blas *b, const key &k, cublasLtMatmulPreference_t how, plan *p)
{
  cublasLtMatmulHeuristicResult_t best;
  int found = 0;
  MR_CHECK(prefer(b, k, how));
  MR_LT(cublasLtMatmulAlgoGetHeuristic(b->handle, p->desc, p->a, p->b, p->c, p->c, how, 1, &best,
                                       &found));
  if (found == 0)
    return MR_FAIL(MR_ERR_CUDA, "cuBLASLt has no kernel for a product [%lld,%lld] [%lld,%lld]",
                   (long long)k.m, (long long)k.k, (long long)k.k, (long long)k.n);
  p->algo = best.algo;
  return MR_OK;
}

static mr_status try_plan(mr_cuda_blas *b, const key &k, plan *p)
{
  cublasLtMatmulPreference_t how = NULL;
  MR_CHECK(describe(b, k, p));
  MR_LT(cublasLtMatmulPreferenceCreate(&how));
  const mr_status st = choose(b, k, how, p);
  (void)b->lt.cublasLtMatmulPreferenceDestroy(how);
  return st;
}

static mr_status find_plan(mr_cuda_blas *b, const key &k, plan *out)
{
  const auto at = b->plans.find(k);
  if (at != b->plans.end()) {
    *out = at->second;
    return MR_OK;
  }
  plan p = {};
  mr_status st = try_plan(b, k, &p);
  if (st != MR_OK && k.bias) {
    drop(b, p);
    p = {};
    p.bias_apart = true;
    st = try_plan(b, k, &p);
  }
  if (st != MR_OK) {
    drop(b, p);
    return st;
  }
  b->plans.emplace(k, p);
  *out = p;
  return MR_OK;
}

/* ==== Products =============================================================================== */

/* c [m,n], rows ldc apart, plus bias [n] in each row. */
static __global__ void add_bias(mr_real *c, const mr_real *bias, int64_t m, int64_t n, int64_t ldc)
{
  for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < m * n;
       i += (int64_t)gridDim.x * blockDim.x)
    c[i / n * ldc + i % n] += bias[i % n];
}

mr_status mr_cuda_blas_gemm(mr_cuda_blas *b, cudaStream_t stream, mr_math math, const mr_gemm *g)
{
  plan p;
  if (g->m <= 0 || g->n <= 0) return MR_OK;
  MR_CHECK(find_plan(b, key_of(g, math), &p));
  if (g->bias != NULL && !p.bias_apart)
    MR_LT(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &g->bias,
                                         sizeof g->bias));
  MR_LT(cublasLtMatmul(b->handle, p.desc, &g->alpha, g->b, p.a, g->a, p.b, &g->beta, g->c, p.c,
                       g->c, p.c, &p.algo, b->workspace, WORKSPACE, stream));
  if (g->bias != NULL && p.bias_apart)
    add_bias<<<1024, 256, 0, stream>>>(g->c, g->bias, g->m, g->n, g->ldc);
  return MR_OK;
}
