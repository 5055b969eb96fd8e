/* infer.h — times of inference: reading a context, then one step at a time in recurrent mode, for
 * several models side by side in one process. SPDX-License-Identifier: MIT */
#ifndef MR_INFER_H
#define MR_INFER_H
#include "bench.h"
MR_C_BEGIN

typedef struct mr_infer_opts {
  int64_t tokens;      /* steps after the context                                   */
  int64_t chunk;       /* steps of the context read at once; 0: mr_infer_chunk      */
  int64_t samples;     /* timed rounds; 0: at least 5, until the noise is below 1 % */
  double seconds;      /* or, from 5 rounds on, this much time was spent per model  */
  double limit;        /* bytes to use at most; 0: what the device has free         */
  const char *folder;  /* a run file per cell goes here; NULL: none                 */
  bool force;          /* replace existing files                                    */
  const char *command; /* for the log                                               */
} mr_infer_opts;

/* Of B sequences; `length` of a cell is the context. */
typedef struct mr_infer_row {
  const mr_cell *cell;
  char descriptor[MR_CELL_TEXT];
  char path[1024]; /* run file; empty: none */
  mr_cell_state state;
  mr_status status;  /* of a cell that is skipped or failed */
  char reason[1024]; /* and why; or why it is mistrusted    */
  int64_t chunk, state_bytes, state_step_bytes, planned_bytes, needed_bytes, free_bytes;
  /* What follows is of a timed cell. */
  int64_t samples, device_bytes, other_bytes, allowance_bytes;
  /* ns; processor time on one CPU thread, otherwise by the clock */
  mr_bench_stat prefill; /* all contexts read and the outputs of their last step on the host */
  mr_bench_stat token;   /* one more step of all sequences and its outputs on the host       */
  int threads;
  bool mistrusted; /* memory off the plan */
} mr_infer_row;

/* The most steps, up to 2048, of which the context is a whole number of. */
int64_t mr_infer_chunk(int64_t context);
/* Bytes that one sequence carries after `context` steps, in all layers. */
int64_t mr_infer_state_bytes(const mr_config *c, const mr_model_def *m, int64_t context);

/* The descriptor of a cell, as of mr_cell_describe, with ":infer<tokens>" behind it, and "c<chunk>"
 * behind that when the chunk is not mr_infer_chunk's. */
MR_MUST mr_status mr_infer_describe(const mr_cell *c, const mr_infer_opts *o, int threads,
                                    char *text);
/* The cell that such a descriptor describes, and its tokens and chunk; where the last part is missing
 * these stay. */
MR_MUST mr_status mr_infer_load(mr_cell *c, mr_infer_opts *o, const char *text);

/* Times the n cells, which differ in model at most; as many at once as fit in memory take turns,
 * round by round. Each comes to its own end (rows[i].state), on a device that is absent too; the call
 * fails only for wrong use and files that cannot be written. A cell whose file is complete is kept,
 * and a file that is not complete or cannot be read is replaced. A cell is planned
 * before anything is allocated, and skipped if it does not fit. Before the first time it must pass a
 * gate: context and steps give what the whole-sequence form gives, and the same bits twice. */
MR_MUST mr_status mr_infer(const mr_cell *cell, int n, const mr_infer_opts *o, mr_infer_row *rows);
MR_C_END
#endif
