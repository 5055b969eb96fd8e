/* bench_impl.h — what the benchmark's own files share. SPDX-License-Identifier: MIT */
#ifndef MR_BENCH_IMPL_H
#define MR_BENCH_IMPL_H
#include "bench.h"
#include "build.h"
#include "facts.h"
#include "feed.h"
#include "h5log.h"
#include "machine.h"
#include "rule.h"
#include "step.h"

/* What is kept of each round: the times of mr_bench_time, then these. */
enum {
  MR_SERIES_AT = MR_N_BENCH_TIMES, /* start of the round since the group's first           */
  MR_SERIES_PREEMPTED,  /* times other programs took a core away during pace and step       */
  MR_SERIES_FWD_DEVICE, /* by the device's own clock, in the order of the times */
  MR_SERIES_BWD_DEVICE,
  MR_SERIES_BOTH_DEVICE,
  MR_SERIES_STEP_DEVICE,
  MR_SERIES_STEP_WALL,
  MR_N_SERIES
};

/* Work that all cells of a device share. */
typedef struct mr_pace {
  mr_backend *be;
  mr_probe *probe; /* the fixed work                         */
  void *flood;     /* what flushes the caches; NULL: not yet */
  size_t flood_bytes;
} mr_pace;

struct mr_bench {
  const mr_bench_opts *o;
  mr_backend *be; /* of the group before, if there was one */
  mr_device device;
  int threads; /* as asked for                          */
  char math[8];
  mr_pace pace;
  double copy_rate, gemm_rate;
};

/* One model being timed. */
typedef struct mr_subject {
  mr_bench *b;
  const mr_config *c;
  mr_bench_row *row;
  const mr_model_def *model;
  const mr_task_def *def;
  mr_task_info info;
  mr_task *task;
  mr_backend *be; /* shared by all subjects */

  mr_tape *mixer; /* mixers alone, on a parameter as input          */
  mr_val y;       /* their output [B,T,D]                           */
  mr_view y_view, dy_view;
  void *dy;              /* device, [B,T,D]: the gradient that starts backward */
  void *host_y;          /* [B,T,D]                                */
  mr_graph *mixer_graph; /* forward and backward; NULL: op by op   */
  mr_trace *products;    /* of one forward and backward            */
  bool hides_products;   /* not all of them can be told apart      */
  mr_plan_report mixer_plan;

  mr_tape *tape; /* the whole network                               */
  mr_net net;
  mr_plan_report plan;
  mr_optim *optim;
  mr_feed *feed;
  mr_step *step;
  int64_t steps;    /* optimizer steps done                            */
  double grad_norm; /* of the last one */

  double *series[MR_N_SERIES]; /* ns */
  double *scratch;
  int64_t n, capacity;
  double spent; /* s */
  bool done;    /* no more samples */
  bool ended;   /* the row says how */
} mr_subject;

/* ---- bench_subject.c ------------------------------------------------------------------------- */
/* Records and plans what will be timed and fills the row's sizes; allocates nothing on the device. b,
 * c, be and row are set, all else is zero; mr_subject_close serves after failure too. */
MR_MUST mr_status mr_subject_plan(mr_subject *s, const mr_model_def *m);
/* Memory and data, and a first step. */
MR_MUST mr_status mr_subject_alloc(mr_subject *s);
void mr_subject_close(mr_subject *s);
/* One pass over the mixers, queued. mr_mixer_seed copies the gradient that starts backward and comes
 * between the two; mr_mixer_both is all three, from the captured graph once there is one. */
MR_MUST mr_status mr_mixer_forward(mr_subject *s);
MR_MUST mr_status mr_mixer_seed(mr_subject *s);
MR_MUST mr_status mr_mixer_backward(mr_subject *s);
MR_MUST mr_status mr_mixer_both(mr_subject *s);
/* Captures them where the steps are to be captured; the row tells what kept them from it. */
void mr_mixer_capture(mr_subject *s);
/* One training step on the batch that was fed last, waited for. check: reads the gradient norm of the
 * last step; MR_ERR_NUMERIC when a step so far went wrong. */
MR_MUST mr_status mr_subject_step(mr_subject *s);
MR_MUST mr_status mr_subject_check(mr_subject *s);

/* What memory grew by, and should have. */
mr_growth mr_bench_growth(const mr_bench_row *r);

/* ---- bench_pace.c ---------------------------------------------------------------------------- */
MR_MUST mr_status mr_pace_open(mr_pace *p, mr_backend *be);
void mr_pace_close(mr_pace *p); /* zeroed or open */
MR_MUST mr_status mr_pace_once(mr_pace *p);
/* On a device queues a copy larger than its caches: what is timed between marks behind it is launched
 * before its turn comes, and finds nothing cached. */
MR_MUST mr_status mr_pace_space(void *pace);
/* Bytes of the flood: more than the last cache. */
int64_t mr_flood_bytes(const mr_backend *be);
/* Fills the caches of device and all threads with memory that nothing else reads. */
MR_MUST mr_status mr_pace_flush(mr_pace *p);

/* ---- bench_sample.c -------------------------------------------------------------------------- */
/* Rounds of the n subjects, in turns, until each has enough or ended. */
MR_MUST mr_status mr_sample_all(mr_subject *const *s, int n);
/* The row's times. */
void mr_summarise(mr_subject *s);

/* ---- bench_gate.c, bench_after.c ------------------------------------------------------------- */
MR_MUST mr_status mr_subject_gate(mr_subject *s); /* see mr_bench_run */
/* Checks that follow the timing; fills what of the row is derived. */
MR_MUST mr_status mr_subject_after(mr_subject *s);
typedef struct mr_work {
  mr_status (*once)(void *ctx);
  void *ctx;
  double (*clock)(void); /* ns */
  double ns;             /* of one call, about */
} mr_work;
/* Time of 2 n calls / time of n, n so that they take a while; the shortest of some tries, as other
 * programs can only add to either. */
MR_MUST mr_status mr_scaling(const mr_work *w, double *ratio);
/* Whether such a ratio is that of work that was waited for. */
bool mr_scales(double ratio);
/* ---- bench_log.c, bench.c -------------------------------------------------------------------- */
/* Where the cell's samples go. *kept: a finished file is there already. MR_ERR_CONFIG: they cannot. */
MR_MUST mr_status mr_bench_path(mr_subject *s, bool *kept);
/* The run file of a cell that has ended; nothing without a path. */
MR_MUST mr_status mr_bench_log(mr_subject *s);
/* The cell comes to its end with what went wrong last; or st is wrong use, and returned. */
MR_MUST mr_status mr_subject_end(mr_subject *s, mr_status st);
#endif
