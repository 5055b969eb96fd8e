/* crossover.c — from which sequence length on one model takes less time than another.
 * SPDX-License-Identifier: MIT */
#include "crossover.h"
#include <stdio.h>
#include <string.h>

/* ---- Points ---------------------------------------------------------------------------------- */

void mr_crossover_find(mr_crossover *c)
{
  c->from = c->back = -1;
  for (int i = 0; i < c->n; i++) {
    const mr_measure *r = &c->point[i].ratio;
    if (c->from < 0 && r->low > 1) c->from = i;
    if (c->from >= 0 && c->back < 0 && r->high < 1) c->back = i;
  }
}

void mr_crossover_text(const mr_crossover *c, char *buf, size_t n)
{
  char back[64] = "";
  if (c->back >= 0)
    (void)snprintf(back, sizeof back, "; slower again at %.0f", c->point[c->back].length);
  if (c->n == 0)
    (void)snprintf(buf, n, "not measured");
  else if (c->from < 0)
    (void)snprintf(buf, n, "not within %.0f .. %.0f", c->point[0].length,
                   c->point[c->n - 1].length);
  else if (c->from == 0)
    (void)snprintf(buf, n, "at %.0f already, the shortest measured%s", c->point[0].length, back);
  else
    (void)snprintf(buf, n, "between %.0f and %.0f%s", c->point[c->from - 1].length,
                   c->point[c->from].length, back);
}

/* ---- Runs ------------------------------------------------------------------------------------ */

const char *const mr_cross_key[MR_CROSS_KEYS] = {
    "machine.gpu", "machine.cpu", "device", "threads", "math",  "mode",
    "cache",       "task",        "width",  "layers",  "batch", "expansion"};

/* A timing of a model as it is, without options of its own. */
static bool is_timing(const mr_run *r)
{
  char own[96];
  const char *model = mr_run_fact(r, "model");
  (void)snprintf(own, sizeof own, ":%s.", model != NULL ? model : "");
  return strcmp(mr_run_kind(r), "bench") == 0 && mr_run_counts(r) &&
         mr_run_timing(r, "bench.step_ns") != NULL && strstr(mr_run_settings(r), own) == NULL;
}

static bool alike(const mr_run *a, const mr_run *b)
{
  for (int i = 0; i < MR_CROSS_KEYS; i++) {
    const char *x = mr_run_fact(a, mr_cross_key[i]), *y = mr_run_fact(b, mr_cross_key[i]);
    if (x == NULL || y == NULL ? x != y : strcmp(x, y) != 0) return false;
  }
  return strcmp(mr_run_settings(a), mr_run_settings(b)) == 0;
}

bool mr_crossover_opens(const mr_runset *s, int i)
{
  if (!is_timing(&s->run[i])) return false;
  for (int k = 0; k < i; k++)
    if (is_timing(&s->run[k]) && alike(&s->run[k], &s->run[i])) return false;
  return true;
}

/* The fastest timing of a model at a length among those like `r`; absent: none. */
static mr_measure time_at(const mr_runset *s, const mr_run *r, const char *model, double length)
{
  mr_measure best = {.there = false};
  for (int i = 0; i < s->n; i++) {
    const mr_run *k = &s->run[i];
    const char *name = mr_run_fact(k, "model");
    double T;
    if (!is_timing(k) || name == NULL || strcmp(name, model) != 0 || !alike(k, r)) continue;
    if (!mr_run_number(k, "length", &T) || T != length) continue;
    const mr_timing *t = mr_run_timing(k, "bench.step_ns");
    if (!best.there || t->median < best.mid) best = (mr_measure){true, t->q1, t->median, t->q3};
  }
  return best;
}

/* The shortest length above `length` that any run like `r` has; 0: none. */
static double next_length(const mr_runset *s, const mr_run *r, double length)
{
  double next = 0, T;
  for (int i = 0; i < s->n; i++) {
    const mr_run *k = &s->run[i];
    if (!is_timing(k) || !alike(k, r) || !mr_run_number(k, "length", &T)) continue;
    if (T > length && (next == 0 || T < next)) next = T;
  }
  return next;
}

void mr_crossover_of(const mr_runset *s, int i, const char *model, const char *over,
                     mr_crossover *out)
{
  const mr_run *r = &s->run[i];
  out->n = 0;
  for (double T = next_length(s, r, 0); T > 0 && out->n < MR_CROSS_LENGTHS;
       T = next_length(s, r, T)) {
    const mr_measure ratio =
        mr_combine(MR_FORM_TIMES, time_at(s, r, model, T), time_at(s, r, over, T));
    if (!ratio.there) continue;
    out->point[out->n++] = (mr_cross_point){T, ratio};
  }
  mr_crossover_find(out);
}
