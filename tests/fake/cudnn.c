/* cudnn.c — the part of cuDNN's interface that the vendor layers use, computed plainly on the host:
 * what arguments mean, where weights lie, what is added to and what is spoilt can be tested without a
 * GPU. Loaded in place of libcudnn.so.9 by test_cudnn.c. SPDX-License-Identifier: MIT
 *
 * As a stand-in it is strict: an argument that a caller of ours never has to pass is an error, and so are
 * buffers of cuBLAS that let results vary from run to run. */
#include <cudnn.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define OK     CUDNN_STATUS_SUCCESS
#define BAD    CUDNN_STATUS_BAD_PARAM
#define EXPORT __attribute__((visibility("default")))

struct cudnnContext {
  cudaStream_t stream;
};
struct cudnnDropoutStruct {
  float p;
};
struct cudnnTensorStruct {
  int dim[3];
};
struct cudnnRNNDataStruct {
  cudnnDataType_t type;
  int T, B, width;
};
struct cudnnRNNStruct {
  cudnnRNNAlgo_t algo;
  bool gru, built;
  cudnnDataType_t type;
  int D, H;
};

/* cuDNN's signatures give some memory as const that is written through another pointer. */
static void *writable(const void *p)
{
  const union {
    const void *in;
    void *out;
  } same = {p};
  return same.out;
}

static int gates(const struct cudnnRNNStruct *r)
{
  return r->gru ? 3 : 4;
}

static size_t real(const struct cudnnRNNStruct *r)
{
  return r->type == CUDNN_DATA_DOUBLE ? 8 : 4;
}

static double get(const struct cudnnRNNStruct *r, const void *p, int64_t i)
{
  return r->type == CUDNN_DATA_DOUBLE ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static void put(const struct cudnnRNNStruct *r, void *p, int64_t i, double x)
{
  if (r->type == CUDNN_DATA_DOUBLE)
    ((double *)p)[i] = x;
  else
    ((float *)p)[i] = (float)x;
}

/* ---- Objects -------------------------------------------------------------------------------------- */

#define MAKE(name, type)                                                                           \
  EXPORT cudnnStatus_t cudnnCreate##name(struct type **out)                                        \
  {                                                                                                \
    *out = calloc(1, sizeof **out);                                                                \
    return *out != NULL ? OK : CUDNN_STATUS_ALLOC_FAILED;                                          \
  }                                                                                                \
  EXPORT cudnnStatus_t cudnnDestroy##name(struct type *p)                                          \
  {                                                                                                \
    free(p);                                                                                       \
    return OK;                                                                                     \
  }
MAKE(DropoutDescriptor, cudnnDropoutStruct)
MAKE(TensorDescriptor, cudnnTensorStruct)
MAKE(RNNDataDescriptor, cudnnRNNDataStruct)
MAKE(RNNDescriptor, cudnnRNNStruct)

/* Each forward pass gives results larger by this share than the one before. */
EXPORT void fake_cudnn_vary(double share);
static double vary, varied;

EXPORT void fake_cudnn_vary(double share)
{
  vary = share, varied = 0;
}

EXPORT cudnnStatus_t cudnnCreate(cudnnHandle_t *out)
{
  static struct cudnnContext only;
  const char *buffers = getenv("CUBLAS_WORKSPACE_CONFIG");
  *out = &only;
  return buffers != NULL && strcmp(buffers, ":4096:2") == 0 ? OK : CUDNN_STATUS_INTERNAL_ERROR;
}

EXPORT cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t stream)
{
  h->stream = stream;
  return OK;
}

EXPORT size_t cudnnGetVersion(void)
{
  return 90100;
}

EXPORT const char *cudnnGetErrorString(cudnnStatus_t s)
{
  return s == BAD ? "bad parameter" : "not supported";
}

EXPORT cudnnStatus_t cudnnSetDropoutDescriptor(cudnnDropoutDescriptor_t d, cudnnHandle_t h, float p,
                                               void *states, size_t bytes, unsigned long long seed)
{
  (void)h, (void)seed;
  d->p = p;
  return p == 0 && states == NULL && bytes == 0 ? OK : BAD;
}

