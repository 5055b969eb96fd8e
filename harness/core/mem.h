/* mem.h — counted host allocation, with a switch that makes the N-th call fail.
 * SPDX-License-Identifier: MIT */
#ifndef MR_MEM_H
#define MR_MEM_H
#include <stddef.h>
#include <stdint.h>
#include "status.h"
MR_C_BEGIN

/* count * size zeroed bytes; release with mr_free. Fails with MR_ERR_NOMEM, naming the bytes.
 * count == 0 gives a valid one-byte block. */
MR_MUST mr_status mr_calloc(void **out, size_t count, size_t size);
/* The same, 256-byte aligned and not zeroed, for slabs. Large blocks ask for huge pages. */
MR_MUST mr_status mr_alloc_slab(void **out, size_t bytes);
/* Grows *p (NULL is fine) to count * size bytes; *p is unchanged on failure. New bytes are
 * undefined. */
MR_MUST mr_status mr_regrow(void **p, size_t count, size_t size);
/* A copy of the string. */
MR_MUST mr_status mr_strdup(char **out, const char *s);
/* NULL is fine. Serves all four. */
void mr_free(void *p);

/* Bytes of all blocks that the calls above gave out and mr_free has not taken back, as the C library
 * cut them: the tail of a large slab counts though nobody asked for it or writes it. */
int64_t mr_held_bytes(void);
/* Allocations made so far by the calls above, in all threads. A training step adds none. */
int64_t mr_alloc_count(void);
/* Test hook: the n-th allocation from now (1 = the next) fails once. 0 turns it off. */
void mr_alloc_fail_at(int64_t n);
MR_C_END
#endif
