/* mujoco.c — HalfCheetah, Hopper and Walker2d on MuJoCo, as in versions 2 to 4 of OpenAI Gym, which
 * D4RL's data are from. SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "env.h"
#include "mem.h"
#include "mujoco/engine.h"
#include "options.h"
#include "rng.h"

enum { HORIZON = 1000, MAX_PATH = 4096 };

typedef struct kind {
  const char *name, *model; /* the model is also the name of Gymnasium's file   */
  int n, nu;                /* positions and as many velocities; controls       */
  int frames;               /* steps of MuJoCo per step                         */
  double noise;             /* of the start: qpos + U(-noise, noise), qvel ...  */
  bool normal;              /* ... + noise N(0, 1) instead of the same          */
  double most_speed;        /* velocities are cut to +- this when observed      */
  double alive, cost;       /* reward: dx/dt + alive - cost |action|^2          */
  /* An episode goes on while z is between these, |angle| below lean, all else below bound. */
  double lowest, highest, lean, bound;
  double low, high, target[2]; /* see mr_env_spec */
} kind;

static const kind halfcheetah = {.name = "halfcheetah",
                                 .model = "half_cheetah",
                                 .n = 9,
                                 .nu = 6,
                                 .frames = 5,
                                 .noise = 0.1,
                                 .normal = true,
                                 .most_speed = INFINITY,
                                 .cost = 0.1,
                                 .lowest = -INFINITY,
                                 .highest = INFINITY,
                                 .lean = INFINITY,
                                 .bound = INFINITY,
                                 .low = -280.178953,
                                 .high = 12135,
                                 .target = {6000, 12000}};

static const kind hopper = {.name = "hopper",
                            .model = "hopper",
                            .n = 6,
                            .nu = 3,
                            .frames = 4,
                            .noise = 0.005,
                            .most_speed = 10,
                            .alive = 1,
                            .cost = 1e-3,
                            .lowest = 0.7,
                            .highest = INFINITY,
                            .lean = 0.2,
                            .bound = 100,
                            .low = -20.272305,
                            .high = 3234.3,
                            .target = {3600, 1800}};

static const kind walker2d = {.name = "walker2d",
                              .model = "walker2d",
                              .n = 9,
                              .nu = 6,
                              .frames = 4,
                              .noise = 0.005,
                              .most_speed = 10,
                              .alive = 1,
                              .cost = 1e-3,
                              .lowest = 0.8,
                              .highest = 2,
                              .lean = 1,
                              .bound = INFINITY,
                              .low = 1.629008,
                              .high = 4592.3,
                              .target = {5000, 2500}};

/* ---- MuJoCo and its models, shared by all simulations ------------------------------------------ */

typedef struct shared {
  mr_mujoco_model model;
  char *source; /* path, or the name of one of ours */
  /* Of the file at the path, and the engine's name with it. Empty for one of ours. */
  char mark[17], engine[64];
  int users;
  struct shared *next;
} shared;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const mr_mujoco *engine; /* set once, under the lock; so is its name */
static const char *engine_name;
static shared *models; /* under the lock */

