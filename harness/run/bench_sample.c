/* bench_sample.c — rounds of samples, when to stop, and what they come to. SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include "bench_impl.h"
#include "stats.h"

enum { WARM_UP_ROUNDS = 2, LEAST_SAMPLES = 5, MARK_FROM = 0, MARK_TO = 1 };
#define NOISE_TARGET 0.01

/* ---- When to stop --------------------------------------------------------------------------- */

static double *copy_of(mr_subject *s, int series)
{
  memcpy(s->scratch, s->series[series], (size_t)s->n * sizeof *s->scratch);
  return s->scratch;
}

static bool enough(mr_subject *s)
{
  if (s->n == s->capacity) return true;
  if (s->b->o->samples > 0 || s->n < LEAST_SAMPLES) return false;
  if (s->spent >= s->b->o->seconds) return true;
  for (int k = 0; k < MR_N_BENCH_TIMES; k++)
    if (mr_noise(copy_of(s, k), s->n) >= NOISE_TARGET) return false; /* NaN is not noisy */
  return true;
}

/* ---- One round ------------------------------------------------------------------------------ */

static double since(int64_t start)
{
  return (double)(mr_now_ns() - start);
}

/* One piece of work by three clocks, ns: `net` is what is told, see mr_bench_stat. */
typedef struct reading {
  double net, wall, device;
} reading;

/* Runs fn from one moment at which the device is idle to the next. */
static mr_status timed(mr_subject *s, mr_status (*fn)(mr_subject *s), reading *r)
{
  const mr_backend_api *api = s->be->api;
  if (s->row->cell->cold) MR_CHECK(mr_pace_flush(&s->b->pace));
  MR_CHECK(api->sync(s->be));
  const double cpu = mr_processor_ns();
  const int64_t start = mr_now_ns();
  MR_CHECK(api->mark(s->be, MARK_FROM));
  MR_CHECK(fn(s));
  MR_CHECK(api->mark(s->be, MARK_TO));
  MR_CHECK(api->sync(s->be));
  r->wall = since(start);
  r->net = mr_is_one_cpu_thread(s->be) ? mr_processor_ns() - cpu : r->wall;
  return api->elapsed(s->be, MARK_FROM, MARK_TO, &r->device);
}

/* fn by the device's own clock, which else would count how long the launch takes. */
static mr_status by_device(mr_subject *s, mr_status (*fn)(mr_subject *s), reading *r)
{
  const mr_backend_api *api = s->be->api;
  MR_CHECK(mr_pace_space(&s->b->pace));
  MR_CHECK(api->mark(s->be, MARK_FROM));
  MR_CHECK(fn(s));
  MR_CHECK(api->mark(s->be, MARK_TO));
  return api->elapsed(s->be, MARK_FROM, MARK_TO, &r->device);
}

/* Forward and backward as one; on a device once more for its own clock. */
static mr_status time_both(mr_subject *s, reading *r)
{
  MR_CHECK(timed(s, mr_mixer_both, r));
  return s->be->device == MR_CPU ? MR_OK : by_device(s, mr_mixer_both, r);
}

/* The products of one forward and backward, for replay; untimed. */
static mr_status record_products(mr_subject *s)
{
  MR_CHECK(mr_trace_begin(s->be));
  mr_status st =
      mr_mixer_forward(s); /* not from a graph, whose products are not made again one by one */
  if (st == MR_OK) st = mr_mixer_seed(s);
  if (st == MR_OK) st = mr_mixer_backward(s);
  const mr_status end = mr_trace_end(s->be, &s->row->gemm_calls, &s->row->gemm_flops);
  MR_CHECK(st);
  MR_CHECK(end);
  return mr_trace_swap(s->be, &s->products);
}

static mr_status replay(mr_subject *s)
{
  return mr_trace_replay(s->be);
}

static mr_status run_pace(mr_subject *s)
{
  return mr_pace_once(&s->b->pace);
}

static mr_status time_products(mr_subject *s, reading *r)
{
  r->net = NAN;
  if (s->hides_products) return MR_OK;
  if (s->products == NULL) MR_CHECK(record_products(s));
  MR_CHECK(mr_trace_swap(s->be, &s->products));
  MR_CHECK(timed(s, replay, r));
  if (s->be->device != MR_CPU) {
    MR_CHECK(by_device(s, replay, r));
    r->net = r->device;
  }
  return mr_trace_swap(s->be, &s->products);
}

/* Involuntary context switches of all threads so far. */
static double preemptions(void)
{
  struct rusage u = {0};
  (void)getrusage(RUSAGE_SELF, &u); /* fails for bad arguments only */
  return (double)u.ru_nivcsw;
}

/* All quantities once, into x [MR_N_SERIES]. The pace is taken right before the step, for which it is
 * the measure. */
