/* bench_impl.h — what the benchmark's own files share. SPDX-License-Identifier: MIT */
#ifndef MR_BENCH_IMPL_H
#define MR_BENCH_IMPL_H
#include "bench.h"
#include "build.h"
#include "feed.h"
#include "h5log.h"
#include "rule.h"
#include "step.h"

/* One model being timed. */
typedef struct mr_subject {
  const mr_config *c;
  const mr_bench_opts *o;
  mr_bench_row *row;
  char path[1024]; /* run file; empty: none */
  const mr_model_def *model;
  const mr_task_def *def;
  mr_task_info info;
  mr_task *task;
  mr_backend *be; /* shared by all subjects */

  mr_tape *mixer; /* mixers alone, on a parameter as input          */
  mr_val y;       /* their output [B,T,D]                           */
  mr_view y_view, dy_view;
  void *host_dy, *host_y; /* [B,T,D]                                */

  mr_tape *tape; /* the whole network                               */
  mr_net net;
  mr_plan_report plan;
  mr_optim *optim;
  mr_feed *feed;
  mr_step *step;
  int64_t steps; /* optimizer steps done                            */

  double *sample[MR_N_BENCH_TIMES]; /* ns */
  double *sorted;                   /* scratch for medians */
  int64_t n, capacity;
  double spent; /* s */
  bool done;
} mr_subject;

/* Tape, memory and data of one subject. c, o and row are set, all else is zero; mr_subject_close serves after failure too. */
MR_MUST mr_status mr_subject_open(mr_subject *s, mr_backend *be, const mr_model_def *m);
void mr_subject_close(mr_subject *s);
/* One pass over the mixers, waited for. mr_mixer_seed uploads the gradient that starts backward and
 * comes between the two. */
MR_MUST mr_status mr_mixer_forward(mr_subject *s);
MR_MUST mr_status mr_mixer_seed(mr_subject *s);
MR_MUST mr_status mr_mixer_backward(mr_subject *s);
/* One training step on the batch that was fed last, waited for. check: MR_ERR_NUMERIC when a step so
 * far went wrong. */
MR_MUST mr_status mr_subject_step(mr_subject *s);
MR_MUST mr_status mr_subject_check(mr_subject *s);
/* The gate; see mr_bench. */
MR_MUST mr_status mr_subject_gate(mr_subject *s);
#endif
