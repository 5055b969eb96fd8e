/* bench_cell.h — one cell of a benchmark, and the one line of text that replays it.
 * SPDX-License-Identifier: MIT
 *
 *   MODEL:b<B>t<T>d<D>l<L>[:PART ...]      mingru:b64t4096d128l3:f32:eager:hot:cpu2
 *
 * PART is a word of the key `math`; graph or eager; hot or cold; cuda, cpu or cpu<threads>; or
 * <key>=<value> of any other key of `minrnn train`, with %3a for `:` and %25 for `%`. Parts left out
 * have their defaults, but graph, tf32 and bf16 mean cuda where no device is named; written are all that
 * apply, and of the others those that are not defaults and change what is computed. */
#ifndef MR_BENCH_CELL_H
#define MR_BENCH_CELL_H
#include "registry.h"
MR_C_BEGIN

enum { MR_CELL_TEXT = 512 };

typedef struct mr_cell {
  mr_config config; /* owned */
  bool cold;        /* caches are flushed before every sample */
} mr_cell;
void mr_cell_free(mr_cell *c); /* zeroed or loaded */

/* "graph" or "eager": how the steps of this config are to be executed. */
const char *mr_cell_mode(const mr_config *c);
/* "fused" (whole-sequence kernels), "loop" (one set of ops per step), "vendor" or "smallops", by the
 * ending of a model's name. */
const char *mr_granularity(const char *model);

/* The descriptor of a cell executed with `length` steps per sequence on `threads` threads, into text
 * [MR_CELL_TEXT]. MR_ERR_CONFIG when it does not fit. */
MR_MUST mr_status mr_cell_describe(const mr_cell *c, int64_t length, int threads, char *text);
/* The cell that a descriptor describes. MR_ERR_CONFIG names the part that is wrong. */
MR_MUST mr_status mr_cell_load(mr_cell *c, const char *text);
/* The file name "<descriptor>.h5" with other bytes than letters, digits and _.+=- replaced by -, and
 * a check sum for the end of a long one, into name [256]. */
void mr_cell_file(const char *descriptor, char *name);
MR_C_END
#endif
