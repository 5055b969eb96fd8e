/* optim.h — AdamW with decay groups, global-norm clip and schedules. SPDX-License-Identifier: MIT */
#ifndef MR_OPTIM_H
#define MR_OPTIM_H
#include "tape.h"
MR_C_BEGIN

typedef enum mr_schedule { MR_CONSTANT, MR_LINEAR, MR_COSINE } mr_schedule;

typedef struct mr_optim_rule {
  double lr, lr_min;     /* peak and final learning rate                                */
  mr_schedule schedule;  /* after the warm-up, over steps - warmup                      */
  int64_t warmup, steps; /* linear warm-up from lr/warmup at step 0                     */
  double beta1, beta2, eps, weight_decay;
  double clip; /* bound of the global gradient norm, 0: none                  */
} mr_optim_rule;

/* Learning rate of optimizer step `step` (0 is the first). */
double mr_optim_lr(const mr_optim_rule *r, int64_t step);

typedef struct mr_optim mr_optim;
/* Moments of the tape's parameters in one allocation, zero at first. Borrows the tape. decay[i] says
 * whether slot i decays (n = the tape's slots); NULL: by slot.decays. */
MR_MUST mr_status mr_optim_create(mr_optim **out, mr_backend *be, const mr_tape *t,
                                  const mr_optim_rule *r, const bool *decay);
void mr_optim_destroy(mr_optim *o); /* NULL is fine */

/* g <- g * min(1, clip / (|g| + 1e-6)); m <- b1 m + (1-b1) g; v <- b2 v + (1-b2) g^2;
 * p <- p - lr (wd p + m^ / (sqrt v^ + eps)), m^ = m/(1-b1^t), v^ = v/(1-b2^t), t = step + 1
 * (Loshchilov & Hutter 2019). grad_norm (may be NULL) gets |g| before the clip. */
MR_MUST mr_status mr_optim_step(mr_optim *o, int64_t step, double *grad_norm);

/* The same in three parts, of which the second can be captured. ready: the numbers of step `step`, to
 * the device. update: clip and step, queued; parameters stay as they are from a norm that is not
 * finite on, which the CPU reports at once as MR_ERR_NUMERIC. norm: waits; |g| of the last update into
 * *norm (NaN before the first), the first step whose norm was not finite into *bad, or -1. */
MR_MUST mr_status mr_optim_ready(mr_optim *o, int64_t step);
MR_MUST mr_status mr_optim_update(mr_optim *o);
MR_MUST mr_status mr_optim_norm(mr_optim *o, double *norm, int64_t *bad);

int64_t mr_optim_bytes(const mr_optim *o);
/* Moments of slot i, for checkpoints. */
void mr_optim_moments(const mr_optim *o, int slot, mr_view *m, mr_view *v);
MR_C_END
#endif
