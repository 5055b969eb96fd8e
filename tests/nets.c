/* nets.c — whole small networks on a task. SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "nets.h"

enum { MAX_WORDS = 24, MAX_TEXT = 512 };

mr_status net_config(net *n, mr_backend *be, const char *model, const char *words)
{
  mr_status st = MR_OK;
  char text[MAX_TEXT];
  const char *word[MAX_WORDS];
  int n_words = 0;
  memset(n, 0, sizeof *n);
  n->be = be;
  net_words(text, sizeof text,
            "--task=selective_copy --selective_copy.data_tokens=2 --length=5 --batch=2 "
            "--width=4 --expansion=1.25 --layers=2 --seed=5 --model=%s %s",
            model, words);
  for (char *rest = NULL, *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
    if (n_words < MAX_WORDS) word[n_words++] = w;
  MR_TRY(mr_run_config(&n->c, NULL, n_words, word));
  n->model = mr_find_model(n->c.model);
  n->def = mr_find_task(n->c.task);
  MR_TRY(n->def->open(&n->task, &n->c));
  n->def->info(n->task, &n->info);
out:
  return st;
}

mr_status net_plan(net *n, mr_backend *be, const char *model, const char *words)
{
  mr_status st = MR_OK;
  MR_TRY(net_config(n, be, model, words));
  MR_TRY(mr_tape_create(&n->tape, be, (uint64_t)n->c.seed));
  mr_build(n->tape, &n->c, n->model, &n->info, n->c.batch, &n->n);
  MR_TRY(mr_tape_plan(n->tape, n->n.loss, true, &n->plan));
out:
  return st;
}

mr_status net_ready(net *n, mr_backend *be, const char *model, const char *words)
{
  mr_status st = MR_OK;
  MR_TRY(net_plan(n, be, model, words));
  MR_TRY(mr_tape_alloc(n->tape));
  mr_tape_poison(n->tape, true);
  MR_TRY(mr_feed_create(&n->feed, be, n->tape, &n->n, n->def, n->task));
  MR_TRY(mr_feed_next(n->feed, MR_TRAIN, 0));
  MR_TRY(mr_tape_tick(n->tape, 0, true));
out:
  return st;
}

void net_close(net *n)
{
  mr_feed_destroy(n->feed);
  mr_tape_destroy(n->tape);
  if (n->def) n->def->close(n->task);
  mr_config_free(&n->c);
  memset(n, 0, sizeof *n);
}

void net_open(net *n, mr_backend *be)
{
  assert_ok(net_ready(n, be, "mingru", ""));
}

mr_real *net_data(const mr_tape *t, mr_val v)
{
  mr_view w;
  assert_ok(mr_tape_view(t, v, &w));
  return w.data;
}

double net_loss(net *n)
{
  assert_ok(mr_tape_forward(n->tape));
  return (double)*net_data(n->tape, n->n.loss);
}

double net_step(net *n, mr_real beta, mr_real scale)
{
  double loss = net_loss(n);
  assert_ok(mr_tape_backward(n->tape, beta, scale));
  return loss;
}

const mr_slot *net_slot(const mr_tape *t, const char *name)
{
  const mr_slot *s;
  int n;
  assert_ok(mr_tape_slots(t, &s, &n));
  for (int i = 0; i < n; i++)
    if (strcmp(s[i].name, name) == 0) return &s[i];
  fail_msg("no parameter is named %s", name);
  return NULL;
}

void net_copy_params(const mr_tape *from, const mr_tape *to)
{
  const mr_slot *s, *other;
  int n, n_other;
  assert_ok(mr_tape_slots(from, &s, &n));
  assert_ok(mr_tape_slots(to, &other, &n_other));
  assert_int_equal(n, n_other);
  for (int i = 0; i < n; i++) {
    const mr_slot *d = net_slot(to, s[i].name);
    assert_true(mr_shape_eq(&d->value.shape, &s[i].value.shape));
    memcpy(d->value.data, s[i].value.data, mr_bytes(&d->value.shape, MR_REAL));
  }
}

void net_words(char *buf, size_t n, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  int used = vsnprintf(buf, n, fmt, args);
  va_end(args);
  assert_true(used >= 0 && (size_t)used < n);
}

bool net_can_run(const char *model)
{
  mr_backend *be = NULL;
  net n;
  assert_ok(mr_backend_open(&be, MR_CPU, 1));
  const mr_status st = net_plan(&n, be, model, "");
  if (st != MR_OK) print_message("%s is left out: %s\n", model, mr_error_message());
  assert_true(st == MR_OK || st == MR_ERR_UNSUPPORTED);
  net_close(&n);
  mr_backend_close(be);
  return st == MR_OK;
}

/* All settings of option k and those behind it, added to words. */
static void each_setting(void (*fn)(const char *, const char *), const mr_model_def *m, int k,
                         const char *words)
{
  char more[MAX_TEXT], choices[MAX_TEXT];
  if (k == m->n_opts) {
    fn(m->name, words);
    return;
  }
  const mr_opt *o = &m->opts[k];
  if (o->choices && o->choices[0] != '*')
    net_words(choices, sizeof choices, "%s", o->choices);
  else if (!o->choices && o->min == 0 && o->max == 1)
    net_words(choices, sizeof choices, "0|1");
  else
    net_words(choices, sizeof choices, "%s", o->dflt);
  for (char *rest = NULL, *w = strtok_r(choices, "|", &rest); w; w = strtok_r(NULL, "|", &rest)) {
    net_words(more, sizeof more, "%s --%s.%s=%s", words, m->name, o->key, w);
    each_setting(fn, m, k + 1, more);
  }
}

void net_each_variant(void (*fn)(const char *model, const char *words))
{
  static const char *const scaffold[] = {
      "--conv=4",
      "--conv=1 --mlp=geglu",
      "--mlp=gelu --norm=layernorm",
      "--h0=zero --dropout=0.2",
      "--conv=3 --mlp=geglu --norm=layernorm --dropout=0.2 --layers=1 --batch=1 --expansion=1.75",
  };
  for (int i = 0; i < mr_n_models; i++) {
    if (!net_can_run(mr_models[i]->name)) continue;
    each_setting(fn, mr_models[i], 0, "");
    for (size_t k = 0; k < sizeof scaffold / sizeof *scaffold; k++)
      fn(mr_models[i]->name, scaffold[k]);
  }
}
