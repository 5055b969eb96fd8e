/* check.h — proves ops on a machine: each case of the table against its reference, its derivative and
 * itself. SPDX-License-Identifier: MIT */
#ifndef MR_CHECK_H
#define MR_CHECK_H
#include <stdio.h>
#include "cases.h"
MR_C_BEGIN

enum { MR_CHECK_FORWARD = 1, MR_CHECK_BACKWARD = 2, MR_CHECK_REPEAT = 4, MR_CHECK_ALL = 7 };

typedef struct mr_check_result {
  bool ok;
  double worst;   /* largest error seen, in parts of what is allowed: above 1 is a failure */
  char text[256]; /* where and what the worst error was                                     */
  char note[256]; /* what else is to be told; usually nothing                               */
} mr_check_result;

/* Runs one case through a tape on be, with every buffer poisoned before its first write:
 *   FORWARD  outputs against the reference;
 *   BACKWARD gradient of sum R y, R random, against central differences of the reference, element by
 *            element and in norm: 1e-6 relative when mr_real is double, else the case's tolerance;
 *   REPEAT   a second forward and backward give the same bits.
 * A mismatch is a result, not an error; errors are those of tape and memory. */
MR_MUST mr_status mr_check_case(const mr_case *c, mr_backend *be, int what, mr_check_result *r);

/* Runs one case on both and compares outputs and gradients element by element: to 1e-10 when mr_real is
 * double, else within 4 times the case's tolerance. */
MR_MUST mr_status mr_check_parity(const mr_case *c, mr_backend *be, mr_backend *other,
                                  mr_check_result *r);

/* The same with the work of the device divided as on one of a single multiprocessor: what large devices
 * do in one piece is then cut by small shapes already. */
MR_MUST mr_status mr_check_parity_small(const mr_case *c, mr_backend *be, mr_backend *other,
                                        mr_check_result *r);

/* One line per case: its descriptor, tolerance and reason. */
MR_MUST mr_status mr_check_list(FILE *f);
/* What a check came to. */
typedef struct mr_check_count {
  int run, failed, skipped; /* skipped: this build or machine lacks what the check needs */
} mr_check_count;

/* Runs the case whose descriptor is `name`, or else all that start with it (NULL: all), on the CPU
 * with 1 and 2 threads, or on CUDA, there against the CPU and as on a small device too: those of FORWARD,
 * BACKWARD and REPEAT that are in `what`. `models`: then mr_check_models. Prints one line per case to out;
 * a failure also names the worst element and the command that replays it. MR_ERR_ARG when no case has
 * such a name. */
MR_MUST mr_status mr_check_run(const char *name, mr_device dev, int what, bool models, FILE *out,
                               mr_check_count *n);

/* Every model in several settings ("model:gru:reset=before"), small, odd and on poisoned memory, that
 * start with `name`: loss and gradients on be against `other`, where a model's twin, if it has one,
 * takes its place; three steps of two micro-batches twice the same, bit by bit; and where be can, the
 * same when they are replayed as graphs. On CUDA mingru and gru in tf32 and bf16 too. A model with a
 * twin has kernels of a vendor, which may differ from run to run in their last bits: that is noted, and
 * fails only beyond the tolerance. */
MR_MUST mr_status mr_check_models(const char *name, mr_backend *be, mr_backend *other, FILE *out,
                                  mr_check_count *n);
/* A device's failure becomes the result of the case, and the others can go on; returns other errors. */
MR_MUST mr_status mr_check_broken(mr_status st, mr_check_result *r);
/* One line of a result. replay: what `minrnn check` is given to do it again. */
MR_MUST mr_status mr_check_tell(FILE *out, const mr_check_result *r, const char *name,
                                const char *replay, mr_check_count *n);
MR_C_END
#endif
