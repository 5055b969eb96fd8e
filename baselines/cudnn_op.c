/* cudnn_op.c — plans of cuDNN's recurrent layers and their cache. SPDX-License-Identifier: MIT */
#ifdef MR_WITH_CUDNN
#include "cudnn.h"
#include <cudnn.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem.h"

/* Plans that are kept; the one unused longest goes. */
enum { MOST_PLANS = 64, MOST_GATES = 4 };

/* Every function of the library that is called. */
#define CUDNN_CALLS(X)                                                                             \
  X(cudnnCreate)                                                                                   \
  X(cudnnSetStream)                                                                                \
  X(cudnnGetVersion)                                                                               \
  X(cudnnGetErrorString)                                                                           \
  X(cudnnCreateRNNDescriptor)                                                                      \
  X(cudnnDestroyRNNDescriptor)                                                                     \
  X(cudnnSetRNNDescriptor_v8)                                                                      \
  X(cudnnCreateDropoutDescriptor)                                                                  \
  X(cudnnDestroyDropoutDescriptor)                                                                 \
  X(cudnnSetDropoutDescriptor)                                                                     \
  X(cudnnCreateRNNDataDescriptor)                                                                  \
  X(cudnnDestroyRNNDataDescriptor)                                                                 \
  X(cudnnSetRNNDataDescriptor)                                                                     \
  X(cudnnCreateTensorDescriptor)                                                                   \
  X(cudnnDestroyTensorDescriptor)                                                                  \
  X(cudnnSetTensorNdDescriptor)                                                                    \
  X(cudnnBuildRNNDynamic)                                                                          \
  X(cudnnGetRNNTempSpaceSizes)                                                                     \
  X(cudnnGetRNNWeightSpaceSize)                                                                    \
  X(cudnnGetRNNWeightParams)                                                                       \
  X(cudnnRNNForward)                                                                               \
  X(cudnnRNNBackwardData_v8)                                                                       \
  X(cudnnRNNBackwardWeights_v8)

/* For functions with `st` and `out:`. */
#define CUDNN(expr, what)                                                                          \
  do {                                                                                             \
    st = status_of((expr), what);                                                                  \
    if (st != MR_OK) goto out;                                                                     \
  } while (0)

typedef struct plan {
  mr_cudnn_shape shape; /* as asked for, with AUTO */
  uint64_t used;        /* when; 0: empty */
  mr_cudnn_need need;
  cudnnRNNDescriptor_t layer;
  cudnnDropoutDescriptor_t dropout; /* none, but wanted */
  cudnnRNNDataDescriptor_t x, h;
  cudnnTensorDescriptor_t state;
} plan;

/* Of the whole process; opened at the first plan, kept to the end. */
static struct {
  pthread_mutex_t lock;
  void *library;
  cudnnHandle_t handle;
  char variant[MR_CUDNN_ALGOS][128];
#define DECLARE(f) __typeof__(f) *f;
  CUDNN_CALLS(DECLARE)
#undef DECLARE
  plan plan[MOST_PLANS];
  uint64_t clock;
} cudnn = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const cudnnRNNAlgo_t algo_value[MR_CUDNN_ALGOS] = {
    [MR_CUDNN_SMALL_H] = CUDNN_RNN_ALGO_PERSIST_STATIC_SMALL_H,
    [MR_CUDNN_STATIC] = CUDNN_RNN_ALGO_PERSIST_STATIC,
    [MR_CUDNN_DYNAMIC] = CUDNN_RNN_ALGO_PERSIST_DYNAMIC,
    [MR_CUDNN_STANDARD] = CUDNN_RNN_ALGO_STANDARD};

/* ---- The library -------------------------------------------------------------------------------- */

static mr_status status_of(cudnnStatus_t s, const char *what)
{
  if (s == CUDNN_STATUS_SUCCESS) return MR_OK;
  const char *words = cudnn.cudnnGetErrorString(s);
  const bool lacks = (int)s / 1000 == CUDNN_STATUS_NOT_SUPPORTED / 1000;
  if (lacks) return MR_FAIL(MR_ERR_UNSUPPORTED, "cuDNN cannot %s here (%s)", what, words);
  return MR_FAIL(MR_ERR_CUDA, "cuDNN could not %s (%s)", what, words);
}

