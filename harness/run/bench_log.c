/* bench_log.c — the run file of a cell: where it lies and what it holds. SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bench_impl.h"
#include "facts.h"
#include "folder.h"

enum { MOST_OPS = 128, PROFILES = 3, MANY_CALLS = 4096 };
#define LONG_STEP_NS 5e7

/* ---- Path ----------------------------------------------------------------------------------- */

mr_status mr_cell_kept(const char *path, const char *descriptor, bool *kept)
{
  char text[MR_CELL_TEXT];
  *kept = false;
  if (access(path, F_OK) != 0 || mr_h5_attr(path, "/", "status", text, sizeof text) != MR_OK ||
      strcmp(text, "complete") != 0 ||
      mr_h5_attr(path, "/cell", "descriptor", text, sizeof text) != MR_OK)
    return MR_OK;
  *kept = strcmp(text, descriptor) == 0;
  if (*kept) return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG, "%s is of the cell %s, not of %s: give --force to replace it", path,
                 text, descriptor);
}

mr_status mr_bench_path(mr_subject *s, bool *kept)
{
  mr_bench_row *r = s->row;
  const char *out = s->c->out;
  const size_t len = strlen(out);
  const bool file = len > 3 && strcmp(out + len - 3, ".h5") == 0;
  char name[256];
  *kept = false;
  r->path[0] = '\0';
  if (len == 0) return MR_OK;
  mr_cell_file(r->descriptor, name);
  const int n = file ? snprintf(r->path, sizeof r->path, "%s", out)
                     : snprintf(r->path, sizeof r->path, "%s/%s", out, name);
  if (n < 0 || n >= (int)sizeof r->path)
    return MR_FAIL(MR_ERR_CONFIG, "out makes a path of %d characters; allowed: at most %zu", n,
                   sizeof r->path - 1);
  if (file && !s->b->o->force && access(r->path, F_OK) == 0)
    return MR_FAIL(MR_ERR_CONFIG, "%s exists already: give --force to replace it", r->path);
  if (!s->b->o->force) MR_CHECK(mr_cell_kept(r->path, r->descriptor, kept));
  return *kept ? MR_OK : mr_check_room(r->path, 1 << 20);
}

/* ---- Content -------------------------------------------------------------------------------- */

static mr_status log_cell(mr_log *log, const mr_subject *s)
{
  const mr_config *c = s->c;
  const mr_bench_row *r = s->row;
  const struct {
    const char *name, *value;
  } text[] = {{"descriptor", r->descriptor},
              {"model", c->model},
              {"task", c->task},
              {"granularity", mr_granularity(c->model)},
              {"device", c->device},
              {"math", c->math},
              {"mode", r->mode},
              {"cache", r->cell->cold ? "cold" : "hot"},
              {"clock", mr_bench_clock(r)}};
  const struct {
    const char *name;
    int64_t value;
  } whole[] = {{"threads", r->threads},
               {"batch", c->batch},
               {"length", r->length},
               {"width", c->width},
               {"layers", c->layers}};
  for (size_t i = 0; i < sizeof text / sizeof *text; i++)
    MR_CHECK(mr_log_text(log, "cell", text[i].name, text[i].value));
  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
    MR_CHECK(mr_log_int(log, "cell", whole[i].name, whole[i].value));
  if (r->not_captured[0] != '\0')
    MR_CHECK(mr_log_text(log, "cell", "not_captured", r->not_captured));
  return MR_OK;
}

static mr_status log_samples(mr_log *log, const mr_subject *s)
{
  static const struct {
    const char *name;
    int series;
  } column[MR_N_SERIES] = {{"at_ns", MR_SERIES_AT},
                           {"preempted", MR_SERIES_PREEMPTED},
                           {"pace_ns", MR_BENCH_PACE},
                           {"fwd_ns", MR_BENCH_FWD},
                           {"bwd_ns", MR_BENCH_BWD},
                           {"both_ns", MR_BENCH_BOTH},
                           {"gemm_ns", MR_BENCH_GEMM},
                           {"step_ns", MR_BENCH_STEP},
                           {"fwd_device_ns", MR_SERIES_FWD_DEVICE},
                           {"bwd_device_ns", MR_SERIES_BWD_DEVICE},
                           {"both_device_ns", MR_SERIES_BOTH_DEVICE},
                           {"step_device_ns", MR_SERIES_STEP_DEVICE},
                           {"step_wall_ns", MR_SERIES_STEP_WALL}};
  mr_column head[MR_N_SERIES];
  mr_table *t;
  for (int k = 0; k < MR_N_SERIES; k++)
    head[k] = (mr_column){column[k].name, column[k].series == MR_SERIES_PREEMPTED ? "1" : "ns"};
  MR_CHECK(mr_log_table(log, "bench", head, MR_N_SERIES, &t));
  for (int64_t i = 0; i < s->n; i++) {
    double row[MR_N_SERIES];
    for (int k = 0; k < MR_N_SERIES; k++) row[k] = s->series[column[k].series][i];
    MR_CHECK(mr_table_append(t, row));
  }
  return MR_OK;
}

static mr_status log_stat(mr_log *log, const char *name, const mr_bench_stat *x)
{
  const struct {
    const char *ending;
    double ns;
  } part[] = {{"", x->median}, {"_p10", x->p10}, {"_p90", x->p90}, {"_min", x->min}};
  char key[64];
  for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
    snprintf(key, sizeof key, "%s%s_ms", name, part[i].ending);
    MR_CHECK(mr_log_num(log, "result", key, part[i].ns / 1e6));
  }
  return MR_OK;
}

