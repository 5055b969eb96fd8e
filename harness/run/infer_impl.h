/* infer_impl.h — what the files that time inference share. SPDX-License-Identifier: MIT */
#ifndef MR_INFER_IMPL_H
#define MR_INFER_IMPL_H
#include "facts.h"
#include "infer.h"
#include "stream.h"

/* How long something took, ns: by the clock on the wall, and as it is told, which on one CPU thread is
 * processor time: what other programs took meanwhile is not the model's. */
typedef struct mr_span {
  double told, wall;
} mr_span;

/* One model being timed. cell, o and row are set at first, all else is zero. */
typedef struct mr_speaker {
  const mr_cell *cell;
  const mr_infer_opts *o;
  mr_infer_row *row;
  mr_backend *be; /* shared by all */
  const mr_model_def *model;
  mr_task_info info; /* T: context and tokens; outputs are wanted from the context's last step on */
  int64_t context, tokens;

  mr_streamer *net;
  void *x;        /* [B,T] as the task's input is                 */
  void *contexts; /* [B,context]                                  */
  void *steps;    /* [tokens,B]                                   */
  mr_real *y;     /* [B,out]                                      */
  mr_real *first; /* [tokens + 1,B,out], what the gate's first round gave */

  mr_span *prefill, *token; /* [capacity] and [capacity,tokens]           */
  double *sorted;           /* scratch for medians, [capacity * tokens]   */
  int64_t n, capacity;
  double spent; /* s */
  bool done;
} mr_speaker;

/* Model, task, state and plan of the cell; no device memory. MR_ERR_UNSUPPORTED, MR_ERR_CONFIG: it
 * cannot run here. */
MR_MUST mr_status mr_speaker_plan(mr_speaker *s);
/* Memory and inputs; mr_speaker_close serves after failure too. */
MR_MUST mr_status mr_speaker_open(mr_speaker *s);
void mr_speaker_close(mr_speaker *s);
/* The gate; see mr_infer. */
MR_MUST mr_status mr_speaker_gate(mr_speaker *s);
/* Reads all contexts, then every step. prefill: one time; token [tokens]; first [tokens + 1,B,out] or
 * NULL: outputs. */
MR_MUST mr_status mr_speaker_round(mr_speaker *s, mr_span *prefill, mr_span *token, mr_real *first);
/* What memory grew by, and should have. */
mr_growth mr_speaker_growth(const mr_infer_row *r);
/* The run file of a cell that came to an end. */
MR_MUST mr_status mr_speaker_log(const mr_speaker *s);
#endif
