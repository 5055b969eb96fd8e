/* plays.c — the task offline_rl opened for tests. SPDX-License-Identifier: MIT */
#include "plays.h"
#include <string.h>

void subject_open(subject *s, mr_backend *be, const char *words)
{
  char all[512];
  mr_env *env = NULL;
  memset(s, 0, sizeof *s);
  net_words(all, sizeof all, "--task=offline_rl --length=0 --batch=8 %s", words);
  assert_ok(net_config(&s->n, be, "mingru", all));
  const mr_env_def *def = mr_env_find(mr_option_text(&s->n.c, "offline_rl", "env"));
  assert_non_null(def);
  assert_ok(def->open(&env, &s->n.c));
  def->spec(env, &s->spec);
  def->close(env);
  assert_ok(mr_data_open(&s->data, def, &s->n.c));
  s->K = s->n.info.T / PARTS;
  s->C = s->n.info.in_dim;
}

void subject_close(subject *s)
{
  mr_dataset_free(&s->data);
  net_close(&s->n);
}
