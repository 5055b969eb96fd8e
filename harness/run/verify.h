/* verify.h — published claims held against what was run. SPDX-License-Identifier: MIT */
#ifndef MR_VERIFY_H
#define MR_VERIFY_H
#include "claims.h"
#include "runset.h"
MR_C_BEGIN

/* What one method came to. */
typedef struct mr_side {
  char models[160]; /* that served: "mingru_smallops / gru_loop"; asked for where nothing did */
  mr_measure m;
  mr_answer answer;
} mr_side;

/* One claim at one setting of what the paper leaves open. */
typedef struct mr_finding {
  const mr_claim *claim;
  char setting[128]; /* "width 64"; empty: nothing is left open                          */
  mr_side paper, fair;
  mr_ruling verdict;
  char scale[512];    /* "batch 8 instead of 64; ..."; empty: the paper's, or nothing run */
  char machine[256];  /* empty: nothing run                                               */
  char reason[512];   /* why it was not run, or cannot be decided                         */
  char command[1024]; /* that would run it; empty: none can                               */
} mr_finding;

typedef struct mr_findings {
  mr_finding *finding;
  int n;
} mr_findings;

/* Judges every claim that is not skipped, in their order; one row for each setting that was run. Parameters are counted,
 * not run. */
MR_MUST mr_status mr_verify(const mr_claims *c, const mr_runset *s, mr_findings *out);
void mr_findings_free(mr_findings *f); /* a zeroed list is empty */
/* A claim measured at the paper's scale, or one that has none. */
bool mr_full_scale(const mr_finding *f);
MR_C_END
#endif
