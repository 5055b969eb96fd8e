/* search.h — policies of one environment, trained from several seeds side by side; what was reached is
 * kept in files, so that a later process goes on. SPDX-License-Identifier: MIT */
#ifndef MR_RL_SEARCH_H
#define MR_RL_SEARCH_H
#include "d4rl.h"
#include "ppo.h"
MR_C_BEGIN

/* What one seed has come to. Rounds count from 1; 0: none. */
typedef struct mr_search_seed {
  int64_t seed;
  int64_t round;        /* done so far                                          */
  int64_t medium, best; /* after which the return first reached the level; was best */
  double best_return;
  double *medium_row, *best_row; /* policies at these rounds, [mr_actor_size]         */
  double *curve;                 /* [rounds], mr_ppo_return after each                */
} mr_search_seed;

typedef struct mr_search {
  const mr_env_def *env;
  const mr_config *c;
  mr_env_spec spec;
  const char *folder;
  int64_t budget, rounds;
  int threads;
  bool quiet;
  double level; /* medium: return of D4RL's medium data; NAN: not known          */
  double s;     /* logarithm of the deviation that actions begin with            */
  int n;
  mr_search_seed *seed; /* [n], seeds 1 .. n */

  mr_env *simulator;  /* keeps spec valid */
  void *private_part; /* of search.c      */
} mr_search;

/* Takes up what earlier processes have left in the folder, for seeds 1 .. n and that budget. c and
 * folder must outlive s. */
MR_MUST mr_status mr_search_open(mr_search *s, const mr_env_def *env, const mr_config *c,
                                 const char *folder, int n, int64_t budget, bool quiet);
void mr_search_close(mr_search *s); /* zeroed or open */

/* Trains until one seed reaches the level, or, with `whole` or when none does, to the end of the
 * budget. The outcome does not depend on the number of threads: the seed that needs the fewest rounds
 * is taken, the lower one of two. */
MR_MUST mr_status mr_search_run(mr_search *s, bool whole);
/* The seed of the medium policy. When none reached the level, the best one, whose medium policy is
 * then the first with a third of its best return above the environment's low. */
MR_MUST mr_status mr_search_medium(mr_search *s, const mr_search_seed **out);
/* The seed with the best policy. */
const mr_search_seed *mr_search_best(const mr_search *s);
/* Trains a seed once more up to a round, and writes its steps to `file` and its policy to `row`, each
 * unless NULL. */
MR_MUST mr_status mr_search_again(const mr_search *s, int64_t seed, int64_t round,
                                  mr_d4rl_file *file, double *row);
MR_C_END
#endif
