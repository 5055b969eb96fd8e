/* search.c — the race of seeds and what is kept of it. SPDX-License-Identifier: MIT */
#include "search.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "backend.h"
#include "h5file.h"
#include "machine.h"
#include "mem.h"
#include "meter.h"

enum { PATH_BYTES = 1024, KEY_BYTES = 192, FIRST_SEED = 10000 };
static const int64_t save_ns = INT64_C(20) * 1000000000, tell_ns = INT64_C(10) * 1000000000;

/* How a kept file begins; the rows and curve of the seed and a saved mr_ppo follow. */
typedef struct header {
  char key[KEY_BYTES]; /* what the file is of */
  mr_search_seed seed; /* its pointers mean nothing */
} header;

/* One seed at work. */
typedef struct lane {
  header *kept; /* the whole file */
  void *state;  /* in it          */
  size_t bytes;
  char path[PATH_BYTES], part[PATH_BYTES + 8];
  int64_t saved_ns;
  mr_status st;
  char message[1024]; /* when st is not MR_OK */
} lane;

typedef struct private_part {
  lane *lane; /* [n] */
  mr_meter meter;
  int64_t told_ns;
  int64_t fewest; /* rounds in which a seed reached the level */
} private_part;

static lane *lane_of(const mr_search *s, int k)
{
  const private_part *p = s->private_part;
  return &p->lane[k];
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Bytes of the one array of a kept file, if it has as many as wanted. */
static mr_status read_bytes(const char *path, void *to, size_t n)
{
  mr_status st = MR_OK;
  hid_t file = -1, set = -1, space = -1;
  MR_TRY(mr_h5_open(&file, path));
  MR_H5(set = H5Dopen2(file, "state", H5P_DEFAULT), "open an array");
  MR_H5(space = H5Dget_space(set), "open an array");
  if (H5Sget_simple_extent_npoints(space) != (hssize_t)n)
    st = MR_FAIL(MR_ERR_IO, "%s was written by another build", path);
  else
    MR_H5(H5Dread(set, H5T_NATIVE_UCHAR, H5S_ALL, H5S_ALL, H5P_DEFAULT, to), "read an array");
out:
  st = mr_h5_drop(space, st, path);
  st = mr_h5_drop(set, st, path);
  mr_h5_close(file);
  return st;
}

static mr_status write_bytes(const char *part, const char *path, const void *from, size_t n)
{
  mr_status st = MR_OK;
  hid_t file = -1, set = -1, space = -1;
  const hsize_t size = n;
  MR_TRY(mr_make_parents(path));
  MR_TRY(mr_h5_begin(&file, path));
  MR_H5(space = H5Screate_simple(1, &size, NULL), "make an array");
  MR_H5(set = H5Dcreate2(file, "state", H5T_NATIVE_UCHAR, space, H5P_DEFAULT, H5P_DEFAULT,
                         H5P_DEFAULT),
        "make an array");
  MR_H5(H5Dwrite(set, H5T_NATIVE_UCHAR, H5S_ALL, H5S_ALL, H5P_DEFAULT, from), "write an array");
  MR_TRY(mr_h5_commit(file, part, path));
out:
  st = mr_h5_drop(space, st, path);
  st = mr_h5_drop(set, st, path);
  mr_h5_close(file);
  return st;
}

/* Points the seed into its file. */
static void attach(const mr_search *s, int k)
{
  lane *l = lane_of(s, k);
  mr_search_seed *seed = &s->seed[k];
  *seed = l->kept->seed;
  seed->medium_row = (double *)(l->kept + 1);
  seed->best_row = seed->medium_row + mr_actor_size(&s->spec);
  seed->curve = seed->best_row + mr_actor_size(&s->spec);
  l->state = seed->curve + s->rounds;
}

static mr_status open_lane(mr_search *s, int k, size_t state_bytes)
{
  struct stat there;
  char key[KEY_BYTES];
  lane *l = lane_of(s, k);
  const int64_t seed = k + 1;
  const char *model = s->spec.model;
  const int len =
      snprintf(l->path, sizeof l->path, "%s/%s%s%s-ppo%" PRId64 "-%" PRId64 ".h5", s->folder,
               s->spec.name, model ? "-" : "", model ? model : "", seed, s->budget);
  if (len < 0 || (size_t)len >= sizeof l->path)
    return MR_FAIL(MR_ERR_CONFIG, "the folder %s has a name of more than %d characters", s->folder,
                   PATH_BYTES / 2);
  (void)snprintf(l->part, sizeof l->part, "%s.part", l->path);
  (void)snprintf(key, sizeof key, "%s, %s, seed %" PRId64 ", budget %" PRId64 ", level %g, s %g",
                 s->spec.name, s->spec.engine, seed, s->budget, s->level, s->s);
  l->bytes = sizeof *l->kept + state_bytes +
             (size_t)(2 * mr_actor_size(&s->spec) + s->rounds) * sizeof(double);
  MR_CHECK(mr_calloc((void **)&l->kept, l->bytes, 1));
  if (stat(l->path, &there) == 0) {
    /* What cannot be gone on from is made anew. */
    const mr_status st = read_bytes(l->path, l->kept, l->bytes);
    if (st != MR_OK)
      mr_meter_say(&((private_part *)s->private_part)->meter, "%s: begun anew", mr_error_message());
    if (st != MR_OK || strcmp(l->kept->key, key) != 0) memset(l->kept, 0, l->bytes);
  }
  if (l->kept->seed.round == 0) {
    (void)snprintf(l->kept->key, sizeof l->kept->key, "%s", key);
    l->kept->seed = (mr_search_seed){.seed = seed, .best_return = -INFINITY};
  }
  attach(s, k);
  return MR_OK;
}

static mr_status save(const mr_search *s, int k, const mr_ppo *ppo)
{
  lane *l = lane_of(s, k);
  l->kept->seed = s->seed[k];
  l->kept->seed.medium_row = l->kept->seed.best_row = l->kept->seed.curve = NULL;
  mr_ppo_save(ppo, l->state);
  l->saved_ns = mr_now_ns();
  return write_bytes(l->part, l->path, l->kept, l->bytes);
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* Mean returns of D4RL's medium data, version 2, and the spread that actions begin with. From the usual
 * s = 0 none of six half-cheetahs earned more than 2100: they slide on their backs. From s = -1 both that
 * were tried earned 5000 within 600 000 steps, while Hopper and Walker2d learn far more slowly. */
static void look_up(mr_search *s)
{
  static const struct {
    const char *name;
    double level, s;
  } known[] = {{"halfcheetah", 4770.3, -1}, {"hopper", 1422.1, 0}, {"walker2d", 2852.1, 0}};
  s->level = NAN, s->s = 0;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i].name, s->env->name) == 0) s->level = known[i].level, s->s = known[i].s;
}

