/* panel.c — products with a packed right side. SPDX-License-Identifier: MIT
 *
 * A panel holds one vector's worth of columns of op(B), one row after the other; the last panel is
 * filled up with zeros. A tile of C, some rows by some panels, stays in registers along all of k. */
#include <string.h>
#include "panel.h"

/* Bytes of the widest vectors this build has registers for; rows of a tile of two panels, and of one
 * of four, whose sums fit the registers beside the panels' vectors and an element of A. */
#if defined __AVX512F__
enum { VECTOR = 64, ROWS = 12, FEW = 4 };
#elif defined __AVX2__ && defined __FMA__
enum { VECTOR = 32, ROWS = 6, FEW = 2 };
#else
enum { VECTOR = 16, ROWS = 6, FEW = 2 };
#endif
enum { LANES = VECTOR / sizeof(mr_real) };

typedef mr_real vector __attribute__((vector_size(VECTOR), aligned(sizeof(mr_real)), may_alias));

/* One tile: c[rows,:] = beta c + a[rows,k] times some panels. */
typedef struct tile {
  int64_t k, lda, ldc;
  const mr_real *a, *panel;
  mr_real *c;
  bool add;
} tile;

/* `rows` and `wide` must be constants where this is inlined, so that `sum` becomes registers. */
static inline __attribute__((always_inline)) void multiply(const tile *t, int rows, int wide)
{
  const int64_t k = t->k, lda = t->lda, ldc = t->ldc;
  const mr_real *a = t->a, *b = t->panel;
  mr_real *c = t->c;
  const bool add = t->add;
  vector sum[ROWS][4];
  for (int i = 0; i < rows; i++)
    for (int q = 0; q < wide; q++) sum[i][q] = (vector){0};
  for (int64_t l = 0; l < k; l++, a++, b += LANES) {
    vector row[4];
    for (int q = 0; q < wide; q++) row[q] = *(const vector *)(b + q * k * LANES);
    for (int i = 0; i < rows; i++)
      for (int q = 0; q < wide; q++) sum[i][q] += a[i * lda] * row[q];
  }
  for (int i = 0; i < rows; i++, c += ldc)
    for (int q = 0; q < wide; q++) {
      vector *to = (vector *)(c + (ptrdiff_t)q * LANES);
      if (add) sum[i][q] += *to;
      *to = sum[i][q];
    }
}

#define TILE(rows, wide)                                                                           \
  static void tile_##rows##_##wide(const tile *t)                                                  \
  {                                                                                                \
    multiply(t, rows, wide);                                                                       \
  }
#define TILES(rows) TILE(rows, 1) TILE(rows, 2)
TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
TILE(1, 4)
TILE(2, 4)
#ifdef __AVX512F__
TILES(7)
TILES(8)
TILES(9)
TILES(10)
TILES(11)
TILES(12)
TILE(3, 4)
TILE(4, 4)
#endif

typedef void (*tile_fn)(const tile *t);
#define BOTH(rows)                                                                                 \
  {                                                                                                \
    tile_##rows##_1, tile_##rows##_2                                                               \
  }
static const tile_fn narrow[ROWS][2] = {
    BOTH(1), BOTH(2), BOTH(3), BOTH(4),  BOTH(5),  BOTH(6),
#ifdef __AVX512F__
    BOTH(7), BOTH(8), BOTH(9), BOTH(10), BOTH(11), BOTH(12),
#endif
};
static const tile_fn broad[FEW] = {
    tile_1_4,
    tile_2_4,
#ifdef __AVX512F__
    tile_3_4,
    tile_4_4,
#endif
};

/* A tile that reaches beyond the last of n < LANES columns, by way of a whole one. */
static void cut(const tile *t, int64_t rows, int64_t n)
{
  mr_real whole[ROWS * LANES] = {0};
  tile w = *t;
  w.c = whole, w.ldc = LANES, w.add = false;
  narrow[rows - 1][0](&w);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < n; j++) {
      mr_real *to = t->c + i * t->ldc + j;
      *to = t->add ? *to + whole[i * LANES + j] : whole[i * LANES + j];
    }
}

bool mr_panel_pays(int64_t rows, bool trans, int64_t k, int64_t n)
{
  /* Measured with BLAS on vectors twice as wide. */
  enum { FEW_ROWS = 48, LARGE = 1 << 17 };
  if (VECTOR == 32) return rows <= FEW_ROWS && (trans || k * n >= LARGE);
  return VECTOR > 32;
}

int64_t mr_panel_reals(int64_t k, int64_t n)
{
  return (n + LANES - 1) / LANES * LANES * k;
}

void mr_panel_pack(mr_backend *be, const mr_real *b, int64_t ldb, bool trans, int64_t k, int64_t n,
                   mr_real *panels)
{
  (void)be; /* without OpenMP nobody asks it */
  MR_PARALLEL_FOR(be, MR_WORTH(k * n))
  for (int64_t j = 0; j < n; j += LANES) {
    mr_real *p = panels + j * k;
    const int64_t width = n - j < LANES ? n - j : LANES;
    for (int64_t l = 0; l < k; l++, p += LANES) {
      for (int64_t i = 0; i < width; i++) p[i] = trans ? b[(j + i) * ldb + l] : b[l * ldb + j + i];
      for (int64_t i = width; i < LANES; i++) p[i] = 0;
    }
  }
}

void mr_panel_gemm(const mr_gemm *g)
{
  /* As even as they can be: a tile of one row waits for its sums, unless it is broad. */
  const int64_t tiles = (g->m + ROWS - 1) / ROWS;
  int64_t wide;
  for (int64_t j = 0; j < g->n; j += wide * LANES) {
    const int64_t whole = (g->n - j) / LANES;
    wide = whole >= 4 && g->m <= FEW ? 4 : whole >= 2 ? 2 : 1;
    for (int64_t i = 0; i < tiles; i++) {
      const int64_t from = g->m * i / tiles, rows = g->m * (i + 1) / tiles - from;
      const tile t = {.k = g->k,
                      .lda = g->lda,
                      .ldc = g->ldc,
                      .a = g->a + from * g->lda,
                      .panel = g->b + j * g->k,
                      .c = g->c + from * g->ldc + j,
                      .add = g->beta != 0};
      if (whole == 0)
        cut(&t, rows, g->n - j);
      else if (wide == 4)
        broad[rows - 1](&t);
      else
        narrow[rows - 1][wide - 1](&t);
    }
  }
}
