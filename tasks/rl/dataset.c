/* dataset.c — trajectories in memory, their returns and moments. SPDX-License-Identifier: MIT */
#include "dataset.h"
#include <math.h>
#include <string.h>
#include "mem.h"

mr_status mr_dataset_alloc(mr_dataset *d, int64_t obs, int64_t act, int64_t n, int64_t n_traj)
{
  mr_status st = MR_OK;
  mr_dataset made = {.obs = obs, .act = act, .n = n, .n_traj = n_traj, .expert = NAN};
  MR_TRY(mr_calloc((void **)&made.ob, (size_t)(n * obs), sizeof *made.ob));
  MR_TRY(mr_calloc((void **)&made.ac, (size_t)(n * act), sizeof *made.ac));
  MR_TRY(mr_calloc((void **)&made.reward, (size_t)n, sizeof *made.reward));
  MR_TRY(mr_calloc((void **)&made.start, (size_t)n_traj + 1, sizeof *made.start));
  *d = made;
  made = (mr_dataset){.n = 0};
out:
  mr_dataset_free(&made);
  return st;
}

void mr_dataset_free(mr_dataset *d)
{
  mr_free(d->ob);
  mr_free(d->ac);
  mr_free(d->reward);
  mr_free(d->start);
  memset(d, 0, sizeof *d);
}

int64_t mr_dataset_trajectory(const mr_dataset *d, int64_t i)
{
  int64_t low = 0, high = d->n_traj; /* start[low] <= i < start[high] */
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    if (d->start[middle] <= i)
      low = middle;
    else
      high = middle;
  }
  return low;
}

void mr_dataset_returns_to_go(const mr_dataset *d, float *go)
{
  for (int64_t k = 0; k < d->n_traj; k++) {
    double sum = 0;
    for (int64_t i = d->start[k + 1]; i-- > d->start[k];) {
      sum += (double)d->reward[i];
      go[i] = (float)sum;
    }
  }
}

void mr_dataset_moments(const mr_dataset *d, double *mean, double *deviation)
{
  for (int64_t k = 0; k < d->obs; k++) {
    double sum = 0, square = 0;
    for (int64_t i = 0; i < d->n; i++) sum += (double)d->ob[i * d->obs + k];
    mean[k] = d->n > 0 ? sum / (double)d->n : 0;
    for (int64_t i = 0; i < d->n; i++) {
      const double off = (double)d->ob[i * d->obs + k] - mean[k];
      square += off * off;
    }
    deviation[k] = (d->n > 0 ? sqrt(square / (double)d->n) : 0) + 1e-6;
  }
}

mr_returns mr_dataset_returns(const mr_dataset *d)
{
  mr_returns r = {.least = INFINITY, .most = -INFINITY};
  double square = 0;
  for (int64_t k = 0; k < d->n_traj; k++) {
    double sum = 0;
    for (int64_t i = d->start[k]; i < d->start[k + 1]; i++) sum += (double)d->reward[i];
    const double off = sum - r.mean;
    r.mean += off / (double)(k + 1);
    square += off * (sum - r.mean);
    r.least = fmin(r.least, sum);
    r.most = fmax(r.most, sum);
  }
  r.deviation = d->n_traj > 0 ? sqrt(square / (double)d->n_traj) : 0;
  return r;
}
