/* bench_print.c — rows of `minrnn bench` for people and for programs. SPDX-License-Identifier: MIT */
#include "bench_print.h"
#include <stdio.h>
#include <string.h>
#include "json.h"

static const char *const state_word[] = {[MR_CELL_TIMED] = "complete",
                                         [MR_CELL_KEPT] = "kept",
                                         [MR_CELL_SKIPPED] = "skipped",
                                         [MR_CELL_FAILED] = "failed"};

static void print_head(const mr_bench_row *r)
{
  const mr_config *c = &r->cell->config;
  printf(
      "batch %lld  length %lld  width %lld  layers %lld  %s  %s  %s  %s  threads %d  %s time\n\n",
      (long long)c->batch, (long long)r->length, (long long)c->width, (long long)c->layers,
      c->device, c->math, mr_cell_mode(c), r->cell->cold ? "cold" : "hot", r->threads,
      mr_bench_clock(r));
  printf("%-18s %10s %10s %10s %7s %11s %10s %20s %7s %7s %7s %8s %11s %10s %8s\n", "model",
         "forward ms", "backward", "both ms", "/ floor", "products ms", "step ms", "p10 .. p90",
         "GEMM %", "peak %", "copy %", "launches", "planned MB", "device MB", "samples");
}

static void print_row(const mr_bench_row *r)
{
  const mr_bench_stat *t = r->time;
  char spread[64];
  if (r->state == MR_CELL_KEPT) {
    printf("%-18s kept: %s\n", r->cell->config.model, r->path);
    return;
  }
  if (r->state != MR_CELL_TIMED) {
    printf("%-18s %s: %s\n", r->cell->config.model, state_word[r->state], r->reason);
    return;
  }
  snprintf(spread, sizeof spread, "%.3f .. %.3f", t[MR_BENCH_STEP].p10 / 1e6,
           t[MR_BENCH_STEP].p90 / 1e6);
  printf("%-18s %10.3f %10.3f %10.3f %7.2f %11.3f %10.3f %20s", r->cell->config.model,
         t[MR_BENCH_FWD].median / 1e6, t[MR_BENCH_BWD].median / 1e6, t[MR_BENCH_BOTH].median / 1e6,
         mr_bench_floor_ratio(r), t[MR_BENCH_GEMM].median / 1e6, t[MR_BENCH_STEP].median / 1e6,
         spread);
  printf(" %7.1f %7.1f %7.1f %8d %11.1f %10.1f %8lld\n", 100 / r->gemm_ratio,
         100 * r->gemm_peak_share, 100 * r->copy_share, r->launches, (double)r->planned_bytes / 1e6,
         (double)r->device_bytes / 1e6, (long long)r->samples);
  if (r->mistrusted) printf("%-18s mistrusted: %s\n", "", r->reason);
  if (r->not_captured[0] != '\0') printf("%-18s op by op: %s\n", "", r->not_captured);
}

void mr_bench_print(const mr_bench_row *row, int n)
{
  print_head(row);
  for (int i = 0; i < n; i++) print_row(&row[i]);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_stat(mr_json *j, const char *name, const mr_bench_stat *t)
{
  const struct {
    const char *ending;
    double ns;
  } stat[] = {{"", t->median}, {"_p10", t->p10}, {"_p90", t->p90}, {"_min", t->min}};
  char key[64];
  for (size_t k = 0; k < sizeof stat / sizeof *stat; k++) {
    snprintf(key, sizeof key, "%s%s_ms", name, stat[k].ending);
    mr_json_field_num(j, key, stat[k].ns / 1e6);
  }
}

static void json_times(mr_json *j, const mr_bench_row *r)
{
  json_stat(j, "mixer_fwd", &r->time[MR_BENCH_FWD]);
  json_stat(j, "mixer_bwd", &r->time[MR_BENCH_BWD]);
  json_stat(j, "mixer_both", &r->time[MR_BENCH_BOTH]);
  mr_json_field_num(j, "mixer_both_device_ms", r->both_device / 1e6);
  mr_json_field_num(j, "mixer_floor_ms", r->floor / 1e6);
  mr_json_field_num(j, "mixer_floor_ratio", mr_bench_floor_ratio(r));
  json_stat(j, "mixer_gemm", &r->time[MR_BENCH_GEMM]);
  json_stat(j, "step", &r->time[MR_BENCH_STEP]);
  mr_json_field_num(j, "step_wall_ms", r->step_wall / 1e6);
  json_stat(j, "pace", &r->time[MR_BENCH_PACE]);
}

static void json_measured(mr_json *j, const mr_bench_row *r)
{
  json_times(j, r);
  mr_json_field_int(j, "samples", r->samples);
  mr_json_field_num(j, "gemm_ratio", r->gemm_ratio);
  mr_json_field_num(j, "gemm_share", 1 / r->gemm_ratio);
  mr_json_field_num(j, "gemm_flops", r->gemm_flops);
  mr_json_field_num(j, "gemm_peak_share", r->gemm_peak_share);
  mr_json_field_num(j, "copy_share", r->copy_share);
  mr_json_field_num(j, "grad_norm", r->grad_norm);
  mr_json_field_num(j, "grad_norm_check", r->grad_norm_check);
  mr_json_field_num(j, "repeat_error", r->repeat_error);
  mr_json_field_num(j, "scaling", r->scaling);
  mr_json_field_int(j, "launches", r->launches);
  mr_json_field_int(j, "device_bytes", r->device_bytes);
}

void mr_bench_print_json(const mr_bench_row *r)
{
  const mr_config *c = &r->cell->config;
  mr_json j;
  mr_json_begin(&j, stdout);
  mr_json_field_str(&j, "cell", r->descriptor);
  mr_json_field_str(&j, "status", state_word[r->state]);
  mr_json_field_str(&j, "trust", r->mistrusted ? "mistrusted" : "trusted");
  mr_json_field_str(&j, "reason", r->reason);
  mr_json_field_str(&j, "model", c->model);
  mr_json_field_str(&j, "granularity", mr_granularity(c->model));
  mr_json_field_int(&j, "batch", c->batch);
  mr_json_field_int(&j, "length", r->length);
  mr_json_field_int(&j, "width", c->width);
  mr_json_field_int(&j, "layers", c->layers);
  mr_json_field_str(&j, "device", c->device);
  mr_json_field_str(&j, "math", c->math);
  mr_json_field_str(&j, "mode", r->mode);
  mr_json_field_str(&j, "not_captured", r->not_captured);
  mr_json_field_str(&j, "cache", r->cell->cold ? "cold" : "hot");
  mr_json_field_int(&j, "threads", r->threads);
  mr_json_field_str(&j, "clock", mr_bench_clock(r));
  if (r->state == MR_CELL_TIMED) json_measured(&j, r);
  mr_json_field_int(&j, "planned_bytes", r->planned_bytes);
  mr_json_field_int(&j, "bound_bytes", r->bound_bytes);
  mr_json_field_int(&j, "needed_bytes", r->needed_bytes);
  mr_json_field_int(&j, "free_bytes", r->free_bytes);
  mr_json_end(&j);
}
