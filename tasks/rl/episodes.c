/* episodes.c — plays some episodes at a time, one per thread, and takes them in their order.
 * SPDX-License-Identifier: MIT */
#include "episodes.h"
#include <stdio.h>
#include "backend.h"
#include "mem.h"

/* What a thread plays with, and its episode. */
typedef struct player {
  mr_walk walk;
  mr_actor actor;
  mr_steps steps;
  double total;
  mr_status st;
  char message[1024]; /* when st is not MR_OK */
} player;

static mr_status open_player(player *p, const mr_env_def *env, const mr_config *c,
                             const double *actor)
{
  MR_CHECK(mr_walk_open(&p->walk, env, c));
  MR_CHECK(mr_actor_open(&p->actor, &p->walk.spec));
  mr_actor_set(&p->actor, actor);
  mr_steps_init(&p->steps, &p->walk.spec);
  return MR_OK;
}

static mr_status play(player *p, uint64_t seed, uint64_t episode)
{
  mr_walk_event e = {.logp = 0};
  p->steps.n = 0;
  mr_walk_begin(&p->walk, seed, episode);
  while (!e.terminal && !e.timeout) MR_CHECK(mr_walk_step(&p->walk, &p->actor, &p->steps, &e));
  p->total = e.total;
  return MR_OK;
}

/* Episodes first, first + 1, ... , one per player. */
static mr_status play_all(player *p, int players, uint64_t seed, uint64_t first)
{
  MR_PRAGMA(omp parallel for schedule(static, 1) num_threads(players))
  for (int i = 0; i < players; i++) {
    p[i].st = play(&p[i], seed, first + (uint64_t)i);
    if (p[i].st != MR_OK)
      (void)snprintf(p[i].message, sizeof p[i].message, "%s", mr_error_message());
  }
  for (int i = 0; i < players; i++)
    if (p[i].st != MR_OK) return MR_FAIL(p[i].st, "%s", p[i].message);
  return MR_OK;
}

mr_status mr_draw_episodes(const mr_env_def *env, const mr_config *c, int threads,
                           const double *actor, uint64_t seed, int64_t steps,
                           mr_d4rl_file *const *file, int n, double *mean)
{
  mr_status st = MR_OK;
  player *p = NULL;
  double sum = 0;
  int64_t done = 0, episodes = 0;
  MR_TRY(mr_calloc((void **)&p, (size_t)threads, sizeof *p));
  for (int i = 0; i < threads; i++) MR_TRY(open_player(&p[i], env, c, actor));
  while (done < steps) {
    MR_TRY(play_all(p, threads, seed, (uint64_t)episodes));
    for (int i = 0; i < threads && done < steps; i++) {
      for (int k = 0; k < n; k++) MR_TRY(mr_d4rl_append(file[k], &p[i].steps));
      done += p[i].steps.n, episodes++;
      sum += p[i].total;
    }
  }
  *mean = sum / (double)episodes;
out:
  for (int i = 0; p && i < threads; i++) {
    mr_walk_close(&p[i].walk);
    mr_actor_close(&p[i].actor);
    mr_steps_free(&p[i].steps);
  }
  mr_free(p);
  return st;
}
