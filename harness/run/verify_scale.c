/* verify_scale.c — how far runs are from the paper's scale, and the parts of claims about averages.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "verify_impl.h"

/* ---- Scale ----------------------------------------------------------------------------------- */

/* How far value `ours` of a key is from the paper's: 0 equal, otherwise above it. */
static double distance(const char *ours, const char *paper)
{
  char *end_a, *end_b;
  if (ours == NULL) return 1;
  const double a = strtod(ours, &end_a), b = strtod(paper, &end_b);
  const bool numbers = end_a != ours && *end_a == '\0' && end_b != paper && *end_b == '\0';
  if (numbers && a > 0 && b > 0) return fabs(log(a / b));
  return strcmp(ours, paper) == 0 ? 0 : 1;
}

double mr_scale_of(const mr_run *r, const mr_claim *c, char *scale, size_t n)
{
  char entry[MR_ENTRY], differs[3 * MR_ENTRY];
  const char *key, *value;
  double sum = 0;
  for (int i = 0; mr_list_entry(c->scale, ' ', i, entry, sizeof entry); i++) {
    mr_cut_entry(entry, &key, &value);
    const char *ours = mr_run_fact(r, key);
    const double d = distance(ours, value);
    sum += d;
    if (d == 0 || n == 0) continue;
    (void)snprintf(differs, sizeof differs, "%s %s instead of %s", key,
                   ours != NULL ? ours : "unknown", value);
    const size_t used = strlen(scale);
    if (strstr(scale, differs) == NULL)
      (void)snprintf(scale + used, n - used, "%s%s", used > 0 ? "; " : "", differs);
  }
  return sum;
}

/* ---- Averages -------------------------------------------------------------------------------- */

/* The alternatives of all conditions, combined: condition list number i, "a=1 b=2"; false behind the
 * last. */
static bool combination(const char *match, int i, char *list, size_t n)
{
  char entry[MR_ENTRY], word[MR_ENTRY];
  const char *key, *value;
  size_t used = 0;
  list[0] = '\0';
  for (int k = 0; mr_list_entry(match, ' ', k, entry, sizeof entry); k++) {
    int m = 1;
    mr_cut_entry(entry, &key, &value);
    while (mr_list_entry(value, '|', m, word, sizeof word)) m++;
    (void)mr_list_entry(value, '|', i % m, word, sizeof word);
    i /= m;
    const int wrote = snprintf(list + used, n - used, "%s%s=%s", used > 0 ? " " : "", key, word);
    if (wrote < 0 || (size_t)wrote >= n - used) return false;
    used += (size_t)wrote;
  }
  return i == 0;
}

const mr_claim *mr_claim_about(const mr_claims *all, const mr_claim *c, const char *model,
                               const char *match)
{
  for (int i = 0; i < all->n; i++) {
    const mr_claim *k = &all->claim[i];
    if (k->quantity->measure != NULL && strcmp(k->quantity->measure, c->quantity->measure) == 0 &&
        strcmp(k->paper, model) == 0 && strcmp(k->match, match) == 0)
      return k;
  }
  return NULL;
}

bool mr_claim_part(const mr_claims *all, const mr_claim *whole, int i, mr_claim *part, char *match,
                   size_t n)
{
  if (!combination(whole->match, i, match, n)) return false;
  const mr_claim *own = mr_claim_about(all, whole, whole->paper, match);
  *part = *whole;
  part->match = match;
  if (own != NULL) part->scale = own->scale, part->experiment = own->experiment;
  return true;
}
