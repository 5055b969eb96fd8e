/* bench.c — rounds of samples, when to stop, and what they come to. SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench_impl.h"
#include "device.h"
#include "facts.h"
#include "folder.h"
#include "machine.h"
#include "mem.h"
#include "train.h"

enum { WARM_UP_ROUNDS = 2, LEAST_SAMPLES = 5 };
#define NOISE_TARGET 0.01 /* median absolute deviation / median */

/* ---- Numbers -------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The value below which the share q of the n sorted numbers lies. */
static double quantile(const double *sorted, int64_t n, double q)
{
  double at = q * (double)(n - 1);
  int64_t i = (int64_t)at;
  if (i + 1 >= n) return sorted[n - 1];
  return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

static const double *sort(mr_subject *s, const double *x)
{
  memcpy(s->sorted, x, (size_t)s->n * sizeof *x);
  qsort(s->sorted, (size_t)s->n, sizeof *x, by_value);
  return s->sorted;
}

static mr_bench_stat summarise(mr_subject *s, mr_bench_time k)
{
  const double *x = sort(s, s->sample[k]);
  mr_bench_stat r = {.median = quantile(x, s->n, 0.5),
                     .p10 = quantile(x, s->n, 0.1),
                     .p90 = quantile(x, s->n, 0.9),
                     .min = x[0]};
  return r;
}

/* Median absolute deviation / median. */
static double noise(mr_subject *s, mr_bench_time k)
{
  double median = quantile(sort(s, s->sample[k]), s->n, 0.5);
  for (int64_t i = 0; i < s->n; i++) s->sorted[i] = fabs(s->sample[k][i] - median);
  qsort(s->sorted, (size_t)s->n, sizeof *s->sorted, by_value);
  return quantile(s->sorted, s->n, 0.5) / median;
}

static bool enough(mr_subject *s)
{
  if (s->n == s->capacity) return true;
  if (s->o->samples > 0 || s->n < LEAST_SAMPLES) return false;
  if (s->spent >= s->o->seconds) return true;
  for (int k = 0; k < MR_N_BENCH_TIMES; k++)
    if (noise(s, k) >= NOISE_TARGET) return false;
  return true;
}

/* ---- One round ------------------------------------------------------------------------------ */

/* The products of one forward and backward, for replay; untimed. */
static mr_status record_products(mr_subject *s)
{
  MR_CHECK(mr_cpu_trace_begin(s->be));
  MR_CHECK(mr_mixer_forward(s));
  MR_CHECK(mr_mixer_seed(s));
  MR_CHECK(mr_mixer_backward(s));
  return mr_cpu_trace_end(s->be, &s->row->gemm_calls, &s->row->gemm_flops);
}

static double since(int64_t start)
{
  return (double)(mr_now_ns() - start);
}

/* All four quantities once, into ns. The backend remembers one subject's products at a time. */
static mr_status one_round(mr_subject *s, mr_subject **recorded, double *ns)
{
  int64_t start = mr_now_ns();
  MR_CHECK(mr_mixer_forward(s));
  ns[MR_BENCH_FWD] = since(start);
  MR_CHECK(mr_mixer_seed(s));
  start = mr_now_ns();
  MR_CHECK(mr_mixer_backward(s));
  ns[MR_BENCH_BWD] = since(start);

  ns[MR_BENCH_GEMM] = NAN;
  if (s->be->device == MR_CPU) {
    if (*recorded != s) MR_CHECK(record_products(s));
    *recorded = s;
    start = mr_now_ns();
    MR_CHECK(mr_cpu_trace_replay(s->be));
    ns[MR_BENCH_GEMM] = since(start);
  }

  MR_CHECK(mr_feed_next(s->feed, MR_TRAIN, (uint64_t)s->steps));
  start = mr_now_ns();
  MR_CHECK(mr_subject_step(s));
  ns[MR_BENCH_STEP] = since(start);
  return MR_OK;
}

static mr_status sample(mr_subject *s, mr_subject **recorded)
{
  double ns[MR_N_BENCH_TIMES];
  int64_t start = mr_now_ns();
  MR_CHECK(one_round(s, recorded, ns));
  for (int k = 0; k < MR_N_BENCH_TIMES; k++) s->sample[k][s->n] = ns[k];
  s->n++;
  s->spent += since(start) * 1e-9;
  s->done = enough(s);
  return MR_OK;
}

/* Rounds of all subjects alternate, so that a machine that changes its pace meets them alike. */
static mr_status sample_all(mr_subject *s, int n)
{
  double ns[MR_N_BENCH_TIMES];
  mr_subject *recorded = NULL;
  for (int i = 0; i < n; i++)
    for (int k = 0; k < WARM_UP_ROUNDS; k++) MR_CHECK(one_round(&s[i], &recorded, ns));
  for (bool going = true; going;) {
    going = false;
    for (int i = 0; i < n; i++) {
      if (s[i].done) continue;
      MR_CHECK(sample(&s[i], &recorded));
      going = going || !s[i].done;
    }
  }
  return MR_OK;
}

static void conclude(mr_subject *s)
{
  mr_bench_row *r = s->row;
  for (int k = 0; k < MR_N_BENCH_TIMES; k++) r->time[k] = summarise(s, k);
  r->gemm_ratio =
      (r->time[MR_BENCH_FWD].median + r->time[MR_BENCH_BWD].median) / r->time[MR_BENCH_GEMM].median;
  r->samples = s->n;
}

/* ---- Files ---------------------------------------------------------------------------------- */

/* Where a subject's samples go, and whether they can. */
static mr_status choose_path(mr_subject *s, int n_subjects)
{
  const mr_config *c = s->c;
  size_t len = strlen(c->out);
  int n;
  if (len == 0) return MR_OK;
  if (len > 3 && strcmp(c->out + len - 3, ".h5") == 0)
    n = snprintf(s->path, sizeof s->path, "%.*s%s%s.h5", (int)len - 3, c->out,
                 n_subjects > 1 ? "-" : "", n_subjects > 1 ? c->model : "");
  else
    n = snprintf(s->path, sizeof s->path, "%s/bench-%s-b%lld-t%lld-d%lld-l%lld.h5", c->out,
                 c->model, (long long)c->batch, (long long)c->length, (long long)c->width,
                 (long long)c->layers);
  if (n < 0 || n >= (int)sizeof s->path)
    return MR_FAIL(MR_ERR_CONFIG, "out makes a path of %d characters; allowed: at most %zu", n,
                   sizeof s->path - 1);
  if (!s->o->force && access(s->path, F_OK) == 0)
    return MR_FAIL(MR_ERR_CONFIG, "%s exists already: give --force to replace it", s->path);
  return mr_check_room(s->path, 1 << 20);
}

/* A model that is named twice has two rows but cannot have one file. */
static mr_status check_distinct(const mr_subject *s, int i)
{
  for (int k = 0; k < i && s[i].path[0] != '\0'; k++)
    if (strcmp(s[k].path, s[i].path) == 0)
      return MR_FAIL(MR_ERR_CONFIG, "model names %s twice, whose samples would share %s",
                     s[i].c->model, s[i].path);
  return MR_OK;
}

static mr_status log_samples(mr_log *log, const mr_subject *s)
{
  static const mr_column column[MR_N_BENCH_TIMES] = {
      {"fwd_ns", "ns"}, {"bwd_ns", "ns"}, {"gemm_ns", "ns"}, {"step_ns", "ns"}};
  mr_table *t;
  MR_CHECK(mr_log_table(log, "bench", column, MR_N_BENCH_TIMES, &t));
  for (int64_t i = 0; i < s->n; i++) {
    double row[MR_N_BENCH_TIMES];
    for (int k = 0; k < MR_N_BENCH_TIMES; k++) row[k] = s->sample[k][i];
    MR_CHECK(mr_table_append(t, row));
  }
  return MR_OK;
}

static mr_status log_result(mr_log *log, const mr_bench_row *r)
{
  static const char *const name[MR_N_BENCH_TIMES] = {"mixer_fwd_ms", "mixer_bwd_ms",
                                                     "mixer_gemm_ms", "step_ms"};
  for (int k = 0; k < MR_N_BENCH_TIMES; k++)
    MR_CHECK(mr_log_num(log, "result", name[k], r->time[k].median / 1e6));
  MR_CHECK(mr_log_num(log, "result", "gemm_ratio", r->gemm_ratio));
  MR_CHECK(mr_log_num(log, "result", "gemm_flops", r->gemm_flops));
  MR_CHECK(mr_log_int(log, "result", "samples", r->samples));
  MR_CHECK(mr_log_device_memory(log, r->planned_bytes, r->device_bytes));
  return mr_log_int(log, "memory", "rss_peak_bytes", mr_rss_peak());
}

static mr_status write_log(mr_subject *s, double copy_rate, double gemm_rate)
{
  mr_status st = MR_OK;
  mr_log *log = NULL;
  MR_TRY(mr_log_create(&log, s->path, s->c, s->o->command != NULL ? s->o->command : ""));
  MR_TRY(mr_log_machine(log, s->be));
  MR_TRY(mr_log_num(log, "machine", "copy_bytes_per_s", copy_rate));
  MR_TRY(mr_log_num(log, "machine", "gemm_flop_per_s", gemm_rate));
  MR_TRY(mr_log_plan(log, &s->plan, mr_optim_bytes(s->optim)));
  MR_TRY(log_samples(log, s));
  MR_TRY(log_result(log, s->row));
  MR_TRY(mr_log_finish(log, MR_RUN_COMPLETE, ""));
out:
  mr_log_destroy(log);
  return st;
}

static mr_status write_logs(mr_subject *s, int n, mr_backend *be)
{
  double copy_rate, gemm_rate;
  if (s[0].path[0] == '\0') return MR_OK;
  MR_CHECK(mr_machine_rates(be, &copy_rate, &gemm_rate));
  for (int i = 0; i < n; i++) MR_CHECK(write_log(&s[i], copy_rate, gemm_rate));
  return MR_OK;
}

/* ---- All of it ------------------------------------------------------------------------------ */

static mr_status bench_all(mr_subject *s, int n, mr_backend *be)
{
  for (int i = 0; i < n; i++) {
    MR_CHECK(mr_subject_open(&s[i], be, mr_find_model(s[i].c->model)));
    MR_CHECK(mr_subject_gate(&s[i]));
  }
  MR_CHECK(sample_all(s, n));
  for (int i = 0; i < n; i++) MR_CHECK(mr_subject_check(&s[i]));
  for (int i = 0; i < n; i++) conclude(&s[i]);
  return write_logs(s, n, be);
}

mr_status mr_bench(const mr_config *c, int n, const mr_bench_opts *o, mr_bench_row *rows)
{
  mr_status st = MR_OK;
  mr_backend *be = NULL;
  mr_subject *s = NULL;
  void *p;
  MR_TRY(mr_calloc(&p, (size_t)n, sizeof *s));
  s = p;
  for (int i = 0; i < n; i++) {
    memset(&rows[i], 0, sizeof rows[i]);
    s[i].c = &c[i], s[i].o = o, s[i].row = &rows[i];
    MR_TRY(choose_path(&s[i], n));
    MR_TRY(check_distinct(s, i));
    if (c[i].accum == 1) continue;
    st = MR_FAIL(MR_ERR_CONFIG, "accum is %lld: a step is timed in one piece, so accum must be 1",
                 (long long)c[i].accum);
    goto out;
  }
  MR_TRY(mr_device_open(&be, &c[0]));
  MR_TRY(bench_all(s, n, be));
out:
  for (int i = 0; s != NULL && i < n; i++) mr_subject_close(&s[i]);
  mr_free(s);
  mr_backend_close(be);
  return st == MR_ERR_UNSUPPORTED ? MR_ERR_CONFIG : st; /* an absent device is the user's to mend */
}
