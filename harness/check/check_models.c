/* check_models.c — whole training steps of every model: on one device against another, twice, and
 * replayed as graphs. SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "mem.h"
#include "registry.h"
#include "rule.h"
#include "step.h"

enum { MAX_WORDS = 32, MAX_TEXT = 768, STEPS = 3 };

/* Gradients on two devices, in parts of the largest of a parameter: sums of hundreds of terms in
 * another order, through several layers. */
#define TOLERANCE (sizeof(mr_real) == sizeof(double) ? 1e-10 : 3e-4)
/* The same where products round their factors to 11 or 8 bits, and the other device's do not. */
#define TOLERANCE_TF32 1e-2
#define TOLERANCE_BF16 1e-1

/* A small network, ready to train. */
typedef struct net {
  mr_backend *be; /* borrowed */
  mr_config c;
  const mr_task_def *def;
  mr_task *task;
  mr_task_info info;
  mr_tape *tape;
  mr_net n;
  mr_optim *optim;
  mr_feed *feed;
  mr_step *step;
} net;

/* ==== Networks =============================================================================== */

/* Sizes that no block, tile or vector divides. */
static const char small[] =
    "--task=selective_copy --selective_copy.data_tokens=3 --length=13 --batch=6 --accum=2 "
    "--width=10 --expansion=1.3 --layers=2 --seed=5 --lr=0.01 --warmup=2 --weight_decay=0.1 "
    "--clip=0.5";

static void close_net(net *n)
{
  mr_step_destroy(n->step);
  mr_feed_destroy(n->feed);
  mr_optim_destroy(n->optim);
  mr_tape_destroy(n->tape);
  if (n->def) n->def->close(n->task);
  mr_config_free(&n->c);
}

