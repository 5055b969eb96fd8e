/* model.h — the contract of models/ and baselines/: a model is a sequence mixer.
 * SPDX-License-Identifier: MIT */
#ifndef MR_MODEL_H
#define MR_MODEL_H
#include "config.h"
#include "ops.h"
MR_C_BEGIN

enum { MR_MAX_STATE = 4 };

typedef struct mr_dims {
  int64_t B, T, D, H, L; /* batch, time, width, hidden = expansion * D, blocks */
  int layer;             /* 0 .. L-1 */
  int64_t whole;         /* steps of the task's sequences, of which T are a stretch; 0: not known */
} mr_dims;

/* The state one layer carries from one stretch of a sequence to the next. */
typedef struct mr_state {
  int n;
  mr_val in[MR_MAX_STATE];      /* carried in; set by the harness                       */
  mr_val initial[MR_MAX_STATE]; /* start of a sequence; set by mr_carry, id 0: zeros    */
  mr_val out[MR_MAX_STATE];     /* carried out; set by mr_carry_last, mr_carry_rows     */
  bool grows;                   /* set by a harness that adds rows to a state in place  */
  bool rows[MR_MAX_STATE];      /* out[i] holds just the rows that in[i] is to take in  */
} mr_state;

/* State i, e.g. [B,1,H], at the start of this stretch: carried, or `initial` when st is NULL. */
mr_val mr_carry(mr_state *st, int i, mr_val initial);
/* Hands on the last step of h [B,T,H] as state i [B,1,H]. Nothing to do when st is NULL. */
void mr_carry_last(mr_tape *t, mr_state *st, int i, mr_val h);
/* Hands on rows as state i [B,n,C]: of those carried in and those of x [B,T,C] the n latest, in any
 * order; as long as there are fewer, they stand last. Where the harness adds rows to in[i] itself
 * (`grows`), out[i] is x and nothing else is copied. */
void mr_carry_rows(mr_tape *t, mr_state *st, int i, mr_val x, int64_t n);
/* The initial state by the key `h0`: none (zeros), or a learned vector "<name>" [H] given to every
 * sequence -> [B,1,H]. The learned vector p ~ normal(0,1) is the state itself, or g(p) when
 * `positive`, so that linear and log space agree. One rule for all models. */
mr_val mr_initial_state(mr_tape *t, const mr_config *c, mr_dims d, const char *name, bool positive);

typedef struct mr_model_def {
  const char *name, *summary;
  const mr_opt *opts; /* keys "<name>.<key>", strict, with range and help */
  int n_opts;
  /* x [B,T,D], already normalised -> [B,T,D]. st == NULL: whole sequence from the initial state.
   * Otherwise st carries the recurrent state in and out, for T >= 1. Errors stick to the tape. */
  mr_val (*mixer)(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st);
  /* Shapes of the carried state of one layer, at most MR_MAX_STATE, e.g. [B,1,H]; returns how many. */
  int (*state)(const mr_config *c, mr_dims d, mr_shape *shapes);
  /* Three that most models leave out (NULL).
   * What goes in front of the blocks, e.g. positions: x [B,T,D] as embedded -> [B,T,D]. d.layer is 0,
   * st the state of layer 0 or NULL. */
  mr_val (*embed)(mr_tape *t, const mr_config *c, mr_dims d, mr_val x, mr_state *st);
  /* Steps that the carried state remembers from the start of a sequence; NULL: there is no end. */
  int64_t (*context)(const mr_config *c, mr_dims d);
  /* Of a model with kernels of a vendor: the one with the same parameters and result that it is checked
   * against, which runs on every device. */
  const char *twin;
} mr_model_def;

/* Whether option "<owner>.<key>" reads `word`. */
bool mr_option_is(const mr_config *c, const char *owner, const char *key, const char *word);
/* The state of a cell with one hidden vector (1 entry [B,1,H]) or two (hidden, cell). */
int mr_state_h(const mr_config *c, mr_dims d, mr_shape *shapes);
int mr_state_hc(const mr_config *c, mr_dims d, mr_shape *shapes);

/* models/foo.c or baselines/foo.c defines MR_MODEL(foo) = { ... }; members left out are NULL. */
#define MR_MODEL(stem)                                                                             \
  extern const mr_model_def mr_model_##stem;                                                       \
  const mr_model_def mr_model_##stem
MR_C_END
#endif
