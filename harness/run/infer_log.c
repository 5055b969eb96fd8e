/* infer_log.c — the run file of a cell of inference. SPDX-License-Identifier: MIT */
#include "facts.h"
#include "infer_impl.h"
#include "machine.h"

static mr_status log_cell(mr_log *l, const mr_speaker *s)
{
  const mr_config *c = &s->cell->config;
  MR_CHECK(mr_log_text(l, "cell", "descriptor", s->row->descriptor));
  MR_CHECK(mr_log_text(l, "cell", "model", c->model));
  MR_CHECK(mr_log_text(l, "cell", "granularity", mr_granularity(c->model)));
  MR_CHECK(mr_log_text(l, "cell", "task", c->task));
  MR_CHECK(mr_log_text(l, "cell", "device", c->device));
  MR_CHECK(mr_log_text(l, "cell", "math", c->math));
  MR_CHECK(mr_log_text(l, "cell", "mode", "infer"));
  MR_CHECK(mr_log_int(l, "cell", "threads", s->row->threads));
  MR_CHECK(mr_log_int(l, "cell", "batch", c->batch));
  MR_CHECK(mr_log_int(l, "cell", "context", c->length));
  MR_CHECK(mr_log_int(l, "cell", "tokens", s->o->tokens));
  MR_CHECK(mr_log_int(l, "cell", "chunk", s->row->chunk));
  MR_CHECK(mr_log_int(l, "cell", "width", c->width));
  return mr_log_int(l, "cell", "layers", c->layers);
}

static mr_status log_samples(mr_log *l, const mr_speaker *s)
{
  static const mr_column of_prefill[] = {{"prefill_ns", "ns"}, {"prefill_wall_ns", "ns"}};
  static const mr_column of_token[] = {
      {"round", "1"}, {"position", "1"}, {"token_ns", "ns"}, {"token_wall_ns", "ns"}};
  mr_table *prefill, *token;
  MR_CHECK(mr_log_table(l, "prefill", of_prefill, 2, &prefill));
  MR_CHECK(mr_log_table(l, "token", of_token, 4, &token));
  for (int64_t i = 0; i < s->n; i++) {
    const double of_round[] = {s->prefill[i].told, s->prefill[i].wall};
    MR_CHECK(mr_table_append(prefill, of_round));
    for (int64_t t = 0; t < s->tokens; t++) {
      const mr_span *span = &s->token[i * s->tokens + t];
      const double row[] = {(double)i, (double)(s->context + t), span->told, span->wall};
      MR_CHECK(mr_table_append(token, row));
    }
  }
  return MR_OK;
}

static mr_status log_stat(mr_log *l, const mr_bench_stat *t, const char *const name[4])
{
  MR_CHECK(mr_log_num(l, "result", name[0], t->median / 1e6));
  MR_CHECK(mr_log_num(l, "result", name[1], t->p10 / 1e6));
  MR_CHECK(mr_log_num(l, "result", name[2], t->p90 / 1e6));
  return mr_log_num(l, "result", name[3], t->min / 1e6);
}

static mr_status log_result(mr_log *l, const mr_speaker *s)
{
  static const char *const of_prefill[] = {"prefill_ms", "prefill_p10_ms", "prefill_p90_ms",
                                           "prefill_min_ms"};
  static const char *const of_token[] = {"token_ms", "token_p10_ms", "token_p90_ms",
                                         "token_min_ms"};
  const mr_infer_row *r = s->row;
  const mr_growth growth = mr_speaker_growth(r);
  const double B = (double)s->cell->config.batch;
  MR_CHECK(log_stat(l, &r->prefill, of_prefill));
  MR_CHECK(log_stat(l, &r->token, of_token));
  MR_CHECK(mr_log_int(l, "result", "samples", r->samples));
  MR_CHECK(mr_log_num(l, "result", "prefill_tokens_per_s",
                      B * (double)s->context / (r->prefill.median * 1e-9)));
  MR_CHECK(mr_log_num(l, "result", "tokens_per_s", B / (r->token.median * 1e-9)));
  MR_CHECK(mr_log_growth(l, &growth));
  return mr_log_int(l, "memory", "rss_peak_bytes", mr_rss_peak());
}

mr_status mr_speaker_log(const mr_speaker *s)
{
  mr_status st = MR_OK;
  mr_log *l = NULL;
  const mr_infer_row *r = s->row;
  const mr_run_status end = r->state == MR_CELL_TIMED     ? MR_RUN_COMPLETE
                            : r->state == MR_CELL_SKIPPED ? MR_RUN_SKIPPED
                                                          : MR_RUN_FAILED;
  MR_TRY(mr_log_create(&l, r->path, &s->cell->config, s->o->command != NULL ? s->o->command : ""));
  if (s->be != NULL) MR_TRY(mr_log_machine(l, s->be));
  MR_TRY(log_cell(l, s));
  if (r->planned_bytes > 0) {
    MR_TRY(mr_log_int(l, "memory", "planned_bytes", r->planned_bytes));
    MR_TRY(mr_log_int(l, "memory", "needed_bytes", r->needed_bytes));
    MR_TRY(mr_log_int(l, "memory", "free_bytes", r->free_bytes));
    MR_TRY(mr_log_int(l, "result", "state_bytes", r->state_bytes));
    MR_TRY(mr_log_int(l, "result", "state_step_bytes", r->state_step_bytes));
  }
  if (end == MR_RUN_COMPLETE) {
    MR_TRY(log_samples(l, s));
    MR_TRY(log_result(l, s));
  }
  MR_TRY(mr_log_finish(l, end, r->reason));
out:
  mr_log_destroy(l);
  return st;
}