static mr_status find_calls(void)
{
#define FIND(f)                                                                                    \
  *(void **)&cudnn.f = dlsym(cudnn.library, #f);                                                   \
  if (cudnn.f == NULL) return MR_FAIL(MR_ERR_UNSUPPORTED, "this cuDNN has no " #f);
  CUDNN_CALLS(FIND)
#undef FIND
  return MR_OK;
}

/* The products of cuDNN's layers are cuBLAS's, whose own choice of buffers lets sums vary from run to
 * run; with buffers of one size they do not. Somebody's own choice stands. */
#define BUFFERS "CUBLAS_WORKSPACE_CONFIG"

/* With the lock held. */
static mr_status open_library(void)
{
  mr_status st = MR_OK;
  const char *path = getenv("MINRNN_CUDNN");
  if (cudnn.handle != NULL) return MR_OK;
  if (setenv(BUFFERS, ":4096:2", 0) != 0)
    return MR_FAIL(MR_ERR_INTERNAL, "the environment has no room for " BUFFERS);
  if (path == NULL || *path == '\0') path = "libcudnn.so.9";
  if (cudnn.library == NULL) cudnn.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (cudnn.library == NULL)
    return MR_FAIL(MR_ERR_UNSUPPORTED,
                   "cuDNN cannot be opened (%s): install cuDNN 9 or let MINRNN_CUDNN name the file",
                   dlerror());
  MR_TRY(find_calls());
  const size_t v = cudnn.cudnnGetVersion();
  for (int a = 0; a < MR_CUDNN_ALGOS; a++)
    (void)snprintf(cudnn.variant[a], sizeof cudnn.variant[a],
                   "%s, cuDNN %zu.%zu.%zu, " BUFFERS "=%s", mr_cudnn_algo_name[a], v / 10000,
                   v / 100 % 100, v % 100, getenv(BUFFERS));
  CUDNN(cudnn.cudnnCreate(&cudnn.handle), "start");
out:
  return st;
}

static mr_status take_lock(void)
{
  if (pthread_mutex_lock(&cudnn.lock) == 0) return MR_OK;
  return MR_FAIL(MR_ERR_INTERNAL, "the cache of cuDNN's layers cannot be locked");
}

static void drop_lock(void)
{
  (void)pthread_mutex_unlock(&cudnn.lock); /* held by this thread: cannot fail */
}

/* ---- Making a plan -------------------------------------------------------------------------------- */

static const cudnnDataType_t data_type =
    sizeof(mr_real) == 8 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT;

static void free_plan(plan *p)
{
  /* Destroying valid objects cannot fail. */
  if (p->layer != NULL) (void)cudnn.cudnnDestroyRNNDescriptor(p->layer);
  if (p->dropout != NULL) (void)cudnn.cudnnDestroyDropoutDescriptor(p->dropout);
  if (p->x != NULL) (void)cudnn.cudnnDestroyRNNDataDescriptor(p->x);
  if (p->h != NULL) (void)cudnn.cudnnDestroyRNNDataDescriptor(p->h);
  if (p->state != NULL) (void)cudnn.cudnnDestroyTensorDescriptor(p->state);
  memset(p, 0, sizeof *p);
}

static mr_status describe_layer(plan *p)
{
  mr_status st = MR_OK;
  const mr_cudnn_shape *s = &p->shape;
  const cudnnMathType_t math = s->tensor_cores ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH;
  CUDNN(cudnn.cudnnCreateDropoutDescriptor(&p->dropout), "describe no dropout");
  CUDNN(cudnn.cudnnSetDropoutDescriptor(p->dropout, cudnn.handle, 0, NULL, 0, 0),
        "describe no dropout");
  CUDNN(cudnn.cudnnCreateRNNDescriptor(&p->layer), "make a recurrent layer");
  CUDNN(cudnn.cudnnSetRNNDescriptor_v8(
            p->layer, algo_value[p->need.algo], s->gru ? CUDNN_GRU : CUDNN_LSTM,
            s->gru ? CUDNN_RNN_DOUBLE_BIAS : CUDNN_RNN_SINGLE_INP_BIAS, CUDNN_UNIDIRECTIONAL,
            CUDNN_LINEAR_INPUT, data_type, data_type, math, (int32_t)s->D, (int32_t)s->H,
            (int32_t)s->H, 1, p->dropout, CUDNN_RNN_PADDED_IO_DISABLED),
        "describe a recurrent layer");
  if (p->need.algo == MR_CUDNN_DYNAMIC)
    CUDNN(cudnn.cudnnBuildRNNDynamic(cudnn.handle, p->layer, (int)s->B), "compile its kernels");
out:
  return st;
}

static mr_status describe_data(plan *p)
{
  mr_status st = MR_OK;
  const mr_cudnn_shape *s = &p->shape;
  const cudnnRNNDataLayout_t layout = CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_PACKED;
  const int dims[] = {1, (int)s->B, (int)s->H}, strides[] = {(int)(s->B * s->H), (int)s->H, 1};
  void *memory = NULL;
  MR_TRY(mr_calloc(&memory, (size_t)s->B, sizeof(int)));
  int *length = memory;
  for (int64_t b = 0; b < s->B; b++) length[b] = (int)s->T;
  CUDNN(cudnn.cudnnCreateRNNDataDescriptor(&p->x), "describe x");
  CUDNN(cudnn.cudnnSetRNNDataDescriptor(p->x, data_type, layout, (int)s->T, (int)s->B, (int)s->D,
                                        length, NULL),
        "describe x");
  CUDNN(cudnn.cudnnCreateRNNDataDescriptor(&p->h), "describe h");
  CUDNN(cudnn.cudnnSetRNNDataDescriptor(p->h, data_type, layout, (int)s->T, (int)s->B, (int)s->H,
                                        length, NULL),
        "describe h");
  CUDNN(cudnn.cudnnCreateTensorDescriptor(&p->state), "describe the state");
  CUDNN(cudnn.cudnnSetTensorNdDescriptor(p->state, data_type, 3, dims, strides),
        "describe the state");
out:
  mr_free(memory);
  return st;
}

/* Adds a piece, or makes the last one longer where it goes on. */
static void add_piece(mr_cudnn_need *need, mr_cudnn_param param, int64_t from, int64_t to,
                      int64_t n)
{
  mr_cudnn_piece *last = need->n_pieces > 0 ? &need->piece[need->n_pieces - 1] : NULL;
  if (last != NULL && last->param == (int32_t)param && last->from + last->n == from &&
      last->to + last->n == to)
    last->n += n;
  else
    need->piece[need->n_pieces++] = (mr_cudnn_piece){(int32_t)param, from, to, n};
}

/* Where cuDNN keeps the matrix and bias of each gate: r, z, n or i, f, g, o as ours, first those of
 * the input, then the recurrent ones. Only addresses are computed, so any base will do. */
static mr_status find_weights(plan *p)
{
  mr_status st = MR_OK;
  const mr_cudnn_shape *s = &p->shape;
  const int gates = s->gru ? 3 : 4;
  const uintptr_t base = 1 << 16;
  int64_t place[2][2 * MOST_GATES]; /* of matrix and bias, in reals; < 0: none */
  cudnnTensorDescriptor_t matrix = NULL, bias = NULL;
  CUDNN(cudnn.cudnnGetRNNWeightSpaceSize(cudnn.handle, p->layer, &p->need.weights),
        "tell the size of its weights");
  CUDNN(cudnn.cudnnCreateTensorDescriptor(&matrix), "describe a matrix");
  CUDNN(cudnn.cudnnCreateTensorDescriptor(&bias), "describe a bias");
  for (int g = 0; g < 2 * gates; g++) {
    void *at[2] = {NULL, NULL};
    CUDNN(cudnn.cudnnGetRNNWeightParams(cudnn.handle, p->layer, 0, p->need.weights,
                                        (const void *)base, g, matrix, &at[0], bias, &at[1]),
          "tell where a weight is");
    for (int k = 0; k < 2; k++)
      place[k][g] = at[k] != NULL ? (int64_t)(((uintptr_t)at[k] - base) / sizeof(mr_real)) : -1;
  }
  for (int g = 0; g < gates; g++)
    add_piece(&p->need, MR_CUDNN_W, g * s->H * s->D, place[0][g], s->H * s->D);
  for (int g = 0; g < gates; g++)
    add_piece(&p->need, MR_CUDNN_U, g * s->H * s->H, place[0][gates + g], s->H * s->H);
  for (int g = 0; g < gates; g++)
    if (place[1][g] >= 0) add_piece(&p->need, MR_CUDNN_WB, g * s->H, place[1][g], s->H);
  for (int g = 0; g < gates; g++)
    if (s->gru && place[1][gates + g] >= 0)
      add_piece(&p->need, MR_CUDNN_UB, g * s->H, place[1][gates + g], s->H);
out:
  if (matrix != NULL) (void)cudnn.cudnnDestroyTensorDescriptor(matrix);
  if (bias != NULL) (void)cudnn.cudnnDestroyTensorDescriptor(bias);
  return st;
}

static mr_status make_plan(plan *p, const mr_cudnn_shape *s, mr_cudnn_algo algo)
{
  mr_status st = MR_OK;
  memset(p, 0, sizeof *p);
  p->shape = *s;
  p->need.algo = algo;
  p->need.variant = cudnn.variant[algo];
  MR_TRY(describe_layer(p));
  MR_TRY(describe_data(p));
  MR_TRY(find_weights(p));
  CUDNN(cudnn.cudnnGetRNNTempSpaceSizes(cudnn.handle, p->layer, CUDNN_FWD_MODE_TRAINING, p->x,
                                        &p->need.work, &p->need.reserve),
        "tell the memory it wants");
out:
  if (st != MR_OK) free_plan(p);
  return st;
}

/* ---- Running, with the lock held ---------------------------------------------------------------- */

static mr_status run_forward(plan *p, void *stream, const mr_cudnn_call *c)
{
  mr_status st = MR_OK;
  const cudnnTensorDescriptor_t cell = p->shape.gru ? NULL : p->state;
  CUDNN(cudnn.cudnnSetStream(cudnn.handle, stream), "take a stream");
  CUDNN(cudnn.cudnnRNNForward(cudnn.handle, p->layer, CUDNN_FWD_MODE_TRAINING, c->lengths, p->x,
                              c->x, p->h, c->h, p->state, c->h0, NULL, cell, c->c0, c->c_last,
                              p->need.weights, c->weights, p->need.work, c->work, p->need.reserve,
                              c->reserve),
        "run a recurrent layer forward");
out:
  return st;
}

static mr_status run_backward(plan *p, void *stream, const mr_cudnn_call *c)
{
  mr_status st = MR_OK;
  const cudnnTensorDescriptor_t cell = p->shape.gru ? NULL : p->state;
  CUDNN(cudnn.cudnnSetStream(cudnn.handle, stream), "take a stream");
  CUDNN(cudnn.cudnnRNNBackwardData_v8(cudnn.handle, p->layer, c->lengths, p->h, c->h, c->dh, p->x,
                                      c->dx, p->state, c->h0, NULL, c->dh0, cell, c->c0, c->dc_last,
                                      c->dc0, p->need.weights, c->weights, p->need.work, c->work,
                                      p->need.reserve, c->reserve),
        "run a recurrent layer backward");
  CUDNN(cudnn.cudnnRNNBackwardWeights_v8(cudnn.handle, p->layer, CUDNN_WGRAD_MODE_ADD, c->lengths,
                                         p->x, c->x, p->state, c->h0, p->h, c->h, p->need.weights,
                                         c->dweights, p->need.work, c->work, p->need.reserve,
                                         c->reserve),
        "compute the gradient of its weights");
out:
  return st;
}

/* ---- The trial of an algorithm ------------------------------------------------------------------ */

#ifdef MR_HOST_CUDA
static bool take_memory(void **out, size_t bytes)
{
  return (*out = malloc(bytes)) != NULL;
}

static bool put_ints(void *to, const int32_t *from, size_t n)
{
  return memcpy(to, from, n * sizeof *from) != NULL;
}

static bool finished(void)
{
  return true;
}

static void give_memory(void *p)
{
  free(p);
}
#else
static bool take_memory(void **out, size_t bytes)
{
  return cudaMalloc(out, bytes) == cudaSuccess;
}

static bool put_ints(void *to, const int32_t *from, size_t n)
{
  return cudaMemcpy(to, from, n * sizeof *from, cudaMemcpyHostToDevice) == cudaSuccess;
}

static bool finished(void)
{
  return cudaDeviceSynchronize() == cudaSuccess;
}

/* What a trial left behind must not be laid to the next kernel. */
static void give_memory(void *p)
{
  (void)cudaFree(p); /* after a failure there is nothing to be done about it */
  (void)cudaGetLastError();
}
#endif

static void *carve(char **at, size_t bytes)
{
  void *p = *at;
  *at += (bytes + 255) / 256 * 256;
  return p;
}

/* Lengths of the trial's sequences. */
static const int32_t *trial_lengths(const mr_cudnn_shape *s, void *device)
{
  void *host = NULL;
  if (mr_calloc(&host, (size_t)s->B, sizeof(int32_t)) != MR_OK) return NULL;
  for (int64_t b = 0; b < s->B; b++) ((int32_t *)host)[b] = (int32_t)s->T;
  const bool done = put_ints(device, host, (size_t)s->B);
  mr_free(host);
  return done ? device : NULL;
}

/* Both passes, on whatever the memory holds. */
static mr_status try_plan(plan *p)
{
  mr_status st = MR_OK;
  const mr_cudnn_shape *s = &p->shape;
  const size_t x = (size_t)(s->T * s->B * s->D) * sizeof(mr_real),
               h = (size_t)(s->T * s->B * s->H) * sizeof(mr_real),
               state = (size_t)(s->B * s->H) * sizeof(mr_real), weights = p->need.weights;
  void *memory = NULL;
  if (!take_memory(&memory, 2 * x + 2 * h + 5 * state + 2 * weights + p->need.work +
                                p->need.reserve + (size_t)s->B * sizeof(int32_t) + 16 * 256))
    return MR_FAIL(MR_ERR_NOMEM, "no memory to try cuDNN's algorithms");
  char *at = memory;
  mr_cudnn_call c = {.x = carve(&at, x), .weights = carve(&at, weights)};
  c.h = carve(&at, h), c.work = carve(&at, p->need.work), c.reserve = carve(&at, p->need.reserve);
  c.dh = carve(&at, h), c.dx = carve(&at, x), c.dweights = carve(&at, weights);
  c.h0 = carve(&at, state), c.dh0 = carve(&at, state);
  if (!s->gru) c.c_last = carve(&at, state), c.c0 = c.h0, c.dc0 = carve(&at, state);
  c.lengths = trial_lengths(s, carve(&at, (size_t)s->B * sizeof(int32_t)));
  if (c.lengths == NULL) MR_TRY(MR_FAIL(MR_ERR_CUDA, "no memory could be written for a trial"));
  MR_TRY(run_forward(p, NULL, &c));
  MR_TRY(run_backward(p, NULL, &c));
  if (!finished()) MR_TRY(MR_FAIL(MR_ERR_UNSUPPORTED, "cuDNN fails with this algorithm"));
out:
  give_memory(memory);
  return st;
}

/* Whether it computes a layer of this shape. cuDNN says in many ways that it does not, some of them
 * only when it is to run. */
static mr_status try_algo(const mr_cudnn_shape *s, mr_cudnn_algo algo)
{
  char why[256];
  plan p;
  mr_cudnn_shape two = *s;
  two.T = 2;
  mr_status st = make_plan(&p, &two, algo);
  if (st == MR_OK) {
    st = try_plan(&p);
    free_plan(&p);
  }
  if (st != MR_ERR_CUDA) return st;
  (void)snprintf(why, sizeof why, "%s", mr_error_message());
  return MR_FAIL(MR_ERR_UNSUPPORTED, "%s", why);
}

/* The first algorithm that works, or why the last one does not. Static kernels of GRU, which
 * PyTorch leaves out from compute capability 8.0 on as unreliable, are taken only when forced. */
static mr_status choose_algo(const mr_cudnn_shape *s, mr_cudnn_algo *out)
{
  mr_status st = MR_ERR_UNSUPPORTED;
  for (int a = 0; a < MR_CUDNN_ALGOS && st != MR_OK; a++) {
    if (s->gru && a == MR_CUDNN_STATIC) continue;
    *out = (mr_cudnn_algo)a;
    st = try_algo(s, *out);
  }
  return st;
}

/* ---- The cache, with its lock held -------------------------------------------------------------- */

static bool same(const mr_cudnn_shape *a, const mr_cudnn_shape *b)
{
  return a->gru == b->gru && a->algo == b->algo && a->tensor_cores == b->tensor_cores &&
         a->B == b->B && a->T == b->T && a->D == b->D && a->H == b->H;
}

static mr_status check_sizes(const mr_cudnn_shape *s)
{
  const int64_t most = INT32_MAX;
  if (s->B <= most / s->H && s->D <= most && s->T <= most) return MR_OK;
  return MR_FAIL(MR_ERR_UNSUPPORTED,
                 "cuDNN counts with 32 bits: B %lld, T %lld, D %lld, H %lld is too large",
                 (long long)s->B, (long long)s->T, (long long)s->D, (long long)s->H);
}

static mr_status find_plan(const mr_cudnn_shape *s, plan **out)
{
  plan *oldest = &cudnn.plan[0];
  mr_cudnn_algo algo = s->algo;
  for (int i = 0; i < MOST_PLANS; i++) {
    plan *p = &cudnn.plan[i];
    if (p->used > 0 && same(&p->shape, s)) {
      p->used = ++cudnn.clock;
      *out = p;
      return MR_OK;
    }
    if (p->used < oldest->used) oldest = p;
  }
  MR_CHECK(check_sizes(s));
  MR_CHECK(open_library());
  MR_CHECK(algo == MR_CUDNN_AUTO ? choose_algo(s, &algo) : try_algo(s, algo));
  if (oldest->used > 0) free_plan(oldest);
  MR_CHECK(make_plan(oldest, s, algo));
  oldest->used = ++cudnn.clock;
  *out = oldest;
  return MR_OK;
}

mr_status mr_cudnn_needs(const mr_cudnn_shape *s, mr_cudnn_need *need)
{
  plan *p = NULL;
  MR_CHECK(take_lock());
  const mr_status st = find_plan(s, &p);
  if (st == MR_OK) *need = p->need;
  drop_lock();
  return st;
}

static mr_status run(const mr_cudnn_shape *s, void *stream, const mr_cudnn_call *c,
                     mr_status (*pass)(plan *, void *, const mr_cudnn_call *))
{
  plan *p = NULL;
  MR_CHECK(take_lock());
  mr_status st = find_plan(s, &p);
  if (st == MR_OK) st = pass(p, stream, c);
  drop_lock();
  return st;
}

mr_status mr_cudnn_forward(const mr_cudnn_shape *s, void *stream, const mr_cudnn_call *c)
{
  return run(s, stream, c, run_forward);
}

mr_status mr_cudnn_backward(const mr_cudnn_shape *s, void *stream, const mr_cudnn_call *c)
{
  return run(s, stream, c, run_backward);
}
#else
typedef int mr_cudnn_is_not_built; /* a file without a declaration is no C */
#endif
