/* scalar.h — scalar functions and derivatives shared by all kernels. SPDX-License-Identifier: MIT
 *
 * In float they are polynomials without branches, tables or library calls, so that loops over them
 * become vector code; compile kernels with -fno-math-errno -fno-trapping-math. In double they are
 * the C library's. NaN gives NaN, overflow gives inf, and results below the normal range may be
 * rounded to denormals or 0. Errors in float, in units of the last place of a normal result
 * (test_scalar.c holds them): exp, 2^x 1.1, log 2, tanh, softplus, log g, sigmoid 3 (device: 5 + |x|).
 * The polynomials are relative minimax fits on the reduced interval named beside them. */
#ifndef MR_SCALAR_H
#define MR_SCALAR_H
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "shape.h"

#ifdef MR_REAL_IS_DOUBLE

MR_HD static inline double mr_div1(double a, double b)
{
  return a / b;
}

MR_HD static inline double mr_exp1(double x)
{
  return exp(x);
}

/* exp for gates. */
MR_HD static inline double mr_exp_gate1(double x)
{
  return exp(x);
}

/* 2^x for x <= 0. */
MR_HD static inline double mr_exp2_down1(double x)
{
  return exp2(x);
}

MR_HD static inline double mr_log1(double x)
{
  return log(x);
}

MR_HD static inline double mr_tanh1(double x)
{
  return tanh(x);
}

MR_HD static inline double mr_softplus1(double x)
{
  return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

MR_HD static inline double mr_log_g1(double x)
{
  return x >= 0 ? log1p(x - 0.5) : x - log1p(exp(x));
}

/* Phi(x), the normal distribution function; *density gets its derivative. */
MR_HD static inline double mr_normal1(double x, double *density)
{
  *density = 0.39894228040143267794 * exp(-0.5 * x * x);
  return 0.5 * erfc(-0.70710678118654752440 * x);
}

MR_HD static inline double mr_logaddexp1(double a, double b)
{
  double d = a == b ? 0 : fabs(a - b);
  return (a > b ? a : b) + log1p(exp(-d));
}

MR_HD static inline double mr_sqrt1(double x)
{
  return sqrt(x);
}

#else

MR_HD static inline uint32_t mr_bits_of(float x)
{
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

MR_HD static inline float mr_float_of(uint32_t u)
{
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

/* 2^n for n in -126 .. 127. */
MR_HD static inline float mr_pow2i(int32_t n)
{
  return mr_float_of((uint32_t)(n + 127) << 23);
}

/* Splits x + low = n ln 2 + r with |r| <= ln 2 / 2: *n and r. The sum 1.5 * 2^23 + n rounds to a
 * whole n; the first part of ln 2 has 16 bits, so that n times it is exact. */
MR_HD static inline float mr_exp_reduce(float x, float low, int32_t *n)
{
  float shifted = (x + low) * 1.44269504f + 12582912.0f;
  float whole = shifted - 12582912.0f;
  *n = (int32_t)mr_bits_of(shifted) - 0x4B400000;
  return (x - whole * 0.693145752f) + (low - whole * 1.42860677e-6f);
}

/* exp(r) - 1 for |r| <= ln 2 / 2, relative error 2e-8 before rounding. */
MR_HD static inline float mr_expm1_poly(float r)
{
  float p = 0.00138824872f;
  p = p * r + 0.008366705693f;
  p = p * r + 0.0416672058f;
  p = p * r + 0.1666654225f;
  p = p * r + 0.4999999812f;
  return p * (r * r) + r;
}

/* exp(x + low) for |x + low| < 170. The scale is applied in two factors, so that denormal results
 * round once and overflow reaches inf. */
MR_HD static inline float mr_exp_sum(float x, float low)
{
  int32_t n;
  float r = mr_exp_reduce(x, low, &n);
  return (mr_expm1_poly(r) + 1.0f) * mr_pow2i(n >> 1) * mr_pow2i(n - (n >> 1));
}

/* a / b for normal b below 2^126, 0 above where a is finite. On the device one instruction (1 ulp) and
 * a product; division that rounds correctly takes about ten. */
MR_HD static inline float mr_div1(float a, float b)
{
#ifdef __CUDA_ARCH__
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(b));
  return a * r;
#else
  return a / b;
#endif
}

MR_HD static inline float mr_exp1(float x)
{
#ifdef __CUDA_ARCH__
  return expf(x); /* 1 ulp as well, by the device's 2^x: a third of the instructions */
#else
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  return mr_exp_sum(x, 0.0f);
#endif
}

/* exp for gates. On the device the instruction for 2^x alone, a third of what exp takes: it errs by
 * 2^-22, and by as much as if the last place of x were wrong, which for a sum of products it is. */
MR_HD static inline float mr_exp_gate1(float x)
{
#ifdef __CUDA_ARCH__
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(1.44269504f * x));
  return y;
#else
  return mr_exp1(x);
#endif
}

/* 2^x for x <= 0, for decays: half the work of exp. Adding 1.5 * 2^23 + 127 rounds x to the whole
 * number that, shifted, is the scale. Below -126: 2^-126. */
MR_HD static inline float mr_exp2_down1(float x)
{
#ifdef __CUDA_ARCH__
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); /* relative error 2^-22 */
  return y;
#else
  float shifted, r, p = 0.0001545316336f;
  x = x < -126.0f ? -126.0f : x;
  shifted = x + 12583039.0f;
  r = x - (shifted - 12583039.0f);
  p = p * r + 0.001339086331f;
  p = p * r + 0.009618083015f;
  p = p * r + 0.05550356954f;
  p = p * r + 0.2402265072f;
  p = p * r + 0.6931471825f;
  p = p * r + 1.0f;
  return p * mr_float_of(mr_bits_of(shifted) << 23);
#endif
}

