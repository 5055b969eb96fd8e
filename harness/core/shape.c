/* shape.c — sizes of shapes and their text. SPDX-License-Identifier: MIT */
#include "shape.h"
#include <inttypes.h>
#include <stdio.h>

mr_shape mr_shape0(void)
{
  return (mr_shape){0};
}

mr_shape mr_shape1(int64_t a)
{
  return (mr_shape){.rank = 1, .dim = {a}};
}

mr_shape mr_shape2(int64_t a, int64_t b)
{
  return (mr_shape){.rank = 2, .dim = {a, b}};
}

mr_shape mr_shape3(int64_t a, int64_t b, int64_t c)
{
  return (mr_shape){.rank = 3, .dim = {a, b, c}};
}

/* a * b, or INT64_MAX where that has no room: a size no allocation will ever grant. */
static int64_t times(int64_t a, int64_t b)
{
  int64_t product;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

/* Product of the first n dimensions. */
static int64_t product(const mr_shape *s, int32_t n)
{
  int64_t count = 1;
  for (int32_t i = 0; i < n; i++) count = times(count, s->dim[i]);
  return count;
}

int64_t mr_count(const mr_shape *s)
{
  return product(s, s->rank);
}

size_t mr_bytes(const mr_shape *s, mr_dtype t)
{
  size_t size = t == MR_I32 ? sizeof(int32_t) : sizeof(mr_real);
  return (size_t)times(mr_count(s), (int64_t)size);
}

int64_t mr_rows(const mr_shape *s)
{
  return product(s, s->rank - 1);
}

int64_t mr_cols(const mr_shape *s)
{
  return s->rank > 0 ? s->dim[s->rank - 1] : 1;
}

bool mr_shape_eq(const mr_shape *a, const mr_shape *b)
{
  if (a->rank != b->rank) return false;
  for (int32_t i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i]) return false;
  return true;
}

const char *mr_shape_text(const mr_shape *s, char *buf, size_t n)
{
  if (n == 0) return buf;
  size_t used = 0;
  buf[0] = '\0';
  for (int32_t i = 0; i <= s->rank && used < n; i++) {
    const char *before = i == 0 ? "[" : i < s->rank ? "," : "";
    int w = i < s->rank ? snprintf(buf + used, n - used, "%s%" PRId64, before, s->dim[i])
                        : snprintf(buf + used, n - used, "%s]", before);
    if (w < 0) break;
    used += (size_t)w;
  }
  return buf;
}
