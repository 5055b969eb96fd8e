/* stats.c — order statistics of samples. SPDX-License-Identifier: MIT */
#include "stats.h"
#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void mr_sort(double *x, int64_t n)
{
  qsort(x, (size_t)n, sizeof *x, by_value);
}

double mr_quantile(const double *sorted, int64_t n, double q)
{
  double at = q * (double)(n - 1);
  int64_t i = (int64_t)at;
  if (i + 1 >= n) return sorted[n - 1];
  return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

double mr_median(double *x, int64_t n)
{
  mr_sort(x, n);
  return mr_quantile(x, n, 0.5);
}

double mr_noise(double *x, int64_t n)
{
  const double median = mr_median(x, n);
  for (int64_t i = 0; i < n; i++) x[i] = fabs(x[i] - median);
  return mr_median(x, n) / median;
}
