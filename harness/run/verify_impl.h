/* verify_impl.h — what the parts of the check of claims share. SPDX-License-Identifier: MIT */
#ifndef MR_VERIFY_IMPL_H
#define MR_VERIFY_IMPL_H
#include "verify.h"
MR_C_BEGIN

enum { MR_ENTRY = 128, MR_KEY = 512 };

/* "key=value" cut in two, in place. */
void mr_cut_entry(char *entry, const char **key, const char **value);
/* Ours (0) or the reference (1) of a method; false: it has no reference. */
bool mr_method_part(const char *method, int part, char *buf, size_t n);

/* The value that a list of conditions gives to the key, if it is one. */
bool mr_condition(const char *list, const char *wanted, char *buf, size_t n);

/* ---- verify_find.c --------------------------------------------------------------------------- */
/* What two runs must share, as texts, of every run of the set. */
typedef struct mr_keys {
  char (*key)[MR_KEY]; /* to be compared                                              */
  char **settings;     /* trainings: to be averaged as seeds of one; "" for timings   */
  const mr_runset *set;
  const mr_claims *claims;
} mr_keys;
MR_MUST mr_status mr_keys_open(mr_keys *k, const mr_claims *c, const mr_runset *s);
void mr_keys_close(mr_keys *k);
/* A run that meets the claim's conditions, whatever its model. */
bool mr_run_matches(const mr_run *r, const mr_claim *c);
/* ... and may serve: no timing with settings beyond them. */
bool mr_run_serves(const mr_run *r, const mr_claim *c);
/* One of the models a|b|c. */
bool mr_run_is_of(const mr_run *r, const char *models);

/* The runs that served. */
typedef struct mr_served {
  const mr_run *of; /* one of them                                       */
  double distance;  /* of the one that is furthest from the paper's scale */
  char scale[512];  /* all differences from it                           */
} mr_served;
/* What a method comes to over the runs of one key; those that served are added to *by. */
void mr_method_over(const mr_keys *k, const char *key, const mr_claim *c, const char *method,
                    const char *with, mr_side *out, mr_served *by);

/* ---- verify_scale.c -------------------------------------------------------------------------- */
/* The run's distance from the claim's scale: |log(ours / paper)| summed over numbers, and 1 for each
 * word that differs; the differences that `scale` [n] does not hold yet are added to it. */
double mr_scale_of(const mr_run *r, const mr_claim *c, char *scale, size_t n);
/* The claim about the same measure of that model alone under these conditions; NULL: none. */
const mr_claim *mr_claim_about(const mr_claims *all, const mr_claim *c, const char *model,
                               const char *match);
/* Part i of a claim that averages: one combination of the alternatives of its `match`, written into
 * match [n]; under the scale and experiment of the claim that is about this part alone, if there is
 * one. False behind the last. */
bool mr_claim_part(const mr_claims *all, const mr_claim *whole, int i, mr_claim *part, char *match,
                   size_t n);

/* ---- verify_count.c -------------------------------------------------------------------------- */
/* What a method comes to by counting: `whole`, all numbers of the layer; otherwise its input and
 * recurrent weights alone. */
MR_MUST mr_status mr_method_counted(const mr_claim *c, const char *method, bool whole,
                                    mr_side *out);

/* ---- verify_command.c ------------------------------------------------------------------------ */
/* Why it was not run, and what would. */
void mr_explain(const mr_keys *k, mr_finding *f);
MR_C_END
#endif