EXPORT cudnnStatus_t cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t d, cudnnDataType_t type,
                                                int n, const int *dim, const int *stride)
{
  (void)type;
  if (n != 3 || stride[2] != 1 || stride[1] != dim[2] || stride[0] != dim[1] * dim[2]) return BAD;
  memcpy(d->dim, dim, sizeof d->dim);
  return OK;
}

EXPORT cudnnStatus_t cudnnSetRNNDataDescriptor(cudnnRNNDataDescriptor_t d, cudnnDataType_t type,
                                               cudnnRNNDataLayout_t layout, int T, int B, int width,
                                               const int *length, void *padding)
{
  if (layout != CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_PACKED || padding != NULL) return BAD;
  for (int b = 0; b < B; b++)
    if (length[b] != T) return BAD;
  *d = (struct cudnnRNNDataStruct){type, T, B, width};
  return OK;
}

/* The small kernels take up to 16 hidden units, the persistent ones 24. */
EXPORT cudnnStatus_t cudnnSetRNNDescriptor_v8(
    cudnnRNNDescriptor_t r, cudnnRNNAlgo_t algo, cudnnRNNMode_t cell, cudnnRNNBiasMode_t bias,
    cudnnDirectionMode_t direction, cudnnRNNInputMode_t input, cudnnDataType_t type,
    cudnnDataType_t precision, cudnnMathType_t math, int32_t D, int32_t H, int32_t projection,
    int32_t layers, cudnnDropoutDescriptor_t dropout, uint32_t flags)
{
  const bool gru = cell == CUDNN_GRU;
  if (bias != (gru ? CUDNN_RNN_DOUBLE_BIAS : CUDNN_RNN_SINGLE_INP_BIAS) ||
      (!gru && cell != CUDNN_LSTM) || direction != CUDNN_UNIDIRECTIONAL || layers != 1 ||
      input != CUDNN_LINEAR_INPUT || precision != type || projection != H || dropout == NULL ||
      flags != 0 || (math != CUDNN_FMA_MATH && math != CUDNN_DEFAULT_MATH))
    return BAD;
  if (algo == CUDNN_RNN_ALGO_PERSIST_STATIC_SMALL_H && H > 16) return CUDNN_STATUS_NOT_SUPPORTED;
  *r = (struct cudnnRNNStruct){algo, gru, false, type, D, H};
  return OK;
}

EXPORT cudnnStatus_t cudnnBuildRNNDynamic(cudnnHandle_t h, cudnnRNNDescriptor_t r, int B)
{
  (void)h, (void)B;
  r->built = r->algo == CUDNN_RNN_ALGO_PERSIST_DYNAMIC;
  return r->built ? OK : BAD;
}

/* ---- Weights: input matrices, a gap, recurrent matrices, a gap, biases from the last to the first - */

enum { GAP = 8 };

static int64_t matrices(const struct cudnnRNNStruct *r)
{
  return (int64_t)gates(r) * r->H * (r->D + r->H) + 2 * GAP;
}

static int64_t matrix_at(const struct cudnnRNNStruct *r, int g)
{
  const int64_t D = r->D, H = r->H, G = gates(r);
  return g < G ? g * H * D : G * H * D + GAP + (g - G) * H * H;
}

static int64_t bias_at(const struct cudnnRNNStruct *r, int g)
{
  return matrices(r) + (int64_t)(2 * gates(r) - 1 - g) * r->H;
}

EXPORT cudnnStatus_t cudnnGetRNNWeightSpaceSize(cudnnHandle_t h, cudnnRNNDescriptor_t r,
                                                size_t *bytes)
{
  (void)h;
  *bytes = (size_t)(matrices(r) + 2 * gates(r) * (int64_t)r->H) * real(r);
  return OK;
}

EXPORT cudnnStatus_t cudnnGetRNNWeightParams(cudnnHandle_t h, cudnnRNNDescriptor_t r, int32_t layer,
                                             size_t bytes, const void *space, int32_t g,
                                             cudnnTensorDescriptor_t matrix, void **m,
                                             cudnnTensorDescriptor_t bias, void **b)
{
  const int n = gates(r);
  if (layer != 0 || bytes == 0 || g < 0 || g >= 2 * n || matrix == NULL || bias == NULL) return BAD;
  (void)h;
  char *const base = writable(space);
  *m = base + (size_t)matrix_at(r, g) * real(r);
  *b = !r->gru && g >= n ? NULL : base + (size_t)bias_at(r, g) * real(r);
  return OK;
}

