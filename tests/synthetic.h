/* synthetic.h — run files with made-up results, for tests of what reads them.
 * SPDX-License-Identifier: MIT */
#ifndef MR_TEST_SYNTHETIC_H
#define MR_TEST_SYNTHETIC_H
#include "testing.h"
#include "h5log.h"

/* A timing of one training step: five samples at step_ms -+ spread percent. */
typedef struct fake_timing {
  const char *model;
  int length, batch, width;
  const char *device; /* NULL: cpu                             */
  const char *mode;   /* NULL: eager                           */
  double step_ms, spread;
  double megabytes;     /* planned                             */
  mr_run_status status; /* 0 stands for complete               */
  const char *reason;   /* not "": mistrusted when complete    */
  const char *options;  /* of the descriptor: ":mamba.state=1" */
} fake_timing;
/* Writes <folder>/<name>.h5. */
void fake_timing_write(const char *name, const fake_timing *t);

/* A training run, all of its steps done, with one result, e.g. "test_accuracy_best". */
void fake_training_write(const char *name, const char *settings, const char *result, double value);
/* Inference with three samples of either time, in ms. */
void fake_inference_write(const char *name, const char *model, int batch, int context,
                          double prefill_ms, double token_ms);
/* A sound HDF5 run file cut short: <folder>/<name>.h5. */
void fake_damaged_write(const char *name);
#endif
