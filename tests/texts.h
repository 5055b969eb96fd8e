/* texts.h — texts for tests: Shakespeare's where it is on this machine, and small made-up ones.
 * SPDX-License-Identifier: MIT */
#ifndef MR_TEXTS_H
#define MR_TEXTS_H
#include "testing.h"

/* The file named by TINYSHAKESPEARE, or shared/data/tinyshakespeare.txt beside the source folder; NULL
 * where there is none. */
const char *text_of_shakespeare(void);
/* Writes a text of n different characters in rising order (three bytes each, so that a symbol's id is
 * its place) to the test's folder; returns "--shakespeare.file=PATH", valid until the next call. */
const char *text_of_places(const char *name, int n);
/* Writes bytes; returns "--shakespeare.file=PATH", valid until the next call. */
const char *text_of_bytes(const char *name, const void *bytes, size_t n);
#endif