/* Reserve: per (t, b) the gates, then U_n h + b (GRU) or c (LSTM), then the gradients of what goes into
 * each gate, of GRU's n once more behind the reset. */
static int64_t reals_per_step(const struct cudnnRNNStruct *r)
{
  return 10 * (int64_t)r->H;
}

EXPORT cudnnStatus_t cudnnGetRNNTempSpaceSizes(cudnnHandle_t h, cudnnRNNDescriptor_t r,
                                               cudnnForwardMode_t mode, cudnnRNNDataDescriptor_t x,
                                               size_t *work, size_t *reserve)
{
  (void)h;
  if (mode != CUDNN_FWD_MODE_TRAINING || x->width != r->D) return BAD;
  *work = 64;
  *reserve = (size_t)(reals_per_step(r) * x->T * x->B) * real(r);
  return OK;
}

/* ---- Layers ----------------------------------------------------------------------------------------- */

typedef struct layer {
  const struct cudnnRNNStruct *r;
  int T, B;
  const void *x, *hx, *cx, *w;
  void *y, *reserve;
} layer;

static double sigmoid(double x)
{
  return 1 / (1 + exp(-x));
}

static int64_t slot(const layer *l, int t, int b, int k)
{
  return ((int64_t)t * l->B + b) * reals_per_step(l->r) + (int64_t)k * l->r->H;
}

static double reserved(const layer *l, int t, int b, int k, int j)
{
  return get(l->r, l->reserve, slot(l, t, b, k) + j);
}

static void reserve(const layer *l, int t, int b, int k, int j, double x)
{
  put(l->r, l->reserve, slot(l, t, b, k) + j, x);
}

/* Unit j of the hidden (or, for c, cell) state before step t. */
static double before(const layer *l, int t, int b, int j, bool cell)
{
  const int64_t H = l->r->H;
  const void *first = cell ? l->cx : l->hx;
  if (t == 0) return first != NULL ? get(l->r, first, b * H + j) : 0;
  return cell ? reserved(l, t - 1, b, 4, j)
              : get(l->r, l->y, ((int64_t)(t - 1) * l->B + b) * H + j);
}

static double bias(const layer *l, int g, int j)
{
  return !l->r->gru && g >= 4 ? 0 : get(l->r, l->w, bias_at(l->r, g) + j);
}

static double input_part(const layer *l, int t, int b, int g, int j)
{
  const int64_t D = l->r->D;
  double sum = bias(l, g, j);
  for (int64_t d = 0; d < D; d++)
    sum += get(l->r, l->w, matrix_at(l->r, g) + j * D + d) *
           get(l->r, l->x, ((int64_t)t * l->B + b) * D + d);
  return sum;
}

static double state_part(const layer *l, int t, int b, int g, int j)
{
  const int64_t H = l->r->H;
  double sum = bias(l, gates(l->r) + g, j);
  for (int k = 0; k < H; k++)
    sum +=
        get(l->r, l->w, matrix_at(l->r, gates(l->r) + g) + j * H + k) * before(l, t, b, k, false);
  return sum;
}

static double step(const layer *l, int t, int b, int j)
{
  double a[4], u[4];
  for (int g = 0; g < gates(l->r); g++) {
    a[g] = input_part(l, t, b, g, j);
    u[g] = state_part(l, t, b, g, j);
  }
  if (l->r->gru) {
    const double r = sigmoid(a[0] + u[0]), z = sigmoid(a[1] + u[1]), n = tanh(a[2] + r * u[2]);
    const double kept[] = {r, z, n, 0, u[2]};
    for (int k = 0; k < 5; k++) reserve(l, t, b, k, j, kept[k]);
    return (1 - z) * n + z * before(l, t, b, j, false);
  }
  const double i = sigmoid(a[0] + u[0]), f = sigmoid(a[1] + u[1]), g = tanh(a[2] + u[2]),
               o = sigmoid(a[3] + u[3]), c = f * before(l, t, b, j, true) + i * g;
  const double kept[] = {i, f, g, o, c};
  for (int k = 0; k < 5; k++) reserve(l, t, b, k, j, kept[k]);
  return o * tanh(c);
}

static bool lengths_fit(const int32_t *length, const struct cudnnRNNDataStruct *x)
{
  for (int b = 0; b < x->B; b++)
    if (length[b] != x->T) return false;
  return true;
}

