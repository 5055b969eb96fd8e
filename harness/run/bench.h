/* bench.h — times of models: their mixers alone, the matrix products in them alone, and whole
 * training steps, side by side in one process. SPDX-License-Identifier: MIT */
#ifndef MR_BENCH_H
#define MR_BENCH_H
#include "registry.h"
MR_C_BEGIN

typedef struct mr_bench_opts {
  int64_t samples;     /* timed rounds; 0: at least 5, until the noise is below 1 % */
  double seconds;      /* or, from 5 rounds on, this much time was spent per model  */
  bool force;          /* replace existing files                                    */
  const char *command; /* for the log                                               */
} mr_bench_opts;

/* The quantities of one round. */
typedef enum mr_bench_time {
  MR_BENCH_FWD,  /* mixers, forward                                                     */
  MR_BENCH_BWD,  /* mixers, backward: gradients of input and parameters                 */
  MR_BENCH_GEMM, /* the matrix products of both, replayed alone on the same memory      */
  MR_BENCH_STEP, /* the whole network: forward, backward, optimizer                     */
  MR_N_BENCH_TIMES
} mr_bench_time;

typedef struct mr_bench_stat { /* ns; NaN where a device cannot tell */
  double median, p10, p90, min;
} mr_bench_stat;

typedef struct mr_bench_row {
  const mr_config *config;
  int64_t length; /* steps of the mixer's sequences */
  int threads;
  mr_bench_stat time[MR_N_BENCH_TIMES];
  double gemm_ratio; /* (fwd + bwd) / gemm, of the medians               */
  double gemm_flops; /* of the replayed products                         */
  int64_t gemm_calls;
  int64_t planned_bytes, device_bytes; /* of the whole training step       */
  int64_t samples;
} mr_bench_row;

/* Times the n configs, which differ in model at most and share device and threads; their rounds
 * alternate. Before the first time each model must pass a gate: two runs of the mixer give the same
 * bits, and a sequence cut into stretches with carried state gives what the whole one gives.
 * MR_ERR_NUMERIC names what differs. Where `out` is given all samples go to a run file: `out` itself
 * if it ends in .h5 (with "-<model>" in front of that for n > 1), else a file in that folder. */
MR_MUST mr_status mr_bench(const mr_config *c, int n, const mr_bench_opts *o, mr_bench_row *rows);
MR_C_END
#endif
