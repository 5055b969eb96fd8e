/* task.h — the contract of tasks/: batches as a pure function of (seed, split, index), and a score.
 * SPDX-License-Identifier: MIT */
#ifndef MR_TASK_H
#define MR_TASK_H
#include "config.h"
#include "shape.h"
MR_C_BEGIN

enum { MR_MAX_METRICS = 8, MR_MAX_PARTS = 4 };
typedef enum mr_split { MR_TRAIN, MR_VALID, MR_TEST } mr_split;
typedef enum mr_loss { MR_LOSS_XENT, MR_LOSS_MSE } mr_loss;
typedef struct mr_task mr_task; /* defined by each task file for itself */

typedef struct mr_task_info {
  mr_loss loss;
  int64_t T;       /* steps per sequence                                                  */
  int64_t from;    /* outputs are read at steps from .. T-1 only: T_out = T - from        */
  int64_t vocab;   /* token input: symbols; 0 without one                                 */
  int64_t in_dim;  /* real-valued input: channels per step; 0 without one. Where there    */
                   /* are both, their embeddings are added                                */
  int64_t out_dim; /* classes for XENT, channels for MSE                                  */
  int n_metrics;
  const char *metric[MR_MAX_METRICS]; /* "accuracy"; higher is better                        */
  const char *unit[MR_MAX_METRICS];   /* "1"                                                 */
  double chance[MR_MAX_METRICS];      /* score of the best constant answer, for tests        */
  /* Rows of the one fixed set that validation and test both are; 0: two sets of eval_batches
   * batches. */
  int64_t n_eval;
  const char *bits; /* name of the loss in bits, "bits_per_char"; NULL: not told */
  /* Real-valued input in parts, each with an embedding of its own: the next part[i] channels, the first
   * of them 1 where a step has this part and 0 elsewhere, so that its weight is the bias. 0: one
   * linear map of all. */
  int n_parts;
  int64_t part[MR_MAX_PARTS];
  bool normed;      /* norm and dropout behind the embedding                      */
  bool bounded;     /* the head is the tanh of an affine map                      */
  int64_t episodes; /* with `rollout`: sequences that it acts in side by side     */
  bool streams;     /* and whether it reads them step by step, or in whole windows */
} mr_task_info;

/* Host memory of the caller, sized from mr_task_info and B. Parts that do not apply are NULL. */
typedef struct mr_batch {
  int32_t *token;  /* [B,T]                                    */
  mr_real *value;  /* [B,T,in_dim]                             */
  int32_t *label;  /* [B,T_out], -1 where not scored           */
  mr_real *target; /* [B,T_out,out_dim]                        */
  mr_real *weight; /* [B,T_out], 0 where not scored            */
} mr_batch;

/* The network as one that acts in info.episodes sequences side by side. All memory is the host's. */
typedef struct mr_policy mr_policy;
struct mr_policy {
  /* Without info.streams: outputs y [B,T_out,out_dim] of whole sequences; token [B,T] and value
   * [B,T,in_dim], NULL where the task has none. */
  MR_MUST mr_status (*window)(mr_policy *p, const int32_t *token, const mr_real *value, mr_real *y);
  /* With it: all sequences start anew; then n more steps are read, token [B,n] and value [B,n,in_dim],
   * and y [B,out_dim] are the outputs of the last of them. */
  void (*restart)(mr_policy *p);
  MR_MUST mr_status (*read)(mr_policy *p, const int32_t *token, const mr_real *value, int64_t n,
                            mr_real *y);
};

/* Takes one fact of a task's data: text, or a number where text is NULL. */
typedef mr_status (*mr_data_fn)(void *ctx, const char *name, const char *text, double number);

typedef struct mr_task_def {
  const char *name, *summary;
  const mr_opt *opts; /* keys "<name>.<key>" */
  int n_opts;
  /* MR_ERR_IO says that data of this task's own are not on this machine, and how to get them: the
   * run is recorded as skipped. Everything else that is wrong is the user's: MR_ERR_CONFIG. */
  MR_MUST mr_status (*open)(mr_task **out, const mr_config *c);
  void (*close)(mr_task *k); /* NULL is fine */
  void (*info)(const mr_task *k, mr_task_info *out);
  /* Fills batch number `index` of a split, [B,...] as in mr_batch. Pure: depends on (config seed,
   * split, index) only, row by row, so order, threads and neighbours do not matter. With
   * info.n_eval, row b of validation and test is row index * (batch / accum) + b of the set; rows
   * behind its end have label -1. */
  MR_MUST mr_status (*batch)(const mr_task *k, mr_split s, uint64_t index, int64_t B,
                             mr_batch *out);
  /* y [B,T_out,out_dim] on the host: adds each metric's sum over the scored positions to sum[i] and
   * the number of positions to count[i]; metric = sum / count over a whole split. */
  MR_MUST mr_status (*score)(const mr_task *k, const mr_batch *b, int64_t B, const mr_real *y,
                             double *sum, double *count);
  /* (optional) Instead of `score`, which may then be NULL: acts in episodes, the same for every config
   * seed, and adds each metric's sum over episodes to sum[i] and their number to count[i]. The first
   * metric, not the loss, then tells which validation is the best. Allocates nothing. */
  MR_MUST mr_status (*rollout)(mr_task *k, mr_split s, mr_policy *p, double *sum, double *count);
  /* (optional) What every result should say of the data, for /data of the run file. */
  MR_MUST mr_status (*facts)(const mr_task *k, mr_data_fn fn, void *ctx);
  /* (optional) Text, for `minrnn sample`: symbol id as at most 4 bytes into out, not ended; returns
   * how many. */
  int (*decode)(const mr_task *k, int32_t id, char *out);
  /* (optional) The reverse: n bytes as *count <= n symbols into id [n]. MR_ERR_ARG names the first
   * character that is none of the text's. */
  MR_MUST mr_status (*encode)(const mr_task *k, const char *text, size_t n, int32_t *id,
                              int64_t *count);
} mr_task_def;

/* tasks/foo.c defines MR_TASK(foo) = { ... }; */
#define MR_TASK(stem)                                                                              \
  extern const mr_task_def mr_task_##stem;                                                         \
  const mr_task_def mr_task_##stem
MR_C_END
#endif
