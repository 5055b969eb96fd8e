/* texts.c — texts for tests. SPDX-License-Identifier: MIT */
#include "texts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "mem.h"

const char *text_of_shakespeare(void)
{
  static char path[1024];
  const char *named = getenv("TINYSHAKESPEARE"), *source = getenv("MINRNN_SOURCE_DIR");
  if (named != NULL && named[0] != '\0')
    snprintf(path, sizeof path, "%s", named);
  else
    snprintf(path, sizeof path, "%s/../shared/data/tinyshakespeare.txt",
             source != NULL ? source : ".");
  return access(path, R_OK) == 0 ? path : NULL;
}

const char *text_of_bytes(const char *name, const void *bytes, size_t n)
{
  static char flag[1024];
  snprintf(flag, sizeof flag, "--shakespeare.file=%s", mr_test_file(name, bytes, n));
  return flag;
}

const char *text_of_places(const char *name, int n)
{
  enum { FIRST = 0x4e00 };
  char *text = NULL;
  assert_ok(mr_calloc((void **)&text, (size_t)n, 3));
  for (int i = 0; i < n; i++) {
    const int c = FIRST + i;
    text[3 * i] = (char)(0xe0 | c >> 12);
    text[3 * i + 1] = (char)(0x80 | (c >> 6 & 0x3f));
    text[3 * i + 2] = (char)(0x80 | (c & 0x3f));
  }
  const char *flag = text_of_bytes(name, text, 3 * (size_t)n);
  mr_free(text);
  return flag;
}