static bool runs(const struct cudnnRNNStruct *r)
{
  if (r->algo == CUDNN_RNN_ALGO_PERSIST_DYNAMIC) return r->built && r->H <= 24;
  return r->algo != CUDNN_RNN_ALGO_PERSIST_STATIC || r->H <= 24;
}

EXPORT cudnnStatus_t cudnnRNNForward(cudnnHandle_t h, cudnnRNNDescriptor_t r,
                                     cudnnForwardMode_t mode, const int32_t *length,
                                     cudnnRNNDataDescriptor_t xd, const void *x,
                                     cudnnRNNDataDescriptor_t yd, void *y,
                                     cudnnTensorDescriptor_t hd, const void *hx, void *hy,
                                     cudnnTensorDescriptor_t cd, const void *cx, void *cy,
                                     size_t w_bytes, const void *w, size_t work_bytes, void *work,
                                     size_t reserve_bytes, void *kept)
{
  (void)h, (void)work_bytes, (void)w_bytes, (void)reserve_bytes;
  if (!runs(r)) return CUDNN_STATUS_NOT_SUPPORTED;
  if (mode != CUDNN_FWD_MODE_TRAINING || hy != NULL || hd->dim[1] != xd->B || yd->width != r->H ||
      (cd == NULL) != r->gru || work == NULL || !lengths_fit(length, xd))
    return BAD;
  const layer l = {r, xd->T, xd->B, x, hx, cx, w, y, kept};
  for (int t = 0; t < l.T; t++)
    for (int b = 0; b < l.B; b++)
      for (int j = 0; j < r->H; j++)
        put(r, y, ((int64_t)t * l.B + b) * r->H + j, (1 + varied) * step(&l, t, b, j));
  varied += vary;
  for (int i = 0; cy != NULL && i < l.B * r->H; i++)
    put(r, cy, i, reserved(&l, l.T - 1, i / r->H, 4, i % r->H));
  return OK;
}

/* Gradients of what goes into the gates of unit j (5 .. 8 in reserve, 9: GRU's U_n h + b), from dh and
 * dc; *dc becomes the gradient of the cell before. Returns what goes straight to h before. */
static double gate_gradients(const layer *l, int t, int b, int j, double dh, double *dc)
{
  double q[5], d[5] = {0};
  for (int k = 0; k < 5; k++) q[k] = reserved(l, t, b, k, j);
  double straight = 0;
  if (l->r->gru) {
    d[2] = dh * (1 - q[1]) * (1 - q[2] * q[2]);
    d[1] = dh * (before(l, t, b, j, false) - q[2]) * q[1] * (1 - q[1]);
    d[0] = d[2] * q[4] * q[0] * (1 - q[0]);
    d[4] = d[2] * q[0];
    straight = dh * q[1];
  } else {
    const double th = tanh(q[4]);
    *dc += dh * q[3] * (1 - th * th);
    d[0] = *dc * q[2] * q[0] * (1 - q[0]);
    d[1] = *dc * before(l, t, b, j, true) * q[1] * (1 - q[1]);
    d[2] = *dc * q[0] * (1 - q[2] * q[2]);
    d[3] = dh * th * q[3] * (1 - q[3]);
    *dc *= q[1];
  }
  for (int k = 0; k < 5; k++) reserve(l, t, b, 5 + k, j, d[k]);
  return straight;
}

/* Gradient of what the recurrent part of gate g adds. */
static double state_gradient(const layer *l, int t, int b, int g, int j)
{
  return reserved(l, t, b, l->r->gru && g == 2 ? 9 : 5 + g, j);
}

static void back_row(const layer *l, int b, const void *dy, void *dx, double *dh, double *dc)
{
  const struct cudnnRNNStruct *r = l->r;
  for (int t = l->T - 1; t >= 0; t--) {
    const int64_t row = (int64_t)t * l->B + b;
    for (int j = 0; j < r->H; j++)
      dh[j] = gate_gradients(l, t, b, j, dh[j] + get(r, dy, row * r->H + j), &dc[j]);
    for (int g = 0; g < gates(r); g++)
      for (int j = 0; j < r->H; j++)
        for (int k = 0; k < r->H; k++)
          dh[k] += state_gradient(l, t, b, g, j) *
                   get(r, l->w, matrix_at(r, gates(r) + g) + (int64_t)j * r->H + k);
    for (int d = 0; d < r->D; d++) {
      double sum = 0;
      for (int g = 0; g < gates(r); g++)
        for (int j = 0; j < r->H; j++)
          sum +=
              reserved(l, t, b, 5 + g, j) * get(r, l->w, matrix_at(r, g) + (int64_t)j * r->D + d);
      put(r, dx, row * r->D + d, sum);
    }
  }
}