static int threads_of(const mr_config *c)
{
#ifdef _OPENMP
  return c->threads > 0 ? (int)c->threads : omp_get_max_threads();
#else
  (void)c;
  return 1;
#endif
}

mr_status mr_search_open(mr_search *s, const mr_env_def *env, const mr_config *c,
                         const char *folder, int n, int64_t budget, bool quiet)
{
  mr_status st = MR_OK;
  mr_ppo *ppo = NULL;
  private_part *p = NULL;
  *s = (mr_search){.env = env, .c = c, .folder = folder, .budget = budget, .quiet = quiet};
  look_up(s);
  s->threads = threads_of(c);
  MR_TRY(env->open(&s->simulator, c));
  env->spec(s->simulator, &s->spec);
  MR_TRY(mr_calloc((void **)&s->seed, (size_t)n, sizeof *s->seed));
  MR_TRY(mr_calloc((void **)&p, 1, sizeof *p));
  s->private_part = p;
  MR_TRY(mr_calloc((void **)&p->lane, (size_t)n, sizeof *p->lane));
  s->n = n;
  mr_meter_begin(&p->meter, quiet, 0, 0, 0);
  p->told_ns = mr_now_ns();
  MR_TRY(mr_ppo_open(&ppo, env, c, 0, budget, s->s));
  s->rounds = mr_ppo_rounds(ppo);
  for (int k = 0; k < n; k++) MR_TRY(open_lane(s, k, mr_ppo_state_bytes(ppo)));
out:
  mr_ppo_close(ppo);
  if (st != MR_OK) mr_search_close(s);
  return st;
}

void mr_search_close(mr_search *s)
{
  private_part *p = s->private_part;
  if (p) {
    mr_meter_end(&p->meter);
    for (int k = 0; k < s->n; k++) mr_free(p->lane[k].kept);
    mr_free(p->lane);
  }
  mr_free(p);
  mr_free(s->seed);
  if (s->env) s->env->close(s->simulator);
  *s = (mr_search){.env = NULL};
}

/* ---- The race -------------------------------------------------------------------------------- */

/* A line with the state of all seeds, now and then. */
static void tell(const mr_search *s)
{
  private_part *p = s->private_part;
  char line[400] = "";
  size_t used = 0;
  if (mr_now_ns() - p->told_ns < tell_ns) return;
  p->told_ns = mr_now_ns();
  for (int k = 0; k < s->n && used < sizeof line; k++) {
    const mr_search_seed *seed = &s->seed[k];
    if (seed->round == 0) continue;
    const int len =
        snprintf(line + used, sizeof line - used, "; seed %" PRId64 " after %" PRId64 " k: %.0f",
                 seed->seed, seed->round * MR_PPO_ROUND / 1000, seed->curve[seed->round - 1]);
    used += len > 0 ? (size_t)len : 0;
  }
  mr_meter_say(&p->meter, "%s, returns while learning for %" PRId64 " k steps%s", s->spec.name,
               s->budget / 1000, line);
}

