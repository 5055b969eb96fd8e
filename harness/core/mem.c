/* mem.c — counted host allocation over the C library's heap. SPDX-License-Identifier: MIT */
#include "mem.h"
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SLAB_ALIGN = 256, HUGE_PAGE = 2 << 20, HUGE_WORTH = 4 << 20 };

static atomic_int_fast64_t n_made, held;
static atomic_int_fast64_t fail_in; /* allocations until the one that fails; <= 0: off */

/* True when this allocation is the one that mr_alloc_fail_at picked. */
static bool starved(void)
{
  return atomic_load(&fail_in) > 0 && atomic_fetch_sub(&fail_in, 1) == 1;
}

int64_t mr_held_bytes(void)
{
  return (int64_t)atomic_load(&held);
}

static void made(void *p)
{
  atomic_fetch_add(&n_made, 1);
  atomic_fetch_add(&held, (int64_t)malloc_usable_size(p));
}

static mr_status no_memory(size_t count, size_t size)
{
  if (size != 0 && count > SIZE_MAX / size)
    return MR_FAIL(MR_ERR_NOMEM, "%zu elements of %zu bytes exceed the address space", count, size);
  return MR_FAIL(MR_ERR_NOMEM, "no memory for %zu bytes", count * size);
}

/* Bytes to ask for, at least 1; 0 where the product has no room in a size_t. */
static size_t wanted(size_t count, size_t size)
{
  if (size != 0 && count > SIZE_MAX / size) return 0;
  size_t bytes = count * size;
  return bytes == 0 ? 1 : bytes;
}

mr_status mr_calloc(void **out, size_t count, size_t size)
{
  size_t bytes = wanted(count, size);
  void *p = bytes == 0 || starved() ? NULL : calloc(bytes, 1);
  if (!p) return no_memory(count, size);
  made(p);
  *out = p;
  return MR_OK;
}

mr_status mr_alloc_slab(void **out, size_t bytes)
{
  size_t align = bytes >= HUGE_WORTH ? HUGE_PAGE : SLAB_ALIGN;
  if (bytes > SIZE_MAX - align) return no_memory(bytes, 1);
  size_t rounded = bytes == 0 ? align : (bytes + align - 1) / align * align;
  void *p = starved() ? NULL : aligned_alloc(align, rounded);
  if (!p) return no_memory(bytes, 1);
  /* Advice only: without huge pages the slab works the same, a little slower. */
  if (align == HUGE_PAGE) (void)madvise(p, rounded, MADV_HUGEPAGE);
  made(p);
  *out = p;
  return MR_OK;
}

mr_status mr_regrow(void **p, size_t count, size_t size)
{
  size_t bytes = wanted(count, size);
  if (bytes == 0 || starved()) return no_memory(count, size);
  const size_t before = malloc_usable_size(*p);
  void *grown = realloc(*p, bytes);
  if (!grown) return no_memory(count, size);
  atomic_fetch_sub(&held, (int64_t)before);
  made(grown);
  *p = grown;
  return MR_OK;
}

mr_status mr_strdup(char **out, const char *s)
{
  size_t bytes = strlen(s) + 1;
  char *copy = starved() ? NULL : malloc(bytes);
  if (!copy) return no_memory(bytes, 1);
  memcpy(copy, s, bytes);
  made(copy);
  *out = copy;
  return MR_OK;
}

void mr_free(void *p)
{
  atomic_fetch_sub(&held, (int64_t)malloc_usable_size(p));
  free(p);
}

int64_t mr_alloc_count(void)
{
  return (int64_t)atomic_load(&n_made);
}

void mr_alloc_fail_at(int64_t n)
{
  atomic_store(&fail_in, n);
}
