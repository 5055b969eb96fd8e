/* test_panel.c — products with a packed right side against plain sums. SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include <math.h>
#include <string.h>
#include "backend.h"
#include "panel.h"
#include "testing.h"

enum { MOST = 40, AWAY = 5 }; /* largest size; what rows lie apart beyond their length */

static mr_real a[MOST * (MOST + AWAY)], b[MOST * 3 * (MOST + AWAY)], c[MOST * (3 * MOST + AWAY)];
static mr_real start[MOST * (3 * MOST + AWAY)], panels[MOST * 4 * MOST];

static void fill(mr_real *x, size_t n, uint32_t word)
{
  for (size_t i = 0; i < n; i++) {
    word = word * 1664525u + 1013904223u;
    x[i] = (mr_real)((int)(word >> 22) - 512) / 512;
  }
}

static int open_backend(void **state)
{
  fill(a, sizeof a / sizeof *a, 1);
  fill(b, sizeof b / sizeof *b, 2);
  fill(start, sizeof start / sizeof *start, 3);
  return mr_backend_open((mr_backend **)state, MR_CPU, 1) == MR_OK ? 0 : -1;
}

static int close_backend(void **state)
{
  mr_backend_close(*state);
  return 0;
}

static void product(mr_backend *be, int m, int n, int k, bool trans, mr_real beta)
{
  const int lda = k + AWAY, ldb = (trans ? k : n) + AWAY, ldc = n + AWAY;
  assert_true(mr_panel_reals(k, n) <= (int64_t)(sizeof panels / sizeof *panels));
  mr_panel_pack(be, b, ldb, trans, k, n, panels);
  memcpy(c, start, sizeof c);
  const mr_gemm g = {m, n, k, false, false, 1, beta, a, lda, panels, 0, c, ldc, true};
  mr_cpu_gemm(be, &g);
  for (int i = 0; i < m; i++)
    for (int j = 0; j < ldc; j++) {
      const mr_real had = start[i * ldc + j];
      double want = j < n && beta == 0 ? 0 : had;
      for (int l = 0; l < k && j < n; l++)
        want += (double)a[i * lda + l] * b[trans ? j * ldb + l : l * ldb + j];
      if (fabs(c[i * ldc + j] - want) > 1e-4)
        fail_msg("m %d n %d k %d trans %d beta %g: element %d,%d is %g, not %g", m, n, k, trans,
                 (double)beta, i, j, (double)c[i * ldc + j], want);
    }
}

static void every_size_gives_the_plain_sums_and_touches_nothing_else(void **state)
{
  static const int n[] = {1, 7, 8, 16, 17, 31, 37, 64, 96, 111}, k[] = {1, 2, 7, 37};
  for (int m = 1; m <= 29; m++)
    for (size_t i = 0; i < sizeof n / sizeof *n; i++)
      for (size_t j = 0; j < sizeof k / sizeof *k; j++)
        for (int way = 0; way < 4; way++) product(*state, m, n[i], k[j], way & 1, way >= 2 ? 1 : 0);
}

static void a_row_has_the_same_bits_whatever_rows_stand_beside_it(void **state)
{
  static mr_real alone[3 * MOST];
  const int n = 111, k = 37;
  for (int beta = 0; beta < 2; beta++) {
    product(*state, 1, n, k, false, (mr_real)beta);
    memcpy(alone, c, (size_t)n * sizeof *alone);
    for (int m = 2; m <= 29; m++) {
      product(*state, m, n, k, false, (mr_real)beta);
      assert_memory_equal(alone, c, (size_t)n * sizeof *alone);
    }
  }
}

static void a_replay_repeats_packed_products(void **state)
{
  int64_t calls;
  double flops;
  assert_ok(mr_trace_begin(*state));
  product(*state, 6, 37, 7, true, 0);
  assert_ok(mr_trace_end(*state, &calls, &flops));
  assert_int_equal(calls, 1);
  assert_true(flops == 2.0 * 6 * 37 * 7);
  const mr_real want = c[0];
  c[0] = 1000;
  assert_ok(mr_trace_replay(*state));
  assert_true(c[0] == want);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_size_gives_the_plain_sums_and_touches_nothing_else),
      cmocka_unit_test(a_row_has_the_same_bits_whatever_rows_stand_beside_it),
      cmocka_unit_test(a_replay_repeats_packed_products),
  };
  return cmocka_run_group_tests(tests, open_backend, close_backend);
}
