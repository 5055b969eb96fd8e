/* shape.h — element type, shapes and borrowed windows. There is no owning tensor.
 * SPDX-License-Identifier: MIT */
#ifndef MR_SHAPE_H
#define MR_SHAPE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "status.h"
MR_C_BEGIN

/* float in the shipped library, double in mr_f64, which exists for gradient and parity tests.
 * Same sources, two libraries, never linked together. */
#ifdef MR_REAL_IS_DOUBLE
typedef double mr_real;
#else
typedef float mr_real;
#endif

/* Functions that CUDA kernels call too. */
#ifdef __CUDACC__
#define MR_HD __host__ __device__
#else
#define MR_HD
#endif

enum { MR_MAX_RANK = 4 };
typedef enum mr_dtype { MR_REAL, MR_I32 } mr_dtype;

/* Row-major and dense; dim[rank-1] is contiguous; rank 0 is a scalar. */
typedef struct mr_shape {
  int32_t rank;
  int64_t dim[MR_MAX_RANK];
} mr_shape;

/* Device memory that someone else owns. Valid as long as its slab. */
typedef struct mr_view {
  void *data;
  mr_shape shape;
  mr_dtype dtype;
} mr_view;

mr_shape mr_shape0(void);
mr_shape mr_shape1(int64_t a);
mr_shape mr_shape2(int64_t a, int64_t b);
mr_shape mr_shape3(int64_t a, int64_t b, int64_t c);

int64_t mr_count(const mr_shape *s);            /* elements, 1 for a scalar               */
size_t mr_bytes(const mr_shape *s, mr_dtype t); /* bytes, without padding                 */
int64_t mr_rows(const mr_shape *s);             /* product of all dimensions but the last */
int64_t mr_cols(const mr_shape *s);             /* last dimension, 1 for a scalar         */
bool mr_shape_eq(const mr_shape *a, const mr_shape *b);
/* "[64,512,256]" into buf, always ended; returns buf. 80 bytes are enough for any shape. */
const char *mr_shape_text(const mr_shape *s, char *buf, size_t n);
MR_C_END
#endif
