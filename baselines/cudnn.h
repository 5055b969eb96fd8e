/* cudnn.h — recurrent layers of cuDNN 9 as plans: the descriptors of one shape and algorithm with the
 * memory they ask for, made when the shape is first seen and kept in a small cache of the process.
 * The library is opened at run time: libcudnn.so.9, or the file named by MINRNN_CUDNN.
 * Unless CUBLAS_WORKSPACE_CONFIG is set in the environment, it is set to :4096:2 before.
 * SPDX-License-Identifier: MIT */
#ifndef MR_CUDNN_H
#define MR_CUDNN_H
#include "shape.h"
MR_C_BEGIN

typedef enum mr_cudnn_algo {                    /* in the order in which `auto` prefers them */
                             MR_CUDNN_SMALL_H,  /* persist_static_small_h */
                             MR_CUDNN_STATIC,   /* persist_static         */
                             MR_CUDNN_DYNAMIC,  /* persist_dynamic        */
                             MR_CUDNN_STANDARD, /* standard               */
                             MR_CUDNN_ALGOS,
                             MR_CUDNN_AUTO = MR_CUDNN_ALGOS
} mr_cudnn_algo;

/* One layer, x [T,B,D] -> h [T,B,H]: time first, as every algorithm takes it. */
typedef struct mr_cudnn_shape {
  bool gru; /* else LSTM */
  mr_cudnn_algo algo;
  bool tensor_cores; /* TF32 products allowed */
  int64_t B, T, D, H;
} mr_cudnn_shape;

/* The parameters, and which part of cuDNN's weight space each gate of them is. */
typedef enum mr_cudnn_param { MR_CUDNN_W, MR_CUDNN_WB, MR_CUDNN_U, MR_CUDNN_UB } mr_cudnn_param;
typedef struct mr_cudnn_piece {
  int32_t param;       /* mr_cudnn_param                                        */
  int64_t from, to, n; /* first real in the parameter and in the space, and how many */
} mr_cudnn_piece;
enum { MR_CUDNN_PIECES = 16 };

typedef struct mr_cudnn_need {
  size_t weights, reserve, work; /* bytes; reserve goes from forward to backward */
  mr_cudnn_piece piece[MR_CUDNN_PIECES];
  int n_pieces;
  mr_cudnn_algo algo;  /* the one taken, never AUTO */
  const char *variant; /* it and the library, for the log; static */
} mr_cudnn_need;

/* Device memory of a call; names as in the paper's notation. NULL: h0, c0 and their gradients where
 * no state is given. */
typedef struct mr_cudnn_call {
  const void *x, *h0, *c0, *weights;
  void *h, *c_last, *work, *reserve;
  const int32_t *lengths;   /* [B], all T */
  const void *dh, *dc_last; /* from here on backward */
  void *dx, *dh0, *dc0, *dweights;
} mr_cudnn_call;

/* "standard" and so on, as options and logs have them. */
extern const char *const mr_cudnn_algo_name[MR_CUDNN_ALGOS];
/* Makes the plan of the shape, unless it is in the cache. AUTO takes the first algorithm that
 * computes such a layer, found by a trial at T = 2, and never MR_CUDNN_STATIC for a GRU.
 * MR_ERR_UNSUPPORTED where there is no cuDNN, or it has no such layer. */
MR_MUST mr_status mr_cudnn_needs(const mr_cudnn_shape *s, mr_cudnn_need *need);
/* Queue a pass on a CUDA stream. Backward writes dx, dh0, dc0 and dweights, which must be zeros
 * before, and spoils reserve. */
MR_MUST mr_status mr_cudnn_forward(const mr_cudnn_shape *s, void *stream, const mr_cudnn_call *c);
MR_MUST mr_status mr_cudnn_backward(const mr_cudnn_shape *s, void *stream, const mr_cudnn_call *c);
MR_C_END
#endif
