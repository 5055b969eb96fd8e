/* stats.h — order statistics of samples. SPDX-License-Identifier: MIT */
#ifndef MR_STATS_H
#define MR_STATS_H
#include <stdint.h>
#include "status.h"
MR_C_BEGIN

/* Ascending, in place. */
void mr_sort(double *x, int64_t n);
/* The value below which the share q (0 to 1) of n >= 1 sorted numbers lies, between neighbours in
 * proportion. */
double mr_quantile(const double *sorted, int64_t n, double q);
/* Of n >= 1 numbers, which it sorts. */
double mr_median(double *x, int64_t n);
/* Median distance from the median / median, of n >= 1 numbers, which it replaces. */
double mr_noise(double *x, int64_t n);
MR_C_END
#endif
