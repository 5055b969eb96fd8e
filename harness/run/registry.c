/* registry.c — finding models and tasks, and configs checked against them. SPDX-License-Identifier: MIT */
#include "registry.h"
#include <string.h>

enum { MAX_OWNERS = 128 };

const mr_model_def *mr_find_model(const char *name)
{
  for (int i = 0; i < mr_n_models; i++)
    if (strcmp(mr_models[i]->name, name) == 0) return mr_models[i];
  return NULL;
}

const mr_task_def *mr_find_task(const char *name)
{
  for (int i = 0; i < mr_n_tasks; i++)
    if (strcmp(mr_tasks[i]->name, name) == 0) return mr_tasks[i];
  return NULL;
}

int mr_option_owners(const mr_owner **owners)
{
  static mr_owner all[MAX_OWNERS];
  int n = 0;
  for (int i = 0; i < mr_n_models && n < MAX_OWNERS; i++, n++) {
    all[n].name = mr_models[i]->name;
    all[n].opts = mr_models[i]->opts, all[n].n_opts = mr_models[i]->n_opts;
  }
  for (int i = 0; i < mr_n_tasks && n < MAX_OWNERS; i++, n++) {
    all[n].name = mr_tasks[i]->name;
    all[n].opts = mr_tasks[i]->opts, all[n].n_opts = mr_tasks[i]->n_opts;
  }
  *owners = all;
  return n;
}

static mr_status check(const mr_config *c)
{
  if (mr_find_model(c->model) == NULL)
    return MR_FAIL(MR_ERR_CONFIG, "model is %s, which does not exist; minrnn list names all",
                   c->model);
  if (mr_find_task(c->task) == NULL)
    return MR_FAIL(MR_ERR_CONFIG, "task is %s, which does not exist; minrnn list names all",
                   c->task);
  if (c->batch % c->accum != 0)
    return MR_FAIL(MR_ERR_CONFIG, "batch is %lld, which accum = %lld does not divide",
                   (long long)c->batch, (long long)c->accum);
  if (strcmp(c->device, "cpu") == 0 && strcmp(c->math, "f32") != 0)
    return MR_FAIL(MR_ERR_CONFIG, "math is %s, but on the CPU only f32 is allowed", c->math);
  return MR_OK;
}

mr_status mr_cell_config(mr_config *c, const char *path, int n, const char *const *args)
{
  const mr_owner *owners;
  const int n_owners = mr_option_owners(&owners);
  MR_CHECK(mr_config_load(c, owners, n_owners, path, n, args));
  const mr_status st = check(c);
  if (st != MR_OK) mr_config_free(c);
  return st;
}

mr_status mr_run_config(mr_config *c, const char *path, int n, const char *const *args)
{
  MR_CHECK(mr_cell_config(c, path, n, args));
  if (strcmp(c->device, "cuda") != 0 || mr_backend_built(MR_CUDA)) return MR_OK;
  mr_config_free(c);
  return MR_FAIL(MR_ERR_CONFIG, "device is cuda, but this program was built for the CPU only");
}
