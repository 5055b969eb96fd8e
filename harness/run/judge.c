/* judge.c — the rules by which a claim is held against measurements. SPDX-License-Identifier: MIT */
#include "judge.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Quantities ------------------------------------------------------------------------------ */

mr_measure mr_combine(mr_form form, mr_measure ours, mr_measure reference)
{
  const mr_measure absent = {.there = false};
  if (form == MR_FORM_VALUE || !ours.there) return ours;
  if (!reference.there || !(reference.low > 0) || !(ours.low > 0)) return absent;
  /* The furthest apart that both may lie: ours / reference. */
  const double low = ours.low / reference.high, mid = ours.mid / reference.mid,
               high = ours.high / reference.low;
  mr_measure m = absent;
  m.there = true;
  switch (form) {
  case MR_FORM_TIMES:
    m.low = 1 / high, m.mid = 1 / mid, m.high = 1 / low;
    break;
  case MR_FORM_SHARE:
    m.low = 100 * low, m.mid = 100 * mid, m.high = 100 * high;
    break;
  case MR_FORM_MORE:
    m.low = 100 * (low - 1), m.mid = 100 * (mid - 1), m.high = 100 * (high - 1);
    break;
  default: /* MR_FORM_FASTER */
    m.low = 100 * (1 / high - 1), m.mid = 100 * (1 / mid - 1), m.high = 100 * (1 / low - 1);
  }
  return m;
}

/* ---- Bands ----------------------------------------------------------------------------------- */

mr_status mr_band_of(const char *rule, double value, mr_band *out)
{
  const size_t n = strcspn(rule, " ");
  char *end = NULL;
  const double x = rule[n] == ' ' ? strtod(rule + n + 1, &end) : NAN;
  const bool read = end != NULL && end != rule + n + 1 && *end == '\0' && x > 0 && isfinite(x);
  if (read && n == 8 && strncmp(rule, "at_least", n) == 0)
    *out = (mr_band){x * value, INFINITY};
  else if (read && x >= 1 && value > 0 && n == 6 && strncmp(rule, "factor", n) == 0)
    *out = (mr_band){value / x, value * x};
  else if (read && n == 6 && strncmp(rule, "within", n) == 0)
    *out = (mr_band){value - x, value + x};
  else
    return MR_FAIL(MR_ERR_CONFIG,
                   "the rule \"%s\" is not understood; allowed: at_least F, factor F (F >= 1) and "
                   "within P",
                   rule);
  return MR_OK;
}

mr_answer mr_answer_of(mr_measure m, mr_band band)
{
  if (!m.there) return MR_ANSWER_ABSENT;
  if (m.low >= band.low && m.high <= band.high) return MR_ANSWER_YES;
  if (m.high < band.low || m.low > band.high) return MR_ANSWER_NO;
  return MR_ANSWER_CLOSE;
}

/* ---- Verdicts -------------------------------------------------------------------------------- */

mr_ruling mr_ruling_of(mr_answer paper, mr_answer fair)
{
  static const char letter[] = "YNDUR"; /* in the order of mr_ruling */
  static const char table[MR_ANSWER_UNUSED][MR_N_ANSWERS + 1] = {
      /* fair: yes, no, close, absent, unused */
      [MR_ANSWER_YES] = "YDURY",
      [MR_ANSWER_NO] = "DNURN",
      [MR_ANSWER_CLOSE] = "UUURU",
      [MR_ANSWER_ABSENT] = "RRRRR",
  };
  return (mr_ruling)(strchr(letter, table[paper][fair]) - letter);
}

const char *mr_ruling_text(mr_ruling v, bool full_scale)
{
  static const char *const text[MR_N_RULINGS][2] = {
      [MR_REPRODUCED] = {"holds at reduced scale", "reproduced"},
      [MR_NOT_REPRODUCED] = {"does not hold at reduced scale", "not reproduced"},
      [MR_METHOD_DEPENDENT] = {"method-dependent at reduced scale", "method-dependent"},
      [MR_UNDECIDED] = {"undecided at reduced scale", "undecided"},
      [MR_NOT_RUN] = {"not run", "not run"},
  };
  return text[v][full_scale];
}