/* log(1 + f) + e ln 2 for f in sqrt(1/2) - 1 .. sqrt(2) - 1 and whole e. */
MR_HD static inline float mr_log1p_poly(float f, float e)
{
  float p = -0.07646111677f;
  p = p * f + 0.1277911499f;
  p = p * f - 0.1316418292f;
  p = p * f + 0.1419969544f;
  p = p * f - 0.1662276527f;
  p = p * f + 0.2000129273f;
  p = p * f - 0.2500083795f;
  p = p * f + 0.333333312f;
  p = p * f - 0.5f;
  return (f + (p * (f * f) + e * 1.42860677e-6f)) + e * 0.693145752f;
}

/* Splits a positive normal x = (1 + f) 2^e for mr_log1p_poly: *e and f. */
MR_HD static inline float mr_log_reduce(float x, float *e)
{
  uint32_t u = mr_bits_of(x);
  int32_t n = (int32_t)(u - 0x3F3504F3u) >> 23;
  *e = (float)n;
  return mr_float_of(u - ((uint32_t)n << 23)) - 1.0f;
}

/* Splits 1 + u, u in 0 .. 1, in the same way without forming 1 + u. */
MR_HD static inline float mr_log1p_reduce(float u, float *e)
{
  *e = u > 0.414213562f ? 1.0f : 0.0f;
  return u > 0.414213562f ? 0.5f * (u - 1.0f) : u;
}

/* log x; log 0 = -inf, NaN below. Denormals are scaled up first. */
MR_HD static inline float mr_log1(float x)
{
  float e, f, y, less = x < 1.17549435e-38f ? 23.0f : 0.0f;
  f = mr_log_reduce(x < 1.17549435e-38f ? x * 8388608.0f : x, &e);
  y = mr_log1p_poly(f, e - less);
  y = x > 0.0f ? y : (x == 0.0f ? -INFINITY : NAN);
  return x == INFINITY ? x : y;
}

/* By exp(2|x|) - 1, which keeps the relative error small near 0. */
MR_HD static inline float mr_tanh1(float x)
{
  int32_t n;
  float a = 2.0f * fabsf(x), p, s;
  a = a > 20.0f ? 20.0f : a;
  p = mr_expm1_poly(mr_exp_reduce(a, 0.0f, &n));
  s = mr_pow2i(n);
  p = s * p + (s - 1.0f);
  p = mr_div1(p, p + 2.0f);
  return mr_float_of(mr_bits_of(p) | (mr_bits_of(x) & 0x80000000u));
}

/* log(1 + exp x) = max(x, 0) + log(1 + exp -|x|): right to the last places at both ends. */
MR_HD static inline float mr_softplus1(float x)
{
  float e, f = mr_log1p_reduce(mr_exp1(-fabsf(x)), &e);
  return (x > 0.0f ? x : 0.0f) + mr_log1p_poly(f, e);
}

/* log(x + 0.5) for x >= 0, -softplus(-x) below. Round 0.5, where the logarithm crosses 0, x - 0.5
 * is exact and x + 0.5 is not. One polynomial serves all cases. */