static mr_status configure(net *n, const char *words)
{
  char text[MAX_TEXT];
  const char *word[MAX_WORDS];
  int n_words = 0;
  if (snprintf(text, sizeof text, "%s %s", small, words) >= MAX_TEXT)
    return MR_FAIL(MR_ERR_INTERNAL, "the settings of a model check are too long: %s", words);
  for (char *rest = NULL, *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
    if (n_words < MAX_WORDS) word[n_words++] = w;
  return mr_run_config(&n->c, NULL, n_words, word);
}

/* n is zeroed; close_net serves after failure too. */
static mr_status open_net(net *n, mr_backend *be, const char *words)
{
  MR_CHECK(configure(n, words));
  n->be = be;
  n->def = mr_find_task(n->c.task);
  MR_CHECK(n->def->open(&n->task, &n->c));
  n->def->info(n->task, &n->info);
  MR_CHECK(mr_tape_create(&n->tape, be, (uint64_t)n->c.seed));
  mr_build(n->tape, &n->c, mr_find_model(n->c.model), &n->info, n->c.batch / n->c.accum, &n->n);
  MR_CHECK(mr_tape_plan(n->tape, n->n.loss, true, NULL));
  MR_CHECK(mr_tape_alloc(n->tape));
  mr_tape_poison(n->tape, true);
  MR_CHECK(mr_optim_open(&n->optim, &n->c, be, n->tape));
  MR_CHECK(mr_feed_create(&n->feed, be, n->tape, &n->n, n->def, n->task));
  return mr_step_create(&n->step, &n->c, be, n->tape, &n->n, n->optim, n->feed, n->c.model);
}

/* All gradients or values, one behind the other, into a new array of *count. */
static mr_status all_of(const net *n, bool gradients, mr_real **out, int64_t *count)
{
  mr_status st = MR_OK;
  const mr_slot *s;
  int n_slots;
  void *p = NULL;
  *count = 0;
  MR_TRY(mr_tape_slots(n->tape, &s, &n_slots));
  for (int i = 0; i < n_slots; i++) *count += mr_count(&s[i].value.shape);
  MR_TRY(mr_calloc(&p, (size_t)*count, sizeof **out));
  *out = p;
  mr_real *to = p;
  for (int i = 0; i < n_slots; i++) {
    const void *from = gradients ? s[i].grad.data : s[i].value.data;
    MR_TRY(n->be->api->download(n->be, to, from, mr_bytes(&s[i].value.shape, MR_REAL)));
    to += mr_count(&s[i].value.shape);
  }
out:
  return st;
}

/* ==== One device against another ============================================================= */

/* Loss of one training batch, with or without dropout, then its gradients. */
static mr_status gradients(net *n, bool dropout, double *loss, mr_real **grads, int64_t *count)
{
  mr_view view;
  mr_real x;
  MR_CHECK(mr_feed_next(n->feed, MR_TRAIN, 0));
  MR_CHECK(mr_tape_tick(n->tape, 3, dropout));
  MR_CHECK(mr_tape_forward(n->tape));
  MR_CHECK(mr_tape_view(n->tape, n->n.loss, &view));
  MR_CHECK(n->be->api->download(n->be, &x, view.data, sizeof x));
  *loss = (double)x;
  MR_CHECK(mr_tape_backward(n->tape, 0, 1));
  return all_of(n, true, grads, count);
}

static void judge(mr_check_result *r, const char *what, int64_t at, double got, double want,
                  double allowed)
{
  double e = fabs(got - want) / allowed;
  if (!(e <= 1e30)) e = INFINITY; /* NaN fails too */
  if (e > 1) r->ok = false;
  if (!(e > r->worst)) return;
  r->worst = e;
  (void)snprintf(r->text, sizeof r->text, "%s at %lld: got %.9g, want %.9g, allowed %.2g", what,
                 (long long)at, got, want, allowed);
}

/* Do both have the same parameters, one by one? */
static mr_status match(const net *a, const net *b)
{
  const mr_slot *s, *other;
  int n, n_other;
  MR_CHECK(mr_tape_slots(a->tape, &s, &n));
  MR_CHECK(mr_tape_slots(b->tape, &other, &n_other));
  bool same = n == n_other;
  for (int i = 0; same && i < n; i++)
    same = strcmp(s[i].name, other[i].name) == 0 &&
           mr_shape_eq(&s[i].value.shape, &other[i].value.shape);
  if (same) return MR_OK;
  return MR_FAIL(MR_ERR_INTERNAL, "%s and its twin %s have different parameters", a->c.model,
                 b->c.model);
}

static mr_status compare(const net *n, const mr_real *got, const mr_real *want, double tolerance,
                         mr_check_result *r)
{
  const mr_slot *s;
  int n_slots;
  MR_CHECK(mr_tape_slots(n->tape, &s, &n_slots));
  for (int i = 0; i < n_slots; i++) {
    const int64_t count = mr_count(&s[i].value.shape);
    double top = 1e-4;
    for (int64_t j = 0; j < count; j++) top = fmax(top, fabs((double)want[j]));
    for (int64_t j = 0; j < count; j++)
      judge(r, s[i].name, j, (double)got[j], (double)want[j], tolerance * top);
    got += count, want += count;
  }
  return MR_OK;
}

/* words and other_words: the model on be, and it or its twin on the other device. What is dropped
 * depends on a network's ops, so twins, who have others, drop nothing. */
static mr_status check_parity(mr_backend *be, mr_backend *other, const char *words,
                              const char *other_words, double tolerance, mr_check_result *r)
{
  mr_status st = MR_OK;
  net a = {.be = be}, b = {.be = other};
  mr_real *got = NULL, *want = NULL;
  const bool dropout = strcmp(words, other_words) == 0;
  double loss = 0, other_loss = 0;
  int64_t n;
  MR_TRY(open_net(&a, be, words));
  MR_TRY(open_net(&b, other, other_words));
  MR_TRY(match(&a, &b));
  MR_TRY(gradients(&a, dropout, &loss, &got, &n));
  MR_TRY(gradients(&b, dropout, &other_loss, &want, &n));
  judge(r, "loss", 0, loss, other_loss, tolerance * fabs(other_loss));
  MR_TRY(compare(&a, got, want, tolerance, r));
out:
  mr_free(got);
  mr_free(want);
  close_net(&a);
  close_net(&b);
  return st;
}

/* ==== Twice, and as a graph ================================================================== */

/* Parameters and told numbers of one training. */
typedef struct trained {
  mr_real *params;
  int64_t n;
  mr_step_row row;
  char refused[192]; /* why its steps were not captured; "": they were, or were not to be */
} trained;

/* Parameters after STEPS steps, and what the last one told. */
static mr_status train(mr_backend *be, const char *words, bool graph, trained *out)
{
  mr_status st = MR_OK;
  char all[MAX_TEXT];
  const char *why;
  net a = {.be = be};
  (void)snprintf(all, sizeof all, "%s --graph=%d", words, graph);
  MR_TRY(open_net(&a, be, all));
  for (int64_t step = 0; step < STEPS; step++) MR_TRY(mr_step_run(a.step, step));
  MR_TRY(mr_step_read(a.step, &out->row));
  MR_TRY(all_of(&a, false, &out->params, &out->n));
  (void)mr_step_mode(a.step, &why);
  (void)snprintf(out->refused, sizeof out->refused, "%s", why);
out:
  close_net(&a);
  return st;
}

/* The same bits; or, where the kernels are a vendor's, at least nearly the same numbers. */
static void same(const trained *a, const trained *b, const char *how, bool vendor,
                 mr_check_result *r)
{
  int64_t at = 0;
  while (at < a->n && memcmp(&a->params[at], &b->params[at], sizeof *a->params) == 0) at++;
  if (at == a->n && memcmp(&a->row, &b->row, sizeof a->row) == 0) return;
  const bool near = fabs(a->row.loss / b->row.loss - 1) <= TOLERANCE &&
                    fabs(a->row.grad_norm / b->row.grad_norm - 1) <= TOLERANCE;
  const bool passes = vendor && near;
  if (!passes) r->ok = false, r->worst = INFINITY;
  (void)snprintf(passes ? r->note : r->text, sizeof r->text,
                 "%d steps %s differ: losses %.9g and %.9g, gradient norms %.9g and %.9g, first "
                 "parameter off: %lld of %lld",
                 STEPS, how, a->row.loss, b->row.loss, a->row.grad_norm, b->row.grad_norm,
                 (long long)at, (long long)a->n);
}

static mr_status check_repeat(mr_backend *be, const char *words, bool vendor, mr_check_result *r)
{
  mr_status st = MR_OK;
  trained once = {NULL}, twice = {NULL}, graph = {NULL};
  MR_TRY(train(be, words, false, &once));
  MR_TRY(train(be, words, false, &twice));
  same(&once, &twice, "made twice", vendor, r);
  if (!be->api->capture_begin) goto out;
  MR_TRY(train(be, words, true, &graph));
  same(&once, &graph, "op by op and as a graph", vendor, r);
  if (graph.refused[0] != '\0')
    (void)snprintf(r->note, sizeof r->note, "its steps are not captured: %s", graph.refused);
out:
  mr_free(once.params);
  mr_free(twice.params);
  mr_free(graph.params);
  return st;
}

/* ==== All of them ============================================================================ */

typedef struct session {
  const char *name;
  mr_backend *be, *other;
  FILE *out;
  mr_check_count *n;
  double tolerance;
} session;

/* One model with one setting; `setting` is what its name shows. */
static mr_status check_one(const session *s, const mr_model_def *m, const char *setting,
                           const char *words)
{
  char name[160], all[MAX_TEXT], twin[MAX_TEXT];
  mr_check_result r = {true, 0, "exact"};
  (void)snprintf(name, sizeof name, "model:%s%s%s", m->name, *setting ? ":" : "", setting);
  if (s->name && strncmp(name, s->name, strlen(s->name)) != 0) return MR_OK;
  (void)snprintf(all, sizeof all, "--model=%s %s", m->name, words);
  (void)snprintf(twin, sizeof twin, "--model=%s %s", m->twin ? m->twin : m->name, words);
  const int64_t before = s->be->f32_products;
  mr_status st = check_parity(s->be, s->other, all, twin, s->tolerance, &r);
  if (st == MR_OK && r.ok) st = check_repeat(s->be, all, m->twin != NULL, &r);
  if (s->be->f32_products > before)
    (void)snprintf(r.note, sizeof r.note, "%lld kinds of product have no such kernel, f32 serves",
                   (long long)(s->be->f32_products - before));
  if (st == MR_ERR_UNSUPPORTED) {
    s->n->skipped++;
    if (fprintf(s->out, "skip %9s  %s: %s\n", "", name, mr_error_message()) < 0)
      return MR_FAIL(MR_ERR_IO, "the results of the check could not be written");
    return MR_OK;
  }
  MR_CHECK(mr_check_broken(st, &r));
  return mr_check_tell(s->out, &r, name, s->be->device == MR_CUDA ? "--device=cuda " : "", s->n);
}

/* Every choice of an option but its default. */
static mr_status check_option(const session *s, const mr_model_def *m, const mr_opt *o)
{
  char choices[MAX_TEXT], setting[96], words[160];
  if (o->choices && o->choices[0] == '*') return MR_OK;
  if (!o->choices && !(o->min == 0 && o->max == 1)) return MR_OK;
  (void)snprintf(choices, sizeof choices, "%s", o->choices ? o->choices : "0|1");
  for (char *rest = NULL, *w = strtok_r(choices, "|", &rest); w; w = strtok_r(NULL, "|", &rest)) {
    if (strcmp(w, o->dflt) == 0) continue;
    (void)snprintf(setting, sizeof setting, "%s=%s", o->key, w);
    (void)snprintf(words, sizeof words, "--%s.%s=%s", m->name, o->key, w);
    MR_CHECK(check_one(s, m, setting, words));
  }
  return MR_OK;
}

/* What other math than f32 does, on a model with products for all steps and on one with a product per
 * step. */
static mr_status check_math(const session *s, const mr_model_def *m)
{
  mr_status st = MR_OK;
  session in = *s;
  if (s->be->device == MR_CPU) return MR_OK;
  if (strcmp(m->name, "mingru") != 0 && strcmp(m->name, "gru") != 0) return MR_OK;
  in.tolerance = TOLERANCE_TF32;
  MR_TRY(mr_backend_set_math(s->be, MR_MATH_TF32));
  MR_TRY(check_one(&in, m, "math=tf32", ""));
  in.tolerance = TOLERANCE_BF16;
  MR_TRY(mr_backend_set_math(s->be, MR_MATH_BF16));
  MR_TRY(check_one(&in, m, "math=bf16", ""));
out:
  s->be->math = MR_MATH_F32;
  return st;
}

mr_status mr_check_models(const char *name, mr_backend *be, mr_backend *other, FILE *out,
                          mr_check_count *n)
{
  const session s = {name, be, other, out, n, TOLERANCE};
  for (int i = 0; i < mr_n_models; i++) {
    const mr_model_def *m = mr_models[i];
    MR_CHECK(check_one(&s, m, "", ""));
    MR_CHECK(check_one(&s, m, "scaffold",
                       "--conv=4 --mlp=geglu --norm=layernorm --dropout=0.2 --h0=zero"));
    for (int k = 0; k < m->n_opts; k++) MR_CHECK(check_option(&s, m, &m->opts[k]));
    MR_CHECK(check_math(&s, m));
  }
  return MR_OK;
}
