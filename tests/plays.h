/* plays.h — the task offline_rl opened for tests, with the data that it draws from.
 * SPDX-License-Identifier: MIT */
#ifndef MR_TEST_PLAYS_H
#define MR_TEST_PLAYS_H
#include "data.h"
#include "nets.h"

enum { GO, STATE, ACTION, PARTS };

typedef struct subject {
  net n;
  mr_dataset data;
  mr_env_spec spec;
  int64_t K, C; /* steps, channels */
} subject;

/* Opened from words "--key=value ..."; any failure fails the test. */
void subject_open(subject *s, mr_backend *be, const char *words);
void subject_close(subject *s);
#endif
