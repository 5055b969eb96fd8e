/* facts.c — what a log tells about plan and machine. SPDX-License-Identifier: MIT */
#include "facts.h"
#include <stdio.h>
#include <string.h>
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
  MR_CHECK(mr_log_int(l, "plan", "workspace_bytes", p->workspace));
  MR_CHECK(mr_log_int(l, "plan", "nodes", p->nodes));
  MR_CHECK(mr_log_int(l, "plan", "op_calls", p->op_calls));
  MR_CHECK(mr_log_int(l, "plan", "n_params", p->n_params));
  MR_CHECK(mr_log_num(l, "plan", "forward_flops", p->flops));
  return mr_log_int(l, "memory", "planned_bytes", mr_planned_bytes(p, moments));
}

int64_t mr_allowance_bytes(mr_device where, int64_t planned, int32_t nodes)
{
  if (where == MR_CPU) return 4 << 10;
  return planned / 10 + (256 << 20) + (int64_t)nodes * 8192;
}

int64_t mr_most_other_bytes(int threads)
{
  return (int64_t)(2 + threads) << 24;
}

bool mr_off_plan(const mr_growth *g, char *why, size_t n)
{
  const int64_t off = g->device - g->planned;
  if (off > g->allowance || -off > g->allowance)
    snprintf(why, n, "the device counts %lld bytes where %lld were planned", (long long)g->device,
             (long long)g->planned);
  else if (g->other > mr_most_other_bytes(g->threads))
    snprintf(why, n, "libraries took %lld bytes that no plan knows of", (long long)g->other);
  else
    return false;
  return true;
}

mr_status mr_log_growth(mr_log *l, const mr_growth *g)
{
  char reason[160];
  MR_CHECK(mr_log_int(l, "memory", "device_bytes", g->device));
  MR_CHECK(mr_log_int(l, "memory", "other_bytes", g->other));
  MR_CHECK(mr_log_int(l, "memory", "allowance_bytes", g->allowance));
  if (!mr_off_plan(g, reason, sizeof reason)) return MR_OK;
  MR_CHECK(mr_log_text(l, "/", "trust", "mistrusted"));
  return mr_log_text(l, "/", "reason", reason);
}

/* The place of `op` in the list of names seen so far; -1 when the list is full. */
static int name_index(const char **names, int *n, int room, const char *op)
{
  int i = 0;
  while (i < *n && strcmp(names[i], op) != 0) i++;
  if (i == room) return -1;
  if (i == *n) names[(*n)++] = op;
  return i;
}

/* Unrolled loops have too many nodes to be written at each flush. */
enum { MOST_NODES = 4096, MOST_OPS = 64 };

mr_status mr_log_variants(mr_log *l, const mr_tape *t, int32_t nodes)
{
  char list[512] = "", word[128];
  for (int32_t i = 0; i < nodes; i++) {
    mr_node_info info;
    const size_t used = strlen(list);
    MR_CHECK(mr_tape_node(t, i, &info));
    if (info.variant == NULL) continue;
    snprintf(word, sizeof word, "%s: %s", info.op, info.variant);
    if (strstr(list, word) == NULL)
      snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? "; " : "", word);
  }
  return mr_log_text(l, "plan", "variants", list);
}

mr_status mr_log_nodes(mr_log *l, const mr_tape *t, int32_t nodes)
{
  static const mr_column column[] = {
      {"op", "index into op_names"}, {"out_bytes", "byte"}, {"saved_bytes", "byte"},
      {"work_bytes", "byte"},        {"flops", "flop"},     {"bytes", "byte"}};
  const char *names[MOST_OPS];
  char list[MOST_OPS * 24] = "";
  int n_names = 0;
  mr_table *table;
  MR_CHECK(mr_log_variants(l, t, nodes));
  if (nodes > MOST_NODES) return MR_OK;
  MR_CHECK(mr_log_table(l, "nodes", column, 6, &table));
  for (int32_t i = 0; i < nodes; i++) {
    mr_node_info info;
    MR_CHECK(mr_tape_node(t, i, &info));
    const int op = name_index(names, &n_names, MOST_OPS, info.op);
    const double row[] = {op,
                          (double)info.out_bytes,
                          (double)info.saved_bytes,
                          (double)info.work_bytes,
                          info.flops,
                          info.bytes};
    MR_CHECK(mr_table_append(table, row));
  }
  for (int i = 0; i < n_names; i++) {
    const size_t used = strlen(list);
    snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? " " : "", names[i]);
  }
  return mr_log_text(l, "nodes", "op_names", list);
}

static mr_status log_fact(void *ctx, const char *name, const char *value)
{
  return mr_log_text(ctx, "machine", name, value);
}

mr_status mr_log_machine(mr_log *l, const mr_backend *be)
{
  return mr_machine_each(be, log_fact, l);
}
