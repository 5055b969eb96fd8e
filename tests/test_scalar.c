/* test_scalar.c — scalar functions against the C library in long double. SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <float.h>
#include "scalar.h"

#ifdef MR_REAL_IS_DOUBLE
enum { DIGITS = DBL_MANT_DIG, LOWEST = DBL_MIN_EXP };
#define LARGEST  DBL_MAX
#define SMALLEST DBL_MIN
#else
enum { DIGITS = FLT_MANT_DIG, LOWEST = FLT_MIN_EXP };
#define LARGEST  FLT_MAX
#define SMALLEST FLT_MIN
#endif

typedef mr_real (*function)(mr_real);
typedef long double (*reference)(long double);

/* ---- References ------------------------------------------------------------------------------ */

static long double ref_sigmoid(long double x)
{
  return 1 / (1 + expl(-x));
}

static long double ref_softplus(long double x)
{
  return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x)));
}

static long double ref_g(long double x)
{
  return x >= 0 ? x + 0.5L : ref_sigmoid(x);
}

static long double ref_dg(long double x)
{
  return x >= 0 ? 1 : ref_sigmoid(x) * ref_sigmoid(-x);
}

static long double ref_log_g(long double x)
{
  return x >= 0 ? log1pl(x - 0.5L) : -ref_softplus(-x);
}

static long double ref_dlog_g(long double x)
{
  return x >= 0 ? 1 / (x + 0.5L) : ref_sigmoid(-x);
}

static long double ref_silu(long double x)
{
  return x * ref_sigmoid(x);
}

static long double ref_dsilu(long double x)
{
  return ref_sigmoid(x) * (1 + x * ref_sigmoid(-x));
}

static long double ref_normal(long double x)
{
  return 0.5L * erfcl(-x * 0.70710678118654752440084436210484904L);
}

static long double ref_density(long double x)
{
  return 0.39894228040143267793994605993438187L * expl(-0.5L * x * x);
}

static long double ref_gelu(long double x)
{
  return x * ref_normal(x);
}

static long double ref_dgelu(long double x)
{
  return ref_normal(x) + x * ref_density(x);
}

static mr_real normal1(mr_real x)
{
  mr_real density;
  return mr_normal1(x, &density);
}

static mr_real density1(mr_real x)
{
  mr_real density;
  (void)mr_normal1(x, &density);
  return density;
}

/* ---- Comparison ------------------------------------------------------------------------------ */

/* Distance in units of the last place of `want`, at least those of the smallest normal number. */
static double ulps(mr_real got, long double want)
{
  int e = want == 0 ? LOWEST - 1 : ilogbl(want);
  if (isnan(got)) return HUGE_VAL;
  return (double)(fabsl((long double)got - want) /
                  ldexpl(1, (e < LOWEST - 1 ? LOWEST - 1 : e) - DIGITS + 1));
}

/* Every 2039th float of either sign and all sizes in from .. to, so all exponents. Errors of `bound`
 * ulps plus `square` x^2 ulps are allowed, or `absolute` epsilons. Results under the normal range may
 * be anything that small; results over it must be inf or the largest number. */
static void sweep(function f, reference ref, float from, float to, double bound, double square,
                  double absolute)
{
  double worst = 0, epsilon = ldexp(1, 1 - DIGITS);
  float worst_x = 0;
  int64_t n = 0;
  for (uint64_t u = 17; u < 1ull << 32; u += 2039) {
    uint32_t bits = (uint32_t)u;
    float x;
    memcpy(&x, &bits, sizeof x);
    if (!(x >= from && x <= to)) continue;
    mr_real got = f((mr_real)x);
    long double want = ref((long double)x);
    n++;
    if (fabsl(want) < SMALLEST) {
      if (!(fabsl((long double)got) <= 1.0001L * SMALLEST))
        fail_msg("%.9g gives %.9g", x, (double)got);
    } else if (fabsl(want) > 0.999999L * LARGEST) {
      if (!(fabsl((long double)got) > 0.99999L * LARGEST))
        fail_msg("%.9g gives %.9g", x, (double)got);
    } else {
      double e = ulps(got, want), slack = square * (double)x * x;
      if (fabsl((long double)got - want) <= absolute * epsilon) continue;
      if (e - slack > worst) worst = e - slack, worst_x = x;
    }
  }
  if (n < 1000) fail_msg("only %lld points", (long long)n);
  if (worst > bound) {
    fail_msg("off by %.2f ulp at %.9g: %.17g, not %.17Lg", worst, worst_x,
             (double)f((mr_real)worst_x), ref((long double)worst_x));
  }
}

static void exp_is_right_to_about_one_ulp(void **state)
{
  (void)state;
  sweep(mr_exp1, expl, -FLT_MAX, FLT_MAX, 1.1, 0, 0);
  sweep(mr_exp2_down1, exp2l, -FLT_MAX, 0, 1.1, 0, 0);
}

static void log_is_right_to_two_ulp(void **state)
{
  (void)state;
  sweep(mr_log1, logl, 1e-45f, FLT_MAX, 2.0, 0, 0);
}

static void sigmoid_and_tanh_are_right_to_three_ulp(void **state)
{
  (void)state;
  sweep(mr_sigmoid1, ref_sigmoid, -FLT_MAX, FLT_MAX, 3.0, 0, 0);
  sweep(mr_tanh1, tanhl, -FLT_MAX, FLT_MAX, 3.0, 0, 0);
}

static void softplus_and_log_g_are_right_to_three_ulp(void **state)
{
  (void)state;
  sweep(mr_softplus1, ref_softplus, -FLT_MAX, FLT_MAX, 3.0, 0, 0);
  sweep(mr_log_g1, ref_log_g, -FLT_MAX, FLT_MAX, 3.0, 0, 0);
}

