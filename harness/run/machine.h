/* machine.h — what this machine and build are, and what they can do. SPDX-License-Identifier: MIT */
#ifndef MR_MACHINE_H
#define MR_MACHINE_H
#include "backend.h"
MR_C_BEGIN

/* Name and value of one fact, in a fixed order: cpu, cores, load, binding, ram_bytes, gpu, driver,
 * cuda, openblas, hdf5, compiler, flags, git_commit, dirty, kernel ... Absent things read "none". */
typedef mr_status (*mr_fact_fn)(void *ctx, const char *name, const char *value);
MR_MUST mr_status mr_machine_each(const mr_backend *be, mr_fact_fn fn, void *ctx);

/* Rates measured now, in about a second, the best of 15 tries: a copy of a block larger than the last cache (bytes
 * read + bytes written per second) and a square product on all threads (flop per second). The peak
 * of mr_rss_peak counts anew afterwards, without the blocks that were measured on. */
MR_MUST mr_status mr_machine_rates(mr_backend *be, double *copy_bytes_per_s,
                                   double *gemm_flop_per_s);
/* Is it a GPU, which only large work keeps busy? */
bool mr_is_large_device(const mr_backend *be);
/* A piece of work of fixed size: a copy of `bytes`, and a product of two matrices [side, side]; queued
 * like any other. */
typedef struct mr_probe mr_probe;
MR_MUST mr_status mr_probe_open(mr_probe **out, mr_backend *be, int64_t bytes, int64_t side);
void mr_probe_close(mr_probe *p); /* NULL is fine */
MR_MUST mr_status mr_probe_copy(mr_probe *p);
MR_MUST mr_status mr_probe_product(mr_probe *p);

/* Bytes that programs can still have on this machine without swapping; 0: unknown. */
int64_t mr_ram_available(void);
/* Bytes of the last cache on a core's path to memory; 0: unknown. */
int64_t mr_last_cache_bytes(void);
/* Peak resident set of this process, bytes. */
int64_t mr_rss_peak(void);
/* Monotonic clock, ns. */
int64_t mr_now_ns(void);
/* Processor time of all threads of this process so far, ns. */
double mr_processor_ns(void);
/* True where work is best timed by its processor time, from which other programs take nothing. */
bool mr_is_one_cpu_thread(const mr_backend *be);
MR_C_END
#endif