MR_HD static inline float mr_log_g1(float x)
{
  float e_pos, e_neg, f_pos, f_neg, y;
  f_neg = mr_log1p_reduce(mr_exp1(-fabsf(x)), &e_neg);
  f_pos = mr_log_reduce(x + 0.5f, &e_pos);
  f_pos = x >= 0.25f && x <= 0.875f ? x - 0.5f : f_pos;
  y = mr_log1p_poly(x >= 0.0f ? f_pos : f_neg, x >= 0.0f ? e_pos : e_neg);
  y = x >= 0.0f ? y : x - y;
  return x == INFINITY ? x : y;
}

/* Phi(x), the normal distribution function; *density gets its derivative. The tail is
 * exp(-x^2/2) times a polynomial in (|x| - 3) / (|x| + 3), with x^2 in two parts: the relative error
 * of the tail stays near 1e-6 down to the smallest normal. */
MR_HD static inline float mr_normal1(float x, float *density)
{
  float a = fabsf(x), head, u, p, e, tail;
  a = a > 15.0f ? 15.0f : a;
  head = mr_float_of(mr_bits_of(a) & 0xFFFFF000u);
  e = mr_exp_sum(-0.5f * head * head, -0.5f * (a - head) * (a + head));
  u = mr_div1(a - 3.0f, a + 3.0f);
  p = 5.316181549e-05f;
  p = p * u + 0.0001150135214f;
  p = p * u - 0.0003390127651f;
  p = p * u - 0.0009832880807f;
  p = p * u + 0.002904387347f;
  p = p * u + 0.006131942252f;
  p = p * u - 0.04621326362f;
  p = p * u + 0.1232250412f;
  p = p * u - 0.2064026204f;
  p = p * u + 0.1215139475f;
  tail = p * e;
  *density = 0.398942280f * e;
  return x < 0.0f ? tail : 1.0f - tail;
}

/* log(exp a + exp b); two equal infinities give themselves. */
MR_HD static inline float mr_logaddexp1(float a, float b)
{
  float e, f, d = a == b ? 0.0f : fabsf(a - b);
  f = mr_log1p_reduce(mr_exp1(-d), &e);
  return (a > b ? a : b) + mr_log1p_poly(f, e);
}

MR_HD static inline float mr_sqrt1(float x)
{
  return sqrtf(x);
}

#endif

/* ---- Alike in both precisions ---------------------------------------------------------------- */

/* 1 / (1 + exp -x). */
MR_HD static inline mr_real mr_sigmoid1(mr_real x)
{
  return mr_div1(1, (mr_real)1 + mr_exp_gate1(-x));
}

/* g(x) = x + 0.5 for x >= 0, sigmoid(x) below: positive, continuous. */
MR_HD static inline mr_real mr_g1(mr_real x)
{
  mr_real s = mr_sigmoid1(x);
  return x >= 0 ? x + (mr_real)0.5 : s;
}

/* dg/dx; 1 at 0, where g has a kink. */
MR_HD static inline mr_real mr_dg1(mr_real x)
{
  mr_real s = mr_sigmoid1(x);
  return x >= 0 ? (mr_real)1 : s * ((mr_real)1 - s);
}

/* d(log g)/dx = 1 / (x + 0.5) or 1 - sigmoid(x). */
MR_HD static inline mr_real mr_dlog_g1(mr_real x)
{
  mr_real e = mr_exp1(x);
  return mr_div1(1, x >= 0 ? x + (mr_real)0.5 : (mr_real)1 + e);
}

/* x sigmoid(x). */
MR_HD static inline mr_real mr_silu1(mr_real x)
{
  return mr_div1(x, (mr_real)1 + mr_exp1(-x));
}

/* s + x s (1 - s) with s = sigmoid(x); both s and 1 - s come from exp(-|x|) without cancellation. */
MR_HD static inline mr_real mr_dsilu1(mr_real x)
{
  mr_real e = mr_exp1(x < 0 ? x : -x), r = mr_div1(1, (mr_real)1 + e);
  mr_real s = x < 0 ? e * r : r;
  return s + x * e * (r * r);
}

/* x Phi(x). */
MR_HD static inline mr_real mr_gelu1(mr_real x)
{
  mr_real density;
  return x * mr_normal1(x, &density);
}

/* Phi(x) + x phi(x). */
MR_HD static inline mr_real mr_dgelu1(mr_real x)
{
  mr_real density, phi = mr_normal1(x, &density);
  return phi + x * density;
}
#endif