static mr_status load_engine(const kind *k)
{
  static void *library; /* stays loaded */
  if (engine != NULL) return MR_OK;
  if (library == NULL) library = dlopen(MR_MUJOCO_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  const mr_mujoco *found = library != NULL ? dlsym(library, MR_MUJOCO_SYMBOL) : NULL;
  if (found == NULL)
    return MR_FAIL(
        MR_ERR_IO,
        "%s needs MuJoCo, which cannot be loaded here (%s): scripts/setup.sh installs "
        "libmujoco-dev, then make builds again; make MUJOCO_DIR=FOLDER takes another copy",
        k->name, dlerror());
  if (found->interface != MR_MUJOCO_INTERFACE)
    return MR_FAIL(MR_ERR_IO,
                   "%s needs MuJoCo, but " MR_MUJOCO_LIBRARY
                   " has version %d of the interface and the program %d: build both again",
                   k->name, found->interface, MR_MUJOCO_INTERFACE);
  engine_name = found->start();
  if (engine_name == NULL)
    return MR_FAIL(MR_ERR_IO, "%s needs MuJoCo, which does not start (%s): build again", k->name,
                   found->complaint());
  engine = found;
  return MR_OK;
}

/* Other bytes are another body: their hash (FNV-1a) keeps the data of the two apart. */
static mr_status mark_model(shared *s, const kind *k)
{
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  FILE *f = fopen(s->source, "rbe");
  if (f == NULL) return MR_FAIL(MR_ERR_CONFIG, "%s cannot be read: %s", s->source, strerror(errno));
  for (int c; (c = fgetc(f)) != EOF;) hash = (hash ^ (uint64_t)c) * UINT64_C(0x100000001b3);
  const bool bad = ferror(f) != 0;
  (void)fclose(f); /* only read from */
  if (bad) return MR_FAIL(MR_ERR_CONFIG, "%s cannot be read", s->source);
  (void)snprintf(s->mark, sizeof s->mark, "%016" PRIx64, hash);
  (void)snprintf(s->engine, sizeof s->engine, "%.20s, %.15s.xml %s", engine_name, k->model,
                 s->mark);
  return MR_OK;
}

/* Without a path: our own model. */
static mr_status load_model(shared **out, const kind *k, const char *path)
{
  mr_status st;
  shared *s = NULL;
  MR_TRY(mr_calloc((void **)&s, 1, sizeof *s));
  MR_TRY(mr_strdup(&s->source, path ? path : k->model));
  if (!engine->load(&s->model, k->model, path)) {
    st = MR_FAIL(MR_ERR_CONFIG, "%s is no model for MuJoCo: %s", s->source, engine->complaint());
    goto out;
  }
  if (path != NULL) MR_TRY(mark_model(s, k));
  const mr_mujoco_model *m = &s->model;
  if (m->nq != k->n || m->nv != k->n || m->nu != k->nu) {
    st = MR_FAIL(MR_ERR_CONFIG,
                 "%s has %d positions, %d velocities and %d controls, but %s needs %d, %d and %d",
                 s->source, m->nq, m->nv, m->nu, k->name, k->n, k->n, k->nu);
    goto out;
  }
  *out = s;
  return MR_OK;
out:
  if (s != NULL) {
    engine->unload(&s->model);
    mr_free(s->source);
  }
  mr_free(s);
  return st;
}

static mr_status borrow_model(shared **out, const kind *k, const char *path)
{
  MR_CHECK(load_engine(k));
  shared *s = models;
  while (s != NULL && strcmp(s->source, path ? path : k->model) != 0) s = s->next;
  if (s == NULL) {
    MR_CHECK(load_model(&s, k, path));
    s->next = models;
    models = s;
  }
  s->users++;
  *out = s;
  return MR_OK;
}

static void return_model(shared *s)
{
  (void)pthread_mutex_lock(&lock); /* cannot fail: held by nobody who could ask twice */
  if (--s->users == 0) {
    shared **link = &models;
    while (*link != s) link = &(*link)->next;
    *link = s->next;
    engine->unload(&s->model);
    mr_free(s->source);
    mr_free(s);
  }
  (void)pthread_mutex_unlock(&lock);
}

/* ---- Environments ------------------------------------------------------------------------------ */

struct mr_env {
  const kind *k;
  shared *shared;
  mr_mujoco_sim sim;
  bool lost; /* MuJoCo has given up this episode */
};

static void close_env(mr_env *e)
{
  if (e == NULL) return;
  if (e->shared != NULL) {
    engine->close(&e->sim);
    return_model(e->shared);
  }
  mr_free(e);
}

/* path [MAX_PATH] of the model in offline_rl.assets; empty: none is named. */
static mr_status find_assets(char *path, const kind *k, const mr_config *c)
{
  const char *assets = mr_option_text(c, MR_RL, "assets");
  path[0] = '\0';
  if (assets[0] == '\0') return MR_OK;
  const int n = snprintf(path, MAX_PATH, "%s/%s.xml", assets, k->model);
  if (n >= MAX_PATH)
    return MR_FAIL(MR_ERR_CONFIG, MR_RL ".assets has %zu characters; allowed: at most %d",
                   strlen(assets), MAX_PATH - 32);
  if (access(path, R_OK) != 0)
    return MR_FAIL(MR_ERR_CONFIG,
                   MR_RL ".assets is %s, where %s.xml cannot be read (%s); Gymnasium has it in "
                         "envs/mujoco/assets",
                   assets, k->model, strerror(errno));
  return MR_OK;
}

static mr_status open_env(mr_env **out, const kind *k, const mr_config *c)
{
  mr_status st;
  mr_env *e = NULL;
  char path[MAX_PATH];
  MR_TRY(find_assets(path, k, c));
  MR_TRY(mr_calloc((void **)&e, 1, sizeof *e));
  e->k = k;
  (void)pthread_mutex_lock(&lock);
  st = borrow_model(&e->shared, k, path[0] != '\0' ? path : NULL);
  (void)pthread_mutex_unlock(&lock);
  MR_TRY(st);
  /* A trial step: what a model of the user's has too little memory for comes out here. */
  if (!engine->open(&e->sim, &e->shared->model) || !engine->forward(&e->sim) ||
      !engine->step(&e->sim, 1)) {
    st = MR_FAIL(MR_ERR_CONFIG, "%s cannot be simulated: %s", e->shared->source,
                 engine->complaint());
    goto out;
  }
  *out = e;
  return MR_OK;
out:
  close_env(e);
  return st;
}

static void describe(const kind *k, const mr_env *e, mr_env_spec *out)
{
  const shared *s = e != NULL ? e->shared : NULL;
  *out = (mr_env_spec){.name = k->name,
                       .engine = s == NULL              ? NULL
                                 : s->engine[0] != '\0' ? s->engine
                                                        : engine_name,
                       .model = s != NULL && s->mark[0] != '\0' ? s->mark : NULL,
                       .obs = 2 * k->n - 1,
                       .act = k->nu,
                       .horizon = HORIZON,
                       .low = k->low,
                       .high = k->high,
                       .scale = 1000,
                       .target = {k->target[0], k->target[1]},
                       .nq = k->n,
                       .nv = k->n};
}

/* obs [2n - 1]: all but the way travelled. */
static void look(const mr_env *e, double *obs)
{
  const kind *k = e->k;
  const double most = k->most_speed;
  for (int i = 1; i < k->n; i++) *obs++ = e->sim.qpos[i];
  for (int i = 0; i < k->n; i++) *obs++ = fmin(fmax(e->sim.qvel[i], -most), most);
}

static void reset(mr_env *e, uint64_t seed, uint64_t episode, double *obs)
{
  const kind *k = e->k;
  mr_rng r;
  mr_rng_seek(&r, seed, MR_STREAM_EPISODE, episode);
  engine->reset(&e->sim);
  for (int i = 0; i < k->n; i++) e->sim.qpos[i] += k->noise * (2 * mr_rng_uniform(&r) - 1);
  for (int i = 0; i < k->n; i++)
    e->sim.qvel[i] += k->noise * (k->normal ? mr_rng_normal(&r) : 2 * mr_rng_uniform(&r) - 1);
  e->lost = !engine->forward(&e->sim);
  look(e, obs);
}

static bool is_finite(const mr_env *e)
{
  bool yes = true;
  for (int i = 0; i < e->k->n; i++) yes &= isfinite(e->sim.qpos[i]) && isfinite(e->sim.qvel[i]);
  return yes;
}

static bool is_healthy(const mr_env *e)
{
  const kind *k = e->k;
  const double *qpos = e->sim.qpos, *qvel = e->sim.qvel;
  bool yes = qpos[1] > k->lowest && qpos[1] < k->highest && fabs(qpos[2]) < k->lean;
  for (int i = 2; i < k->n; i++) yes &= fabs(qpos[i]) < k->bound;
  for (int i = 0; i < k->n; i++) yes &= fabs(qvel[i]) < k->bound;
  return yes;
}

/* A simulation that MuJoCo cannot go on with, be it for an action that is no number, ends its episode:
 * paid with nothing, and seen at the model's start. */
static void step(mr_env *e, const double *act, double *obs, double *reward, bool *terminal)
{
  const kind *k = e->k;
  const double x = e->sim.qpos[0], dt = k->frames * e->shared->model.timestep;
  double effort = 0;
  for (int i = 0; i < k->nu; i++) {
    const double a = act[i] < -1 ? -1 : act[i] > 1 ? 1 : act[i];
    e->sim.ctrl[i] = a;
    effort += a * a;
  }
  e->lost = e->lost || !engine->step(&e->sim, k->frames) || !is_finite(e);
  if (e->lost) engine->reset(&e->sim);
  *reward = e->lost ? 0 : (e->sim.qpos[0] - x) / dt + k->alive - k->cost * effort;
  *terminal = e->lost || !is_healthy(e);
  look(e, obs);
}

static void state(const mr_env *e, double *qpos, double *qvel)
{
  memcpy(qpos, e->sim.qpos, (size_t)e->k->n * sizeof *qpos);
  memcpy(qvel, e->sim.qvel, (size_t)e->k->n * sizeof *qvel);
}

/* ---- Registry ---------------------------------------------------------------------------------- */

static mr_status open_halfcheetah(mr_env **out, const mr_config *c)
{
  return open_env(out, &halfcheetah, c);
}

static mr_status open_hopper(mr_env **out, const mr_config *c)
{
  return open_env(out, &hopper, c);
}

static mr_status open_walker2d(mr_env **out, const mr_config *c)
{
  return open_env(out, &walker2d, c);
}

static void spec_halfcheetah(const mr_env *e, mr_env_spec *out)
{
  describe(&halfcheetah, e, out);
}

static void spec_hopper(const mr_env *e, mr_env_spec *out)
{
  describe(&hopper, e, out);
}

static void spec_walker2d(const mr_env *e, mr_env_spec *out)
{
  describe(&walker2d, e, out);
}

#define ENV(kind, what)                                                                            \
  extern const mr_env_def mr_env_##kind;                                                           \
  const mr_env_def mr_env_##kind = {.name = #kind,                                                 \
                                    .summary = what,                                               \
                                    .open = open_##kind,                                           \
                                    .close = close_env,                                            \
                                    .spec = spec_##kind,                                           \
                                    .reset = reset,                                                \
                                    .step = step,                                                  \
                                    .state = state};

ENV(halfcheetah, "run with six joints in the plane, 1000 steps (MuJoCo)")
ENV(hopper, "hop on one leg without falling (MuJoCo)")
ENV(walker2d, "walk on two legs without falling (MuJoCo)")
