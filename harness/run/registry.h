/* registry.h — every model and task, in a table that CMake writes from the file names.
 * SPDX-License-Identifier: MIT */
#ifndef MR_REGISTRY_H
#define MR_REGISTRY_H
#include "model.h"
#include "task.h"
MR_C_BEGIN
extern const mr_model_def *const mr_models[]; /* models/ first, then baselines/, each sorted */
extern const int mr_n_models;
extern const int mr_n_paper_models; /* how many of them come from models/ */
extern const mr_task_def *const mr_tasks[];
extern const int mr_n_tasks;

const mr_model_def *mr_find_model(const char *name); /* NULL if there is none */
const mr_task_def *mr_find_task(const char *name);
/* The option owners of all models and tasks, for mr_config_load. Static; returns how many. */
int mr_option_owners(const mr_owner **owners);
/* mr_config_load over the registry, then checks that task and model exist, that accum divides batch
 * and that the device has the arithmetic; each failure is one sentence. */
MR_MUST mr_status mr_cell_config(mr_config *c, const char *path, int n, const char *const *args);
/* The same, and this build has kernels for the device. */
MR_MUST mr_status mr_run_config(mr_config *c, const char *path, int n, const char *const *args);
MR_C_END
#endif
