/* compare.c — is one timing of a cell faster or slower than another, or can that not be told?
 * SPDX-License-Identifier: MIT */
#include "compare.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "h5log.h"
#include "mem.h"
#include "stats.h"

#define LEAST_THRESHOLD 0.05
#define TURN_NS         3e6 /* that another program keeps a core, at least */
#define MOST_TAKEN      0.1

static mr_status refuse(mr_comparison *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static mr_status refuse(mr_comparison *out, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  vsnprintf(out->reason, sizeof out->reason, fmt, args);
  va_end(args);
  out->verdict = MR_INCOMPARABLE;
  return MR_OK;
}

/* ---- The rule -------------------------------------------------------------------------------- */

typedef struct summary {
  double q1, median, q3;
} summary;

static mr_status summarise(const double *value, int64_t n, summary *s)
{
  void *p;
  MR_CHECK(mr_calloc(&p, (size_t)n, sizeof *value));
  double *x = p;
  memcpy(x, value, (size_t)n * sizeof *x);
  mr_sort(x, n);
  s->q1 = mr_quantile(x, n, 0.25);
  s->median = mr_quantile(x, n, 0.5);
  s->q3 = mr_quantile(x, n, 0.75);
  mr_free(p);
  return MR_OK;
}

static double range(const summary *s)
{
  return (s->q3 - s->q1) / s->median;
}

/* Is y above x, beyond threshold and by the quartiles? */
static bool above(const summary *x, const summary *y, double threshold)
{
  return y->median / x->median - 1 > threshold && x->q3 < y->median && y->q1 > x->median;
}

mr_status mr_compare_values(const double *const value[2], const int64_t n[2], mr_comparison *out)
{
  summary s[2];
  for (int i = 0; i < 2; i++) MR_CHECK(summarise(value[i], n[i], &s[i]));
  out->change = s[1].median / s[0].median - 1;
  out->threshold = fmax(LEAST_THRESHOLD, fmax(range(&s[0]), range(&s[1])));
  out->verdict = above(&s[0], &s[1], out->threshold)   ? MR_SLOWER
                 : above(&s[1], &s[0], out->threshold) ? MR_FASTER
                                                       : MR_SAME;
  out->unclear = out->verdict == MR_SAME && fabs(out->change) > LEAST_THRESHOLD;
  if (!out->disturbed || out->verdict == MR_SAME) return MR_OK;
  return refuse(out,
                "the times differ by %+.1f %%, but other programs had a core for over a tenth of "
                "most rounds",
                100 * out->change);
}

/* ---- Files ----------------------------------------------------------------------------------- */

typedef struct side {
  const char *path;
  char cell[MR_CELL_TEXT];
  mr_h5_table bench;
  double *value;
} side;

/* State and cell of both files. */
static mr_status read_heads(side *s, mr_comparison *out)
{
  char status[32], trust[32], why[512];
  for (int i = 0; i < 2; i++) {
    MR_CHECK(mr_h5_attr(s[i].path, "/cell", "descriptor", s[i].cell, sizeof s[i].cell));
    MR_CHECK(mr_h5_attr(s[i].path, "/", "status", status, sizeof status));
    MR_CHECK(mr_h5_attr(s[i].path, "/", "trust", trust, sizeof trust));
    out->timed[i] = strcmp(status, "complete") == 0;
    if (out->timed[i] && strcmp(trust, "mistrusted") != 0) continue;
    MR_CHECK(mr_h5_attr(s[i].path, "/", "reason", why, sizeof why));
    MR_CHECK(refuse(out, "%s is %s: %s", s[i].path, out->timed[i] ? trust : status, why));
  }
  memcpy(out->cell, s[0].cell, sizeof out->cell);
  if (strcmp(s[0].cell, s[1].cell) != 0) MR_CHECK(refuse(out, "the other cell is %s", s[1].cell));
  return MR_OK;
}

/* What the machines must have in common; software may be what is compared. */
static mr_status compare_machines(const side *s, mr_comparison *out)
{
  static const char *const fact[] = {"cpu", "cores", "threads", "binding", "gpu", "sm_count"};
  char text[2][256];
  for (size_t k = 0; k < sizeof fact / sizeof *fact; k++) {
    for (int i = 0; i < 2; i++)
      MR_CHECK(mr_h5_attr(s[i].path, "/machine", fact[k], text[i], sizeof text[i]));
    if (strcmp(text[0], text[1]) != 0)
      return refuse(out, "the machines differ: %s is %s and %s", fact[k], text[0], text[1]);
  }
  return MR_OK;
}

static int column_of(const mr_table *t, const char *name)
{
  int k = 0;
  while (k < t->n_columns && strcmp(t->column[k].name, name) != 0) k++;
  return k < t->n_columns ? k : -1;
}

/* Had other programs a core for too much of most rounds? */
static bool is_disturbed(const mr_table *t, int preempted, int pace, int step)
{
  int64_t n = 0;
  for (const double *row = t->cell; row < t->cell + t->n_rows * t->n_columns; row += t->n_columns)
    n += row[preempted] * TURN_NS > MOST_TAKEN * (row[pace] + row[step]);
  return 2 * n > t->n_rows;
}

/* Samples, what is compared of them, and what is told of them. */
static mr_status read_samples(side *s, int i, mr_comparison *out)
{
  void *p;
  MR_CHECK(mr_h5_table_read(s->path, "bench", &s->bench));
  const mr_table *t = &s->bench.table;
  const int step = column_of(t, "step_ns"), pace = column_of(t, "pace_ns"),
            at = column_of(t, "at_ns"), preempted = column_of(t, "preempted");
  if (step < 0 || pace < 0 || at < 0 || preempted < 0)
    return MR_FAIL(MR_ERR_IO, "%s lacks samples of pace and step: it is of another version",
                   s->path);
  if (t->n_rows < MR_COMPARE_SAMPLES)
    return refuse(out, "%s has %lld samples; it takes %d", s->path, (long long)t->n_rows,
                  MR_COMPARE_SAMPLES);
  MR_CHECK(mr_calloc(&p, (size_t)t->n_rows, sizeof *s->value));
  s->value = p;
  for (int64_t r = 0; r < t->n_rows; r++) s->value[r] = t->cell[r * t->n_columns + step];
  out->step_ms[i] = mr_median(s->value, t->n_rows) / 1e6;
  for (int64_t r = 0; r < t->n_rows; r++)
    s->value[r] = t->cell[r * t->n_columns + step] / t->cell[r * t->n_columns + pace];
  if (!out->processor_time)
    out->disturbed = out->disturbed || is_disturbed(t, preempted, pace, step);
  out->seconds = fmax(out->seconds, t->cell[(t->n_rows - 1) * t->n_columns + at] * 1e-9);
  return MR_OK;
}

static mr_status compare(side *s, mr_comparison *out)
{
  char clock[16];
  MR_CHECK(read_heads(s, out));
  if (out->verdict == MR_INCOMPARABLE) return MR_OK;
  MR_CHECK(compare_machines(s, out));
  if (out->verdict == MR_INCOMPARABLE) return MR_OK;
  MR_CHECK(mr_h5_attr(s[0].path, "/cell", "clock", clock, sizeof clock));
  out->processor_time = strcmp(clock, "processor") == 0;
  for (int i = 0; i < 2; i++) MR_CHECK(read_samples(&s[i], i, out));
  if (out->verdict == MR_INCOMPARABLE) return MR_OK;
  const double *const value[2] = {s[0].value, s[1].value};
  const int64_t n[2] = {s[0].bench.table.n_rows, s[1].bench.table.n_rows};
  return mr_compare_values(value, n, out);
}

mr_status mr_compare_files(const char *a, const char *b, mr_comparison *out)
{
  side s[2] = {{.path = a}, {.path = b}};
  *out = (mr_comparison){.verdict = MR_SAME};
  const mr_status st = compare(s, out);
  for (int i = 0; i < 2; i++) {
    mr_h5_table_free(&s[i].bench);
    mr_free(s[i].value);
  }
  return st;
}
