/* facts.c — what a log tells about plan and machine. SPDX-License-Identifier: MIT */
#include "facts.h"
#include "machine.h"

int64_t mr_planned_bytes(const mr_plan_report *p, int64_t moments)
{
  return p->params + p->grads + moments + p->acts_peak;
}

mr_status mr_log_plan(mr_log *l, const mr_plan_report *p, int64_t moments)
{
  MR_CHECK(mr_log_int(l, "plan", "params_bytes", p->params));
  MR_CHECK(mr_log_int(l, "plan", "grads_bytes", p->grads));
  MR_CHECK(mr_log_int(l, "plan", "moments_bytes", moments));
  MR_CHECK(mr_log_int(l, "plan", "acts_saved_bytes", p->acts_saved));
  MR_CHECK(mr_log_int(l, "plan", "acts_peak_bytes", p->acts_peak));
  MR_CHECK(mr_log_int(l, "plan", "acts_bound_bytes", p->acts_bound));
  MR_CHECK(mr_log_int(l, "plan", "nodes", p->nodes));
  MR_CHECK(mr_log_int(l, "plan", "launches", p->launches));
  MR_CHECK(mr_log_int(l, "plan", "n_params", p->n_params));
  MR_CHECK(mr_log_num(l, "plan", "forward_flops", p->flops));
  return mr_log_int(l, "memory", "planned_bytes", mr_planned_bytes(p, moments));
}

static mr_status log_fact(void *ctx, const char *name, const char *value)
{
  return mr_log_text(ctx, "machine", name, value);
}

mr_status mr_log_machine(mr_log *l, const mr_backend *be)
{
  return mr_machine_each(be, log_fact, l);
}
