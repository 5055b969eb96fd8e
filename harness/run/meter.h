/* meter.h — tells a person how a run is going, on standard error: one line rewritten in place on a
 * terminal, otherwise a plain line now and then. SPDX-License-Identifier: MIT */
#ifndef MR_METER_H
#define MR_METER_H
#include <stdbool.h>
#include <stdint.h>
#include "status.h"
MR_C_BEGIN

typedef struct mr_meter {
  bool off, terminal;
  bool line_open; /* a rewritten line stands on the terminal           */
  int64_t total;  /* optimizer steps of the whole run                  */
  int64_t tokens_per_step;
  int64_t from_step, from_ns; /* where this sitting began                        */
  int64_t shown_ns;           /* when a line was last shown                        */
} mr_meter;

/* `step` steps are done already. quiet: shows nothing. */
void mr_meter_begin(mr_meter *m, bool quiet, int64_t step, int64_t total, int64_t tokens_per_step);
/* Would a line be shown now? */
bool mr_meter_due(const mr_meter *m);
/* After a step: shows step, loss, tokens/s, steps/s, learning rate and time left when it is time
 * again (10 times a second on a terminal, every 10 s otherwise). */
void mr_meter_step(mr_meter *m, int64_t step, double loss, double lr);
/* A line of its own that stays. */
void mr_meter_say(mr_meter *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Leaves the terminal on a fresh line. */
void mr_meter_end(mr_meter *m);
MR_C_END
#endif
