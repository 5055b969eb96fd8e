/* machine.h — what this machine and build are, and what they can do. SPDX-License-Identifier: MIT */
#ifndef MR_MACHINE_H
#define MR_MACHINE_H
#include "backend.h"
MR_C_BEGIN

/* Name and value of one fact, in a fixed order: cpu, cores, load, binding, ram_bytes, gpu, driver,
 * cuda, openblas, hdf5, compiler, flags, git_commit, dirty, kernel ... Absent things read "none". */
typedef mr_status (*mr_fact_fn)(void *ctx, const char *name, const char *value);
MR_MUST mr_status mr_machine_each(const mr_backend *be, mr_fact_fn fn, void *ctx);

/* Median rates measured now, in about a second: a copy of a block larger than the last cache (bytes
 * read + bytes written per second) and a square product on all threads (flop per second). The peak
 * of mr_rss_peak counts anew afterwards, without the blocks that were measured on. */
MR_MUST mr_status mr_machine_rates(mr_backend *be, double *copy_bytes_per_s,
                                   double *gemm_flop_per_s);
/* Peak resident set of this process, bytes. */
int64_t mr_rss_peak(void);
/* Monotonic clock, ns. */
int64_t mr_now_ns(void);
MR_C_END
#endif
