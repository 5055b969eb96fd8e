/* judge.h — the rules by which a claim is held against measurements. results/README.md tells them in
 * words. SPDX-License-Identifier: MIT */
#ifndef MR_JUDGE_H
#define MR_JUDGE_H
#include <stdbool.h>
#include "status.h"
MR_C_BEGIN

/* What was measured, and where it may lie by its own noise: low <= mid <= high. */
typedef struct mr_measure {
  bool there;
  double low, mid, high;
} mr_measure;

/* How a quantity is made of what two models took. */
typedef enum mr_form {
  MR_FORM_VALUE, /* ours                                                          */
  MR_FORM_TIMES, /* reference / ours: how many times as fast, as few, as small    */
  MR_FORM_SHARE, /* 100 ours / reference, percent                                 */
  MR_FORM_MORE,  /* 100 (ours / reference - 1), percent more than the reference   */
  MR_FORM_FASTER /* 100 (reference / ours - 1), percent faster than the reference */
} mr_form;
/* Absent where a part is, or where the reference is not above 0. */
mr_measure mr_combine(mr_form form, mr_measure ours, mr_measure reference);

/* What counts as the published value. */
typedef struct mr_band {
  double low, high; /* both included; may be infinite */
} mr_band;
/* "at_least F": F times the value or more; "factor F": from value / F to value * F; "within P": from
 * value - P to value + P. MR_ERR_CONFIG for any other text. */
MR_MUST mr_status mr_band_of(const char *rule, double value, mr_band *out);

/* What one method says of a claim. */
typedef enum mr_answer {
  MR_ANSWER_YES,    /* all of low .. high lies in the band             */
  MR_ANSWER_NO,     /* none of it                                      */
  MR_ANSWER_CLOSE,  /* some of it: too close to tell                   */
  MR_ANSWER_ABSENT, /* not measured                                    */
  MR_ANSWER_UNUSED, /* the claim has one method only                   */
  MR_N_ANSWERS
} mr_answer;
mr_answer mr_answer_of(mr_measure m, mr_band band);

typedef enum mr_ruling {
  MR_REPRODUCED,
  MR_NOT_REPRODUCED,
  MR_METHOD_DEPENDENT,
  MR_UNDECIDED,
  MR_NOT_RUN,
  MR_N_RULINGS
} mr_ruling;
/* Of what the paper's method and the fair one say; the former is never unused. */
mr_ruling mr_ruling_of(mr_answer paper, mr_answer fair);
/* The words for it: away from the paper's scale nothing is called reproduced. */
const char *mr_ruling_text(mr_ruling v, bool full_scale);
MR_C_END
#endif
