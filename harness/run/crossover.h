/* crossover.h — from which sequence length on one model's training step takes less time than
 * another's. SPDX-License-Identifier: MIT */
#ifndef MR_CROSSOVER_H
#define MR_CROSSOVER_H
#include <stddef.h>
#include "judge.h"
#include "runset.h"
MR_C_BEGIN

/* At one length: time of the other / ours, from quartile to quartile. */
typedef struct mr_cross_point {
  double length;
  mr_measure ratio;
} mr_cross_point;

enum { MR_CROSS_LENGTHS = 64 };
typedef struct mr_crossover {
  mr_cross_point point[MR_CROSS_LENGTHS]; /* by rising length              */
  int n;
  int from; /* first point at which ours is faster beyond noise; -1: at none  */
  int back; /* first point behind it at which ours is slower again; -1: none  */
} mr_crossover;

/* Fills from and back of n sorted points. Faster is a ratio whose low end is above 1, slower one
 * whose high end is below; in between it is too close to tell. */
void mr_crossover_find(mr_crossover *c);
/* "between 128 and 256", "at 64 already, the shortest measured", "not within 64 .. 4096", "not
 * measured", and "; slower again at 1024" where it is. */
void mr_crossover_text(const mr_crossover *c, char *buf, size_t n);

/* What timings must share to be compared, all but model and length, and with it the settings of their
 * descriptors. Those with options of their model take no part. */
enum { MR_CROSS_KEYS = 12 };
extern const char *const mr_cross_key[MR_CROSS_KEYS];
/* Run i is the first of the counting timings of its kind. */
bool mr_crossover_opens(const mr_runset *s, int i);
/* The common lengths of `model` and `over` among the timings of run i's kind. */
void mr_crossover_of(const mr_runset *s, int i, const char *model, const char *over,
                     mr_crossover *out);
MR_C_END
#endif
