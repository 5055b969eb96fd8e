/* bench.h — times of models: their mixers alone, the matrix products in them alone, and whole
 * training steps, side by side in one process. SPDX-License-Identifier: MIT */
#ifndef MR_BENCH_H
#define MR_BENCH_H
#include "bench_cell.h"
MR_C_BEGIN

typedef struct mr_bench_opts {
  int64_t samples;     /* timed rounds; 0: at least 5, until the noise is below 1 % */
  double seconds;      /* or, from 5 rounds on, this much time was spent per model  */
  double limit;        /* bytes to use at most; 0: what the device has free         */
  bool force;          /* replace existing files                                    */
  const char *command; /* for the log                                               */
} mr_bench_opts;

/* The quantities of one round. */
typedef enum mr_bench_time {
  MR_BENCH_FWD,  /* mixers, forward                                                     */
  MR_BENCH_BWD,  /* mixers, backward: gradients of input and parameters                 */
  MR_BENCH_BOTH, /* mixers, forward and backward as one; captured where steps are       */
  MR_BENCH_GEMM, /* the matrix products of both, replayed alone on the same memory      */
  MR_BENCH_STEP, /* the whole network: forward, backward, optimizer                     */
  MR_BENCH_PACE, /* one product and one copy, the same in all cells: the machine's pace */
  MR_N_BENCH_TIMES
} mr_bench_time;

/* ns, NaN where a device cannot tell: wall time, but on one CPU thread processor time, from which
 * other programs take nothing. */
typedef struct mr_bench_stat {
  double median, p10, p90, min;
} mr_bench_stat;

typedef enum mr_cell_state {
  MR_CELL_TIMED,
  MR_CELL_KEPT,    /* its file was finished before                             */
  MR_CELL_SKIPPED, /* cannot run here, or does not fit in memory               */
  MR_CELL_FAILED   /* refused by the gate or by a check after timing, or broke */
} mr_cell_state;

typedef struct mr_bench_row {
  const mr_cell *cell;
  char descriptor[MR_CELL_TEXT];
  char path[1024]; /* run file; empty: none */
  mr_cell_state state;
  mr_status status;  /* of a cell that is skipped or failed    */
  char reason[1024]; /* and why; or why the cell is mistrusted */
  /* What follows is of a timed cell. */
  int64_t length; /* steps of the mixer's sequences */
  int32_t threads, launches;
  const char *mode;       /* "graph" or "eager", as its steps are made */
  char not_captured[256]; /* why they are not captured after all       */
  int64_t f32_products;   /* as in mr_backend                          */
  mr_bench_stat time[MR_N_BENCH_TIMES];
  double step_wall;   /* ns, median of the wall time in any case */
  double both_device; /* ns, median by the device's own clock, launches hidden */
  double floor; /* ns, of both: sum over ops of max(bytes / copy rate, flops / product rate) */
  int64_t samples;
  double gemm_ratio; /* (fwd + bwd) / gemm, of the medians               */
  double gemm_flops; /* of the replayed products                         */
  int64_t gemm_calls;
  double step_flops, step_bytes;      /* least of one training step's ops  */
  double gemm_peak_share, copy_share; /* of the rates measured here        */
  double grad_norm, grad_norm_check;  /* of the timed step; op by op       */
  double repeat_error;                /* largest difference of two runs of the mixer, relative */
  double scaling;                     /* time of 2 n steps / time of n     */
  /* Memory of the whole training step, and of all that timing it holds; known before allocation. */
  int64_t planned_bytes, bound_bytes, device_bytes, allowance_bytes;
  int64_t needed_bytes, free_bytes;
  bool mistrusted;
} mr_bench_row;

/* Both passes over their floor. */
double mr_bench_floor_ratio(const mr_bench_row *r);
/* "processor" or "wall": the clock of its times. */
const char *mr_bench_clock(const mr_bench_row *r);

typedef struct mr_bench mr_bench;
MR_MUST mr_status mr_bench_open(mr_bench **out, const mr_bench_opts *o); /* borrows o */
void mr_bench_close(mr_bench *b);                                        /* NULL is fine */

/* How many of the n cells, from the first on, take turns: they differ in model at most. */
int mr_bench_group(const mr_cell *cell, int n);

/* Times the n cells of one group; as many at once as fit in memory take turns, round by round. Each
 * comes to its own end (rows[i].state). The call fails only for wrong use (MR_ERR_CONFIG, MR_ERR_ARG)
 * and files that cannot be written. With the key `out` set, each cell but the kept ones gets a run
 * file: `out` itself if it ends in .h5, else one of mr_cell_file's name in that folder. A complete
 * file in a folder is kept, and one that is not complete is replaced.
 * A cell is planned before anything is allocated, and skipped if it does not fit. Before the first
 * time it must pass a gate: two runs of the mixer, and a captured one, give the same bits (a vendor's
 * kernels: nearly so, see repeat_error), and a sequence cut into stretches with carried state gives what
 * the whole one gives. After the last, the timed step's gradient norm must be that of the same step op by
 * op, each buffer filled with NaN before it is written, summed on the host. Doubts that leave a time
 * standing make it mistrusted: 2 n steps that do not take twice as long as n, more than the measured
 * peak, memory off the plan. */
MR_MUST mr_status mr_bench_run(mr_bench *b, const mr_cell *cell, int n, mr_bench_row *rows);
MR_C_END
#endif