EXPORT cudnnStatus_t cudnnRNNBackwardData_v8(
    cudnnHandle_t h, cudnnRNNDescriptor_t r, const int32_t *length, cudnnRNNDataDescriptor_t yd,
    const void *y, const void *dy, cudnnRNNDataDescriptor_t xd, void *dx,
    cudnnTensorDescriptor_t hd, const void *hx, const void *dhy, void *dhx,
    cudnnTensorDescriptor_t cd, const void *cx, const void *dcy, void *dcx, size_t w_bytes,
    const void *w, size_t work_bytes, void *work, size_t reserve_bytes, void *kept)
{
  (void)h, (void)work_bytes, (void)w_bytes, (void)reserve_bytes;
  if (!runs(r)) return CUDNN_STATUS_NOT_SUPPORTED;
  if (dhy != NULL || work == NULL || hd->dim[2] != r->H || yd->T != xd->T ||
      !lengths_fit(length, xd) || (cd == NULL) != r->gru)
    return BAD;
  const layer l = {r, xd->T, xd->B, NULL, hx, cx, w, writable(y), kept};
  double *d = malloc(2 * (size_t)r->H * sizeof *d);
  if (d == NULL) return CUDNN_STATUS_ALLOC_FAILED;
  for (int b = 0; b < l.B; b++) {
    const int64_t first = (int64_t)b * r->H;
    for (int j = 0; j < r->H; j++) d[j] = 0, d[r->H + j] = dcy != NULL ? get(r, dcy, first + j) : 0;
    back_row(&l, b, dy, dx, d, d + r->H);
    for (int j = 0; j < r->H; j++) {
      if (dhx != NULL) put(r, dhx, first + j, d[j]);
      if (dcx != NULL) put(r, dcx, first + j, d[r->H + j]);
    }
  }
  free(d);
  return OK;
}

static void add(const struct cudnnRNNStruct *r, void *p, int64_t i, double x)
{
  put(r, p, i, get(r, p, i) + x);
}

EXPORT cudnnStatus_t cudnnRNNBackwardWeights_v8(cudnnHandle_t h, cudnnRNNDescriptor_t r,
                                                cudnnWgradMode_t mode, const int32_t *length,
                                                cudnnRNNDataDescriptor_t xd, const void *x,
                                                cudnnTensorDescriptor_t hd, const void *hx,
                                                cudnnRNNDataDescriptor_t yd, const void *y,
                                                size_t w_bytes, void *dw, size_t work_bytes,
                                                void *work, size_t reserve_bytes, void *kept)
{
  (void)h, (void)hd, (void)yd, (void)w_bytes, (void)work_bytes, (void)reserve_bytes;
  if (mode != CUDNN_WGRAD_MODE_ADD || work == NULL || !lengths_fit(length, xd)) return BAD;
  const layer l = {r, xd->T, xd->B, x, hx, NULL, NULL, writable(y), kept};
  const int G = gates(r);
  for (int t = 0; t < l.T; t++)
    for (int b = 0; b < l.B; b++)
      for (int g = 0; g < G; g++)
        for (int j = 0; j < r->H; j++) {
          const double a = reserved(&l, t, b, 5 + g, j), u = state_gradient(&l, t, b, g, j);
          for (int d = 0; d < r->D; d++)
            add(r, dw, matrix_at(r, g) + (int64_t)j * r->D + d,
                a * get(r, x, ((int64_t)t * l.B + b) * r->D + d));
          for (int k = 0; k < r->H; k++)
            add(r, dw, matrix_at(r, G + g) + (int64_t)j * r->H + k, u * before(&l, t, b, k, false));
          add(r, dw, bias_at(r, g) + j, a);
          if (r->gru) add(r, dw, bias_at(r, G + g) + j, u);
        }
  return OK;
}
