/* compare.h — is one timing of a cell faster or slower than another, or can that not be told?
 * SPDX-License-Identifier: MIT
 *
 * What is compared is step time / pace, sample by sample: the step of a round in units of the fixed
 * work done right before it, so that a machine that is slower now than then does not count.
 *
 * The threshold is the interquartile range over the median, of the noisier run, and at least 5 %: the
 * same work, timed twice, may differ by as much as one run does within itself.
 * B is slower when its median is above A's by more than the threshold, and the quartiles agree: A's
 * third lies below B's median, and B's first above A's. Faster is the same with A and B exchanged.
 * Where, by wall time, other programs had a core for over a tenth of the time in most rounds of a side,
 * what is not the same cannot be compared. Nor can a cell that is marked mistrusted. */
#ifndef MR_COMPARE_H
#define MR_COMPARE_H
#include "bench_cell.h"
MR_C_BEGIN

typedef enum mr_verdict { MR_SAME, MR_FASTER, MR_SLOWER, MR_INCOMPARABLE } mr_verdict;

enum { MR_COMPARE_SAMPLES = 5 }; /* least of each side */

typedef struct mr_comparison { /* of B against A */
  char cell[MR_CELL_TEXT];
  mr_verdict verdict;
  bool timed[2];       /* false on both sides: there was nothing to compare                     */
  bool disturbed;      /* other programs took too much of the machine, on either side           */
  bool unclear;        /* the same, but only because the runs are too noisy to tell             */
  char reason[1024];   /* why it cannot be compared                                             */
  double step_ms[2];   /* medians                                                               */
  double change;       /* B / A - 1, of the medians of what is compared                         */
  double threshold;    /* what change must exceed                                               */
  double seconds;      /* that the longer run took                                              */
  bool processor_time; /* what was compared is processor time                                   */
} mr_comparison;

/* The rule above on the values to compare, in the order they were sampled, n[0] of A and n[1] of B,
 * each at least MR_COMPARE_SAMPLES: change, threshold, verdict and unclear, by `disturbed`. */
MR_MUST mr_status mr_compare_values(const double *const value[2], const int64_t n[2],
                                    mr_comparison *out);
/* The same of two files of minrnn bench. Files that cannot be compared, because cell, processor, cores
 * or GPU differ, or a time is missing or mistrusted, are MR_INCOMPARABLE with the reason; files that cannot be read
 * are MR_ERR_IO. */
MR_MUST mr_status mr_compare_files(const char *a, const char *b, mr_comparison *out);
MR_C_END
#endif
