/* make.c — which files there are, and what is needed for those that are missing.
 * SPDX-License-Identifier: MIT */
#include "make.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "folder.h"
#include "h5file.h"
#include "mem.h"
#include "options.h"
#include "episodes.h"
#include "search.h"

enum { PATH_BYTES = 1024, NAME_BYTES = 128, STEP_BYTES = 400 };
/* Seeds of the episodes that data are drawn from; added to that of the policy. */
enum { SEED_MEDIUM = 20000, SEED_EXPERT = 30000 };
typedef enum kind { MEDIUM, REPLAY, EXPERT, KINDS } kind;
static const char *const level_name[KINDS] = {"medium", "medium-replay", "medium-expert"};

static int64_t option(const mr_config *c, const char *key)
{
  return (int64_t)mr_option_num(c, MR_RL, key);
}

mr_status mr_make_folder(char *path, size_t n, const mr_config *c)
{
  const char *folder = mr_option_text(c, MR_RL, "cache"), *data = getenv("MINRNN_DATA");
  if (data == NULL || data[0] == '\0') data = "data";
  const int len =
      folder[0] != '\0' ? snprintf(path, n, "%s", folder) : snprintf(path, n, "%s/rl", data);
  if (len < 0 || (size_t)len + NAME_BYTES >= n)
    return MR_FAIL(MR_ERR_CONFIG,
                   "the folder of data has a name of %d characters, allowed are at most %zu", len,
                   n - NAME_BYTES - 1);
  return MR_OK;
}

static mr_status in_folder(char *path, size_t n, const mr_config *c, const char *name)
{
  MR_CHECK(mr_make_folder(path, n, c));
  const size_t used = strlen(path);
  (void)snprintf(path + used, n - used, "/%s", name);
  return MR_OK;
}

/* "-<mark>" of the model that offline_rl.assets names, "" without. */
static mr_status mark_of(char *mark, size_t n, const mr_env_def *env, const mr_config *c)
{
  mr_env *e = NULL;
  mr_env_spec spec;
  mark[0] = '\0';
  if (mr_option_text(c, MR_RL, "assets")[0] == '\0') return MR_OK;
  MR_CHECK(env->open(&e, c));
  env->spec(e, &spec);
  if (spec.model) (void)snprintf(mark, n, "-%s", spec.model);
  env->close(e);
  return MR_OK;
}

mr_status mr_make_path(char *path, size_t n, const mr_env_def *env, const mr_config *c,
                       const char *level)
{
  char name[NAME_BYTES], mark[32], steps[32] = "";
  MR_CHECK(mark_of(mark, sizeof mark, env, c));
  if (strcmp(level, level_name[REPLAY]) != 0)
    (void)snprintf(steps, sizeof steps, "-n%" PRId64, option(c, "data_steps"));
  (void)snprintf(name, sizeof name, "%s_%s-generated%s-ppo%" PRId64 "x%" PRId64 "%s.hdf5",
                 env->name,
                 strcmp(level, level_name[MEDIUM]) == 0   ? "medium"
                 : strcmp(level, level_name[REPLAY]) == 0 ? "medium_replay"
                                                          : "medium_expert",
                 mark, option(c, "ppo_seeds"), option(c, "ppo_steps"), steps);
  return in_folder(path, n, c, name);
}

/* ---- One process at a time ------------------------------------------------------------------- */

static mr_status lock(int *fd, const mr_env_def *env, const mr_config *c, bool quiet)
{
  char name[NAME_BYTES], path[PATH_BYTES];
  (void)snprintf(name, sizeof name, "%s.lock", env->name);
  MR_CHECK(in_folder(path, sizeof path, c, name));
  MR_CHECK(mr_make_parents(path));
  *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (*fd < 0) return MR_FAIL(MR_ERR_CONFIG, "%s cannot be opened: %s", path, strerror(errno));
  if (flock(*fd, LOCK_EX | LOCK_NB) == 0) return MR_OK;
  if (errno == EWOULDBLOCK && !quiet)
    (void)fprintf(stderr, "waiting for another process that makes data of %s\n", env->name);
  while (flock(*fd, LOCK_EX) != 0)
    if (errno != EINTR)
      return MR_FAIL(MR_ERR_CONFIG, "%s cannot be locked: %s", path, strerror(errno));
  return MR_OK;
}

/* ---- Making ---------------------------------------------------------------------------------- */

typedef struct maker {
  const mr_env_def *env;
  const mr_config *c;
  bool quiet;
  char folder[PATH_BYTES], path[KINDS][PATH_BYTES];
  bool wanted[KINDS]; /* and missing */
  mr_search search;
  const mr_search_seed *medium, *best;
} maker;

static void say(const maker *m, const char *what, const char *path)
{
  /* Nothing is lost when nobody hears it. */
  if (!m->quiet) (void)fprintf(stderr, "%s: %s %s\n", m->env->name, what, path);
}

static mr_status begin(const maker *m, kind k, mr_d4rl_file **file)
{
  const mr_search_seed *last = k == EXPERT ? m->best : m->medium;
  const mr_d4rl_about about = {.environment = m->env->name,
                               .engine = m->search.spec.engine,
                               .level = level_name[k],
                               .seed = last->seed,
                               .iteration = k == EXPERT ? last->best : last->medium};
  say(m, "making", m->path[k]);
  return mr_d4rl_create(file, m->path[k], &m->search.spec, &about);
}

