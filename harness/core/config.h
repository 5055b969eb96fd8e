/* config.h — one table of keys makes the struct, defaults, parser, --help, HDF5 attributes and the
 * README table. SPDX-License-Identifier: MIT */
#ifndef MR_CONFIG_H
#define MR_CONFIG_H
#include <stdint.h>
#include <stdio.h>
#include "status.h"
MR_C_BEGIN

/* X(type, name, default, min, max or choices, help). `str` takes any text; `word` takes one of the
 * choices "a|b|c"; `int` and `num` have a closed range. Units are in the help. */
#define MR_CONFIG_MAP(STR, WORD, INT, NUM)                                                         \
  STR(task, "selective_copy", "task, see minrnn list")                                             \
  STR(model, "mingru", "model or baseline, see minrnn list")                                       \
  WORD(device, "cpu", "cpu|cuda", "where to run")                                                  \
  WORD(math, "f32", "f32|tf32|bf16", "input precision of matrix products, f32 accumulate")         \
  INT(graph, 1, 0, 1, "on CUDA, replay each training step as one graph; 0: launch op by op")       \
  INT(threads, 0, 0, 4096, "CPU threads for products and kernels alike; 0: all cores")             \
  INT(batch, 64, 1, 1 << 20, "B, sequences per optimizer step")                                    \
  INT(accum, 1, 1, 1 << 16, "micro-batches per optimizer step; divides batch")                     \
  INT(length, 0, 0, 1 << 26, "T, tokens per sequence; 0: the task's own")                          \
  INT(width, 64, 1, 1 << 16, "D, channels of the residual stream")                                 \
  INT(layers, 3, 1, 4096, "L, blocks")                                                             \
  NUM(expansion, 1, 0.01, 64, "H / D, hidden channels per channel of the stream")                  \
  WORD(h0, "learned", "learned|zero", "initial recurrent state")                                   \
  INT(conv, 0, 0, 64, "taps of the causal convolution in front of each mixer; 0: none")            \
  WORD(mlp, "none", "none|geglu|gelu", "feed-forward part behind each mixer")                      \
  NUM(mlp_mult, 2, 0.01, 64, "hidden width of the feed-forward part / D")                          \
  WORD(norm, "rmsnorm", "rmsnorm|layernorm", "normalisation in front of each part")                \
  NUM(dropout, 0, 0, 0.99, "probability of zeroing an element of a part's output")                 \
  INT(steps, 1000, 0, 1LL << 40, "optimizer steps")                                                \
  NUM(lr, 1e-3, 0, 100, "peak learning rate")                                                      \
  WORD(schedule, "constant", "constant|linear|cosine", "learning rate after the warm-up")          \
  INT(warmup, 0, 0, 1LL << 40, "steps of linear warm-up from 0")                                   \
  NUM(lr_min, 0, 0, 100, "learning rate at the end of linear and cosine schedules")                \
  NUM(beta1, 0.9, 0, 0.999999, "AdamW: decay of the first moment")                                 \
  NUM(beta2, 0.999, 0, 0.999999, "AdamW: decay of the second moment")                              \
  NUM(adam_eps, 1e-8, 1e-30, 1, "AdamW: added to the root of the second moment")                   \
  NUM(weight_decay, 0, 0, 10, "AdamW: decoupled decay per unit of learning rate")                  \
  WORD(decay, "matrices", "matrices|all", "parameters that decay")                                 \
  STR(nodecay, "", "comma-separated name parts of parameters that never decay")                    \
  NUM(clip, 1, 0, 1e9, "bound of the global gradient norm; 0: none")                               \
  INT(eval_every, 100, 1, 1LL << 40, "steps between validations")                                  \
  INT(eval_batches, 8, 1, 1 << 20, "batches in the fixed validation and test sets")                \
  INT(log_every, 10, 1, 1LL << 40, "steps between rows of /train and progress lines")              \
  NUM(stop_loss, 0, 0, 1e9, "stop once the validation loss is at or below this; 0: never")         \
  INT(seed, 1, 0, 1LL << 62, "source of all randomness")                                           \
  STR(out, "", "run file (.h5) or folder to make one in; empty: results/runs")

typedef const char *mr_str;
typedef int64_t mr_int;
typedef double mr_num;

enum { MR_MAX_OPTIONS = 64 };
/* What a model, baseline or task adds to the keys: "<owner>.<key>". */
typedef struct mr_opt {
  const char *key;
  const char *dflt;    /* as one would type it                                   */
  const char *choices; /* "a|b|c", "*" for any text, or NULL: a number in range  */
  double min, max;     /* closed range when choices is NULL                      */
  const char *help;    /* with unit                                              */
} mr_opt;

/* A named set of options; the registry lists all of them. */
typedef struct mr_owner {
  const char *name;
  const mr_opt *opts;
  int n_opts;
} mr_owner;

typedef struct mr_option_value {
  const char *owner;
  const mr_opt *opt;
  const char *text; /* resolved: default, file or flag */
} mr_option_value;

typedef struct mr_config {
#define X_STR(name, ...) mr_str name;
#define X_INT(name, ...) mr_int name;
#define X_NUM(name, ...) mr_num name;
  MR_CONFIG_MAP(X_STR, X_STR, X_INT, X_NUM)
#undef X_STR
#undef X_INT
#undef X_NUM
  mr_option_value option[MR_MAX_OPTIONS];
  int n_options;
  void *text; /* owned copies of strings; released by mr_config_free */
} mr_config;

/* Fills c: defaults, then the file `path` (`key = value` lines, # and ; comments; NULL: none), then
 * the n words of `args` ("--key=value") in order. Unknown keys, bad numbers, values out of range or
 * choice are MR_ERR_CONFIG naming the key, the value and what is allowed (and, for a file, its name
 * and line). A missing, unreadable or cut-off file is MR_ERR_IO. c is released on failure. */
MR_MUST mr_status mr_config_load(mr_config *c, const mr_owner *owners, int n_owners,
                                 const char *path, int n, const char *const *args);
/* Sets one key to text with the same checks. `where` (may be NULL) is put in front of the error. */
MR_MUST mr_status mr_config_set(mr_config *c, const char *key, const char *text, const char *where);
void mr_config_free(mr_config *c); /* zeroed or loaded */

/* Calls fn for every key in table order, then for every option as "owner.key", with the value as
 * text that mr_config_set would read back to the same value. */
typedef mr_status (*mr_config_fn)(void *ctx, const char *key, const char *value);
MR_MUST mr_status mr_config_each(const mr_config *c, mr_config_fn fn, void *ctx);

/* Values of "<owner>.<key>"; the key must be one of the owner's own (else a broken invariant). */
double mr_option_num(const mr_config *c, const char *owner, const char *key);
const char *mr_option_text(const mr_config *c, const char *owner, const char *key);

/* The keys with default, range and help as aligned lines (markdown == 0) or a table (1). */
void mr_config_help(FILE *f, const mr_owner *owners, int n_owners, int markdown);
MR_C_END
#endif
