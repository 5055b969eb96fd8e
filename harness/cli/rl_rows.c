/* rl_rows.c — data sets as rows. SPDX-License-Identifier: MIT */
#include "rl_rows.h"
#include <glob.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "d4rl.h"
#include "data.h"
#include "make.h"
#include "options.h"
#include "text.h"

enum { NAME_BYTES = 64, PATH_BYTES = 1024 };

static mr_status put(mr_grid *g, const char *column, double value)
{
  char text[32];
  int k = 0;
  MR_CHECK(mr_grid_column_of(g, column, &k));
  return mr_grid_number(g, k, mr_num_text(value, text, sizeof text));
}

static mr_status put_text(mr_grid *g, const char *column, const char *text)
{
  int k = 0;
  MR_CHECK(mr_grid_column_of(g, column, &k));
  return mr_grid_text(g, k, text);
}

/* Rounded to one decimal place, as scores and returns are told; never -0. */
static double tenth(double x)
{
  return round(10 * x) / 10 + 0.0;
}

static double score(const mr_env_spec *spec, double value)
{
  return spec ? tenth(100 * (value - spec->low) / (spec->high - spec->low)) : NAN;
}

static mr_status put_set(mr_grid *g, const char *name, const mr_dataset *d, const mr_env_spec *spec)
{
  const mr_returns r = mr_dataset_returns(d);
  int64_t shortest = d->start[1], longest = 0;
  for (int64_t i = 0; i < d->n_traj; i++) {
    const int64_t length = d->start[i + 1] - d->start[i];
    shortest = length < shortest ? length : shortest;
    longest = length > longest ? length : longest;
  }
  MR_CHECK(mr_grid_row(g));
  MR_CHECK(put_text(g, "data", name));
  MR_CHECK(put(g, "trajectories", (double)d->n_traj));
  MR_CHECK(put(g, "steps", (double)d->n));
  MR_CHECK(put(g, "return", tenth(r.mean)));
  MR_CHECK(put(g, "deviation", tenth(r.deviation)));
  MR_CHECK(put(g, "least", tenth(r.least)));
  MR_CHECK(put(g, "most", tenth(r.most)));
  MR_CHECK(put(g, "shortest", (double)shortest));
  MR_CHECK(put(g, "length", tenth((double)d->n / (double)d->n_traj)));
  MR_CHECK(put(g, "longest", (double)longest));
  MR_CHECK(put(g, "score", score(spec, r.mean)));
  MR_CHECK(put(g, "expert_return", tenth(d->expert)));
  MR_CHECK(put_text(g, "generated", d->generated ? "yes" : "no"));
  return put_text(g, "origin", d->origin);
}

mr_status mr_rl_file_row(mr_grid *g, const char *path, const mr_config *c)
{
  mr_status st = MR_OK;
  mr_dataset d = {.n = 0};
  mr_env *e = NULL;
  mr_env_spec spec;
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
  char name[NAME_BYTES];
  (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(base, "_"), base);
  const mr_env_def *def = mr_env_find(name);
  if (def) {
    st = def->open(&e, c);
    if (st == MR_ERR_IO) st = MR_OK; /* it cannot be simulated here */
    MR_TRY(st);
    def->spec(e, &spec);
  }
  MR_TRY(def ? mr_d4rl_read_env(&d, path, def, e) : mr_d4rl_read(&d, path, NULL));
  MR_TRY(put_set(g, base, &d, def ? &spec : NULL));
out:
  mr_dataset_free(&d);
  if (e) def->close(e);
  return st;
}

/* Data that a controller makes. */
static mr_status scripted_rows(mr_grid *g, const mr_env_def *def, const mr_config *c)
{
  static const char *const level[] = {"medium", "medium-replay", "medium-expert"};
  mr_status st = MR_OK;
  mr_dataset d = {.n = 0};
  mr_env *e = NULL;
  mr_env_spec spec;
  mr_config with = *c; /* its own values; what they point to stays c's */
  MR_CHECK(def->open(&e, c));
  def->spec(e, &spec);
  for (size_t i = 0; i < sizeof level / sizeof *level; i++) {
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s %s", def->name, level[i]);
    for (int k = 0; k < with.n_options; k++)
      if (strcmp(with.option[k].owner, MR_RL) == 0 && strcmp(with.option[k].opt->key, "data") == 0)
        with.option[k].text = level[i];
    MR_TRY(mr_data_open(&d, def, &with));
    MR_TRY(put_set(g, name, &d, &spec));
    mr_dataset_free(&d);
  }
out:
  mr_dataset_free(&d);
  def->close(e);
  return st;
}

/* Files that cannot be read are told and counted; the others follow. */
static void file_rows(mr_grid *g, const char *folder, const char *env, const mr_config *c, int *n,
                      int *failed)
{
  char pattern[PATH_BYTES + NAME_BYTES];
  glob_t found;
  (void)snprintf(pattern, sizeof pattern, "%s/%s_*.hdf5", folder, env);
  if (folder[0] == '\0' || glob(pattern, 0, NULL, &found) != 0) return;
  for (size_t i = 0; i < found.gl_pathc; i++) {
    const int64_t before = g->n_rows;
    const mr_status st = mr_rl_file_row(g, found.gl_pathv[i], c);
    if (st == MR_OK) continue;
    g->n_rows = before;
    (void)mr_cli_fail(st);
    ++*failed;
  }
  *n += (int)found.gl_pathc;
  globfree(&found);
}

mr_status mr_rl_env_rows(mr_grid *g, const char *env, const mr_config *c, int *failed)
{
  char folder[PATH_BYTES];
  int n = 0;
  const mr_env_def *def = mr_env_find(env);
  if (!def) return MR_FAIL(MR_ERR_ARG, "%s is neither a file nor an environment", env);
  if (def->expert) return scripted_rows(g, def, c);
  MR_CHECK(mr_make_folder(folder, sizeof folder, c));
  file_rows(g, mr_data_folder(c), env, c, &n, failed);
  file_rows(g, folder, env, c, &n, failed);
  if (n > 0) return MR_OK;
  return MR_FAIL(MR_ERR_IO, "there are no data of %s in %s: minrnn rl-make %s makes some", env,
                 folder, env);
}