static void g_and_its_derivatives_are_right_to_four_ulp(void **state)
{
  (void)state;
  sweep(mr_g1, ref_g, -FLT_MAX, FLT_MAX, 3.0, 0, 0);
  sweep(mr_dg1, ref_dg, -FLT_MAX, FLT_MAX, 4.0, 0, 0);
  sweep(mr_dlog_g1, ref_dlog_g, -FLT_MAX, FLT_MAX, 3.0, 0, 0);
}

static void silu_and_its_derivative_are_right(void **state)
{
  (void)state;
  sweep(mr_silu1, ref_silu, -88, FLT_MAX, 3.0, 0, 0);
  sweep(mr_dsilu1, ref_dsilu, -80, 80, 8.0, 0, 4);
}

/* The tail takes the error of its argument, hence the term in x^2. */
static void normal_distribution_and_gelu_are_right(void **state)
{
  (void)state;
  sweep(normal1, ref_normal, -100, 100, 8.0, 2.0, 0);
  sweep(density1, ref_density, -12, 12, 4.0, 2.0, 0);
  sweep(mr_gelu1, ref_gelu, -12, FLT_MAX, 8.0, 2.0, 0);
  sweep(mr_dgelu1, ref_dgelu, -12, 100, 8.0, 2.0, 4);
}

static void logaddexp_is_right_for_all_distances(void **state)
{
  (void)state;
  for (int i = -1200; i <= 1200; i++) {
    for (int j = -1200; j <= 1200; j++) {
      mr_real a = (mr_real)(i * 0.1), b = (mr_real)(j * 0.07);
      long double m = a > b ? a : b, want = m + log1pl(expl(-fabsl((long double)a - b)));
      long double bound = 3 * ldexpl(1, 1 - DIGITS) * (1 + fabsl(m));
      if (!(fabsl(mr_logaddexp1(a, b) - want) <= bound))
        fail_msg("%g and %g give %.9g, not %.9Lg", (double)a, (double)b,
                 (double)mr_logaddexp1(a, b), want);
    }
  }
  assert_true(mr_logaddexp1(-INFINITY, -INFINITY) == -INFINITY);
  assert_true(mr_logaddexp1(-INFINITY, 2) == 2 && mr_logaddexp1(2, -INFINITY) == 2);
  assert_true(mr_logaddexp1(INFINITY, INFINITY) == INFINITY);
  assert_true(isnan(mr_logaddexp1(NAN, 1)) && isnan(mr_logaddexp1(1, NAN)));
}

static void nan_goes_through_every_function(void **state)
{
  static const function all[] = {mr_exp1,    mr_log1,     mr_tanh1,  mr_softplus1,
                                 mr_log_g1,  mr_sigmoid1, mr_g1,     mr_dg1,
                                 mr_dlog_g1, mr_silu1,    mr_dsilu1, mr_gelu1,
                                 mr_dgelu1,  normal1,     density1,  mr_exp2_down1};
  (void)state;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (!isnan(all[i]((mr_real)NAN))) fail_msg("function %zu loses NaN", i);
    if (!isnan(all[i](-(mr_real)NAN))) fail_msg("function %zu loses -NaN", i);
  }
}

static void infinities_and_zeros_give_their_limits(void **state)
{
  mr_real inf = INFINITY;
  (void)state;
  assert_true(mr_exp1(inf) == inf && mr_exp1(-inf) == 0 && mr_exp1(0) == 1);
  assert_true(mr_exp2_down1(-inf) <= FLT_MIN && mr_exp2_down1(0) == 1 && mr_exp2_down1(-1) == 0.5);
  assert_true(mr_log1(inf) == inf && mr_log1(0) == -inf && mr_log1(1) == 0);
  assert_true(isnan(mr_log1(-1)) && isnan(mr_log1(-inf)));
  assert_true(mr_sigmoid1(inf) == 1 && mr_sigmoid1(-inf) == 0 && mr_sigmoid1(0) == (mr_real)0.5);
  assert_true(mr_tanh1(inf) == 1 && mr_tanh1(-inf) == -1 && mr_tanh1(0) == 0);
  assert_true(signbit(mr_tanh1(-(mr_real)0)) != 0);
  assert_true(mr_softplus1(inf) == inf && mr_softplus1(-inf) == 0);
  assert_true(mr_log_g1(inf) == inf && mr_log_g1(-inf) == -inf && mr_log_g1((mr_real)0.5) == 0);
  assert_true(mr_g1(inf) == inf && mr_g1(-inf) == 0 && mr_g1(0) == (mr_real)0.5);
  assert_true(mr_dg1(inf) == 1 && mr_dg1(-inf) == 0 && mr_dg1(0) == 1);
  assert_true(mr_dlog_g1(inf) == 0 && mr_dlog_g1(-inf) == 1 && mr_dlog_g1(0) == 2);
  assert_true(normal1(inf) == 1 && normal1(-inf) == 0 && density1(inf) == 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exp_is_right_to_about_one_ulp),
      cmocka_unit_test(log_is_right_to_two_ulp),
      cmocka_unit_test(sigmoid_and_tanh_are_right_to_three_ulp),
      cmocka_unit_test(softplus_and_log_g_are_right_to_three_ulp),
      cmocka_unit_test(g_and_its_derivatives_are_right_to_four_ulp),
      cmocka_unit_test(silu_and_its_derivative_are_right),
      cmocka_unit_test(normal_distribution_and_gelu_are_right),
      cmocka_unit_test(logaddexp_is_right_for_all_distances),
      cmocka_unit_test(nan_goes_through_every_function),
      cmocka_unit_test(infinities_and_zeros_give_their_limits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
