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

/* ---- verify_find.c --------------------------------------------------------------------------- */
/* What two runs must share to be compared, as one text, of every run of the set. */
typedef struct mr_keys {
  char (*key)[MR_KEY];
  const mr_runset *set;
} mr_keys;
MR_MUST mr_status mr_keys_open(mr_keys *k, const mr_runset *s);
void mr_keys_close(mr_keys *k);
/* A run that the claim's conditions let serve, whatever its model. */
bool mr_run_serves(const mr_run *r, const mr_claim *c);
/* One of the models a|b|c. */
bool mr_run_is_of(const mr_run *r, const char *models);
/* What a method comes to over the runs of one key; one of them goes to *of (if not NULL). */
void mr_method_over(const mr_keys *k, const char *key, const mr_claim *c, const char *method,
                    const char *with, mr_side *out, const mr_run **of);

/* ---- verify_count.c -------------------------------------------------------------------------- */
/* What a method comes to by counting: `whole`, all numbers of the layer; otherwise its input and
 * recurrent weights alone. */
MR_MUST mr_status mr_method_counted(const mr_claim *c, const char *method, bool whole,
                                    mr_side *out);

/* ---- verify_command.c ------------------------------------------------------------------------ */
/* Why it was not run, and what would. */
void mr_explain(const mr_runset *s, mr_finding *f);
MR_C_END
#endif
