/* sample.h — text from a trained network, symbol by symbol. SPDX-License-Identifier: MIT */
#ifndef MR_SAMPLE_H
#define MR_SAMPLE_H
#include "registry.h"
MR_C_BEGIN

typedef struct mr_sample_opts {
  const char *prompt; /* read before the first symbol is drawn; "": the start of a line */
  int64_t tokens;     /* symbols to draw                                                */
  double temperature; /* divides the logits; 0: always the likeliest                    */
  int64_t top_k;      /* draws among the k likeliest; 0: among all                      */
  uint64_t seed;
} mr_sample_opts;

/* Takes n bytes of text: first the prompt, then one symbol at a time. */
typedef mr_status (*mr_text_fn)(void *ctx, const char *bytes, int n);

/* Reads config and parameters of a checkpoint, with n words "--key=value" over that config, and gives
 * the text to fn as it is made. All that can be wrong with checkpoint, text file and prompt is
 * MR_ERR_CONFIG or MR_ERR_ARG and comes before the first call of fn. Equal arguments give equal text. */
MR_MUST mr_status mr_sample(const char *checkpoint, int n, const char *const *words,
                            const mr_sample_opts *o, mr_text_fn fn, void *ctx);

typedef struct mr_candidate {
  double logit;
  int32_t id;
} mr_candidate;
/* Draws symbol `place` of the text of o->seed from logits [n]: softmax(logit / temperature) over the
 * top_k likeliest, of equals the one with the lower id. scratch: [n]. MR_ERR_NUMERIC when a logit is
 * not finite. */
MR_MUST mr_status mr_sample_pick(const mr_sample_opts *o, int64_t place, const mr_real *logit,
                                 int64_t n, mr_candidate *scratch, int32_t *id);
MR_C_END
#endif
