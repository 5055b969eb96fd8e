/* runset.h — what all run files of a folder say, by name: attributes as "<group>.<name>" and the spread
 * of timings as "<table>.<column>". SPDX-License-Identifier: MIT */
#ifndef MR_RUNSET_H
#define MR_RUNSET_H
#include <stdbool.h>
#include <stdint.h>
#include "status.h"
MR_C_BEGIN

typedef struct mr_fact {
  char *name, *text; /* of the root "status", of others "config.model" */
} mr_fact;

/* Quartiles of the finite samples of a column of times. */
typedef struct mr_timing {
  char *name; /* "bench.step_ns" */
  double q1, median, q3;
} mr_timing;

typedef struct mr_run {
  char *path;
  mr_fact *fact;
  mr_timing *timing;
  int n_facts, n_timings;
} mr_run;

typedef struct mr_runset {
  mr_run *run;
  int n;
  char **problem; /* a sentence for each file that could not be read */
  int n_problems;
} mr_runset;

/* Adds every *.h5 below `folder`, by name. Files that are no readable run files are problems, no
 * failure; a folder that cannot be read is MR_ERR_IO. Start from a zeroed set. */
MR_MUST mr_status mr_runset_read(mr_runset *s, const char *folder);
void mr_runset_free(mr_runset *s);

/* Text of a fact: `name` itself, or else a setting of that name, "cell.<name>" as executed before
 * "config.<name>" as asked for. NULL: the run has none. */
const char *mr_run_fact(const mr_run *r, const char *name);
/* False where there is none or it is no number. */
bool mr_run_number(const mr_run *r, const char *name, double *out);
/* NULL: the run has none. */
const mr_timing *mr_run_timing(const mr_run *r, const char *name);
/* The settings in a timing's descriptor: ":expansion=2:mamba.state=8"; "" where it has none. */
const char *mr_run_settings(const mr_run *r);
/* Of which command the run is: "train", "bench" or "infer". */
const char *mr_run_kind(const mr_run *r);
/* Complete, and not mistrusted. */
bool mr_run_counts(const mr_run *r);
MR_C_END
#endif