/* medium and medium-expert share the episodes of the medium policy. Each file tells the mean return of the
 * best policy whose episodes it holds, whatever else was made with it. */
static mr_status draw(const maker *m)
{
  mr_status st = MR_OK;
  mr_d4rl_file *file[KINDS] = {NULL}, *open_file[KINDS];
  int n = 0;
  const int64_t steps = option(m->c, "data_steps");
  double mean[KINDS] = {0};
  for (int k = 0; k < KINDS; k++) {
    if (k == REPLAY || !m->wanted[k]) continue;
    MR_TRY(begin(m, (kind)k, &file[k]));
    open_file[n++] = file[k];
  }
  if (n > 0)
    MR_TRY(mr_draw_episodes(m->env, m->c, m->search.threads, m->medium->medium_row,
                            (uint64_t)(SEED_MEDIUM + m->medium->seed), steps, open_file, n,
                            &mean[MEDIUM]));
  if (file[EXPERT])
    MR_TRY(mr_draw_episodes(m->env, m->c, m->search.threads, m->best->best_row,
                            (uint64_t)(SEED_EXPERT + m->best->seed), steps, &file[EXPERT], 1,
                            &mean[EXPERT]));
  mean[EXPERT] = fmax(mean[EXPERT], mean[MEDIUM]); /* a policy is the best by noisy episodes */
  for (int k = 0; k < KINDS; k++)
    if (file[k]) MR_TRY(mr_d4rl_finish(file[k], mean[k]));
out:
  for (int k = 0; k < KINDS; k++) mr_d4rl_close(file[k]);
  return st;
}

/* Training is played again up to the medium policy, which is cheaper than keeping all its steps. The
 * return in its last round, the first to reach the level, is the best of all. */
static mr_status replay(const maker *m)
{
  mr_status st = MR_OK;
  mr_d4rl_file *file = NULL;
  MR_TRY(begin(m, REPLAY, &file));
  MR_TRY(mr_search_again(&m->search, m->medium->seed, m->medium->medium, file, NULL));
  MR_TRY(mr_d4rl_finish(file, m->medium->curve[m->medium->medium - 1]));
out:
  mr_d4rl_close(file);
  return st;
}

static mr_status make_missing(maker *m)
{
  mr_status st = MR_OK;
  const int seeds = (int)option(m->c, "ppo_seeds");
  const int64_t budget = option(m->c, "ppo_steps"), steps = option(m->c, "data_steps");
  int64_t bytes = 0;
  for (int k = 0; k < KINDS; k++)
    if (m->wanted[k])
      bytes += STEP_BYTES * (k == REPLAY ? budget : k == EXPERT ? 2 * steps : steps);
  MR_CHECK(mr_check_room(m->path[MEDIUM], bytes));
  MR_TRY(mr_search_open(&m->search, m->env, m->c, m->folder, seeds, budget, m->quiet));
  MR_TRY(mr_search_run(&m->search, m->wanted[EXPERT]));
  MR_TRY(mr_search_medium(&m->search, &m->medium));
  m->best = mr_search_best(&m->search);
  MR_TRY(draw(m));
  if (m->wanted[REPLAY]) MR_TRY(replay(m));
out:
  mr_search_close(&m->search);
  return st;
}

mr_status mr_make(const mr_env_def *env, const mr_config *c, const char *const *level, int n,
                  bool quiet)
{
  mr_status st = MR_OK;
  maker *m = NULL;
  int fd = -1;
  bool missing = false;
  if (env->expert)
    return MR_FAIL(MR_ERR_CONFIG, "data of %s are made by its controller, whenever they are needed",
                   env->name);
  MR_TRY(mr_calloc((void **)&m, 1, sizeof *m));
  m->env = env, m->c = c, m->quiet = quiet;
  MR_TRY(mr_make_folder(m->folder, sizeof m->folder, c));
  MR_TRY(lock(&fd, env, c, quiet));
  for (int k = 0; k < KINDS; k++) {
    MR_TRY(mr_make_path(m->path[k], sizeof m->path[k], env, c, level_name[k]));
    for (int i = 0; i < n; i++)
      if (strcmp(level[i], level_name[k]) == 0) m->wanted[k] = access(m->path[k], F_OK) != 0;
    missing = missing || m->wanted[k];
  }
  if (missing) MR_TRY(make_missing(m));
out:
  if (fd >= 0) (void)close(fd); /* with it goes the lock */
  mr_free(m);
  return st;
}

mr_status mr_make_open(mr_dataset *out, const mr_env_def *env, const mr_config *c)
{
  mr_status st = MR_OK;
  mr_env *e = NULL;
  mr_env_spec spec;
  char path[PATH_BYTES];
  const char *level = mr_option_text(c, MR_RL, "data");
  *out = (mr_dataset){.n = 0};
  MR_CHECK(env->open(&e, c));
  env->spec(e, &spec);
  MR_TRY(mr_make_path(path, sizeof path, env, c, level));
  if (access(path, F_OK) != 0) MR_TRY(mr_make(env, c, &level, 1, false));
  MR_TRY(mr_d4rl_read(out, path, &spec));
  const char *engine = strstr(out->origin, spec.engine);
  if (!out->generated || !engine || strcmp(engine, spec.engine) != 0) {
    st = MR_FAIL(MR_ERR_CONFIG,
                 "%s is %s, but %s is here: remove the file, or name another folder as "
                 "offline_rl.cache",
                 path, out->origin, spec.engine);
    mr_dataset_free(out);
  }
out:
  env->close(e);
  return st;
}
