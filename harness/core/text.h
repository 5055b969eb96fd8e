/* text.h — numbers as text. SPDX-License-Identifier: MIT */
#ifndef MR_TEXT_H
#define MR_TEXT_H
#include <stddef.h>
#include "status.h"
MR_C_BEGIN

/* The fewest digits (15 to 17) from which strtod reads back exactly `value` ("nan", "inf" or "-inf"
 * if it is not finite), into buf; returns buf. 32 bytes are enough. */
const char *mr_num_text(double value, char *buf, size_t n);
MR_C_END
#endif
