/* partial.h — how many partial sums CUDA kernels make of sums over many rows. The shape alone decides,
 * so that results do not depend on the device. SPDX-License-Identifier: MIT */
#ifndef MR_PARTIAL_H
#define MR_PARTIAL_H
#include "op.h"
MR_C_BEGIN

enum { MR_PARTIAL_ROWS = 32, MR_PARTIAL_MOST = 512 };

/* Parts that sums over `rows` rows are made in; each has about as many rows. */
static inline int64_t mr_partials(int64_t rows)
{
  const int64_t n = (rows + MR_PARTIAL_ROWS - 1) / MR_PARTIAL_ROWS;
  return n < 1 ? 1 : n < MR_PARTIAL_MOST ? n : (int64_t)MR_PARTIAL_MOST;
}

/* Bytes for the partial sums of n reals each; none where there is one part. */
static inline size_t mr_partial_bytes(int64_t rows, int64_t n)
{
  const int64_t parts = mr_partials(rows);
  return parts > 1 ? (size_t)(parts * n) * sizeof(mr_real) : 0;
}

/* The same for sums over tokens into a table [vocab,D]: partial tables take at most a quarter of
 * the room of what they sum. */
static inline int64_t mr_table_partials(int64_t tokens, int64_t vocab)
{
  const int64_t by_room = tokens / (4 * vocab), by_work = tokens / 256;
  const int64_t n = by_room < by_work ? by_room : by_work;
  return n < 1 ? 1 : n < 256 ? n : 256;
}

/* The same for sums over the strips that convolutions cut sequences into. */
enum { MR_CONV_STRIP = 16 };
static inline int64_t mr_conv_partials(int64_t batch, int64_t steps)
{
  return mr_partials(batch * ((steps + MR_CONV_STRIP - 1) / MR_CONV_STRIP));
}
MR_C_END
#endif
