/* rule.c — the optimizer that a config describes. SPDX-License-Identifier: MIT */
#include "rule.h"
#include <string.h>
#include "mem.h"

static mr_schedule schedule_of(const mr_config *c)
{
  if (strcmp(c->schedule, "linear") == 0) return MR_LINEAR;
  return strcmp(c->schedule, "cosine") == 0 ? MR_COSINE : MR_CONSTANT;
}

mr_optim_rule mr_optim_rule_of(const mr_config *c)
{
  mr_optim_rule r = {.lr = c->lr,
                     .lr_min = c->lr_min,
                     .schedule = schedule_of(c),
                     .warmup = c->warmup,
                     .steps = c->steps,
                     .beta1 = c->beta1,
                     .beta2 = c->beta2,
                     .eps = c->adam_eps,
                     .weight_decay = c->weight_decay,
                     .clip = c->clip};
  return r;
}

/* Does one of the comma-separated parts stand in name? */
static bool named(const char *parts, const char *name)
{
  while (*parts != '\0') {
    size_t n = strcspn(parts, ",");
    if (n > 0 && memmem(name, strlen(name), parts, n) != NULL) return true;
    parts += n + (parts[n] == ',');
  }
  return false;
}

mr_status mr_optim_open(mr_optim **out, const mr_config *c, mr_backend *be, const mr_tape *t)
{
  mr_status st = MR_OK;
  const mr_slot *slot;
  void *memory = NULL;
  int n;
  mr_optim_rule rule = mr_optim_rule_of(c);
  MR_TRY(mr_tape_slots(t, &slot, &n));
  MR_TRY(mr_calloc(&memory, (size_t)n, sizeof(bool)));
  bool *decay = memory;
  for (int i = 0; i < n; i++)
    decay[i] = slot[i].decays && !named(c->nodecay, slot[i].name) &&
               (slot[i].value.shape.rank >= 2 || strcmp(c->decay, "all") == 0);
  MR_TRY(mr_optim_create(out, be, t, &rule, decay));
out:
  mr_free(memory);
  return st;
}