/* Takes down how the round went. */
static void note(mr_search *s, int k, const mr_ppo *ppo)
{
  private_part *p = s->private_part;
  mr_search_seed *seed = &s->seed[k];
  const double now = mr_ppo_return(ppo);
  seed->round = mr_ppo_round(ppo);
  seed->curve[seed->round - 1] = now;
  if (now > seed->best_return) {
    seed->best = seed->round, seed->best_return = now;
    mr_ppo_actor(ppo, seed->best_row);
  }
  if (seed->medium == 0 && now >= s->level) {
    seed->medium = seed->round;
    mr_ppo_actor(ppo, seed->medium_row);
    if (seed->medium < p->fewest) p->fewest = seed->medium;
  }
}

/* Has seed k more to do? */
static bool goes_on(const mr_search *s, int k, bool whole)
{
  const private_part *p = s->private_part;
  const mr_search_seed *seed = &s->seed[k];
  if (seed->round == s->rounds) return false;
  return whole || (seed->medium == 0 && seed->round < p->fewest);
}

static mr_status train_seed(mr_search *s, int k, bool whole)
{
  mr_status st = MR_OK;
  mr_ppo *ppo = NULL;
  lane *l = lane_of(s, k);
  const uint64_t seed = FIRST_SEED + (uint64_t)s->seed[k].seed;
  bool more = false;
  MR_PRAGMA(omp critical(mr_search))
  more = goes_on(s, k, whole);
  if (!more) return MR_OK;
  MR_TRY(mr_ppo_open(&ppo, s->env, s->c, seed, s->budget, s->s));
  if (s->seed[k].round > 0) mr_ppo_restore(ppo, l->state);
  l->saved_ns = mr_now_ns();
  while (more) {
    MR_TRY(mr_ppo_next(ppo, NULL));
    MR_PRAGMA(omp critical(mr_search))
    {
      note(s, k, ppo);
      tell(s);
      more = goes_on(s, k, whole);
      if (!more || mr_now_ns() - l->saved_ns > save_ns) st = save(s, k, ppo);
    }
    MR_TRY(st);
  }
out:
  mr_ppo_close(ppo);
  return st;
}

mr_status mr_search_run(mr_search *s, bool whole)
{
  private_part *p = s->private_part;
  bool all = whole || isnan(s->level);
  p->fewest = s->rounds;
  for (int k = 0; k < s->n; k++)
    if (s->seed[k].medium > 0 && s->seed[k].medium < p->fewest) p->fewest = s->seed[k].medium;
  MR_PRAGMA(omp parallel for schedule(dynamic, 1) num_threads(s->threads))
  for (int k = 0; k < s->n; k++) {
    lane *l = &p->lane[k];
    l->st = train_seed(s, k, all);
    if (l->st != MR_OK) (void)snprintf(l->message, sizeof l->message, "%s", mr_error_message());
  }
  for (int k = 0; k < s->n; k++)
    if (p->lane[k].st != MR_OK) return MR_FAIL(p->lane[k].st, "%s", p->lane[k].message);
  return MR_OK;
}

/* ---- The outcome ----------------------------------------------------------------------------- */

const mr_search_seed *mr_search_best(const mr_search *s)
{
  int best = 0;
  for (int k = 1; k < s->n; k++)
    if (s->seed[k].best_return > s->seed[best].best_return) best = k;
  return &s->seed[best];
}

mr_status mr_search_medium(mr_search *s, const mr_search_seed **out)
{
  int first = -1;
  for (int k = 0; k < s->n; k++)
    if (s->seed[k].medium > 0 && (first < 0 || s->seed[k].medium < s->seed[first].medium))
      first = k;
  if (first < 0) {
    first = (int)(mr_search_best(s) - s->seed);
    mr_search_seed *seed = &s->seed[first];
    if (seed->best == 0)
      return MR_FAIL(MR_ERR_CONFIG, "no seed of %s finished %d episodes within %" PRId64 " steps",
                     s->spec.name, MR_PPO_WINDOW, s->budget);
    const double level = s->spec.low + (seed->best_return - s->spec.low) / 3;
    int64_t round = 1;
    while (round < seed->best && !(seed->curve[round - 1] >= level)) round++;
    seed->medium = round;
    MR_CHECK(mr_search_again(s, seed->seed, round, NULL, seed->medium_row));
  }
  *out = &s->seed[first];
  return MR_OK;
}

mr_status mr_search_again(const mr_search *s, int64_t seed, int64_t round, mr_d4rl_file *file,
                          double *row)
{
  mr_status st = MR_OK;
  mr_ppo *ppo = NULL;
  mr_steps steps;
  mr_steps_init(&steps, &s->spec);
  MR_TRY(mr_ppo_open(&ppo, s->env, s->c, FIRST_SEED + (uint64_t)seed, s->budget, s->s));
  while (mr_ppo_round(ppo) < round) {
    MR_TRY(mr_ppo_next(ppo, file ? &steps : NULL));
    if (file) MR_TRY(mr_d4rl_append(file, &steps));
    steps.n = 0;
  }
  if (row) mr_ppo_actor(ppo, row);
out:
  mr_steps_free(&steps);
  mr_ppo_close(ppo);
  return st;
}
