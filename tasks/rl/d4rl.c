/* d4rl.c — D4RL files as data sets: values checked, cut into trajectories, found in a folder.
 * SPDX-License-Identifier: MIT */
#include "d4rl.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "d4rl_impl.h"
#include "mem.h"

enum { PATH_BYTES = 1024, RESETS = 32 };
#define EDGE 1e-3 /* how far an action may be beyond -1 .. 1 */
#define PAY  1e6  /* most of a reward: no environment's is as large, and 1000 of them fit a float */
#define NEAR 0.25 /* how far a first observation may be from those of the environment */

static const char *base_name(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static mr_status check_numbers(const char *path, const char *name, const float *x, int64_t n,
                               int64_t width, double most, double edge)
{
  for (int64_t i = 0; i < n * width; i++) {
    if (!isfinite(x[i]))
      return MR_FAIL(MR_ERR_CONFIG, "%s: %s has the value %g in step %" PRId64, path, name,
                     (double)x[i], i / width);
    if (fabs((double)x[i]) > most + edge)
      return MR_FAIL(MR_ERR_CONFIG,
                     "%s: %s has the value %g in step %" PRId64 ", allowed are %g to %g", path,
                     name, (double)x[i], i / width, -most, most);
  }
  return MR_OK;
}

static mr_status check_flags(const char *path, const char *name, const int64_t *x, int64_t n)
{
  for (int64_t i = 0; x && i < n; i++)
    if (x[i] != 0 && x[i] != 1)
      return MR_FAIL(MR_ERR_CONFIG,
                     "%s: %s has the value %" PRId64 " in step %" PRId64 ", allowed are 0 and 1",
                     path, name, x[i], i);
  return MR_OK;
}

static mr_status check_values(const mr_d4rl_raw *r, const char *path, const mr_env_spec *spec)
{
  if (spec && r->obs != spec->obs)
    return MR_FAIL(MR_ERR_CONFIG,
                   "%s: observations has %" PRId64 " numbers per step, but %s has %" PRId64, path,
                   r->obs, spec->name, spec->obs);
  if (spec && r->act != spec->act)
    return MR_FAIL(MR_ERR_CONFIG,
                   "%s: actions has %" PRId64 " numbers per step, but %s has %" PRId64, path,
                   r->act, spec->name, spec->act);
  MR_CHECK(check_numbers(path, "observations", r->ob, r->n, r->obs, INFINITY, 0));
  MR_CHECK(check_numbers(path, "actions", r->ac, r->n, r->act, 1, EDGE));
  MR_CHECK(check_numbers(path, "rewards", r->reward, r->n, 1, PAY, 0));
  MR_CHECK(check_flags(path, "terminals", r->terminal, r->n));
  return check_flags(path, "timeouts", r->timeout, r->n);
}

/* ---- Trajectories ---------------------------------------------------------------------------- */

/* Calls of one rule: does a trajectory that began at `from` end with step i? */
static bool ends(const mr_d4rl_raw *r, int64_t from, int64_t i, int64_t horizon)
{
  if (r->terminal[i]) return true;
  return r->timeout ? r->timeout[i] != 0 : i + 1 - from == horizon;
}

static mr_status cut(mr_dataset *d, const mr_d4rl_raw *r, const char *path, int64_t horizon)
{
  int64_t n = 0, n_traj = 0;
  for (int64_t i = 0; i < r->n; i++)
    if (ends(r, n, i, horizon)) {
      if (i + 1 - n > horizon)
        return MR_FAIL(MR_ERR_CONFIG,
                       "%s: the trajectory that begins at step %" PRId64 " has %" PRId64
                       " steps, allowed are 1 to %" PRId64,
                       path, n, i + 1 - n, horizon);
      n = i + 1, n_traj++;
    }
  if (n_traj == 0)
    return MR_FAIL(MR_ERR_CONFIG,
                   "%s: none of the %" PRId64 " steps ends a trajectory, in terminals or timeouts",
                   path, r->n);
  MR_CHECK(mr_dataset_alloc(d, r->obs, r->act, n, n_traj));
  memcpy(d->ob, r->ob, (size_t)(n * r->obs) * sizeof *d->ob);
  memcpy(d->ac, r->ac, (size_t)(n * r->act) * sizeof *d->ac);
  memcpy(d->reward, r->reward, (size_t)n * sizeof *d->reward);
  for (int64_t i = 0, k = 0; i < n; i++)
    if (ends(r, d->start[k], i, horizon)) d->start[++k] = i + 1;
  return MR_OK;
}

mr_status mr_d4rl_read(mr_dataset *out, const char *path, const mr_env_spec *spec)
{
  enum { D4RL_HORIZON = 1000 };
  mr_status st = MR_OK;
  mr_d4rl_raw r = {.n = 0};
  *out = (mr_dataset){.n = 0};
  MR_TRY(mr_d4rl_fetch(&r, path));
  MR_TRY(check_values(&r, path, spec));
  MR_TRY(cut(out, &r, path, spec ? spec->horizon : D4RL_HORIZON));
  out->generated = r.generated;
  if (r.generated) {
    out->expert = r.expert;
    (void)snprintf(out->origin, sizeof out->origin, "%s", r.origin);
  } else {
    (void)snprintf(out->origin, sizeof out->origin, "D4RL %s", base_name(path));
  }
out:
  mr_d4rl_raw_free(&r);
  return st;
}

/* ---- Folders --------------------------------------------------------------------------------- */

static mr_status file_of(char *path, size_t n, const char *folder, const char *env,
                         const char *level)
{
  const int len = snprintf(path, n, "%s/%s_%s-v2.hdf5", folder, env, level);
  if (len < 0 || (size_t)len >= n)
    return MR_FAIL(MR_ERR_CONFIG,
                   "the path of a data file has %d characters, allowed are at most %zu", len,
                   n - 1);
  for (char *p = path + strlen(folder) + 1 + strlen(env); *p; p++)
    if (*p == '-' && p[1] != 'v') *p = '_';
  return MR_OK;
}

static int by_value(const void *a, const void *b)
{
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* Half of the trajectories must begin where the environment does: two environments with equal numbers
 * of observations and actions would otherwise pass for each other. */
static mr_status check_start(const mr_dataset *d, const char *path, const mr_env_def *env,
                             mr_env *e)
{
  mr_status st = MR_OK;
  double *seen = NULL;
  float *first = NULL;
  MR_TRY(mr_calloc((void **)&seen, (size_t)(RESETS * d->obs), sizeof *seen));
  MR_TRY(mr_calloc((void **)&first, (size_t)d->n_traj, sizeof *first));
  for (int k = 0; k < RESETS; k++) env->reset(e, 0, (uint64_t)k, seen + k * d->obs);
  for (int64_t j = 0; j < d->obs; j++) {
    double least = INFINITY, most = -INFINITY;
    for (int k = 0; k < RESETS; k++) {
      least = fmin(least, seen[k * d->obs + j]);
      most = fmax(most, seen[k * d->obs + j]);
    }
    for (int64_t i = 0; i < d->n_traj; i++) first[i] = d->ob[d->start[i] * d->obs + j];
    qsort(first, (size_t)d->n_traj, sizeof *first, by_value);
    const double median = (double)first[d->n_traj / 2];
    if (median >= least - NEAR && median <= most + NEAR) continue;
    st = MR_FAIL(MR_ERR_CONFIG,
                 "%s is of another environment: its trajectories begin with observation %" PRId64
                 " at %g, those of %s with %g to %g",
                 path, j, median, env->name, least, most);
    break;
  }
out:
  mr_free(seen);
  mr_free(first);
  return st;
}

mr_status mr_d4rl_read_env(mr_dataset *out, const char *path, const mr_env_def *env, mr_env *e)
{
  mr_env_spec spec;
  env->spec(e, &spec);
  MR_CHECK(mr_d4rl_read(out, path, &spec));
  const mr_status st = e ? check_start(out, path, env, e) : MR_OK;
  if (st != MR_OK) mr_dataset_free(out);
  return st;
}

/* a and then b, of one environment. */
static mr_status join(mr_dataset *out, const mr_dataset *a, const mr_dataset *b)
{
  MR_CHECK(mr_dataset_alloc(out, a->obs, a->act, a->n + b->n, a->n_traj + b->n_traj));
  const mr_dataset *part[] = {a, b};
  int64_t n = 0, n_traj = 0;
  for (int p = 0; p < 2; p++) {
    const mr_dataset *d = part[p];
    memcpy(out->ob + n * d->obs, d->ob, (size_t)(d->n * d->obs) * sizeof *d->ob);
    memcpy(out->ac + n * d->act, d->ac, (size_t)(d->n * d->act) * sizeof *d->ac);
    memcpy(out->reward + n, d->reward, (size_t)d->n * sizeof *d->reward);
    for (int64_t i = 1; i <= d->n_traj; i++) out->start[n_traj + i] = n + d->start[i];
    n += d->n, n_traj += d->n_traj;
  }
  out->generated = a->generated || b->generated;
  (void)snprintf(out->origin, sizeof out->origin, "%.120s and %.120s", a->origin, b->origin);
  return MR_OK;
}

/* medium-expert from the files of medium and of expert. */
static mr_status read_both(mr_dataset *out, const char *folder, const mr_env_def *env, mr_env *e)
{
  mr_status st = MR_OK;
  mr_dataset a = {.n = 0}, b = {.n = 0};
  char path[PATH_BYTES];
  MR_TRY(file_of(path, sizeof path, folder, env->name, "medium"));
  MR_TRY(mr_d4rl_read_env(&a, path, env, e));
  MR_TRY(file_of(path, sizeof path, folder, env->name, "expert"));
  MR_TRY(mr_d4rl_read_env(&b, path, env, e));
  MR_TRY(join(out, &a, &b));
out:
  mr_dataset_free(&a);
  mr_dataset_free(&b);
  return st;
}

mr_status mr_d4rl_open(mr_dataset *out, const mr_env_def *env, const mr_config *c,
                       const char *folder, const char *level)
{
  mr_status st = MR_OK;
  mr_env *e = NULL;
  char path[PATH_BYTES], other[PATH_BYTES];
  *out = (mr_dataset){.n = 0};
  MR_CHECK(env->open(&e, c));
  MR_TRY(file_of(path, sizeof path, folder, env->name, level));
  MR_TRY(file_of(other, sizeof other, folder, env->name, "expert"));
  if (access(path, F_OK) == 0)
    st = mr_d4rl_read_env(out, path, env, e);
  else if (strcmp(level, "medium-expert") == 0 && access(other, F_OK) == 0)
    st = read_both(out, folder, env, e);
  else
    st = MR_FAIL(MR_ERR_IO,
                 "the data set %s is missing: D4RL offers it at rail.eecs.berkeley.edu, folder "
                 "datasets/offline_rl/gym_mujoco_v2; --offline_rl.source=generated makes one here",
                 path);
out:
  env->close(e);
  return st;
}
