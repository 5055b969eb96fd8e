/* text.c — numbers as text. SPDX-License-Identifier: MIT */
#include "text.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAFE_DIGITS = 15, EXACT_DIGITS = 17 }; /* of any double: kept as typed; told apart */

const char *mr_num_text(double value, char *buf, size_t n)
{
  if (isnan(value)) {
    (void)snprintf(buf, n, "nan");
    return buf;
  }
  for (int digits = SAFE_DIGITS; digits <= EXACT_DIGITS; digits++) {
    (void)snprintf(buf, n, "%.*g", digits, value);
    if (strtod(buf, NULL) == value) break;
  }
  return buf;
}
