/* checkpoint.h — parameters, moments and the place in the run, in one HDF5 file written whole.
 * SPDX-License-Identifier: MIT */
#ifndef MR_CHECKPOINT_H
#define MR_CHECKPOINT_H
#include "config.h"
#include "optim.h"
MR_C_BEGIN

/* Where a run stood: everything that is not a tensor. */
typedef struct mr_progress {
  int64_t step;      /* optimizer steps done                                        */
  int64_t wall_ns;   /* time spent so far, over all sittings                        */
  int64_t tokens;    /* tokens trained on so far                                    */
  int64_t best_step; /* of the best validation; -1: none yet                        */
  double best_rank;  /* its loss, or -1 times its first metric where that decides   */
} mr_progress;

/* Writes /config, /params and (o != NULL) /moments and /feed to "<path>.tmp", then renames. The old
 * file stays if anything fails. */
MR_MUST mr_status mr_checkpoint_save(const char *path, const mr_config *c, mr_backend *be,
                                     const mr_tape *t, const mr_optim *o, const mr_progress *p);
/* Loads parameters by name, from a checkpoint or a dump, and moments when o != NULL. A missing or
 * damaged file is MR_ERR_IO; missing, surplus or differently shaped parameters are MR_ERR_CONFIG
 * naming model and every mismatch. Nothing of the tape is changed unless all names and shapes fit. */
MR_MUST mr_status mr_checkpoint_load(const char *path, mr_backend *be, const mr_tape *t,
                                     const mr_optim *o, mr_progress *p);
MR_C_END
#endif