static mr_status one_round(mr_subject *s, double *x)
{
  reading fwd, bwd, both, gemm, pace, step;
  MR_CHECK(timed(s, mr_mixer_forward, &fwd));
  MR_CHECK(mr_mixer_seed(s));
  MR_CHECK(timed(s, mr_mixer_backward, &bwd));
  MR_CHECK(time_both(s, &both));
  MR_CHECK(time_products(s, &gemm));
  MR_CHECK(mr_feed_next(s->feed, MR_TRAIN, (uint64_t)s->steps));
  const double switches = preemptions();
  MR_CHECK(timed(s, run_pace, &pace));
  MR_CHECK(timed(s, mr_subject_step, &step));
  x[MR_SERIES_PREEMPTED] = preemptions() - switches;
  x[MR_BENCH_FWD] = fwd.net, x[MR_SERIES_FWD_DEVICE] = fwd.device;
  x[MR_BENCH_BWD] = bwd.net, x[MR_SERIES_BWD_DEVICE] = bwd.device;
  x[MR_BENCH_BOTH] = both.net, x[MR_SERIES_BOTH_DEVICE] = both.device;
  x[MR_BENCH_GEMM] = gemm.net, x[MR_BENCH_PACE] = pace.net;
  x[MR_BENCH_STEP] = step.net, x[MR_SERIES_STEP_DEVICE] = step.device;
  x[MR_SERIES_STEP_WALL] = step.wall;
  return MR_OK;
}

/* ---- All rounds ----------------------------------------------------------------------------- */

/* A long first round is warm-up enough: the gate has run every shape before. */
static mr_status warm_up(mr_subject *s)
{
  double unread[MR_N_SERIES];
  const int64_t start = mr_now_ns();
  for (int k = 0; k < WARM_UP_ROUNDS; k++) {
    if (k > 0 && since(start) * 1e-9 > s->b->o->seconds / 4) break;
    MR_CHECK(one_round(s, unread));
  }
  return MR_OK;
}

static mr_status sample(mr_subject *s, int64_t begin)
{
  double x[MR_N_SERIES];
  const int64_t start = mr_now_ns();
  MR_CHECK(one_round(s, x));
  x[MR_SERIES_AT] = (double)(start - begin);
  for (int k = 0; k < MR_N_SERIES; k++) s->series[k][s->n] = x[k];
  s->n++;
  s->spent += since(start) * 1e-9;
  s->done = enough(s);
  return MR_OK;
}

/* One more round of each that wants one; *going is cleared when none does. */
static mr_status turn(mr_subject *const *s, int n, int64_t begin, bool *going)
{
  *going = false;
  for (int i = 0; i < n; i++) {
    if (s[i]->done || s[i]->ended) continue;
    const mr_status st = begin < 0 ? warm_up(s[i]) : sample(s[i], begin);
    if (st != MR_OK) MR_CHECK(mr_subject_end(s[i], st));
    *going = *going || !(s[i]->done || s[i]->ended);
  }
  return MR_OK;
}

/* Rounds of all subjects alternate, so that a machine that changes its pace meets them alike. */
mr_status mr_sample_all(mr_subject *const *s, int n)
{
  bool going;
  MR_CHECK(turn(s, n, -1, &going));
  const int64_t begin = mr_now_ns();
  while (going) MR_CHECK(turn(s, n, begin, &going));
  return MR_OK;
}

/* ---- What they come to ---------------------------------------------------------------------- */

static mr_bench_stat summarise(mr_subject *s, int series)
{
  double *x = copy_of(s, series);
  mr_sort(x, s->n);
  mr_bench_stat r = {.median = mr_quantile(x, s->n, 0.5),
                     .p10 = mr_quantile(x, s->n, 0.1),
                     .p90 = mr_quantile(x, s->n, 0.9),
                     .min = x[0]};
  return r;
}

const char *mr_bench_clock(const mr_bench_row *r)
{
  return strcmp(r->cell->config.device, "cpu") == 0 && r->threads == 1 ? "processor" : "wall";
}

/* By the device's clock; the CPU's are those of the other times. */
double mr_bench_floor_ratio(const mr_bench_row *r)
{
  const bool cpu = strcmp(r->cell->config.device, "cpu") == 0;
  return (cpu ? r->time[MR_BENCH_BOTH].median : r->both_device) / r->floor;
}

void mr_summarise(mr_subject *s)
{
  mr_bench_row *r = s->row;
  for (int k = 0; k < MR_N_BENCH_TIMES; k++) r->time[k] = summarise(s, k);
  r->step_wall = summarise(s, MR_SERIES_STEP_WALL).median;
  r->both_device = summarise(s, MR_SERIES_BOTH_DEVICE).median;
  const double apart = r->time[MR_BENCH_FWD].median + r->time[MR_BENCH_BWD].median;
  r->gemm_ratio =
      (s->be->device == MR_CPU ? apart : r->both_device) / r->time[MR_BENCH_GEMM].median;
  r->samples = s->n;
}
