/* bench_print.h — rows of `minrnn bench` for people and for programs. SPDX-License-Identifier: MIT */
#ifndef MR_BENCH_PRINT_H
#define MR_BENCH_PRINT_H
#include "bench.h"
MR_C_BEGIN
/* The rows of one group as a table. */
void mr_bench_print(const mr_bench_row *row, int n);
/* One JSON object. */
void mr_bench_print_json(const mr_bench_row *r);
MR_C_END
#endif
