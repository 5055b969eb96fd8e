/* nets.h — whole small networks on a task, for tests. SPDX-License-Identifier: MIT */
#ifndef MR_NETS_H
#define MR_NETS_H
#include "feed.h"
#include "registry.h"
#include "testing.h"

typedef struct net {
  mr_backend *be; /* borrowed */
  mr_config c;
  const mr_model_def *model;
  const mr_task_def *def;
  mr_task *task;
  mr_task_info info;
  mr_tape *tape;
  mr_net n;
  mr_plan_report plan;
  mr_feed *feed;
} net;

/* A network of `model` for selective copying: B 2, 5 tokens of context with 2 to copy (T 7), D 4,
 * H 5, 2 blocks, learned h0; words ("--key=value --key=value") changes that. */
MR_MUST mr_status net_config(net *n, mr_backend *be, const char *model, const char *words);
/* Config, then the network recorded and planned for training. */
MR_MUST mr_status net_plan(net *n, mr_backend *be, const char *model, const char *words);
/* The same with memory, poison on and the first training batch in place. */
MR_MUST mr_status net_ready(net *n, mr_backend *be, const char *model, const char *words);
void net_close(net *n); /* zeroed, failed or ready */

/* net_ready of mingru; any failure fails the test. */
void net_open(net *n, mr_backend *be);

/* One training step's forward and backward; returns the loss. */
double net_step(net *n, mr_real beta, mr_real scale);
double net_loss(net *n);
mr_real *net_data(const mr_tape *t, mr_val v);
/* The parameter of that name; its absence fails the test. */
const mr_slot *net_slot(const mr_tape *t, const char *name);
/* Gives `to` the parameter values of `from`, which must have the same names and shapes. */
void net_copy_params(const mr_tape *from, const mr_tape *to);

/* snprintf that fails the test when the text does not fit. */
void net_words(char *buf, size_t n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* False for a model that this build leaves out or that has no double precision; prints its reason. */
bool net_can_run(const char *model);
/* Calls fn(model, words) for every registered model that can run with every setting of its options that have
 * choices or are 0 or 1, and for every part of the scaffold. */
void net_each_variant(void (*fn)(const char *model, const char *words));
#endif
