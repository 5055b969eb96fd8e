/* train_impl.h — what the trainer's own files share: opening a run, its steps, its end.
 * SPDX-License-Identifier: MIT */
#ifndef MR_TRAIN_IMPL_H
#define MR_TRAIN_IMPL_H
#include "checkpoint.h"
#include "evaluate.h"
#include "folder.h"
#include "h5log.h"
#include "meter.h"
#include "rule.h"
#include "step.h"
#include "train.h"

enum { MR_PATH_BYTES = 1024, MR_INIT_BYTES = 4096 };

typedef struct mr_training {
  const mr_config *c;
  const mr_train_opts *o;
  mr_train_result *r;
  /* Run file, the same while it grows, and the two checkpoints. */
  char run[MR_PATH_BYTES], part[MR_PATH_BYTES], best[MR_PATH_BYTES], last[MR_PATH_BYTES];
  char init[MR_INIT_BYTES]; /* where the parameters of step 0 come from; "": they are drawn */
  char lock_path[MR_PATH_BYTES];
  int lock;             /* descriptor held for the sitting; -1: none */
  bool finished_before; /* --resume of a complete run: nothing to do */
  bool started;         /* from here on files are ours               */

  const mr_model_def *model;
  const mr_task_def *def;
  mr_task_info info;
  mr_task *task;
  mr_backend *be;
  mr_tape *tape;
  mr_net net;
  mr_plan_report plan;
  mr_optim *optim;
  mr_feed *feed;
  mr_step *step;
  mr_player *player; /* NULL: the task has no rollouts */
  mr_eval *eval;
  mr_log *log;
  mr_table *train_rows, *eval_rows;
  mr_meter meter;

  mr_progress now;
  int64_t validated; /* step of the last validation of this sitting; -1: none */
  mr_score valid;    /* its score                                             */
  int64_t earlier_ns, start_ns, synced_ns; /* of earlier sittings; clock readings   */
  mr_device_mem before, made, after; /* before the training step was made, once it was, and after
                                              the last one */
  int64_t step_allocs;               /* allocations made by steps             */
} mr_training;

/* Everything that a user can get wrong comes first and writes nothing; then the run's files are
 * begun or, with --resume, gone on from. t is zeroed; mr_training_close serves after failure too. */
MR_MUST mr_status mr_training_open(mr_training *t, const mr_config *c, const mr_train_opts *o,
                                   mr_train_result *r);
void mr_training_close(mr_training *t);
/* The four paths, and whether the run may be started, gone on with, or is done. Writes nothing. */
MR_MUST mr_status mr_training_paths(mr_training *t);
/* Writes a run file that says only why the run was skipped (the sentence of the last failure), unless
 * files of an earlier run stand there: then MR_ERR_CONFIG. */
MR_MUST mr_status mr_training_skip(mr_training *t);
/* Compares the config with the one in a checkpoint or run file: MR_ERR_CONFIG names the first key
 * that must not change, and both values. Options of other models and tasks do not count; a key that
 * the file lacks had its default. */
MR_MUST mr_status mr_check_same_config(const mr_config *c, const char *path);
/* Makes this process the only one that trains into the run, by a lock on "<run>.lock" that the
 * kernel drops with the process. Held by another one: MR_ERR_CONFIG. */
MR_MUST mr_status mr_training_lock(mr_training *t);
void mr_training_unlock(mr_training *t); /* nothing to do without a lock */

/* Time of training over all sittings, ns. */
int64_t mr_training_wall(const mr_training *t);
/* Scores best and last on validation and test split, logs everything and completes the file. */
MR_MUST mr_status mr_training_end(mr_training *t, const char *reason);
/* Reads the result of a complete run file back. */
MR_MUST mr_status mr_training_read_result(mr_training *t);
/* Appends a row of /eval. */
MR_MUST mr_status mr_training_log_score(mr_training *t, int64_t step, mr_split s,
                                        const mr_score *score);
#endif
