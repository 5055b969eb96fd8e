/* claims.h — the published claims and how each is checked, out of results/paper/claims.tsv; the
 * columns are told in results/README.md. SPDX-License-Identifier: MIT */
#ifndef MR_CLAIMS_H
#define MR_CLAIMS_H
#include <stddef.h>
#include "judge.h"
MR_C_BEGIN

/* What is measured. */
typedef struct mr_quantity {
  const char *name;    /* "speed_up"                                              */
  const char *measure; /* timing or fact of a run; NULL: counted from the models  */
  double scale;        /* measure times this is what the form is made of          */
  mr_form form;
  bool least;          /* of several runs that could serve the smallest does; else their mean */
  bool average;        /* over all alternatives that `match` lists, each of which must be there */
  const char *command; /* that makes such runs                                    */
  const char *means;   /* one line for readers                                    */
} mr_quantity;
const mr_quantity *mr_find_quantity(const char *name); /* NULL: none */

/* One line of the file; all texts are the file's. */
typedef struct mr_claim {
  const char *id, *claim;
  const mr_quantity *quantity;
  double value, deviation; /* deviation NaN: not published                        */
  const char *unit, *certainty, *source, *rule;
  mr_band band;
  /* "mingru_smallops / gru_loop", "mingru / gru|gru_vendor": alternatives split by |. */
  const char *paper, *fair; /* fair "-": there is one method only                 */
  const char *paper_with;   /* further conditions of the paper's method           */
  const char *match;        /* "layers=1 length=512": conditions that runs meet   */
  const char *scale;        /* "batch=64 device=cuda": the paper's scale          */
  const char *vary;         /* "width=64|128|384": left open; a row for each      */
  const char *experiment;   /* experiment file and settings of the command        */
  bool skipped;             /* not asked for; averages may still need it          */
} mr_claim;

typedef struct mr_claims {
  mr_claim *claim;
  int n;
  char *text;
} mr_claims;
/* Missing: MR_ERR_IO. MR_ERR_CONFIG names the line and column that is wrong. */
MR_MUST mr_status mr_claims_read(mr_claims *c, const char *path);
void mr_claims_free(mr_claims *c);

/* Entry i of a list of "key=value" split by blanks ("-": none), or of alternatives split by |: copies
 * it into buf; false behind the last. */
bool mr_list_entry(const char *list, char split, int i, char *buf, size_t n);
MR_C_END
#endif
