/* train.h — the training loop as one call. SPDX-License-Identifier: MIT */
#ifndef MR_TRAIN_H
#define MR_TRAIN_H
#include "registry.h"
MR_C_BEGIN

typedef struct mr_train_opts {
  bool quiet, force, resume;
  const char *command; /* for the log */
  const char *again;   /* what goes on with this run when it is stopped; NULL: command --resume */
  const char *init;    /* checkpoint or dump whose parameters to start from, NULL: none */
} mr_train_opts;

typedef struct mr_train_result {
  char path[1024]; /* run file                                                    */
  int64_t steps;   /* optimizer steps done                                        */
  int64_t best_step;
  double valid_loss_best, valid_loss_last, test_loss_best, test_loss_last;
  int n_metrics;
  const char *metric[MR_MAX_METRICS];
  double valid_best[MR_MAX_METRICS], valid_last[MR_MAX_METRICS];
  double test_best[MR_MAX_METRICS], test_last[MR_MAX_METRICS];
  double seconds;    /* this sitting's and earlier ones' training time              */
  const char *bits;  /* name of the losses in bits, NULL: not told                  */
  bool skipped;      /* the task's data are not on this machine: all else is unset  */
  char reason[1024]; /* which, and how to get them                                  */
} mr_train_result;

/* Trains as the config says, logs to the run file, keeps best and last checkpoints beside it
 * ("<run>.best.ckpt", "<run>.last.ckpt"), scores both on the test split. Errors that are the user's
 * (existing output, unwritable folder, bad checkpoint) come before anything is written. A non-finite
 * loss is MR_ERR_NUMERIC naming the step; the file is kept as failed. Where the task's data are not on
 * this machine the run file says so (skipped) and nothing is trained; the next run replaces it. */
MR_MUST mr_status mr_train(const mr_config *c, const mr_train_opts *o, mr_train_result *r);

/* Calls fn with every number of a result by the name it has in the run file: steps, best_step,
 * seconds, {valid,test}_loss_{best,last}, {valid,test}_<metric>_{best,last} and, for text,
 * {valid,test}_bits_per_char_{best,last}. */
typedef mr_status (*mr_result_fn)(void *ctx, const char *name, double value);
MR_MUST mr_status mr_train_result_each(const mr_train_result *r, mr_result_fn fn, void *ctx);

/* The run file's path for a config: `out` when it ends in .h5, otherwise
 * <out or results/runs>/<task>-<model>-d<width>-l<layers>-s<seed>.h5. */
MR_MUST mr_status mr_run_path(const mr_config *c, char *buf, size_t n);
MR_C_END
#endif