static mr_status log_result(mr_log *log, const mr_subject *s)
{
  static const char *const name[MR_N_BENCH_TIMES] = {
      [MR_BENCH_FWD] = "mixer_fwd",   [MR_BENCH_BWD] = "mixer_bwd", [MR_BENCH_BOTH] = "mixer_both",
      [MR_BENCH_GEMM] = "mixer_gemm", [MR_BENCH_STEP] = "step",     [MR_BENCH_PACE] = "pace"};
  const mr_bench_row *r = s->row;
  const double tokens = (double)(s->c->batch * s->info.T);
  const struct {
    const char *name;
    double value;
  } number[] = {{"tokens_per_s", tokens / (r->time[MR_BENCH_STEP].median * 1e-9)},
                {"mixer_both_device_ms", r->both_device / 1e6},
                {"mixer_floor_ms", r->floor / 1e6},
                {"mixer_floor_ratio", mr_bench_floor_ratio(r)},
                {"gemm_ratio", r->gemm_ratio},
                {"gemm_share", 1 / r->gemm_ratio},
                {"gemm_flops", r->gemm_flops},
                {"step_flops", r->step_flops},
                {"step_bytes", r->step_bytes},
                {"gemm_peak_share", r->gemm_peak_share},
                {"copy_share", r->copy_share},
                {"grad_norm", r->grad_norm},
                {"grad_norm_check", r->grad_norm_check},
                {"repeat_error", r->repeat_error},
                {"scaling", r->scaling}};
  for (int k = 0; k < MR_N_BENCH_TIMES; k++) MR_CHECK(log_stat(log, name[k], &r->time[k]));
  MR_CHECK(mr_log_num(log, "result", "step_wall_ms", r->step_wall / 1e6));
  for (size_t i = 0; i < sizeof number / sizeof *number; i++)
    MR_CHECK(mr_log_num(log, "result", number[i].name, number[i].value));
  MR_CHECK(mr_log_int(log, "result", "launches", r->launches));
  MR_CHECK(mr_log_int(log, "result", "gemm_calls", r->gemm_calls));
  return mr_log_int(log, "result", "samples", r->samples);
}

/* Long steps are profiled once only, and those of many calls, each of which waits for a copy on a device. */
static int profiles(const mr_subject *s)
{
  const bool waits = s->b->device != MR_CPU && s->row->launches > MANY_CALLS;
  return waits || s->row->time[MR_BENCH_STEP].median >= LONG_STEP_NS ? 1 : PROFILES;
}

/* Of some profiles each op's shortest time. */
static mr_status log_ops(mr_log *log, mr_subject *s)
{
  mr_op_time best[MOST_OPS], again[MOST_OPS];
  int n = MOST_OPS;
  MR_CHECK(mr_tape_profile(s->tape, mr_pace_space, &s->b->pace, best, &n));
  for (int i = 1; i < profiles(s); i++) {
    int n_again = MOST_OPS; /* the same rows: the same tape */
    MR_CHECK(mr_tape_profile(s->tape, mr_pace_space, &s->b->pace, again, &n_again));
    for (int k = 0; k < n; k++)
      if (again[k].ns < best[k].ns) best[k].ns = again[k].ns;
  }
  return mr_log_ops(log, best, n);
}

static mr_status log_times(mr_log *log, mr_subject *s)
{
  const mr_bench_row *r = s->row;
  const mr_growth growth = mr_bench_growth(r);
  MR_CHECK(mr_log_num(log, "machine", "copy_bytes_per_s", s->b->copy_rate));
  MR_CHECK(mr_log_num(log, "machine", "gemm_flop_per_s", s->b->gemm_rate));
  MR_CHECK(log_samples(log, s));
  MR_CHECK(log_result(log, s));
  MR_CHECK(mr_log_int(log, "plan", "f32_products", r->f32_products));
  MR_CHECK(log_ops(log, s));
  MR_CHECK(mr_log_nodes(log, s->tape, s->plan.nodes));
  MR_CHECK(mr_log_growth(log, &growth));
  MR_CHECK(mr_log_int(log, "memory", "rss_peak_bytes", mr_rss_peak()));
  if (!r->mistrusted) return MR_OK;
  MR_CHECK(mr_log_text(log, "/", "trust", "mistrusted"));
  return mr_log_text(log, "/", "reason", r->reason);
}

static mr_status log_all(mr_log *log, mr_subject *s)
{
  static const mr_run_status status[] = {[MR_CELL_TIMED] = MR_RUN_COMPLETE,
                                         [MR_CELL_SKIPPED] = MR_RUN_SKIPPED,
                                         [MR_CELL_FAILED] = MR_RUN_FAILED};
  const mr_bench_row *r = s->row;
  MR_CHECK(log_cell(log, s));
  if (s->be != NULL) MR_CHECK(mr_log_machine(log, s->be));
  if (r->planned_bytes > 0) {
    MR_CHECK(mr_log_plan(log, &s->plan, 2 * s->plan.params));
    MR_CHECK(mr_log_int(log, "memory", "bound_bytes", r->bound_bytes));
    MR_CHECK(mr_log_int(log, "memory", "needed_bytes", r->needed_bytes));
    MR_CHECK(mr_log_int(log, "memory", "free_bytes", r->free_bytes));
  }
  if (r->state == MR_CELL_TIMED) MR_CHECK(log_times(log, s));
  return mr_log_finish(log, status[r->state], r->reason);
}

mr_status mr_bench_log(mr_subject *s)
{
  mr_status st = MR_OK;
  mr_log *log = NULL;
  const char *command = s->b->o->command;
  if (s->row->path[0] == '\0') return MR_OK;
  MR_TRY(mr_log_create(&log, s->row->path, s->c, command != NULL ? command : ""));
  MR_TRY(log_all(log, s));
out:
  mr_log_destroy(log);
  return st;
}
