/* bench_after.c — what is checked once the times are taken, and what follows from them.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include "bench_impl.h"
#include "facts.h"
#include "mem.h"

/* The device adds up in another order than the host. */
#define NORM_TOLERANCE (sizeof(mr_real) == sizeof(double) ? 1e-9 : 1e-4)

static void doubt(mr_bench_row *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void doubt(mr_bench_row *r, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  if (!r->mistrusted) vsnprintf(r->reason, sizeof r->reason, fmt, args); /* the first one is told */
  va_end(args);
  r->mistrusted = true;
}

/* ---- The gradient norm ---------------------------------------------------------------------- */

static mr_status add_squares(mr_subject *s, const mr_view *v, void *host, double *sum)
{
  const int64_t n = mr_count(&v->shape);
  MR_CHECK(s->be->api->download(s->be, host, v->data, mr_bytes(&v->shape, v->dtype)));
  const mr_real *g = host;
  for (int64_t i = 0; i < n; i++) *sum += (double)g[i] * (double)g[i];
  return MR_OK;
}

/* Of the gradients as they lie on the device. */
static mr_status host_norm(mr_subject *s, double *norm)
{
  mr_status st = MR_OK;
  const mr_slot *slot;
  int n;
  size_t most = 1;
  double sum = 0;
  void *host = NULL;
  MR_CHECK(mr_tape_slots(s->tape, &slot, &n));
  for (int i = 0; i < n; i++) {
    const size_t bytes = mr_bytes(&slot[i].grad.shape, MR_REAL);
    most = bytes > most ? bytes : most;
  }
  MR_CHECK(mr_calloc(&host, most, 1));
  for (int i = 0; i < n; i++) MR_TRY(add_squares(s, &slot[i].grad, host, &sum));
  *norm = sqrt(sum);
out:
  mr_free(host);
  return st;
}

/* The same step op by op, every buffer NaN until it is written, then as it was timed. */
static mr_status check_norm(mr_subject *s)
{
  mr_bench_row *r = s->row;
  MR_CHECK(mr_feed_next(s->feed, MR_TRAIN, (uint64_t)s->steps));
  MR_CHECK(mr_tape_tick(s->tape, (uint64_t)s->steps, true));
  mr_tape_poison(s->tape, true);
  mr_status st = mr_tape_forward(s->tape);
  if (st == MR_OK) st = mr_tape_backward(s->tape, 0, 1);
  mr_tape_poison(s->tape, false);
  MR_CHECK(st);
  MR_CHECK(host_norm(s, &r->grad_norm_check));
  MR_CHECK(mr_subject_step(s));
  MR_CHECK(mr_subject_check(s));
  r->grad_norm = s->grad_norm;
  if (fabs(r->grad_norm - r->grad_norm_check) <= NORM_TOLERANCE * r->grad_norm_check) return MR_OK;
  return MR_FAIL(
      MR_ERR_NUMERIC,
      "%s: the timed step's gradient norm is %.9g, but %.9g op by op, so no time is told",
      s->model->name, r->grad_norm, r->grad_norm_check);
}

/* ---- Time grows with the number of steps ---------------------------------------------------- */

enum { MOST_TRIES = 100, MOST_CALLS = 100 };
#define BURST_NS 2e6 /* short, to lie between two turns of other programs now and then */
#define LEAST_NS 5e7 /* of all tries */
#define MOST_NS  2e9

bool mr_scales(double ratio)
{
  return ratio >= 1.6 && ratio <= 2.5;
}

static mr_status burst(const mr_work *w, int n, double *least)
{
  const double start = w->clock();
  for (int i = 0; i < n; i++) MR_CHECK(w->once(w->ctx));
  *least = fmin(*least, w->clock() - start);
  return MR_OK;
}

mr_status mr_scaling(const mr_work *w, double *ratio)
{
  double single = INFINITY, twice = INFINITY;
  const int64_t start = mr_now_ns();
  int n = (int)(BURST_NS / w->ns);
  n = n < 1 ? 1 : n > MOST_CALLS ? MOST_CALLS : n;
  for (int i = 0; i < MOST_TRIES; i++) {
    MR_CHECK(burst(w, n, &single));
    MR_CHECK(burst(w, 2 * n, &twice));
    *ratio = twice / single;
    const double spent = (double)(mr_now_ns() - start);
    if (spent > MOST_NS || (spent > LEAST_NS && mr_scales(*ratio))) break;
  }
  return MR_OK;
}

static mr_status step_once(void *ctx)
{
  return mr_subject_step(ctx);
}

static double wall_ns(void)
{
  return (double)mr_now_ns();
}

/* By the clock of the times. */
static mr_status check_scaling(mr_subject *s)
{
  mr_bench_row *r = s->row;
  const bool one = mr_is_one_cpu_thread(s->be);
  const mr_work step = {step_once, s, one ? mr_processor_ns : wall_ns,
                        r->time[MR_BENCH_STEP].median};
  MR_CHECK(mr_scaling(&step, &r->scaling));
  if (!mr_scales(r->scaling))
    doubt(r, "twice the steps take %.2f times as long: the times are not of whole steps",
          r->scaling);
  return MR_OK;
}

/* ---- Shares of what the machine can --------------------------------------------------------- */

/* Bytes that one step cannot find in any cache: what does not fit there of all it touches, and from
 * cold caches at least parameters and moments. */
static double compulsory_bytes(const mr_subject *s)
{
  const int64_t cache = s->be->device == MR_CPU ? mr_last_cache_bytes() : mr_flood_bytes(s->be);
  const int64_t beyond = s->row->planned_bytes - cache;
  const int64_t cold = s->row->cell->cold ? 3 * s->plan.params : 0;
  return (double)(beyond > cold ? beyond : cold);
}

static bool above_peak(mr_subject *s)
{
  mr_bench_row *r = s->row;
  const mr_bench *b = s->b;
  const double seconds = r->time[MR_BENCH_STEP].median * 1e-9;
  r->gemm_peak_share = r->step_flops / seconds / b->gemm_rate;
  r->copy_share = r->step_bytes / seconds / b->copy_rate;
  return r->gemm_peak_share > 1 || compulsory_bytes(s) / seconds / b->copy_rate > 1;
}

/* A rate that is exceeded is measured once more: others may have used the machine the first time. */
static mr_status check_shares(mr_subject *s)
{
  mr_bench *b = s->b;
  double copy, gemm;
  if (!above_peak(s)) return MR_OK;
  MR_CHECK(mr_machine_rates(s->be, &copy, &gemm));
  b->copy_rate = fmax(b->copy_rate, copy);
  b->gemm_rate = fmax(b->gemm_rate, gemm);
  if (above_peak(s))
    doubt(s->row,
          "the step computes at %.0f %% of the measured product rate, which cannot be, or "
          "moves more than memory can",
          100 * s->row->gemm_peak_share);
  return MR_OK;
}

/* Backward counts as twice the forward pass, as in a profile. */
static mr_status count_floor(mr_subject *s)
{
  const mr_bench *b = s->b;
  double seconds = 0;
  for (int32_t i = 0; i < s->mixer_plan.nodes; i++) {
    mr_node_info op;
    MR_CHECK(mr_tape_node(s->mixer, i, &op));
    seconds += 3 * fmax(op.bytes / b->copy_rate, op.flops / b->gemm_rate);
  }
  s->row->floor = seconds * 1e9;
  return MR_OK;
}

static void check_memory(const mr_subject *s)
{
  mr_bench_row *r = s->row;
  if (mr_off_plan(s->be->device, r->planned_bytes, r->device_bytes, r->allowance_bytes))
    doubt(r, "the device counts %lld bytes where %lld were planned", (long long)r->device_bytes,
          (long long)r->planned_bytes);
}

/* Marks lie between the readings of the clock, so they cannot be further apart. */
static void check_clocks(mr_subject *s)
{
  double wall = 0, device = 0;
  for (int64_t i = 0; i < s->n; i++) {
    wall += s->series[MR_SERIES_STEP_WALL][i];
    device += s->series[MR_SERIES_STEP_DEVICE][i];
  }
  if (device > 1.01 * wall)
    doubt(s->row, "the device's clock tells %.3g ms for steps that took %.3g ms", device / 1e6,
          wall / 1e6);
}

static void tell_mode(mr_subject *s)
{
  const char *why;
  s->row->mode = mr_step_mode(s->step, &why);
  s->row->f32_products = s->be->f32_products;
  if (*why != '\0') (void)snprintf(s->row->not_captured, sizeof s->row->not_captured, "%s", why);
}

mr_status mr_subject_after(mr_subject *s)
{
  MR_CHECK(check_norm(s));
  MR_CHECK(check_scaling(s));
  MR_CHECK(check_shares(s));
  MR_CHECK(count_floor(s));
  check_memory(s);
  check_clocks(s);
  tell_mode(s);
  return MR_OK;
}
