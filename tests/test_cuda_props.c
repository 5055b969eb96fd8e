/* test_cuda_props.c — the CUDA kernels, on the played device, keep the properties of props.h, read only
 * what their op declares, and take arrays at any address. SPDX-License-Identifier: MIT */
/* labels: unit; real: both; device: host */
#include <math.h>
#include <stdio.h>
#include "mem.h"
#include "props.h"
#include "rig_device.h"

/* Properties that take many calls, for cases that are quick on the host. */
static bool reads_as_declared(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  return c->large || rig_needs(c, be, false, text, n);
}

static bool sequences_alone(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  return c->large || prop_batch(c, be, text, n);
}

static bool alone(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  return c->large || prop_alone(c, be, text, n);
}

static bool causal(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  return c->large || prop_causal(c, be, text, n);
}

static bool carries(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  return c->large || prop_carries(c, be, text, n);
}

/* Outputs and gradients with arrays that start off 16-byte addresses equal those with others. */
static bool odd_addresses(const mr_case *c, mr_backend *be, char *text, size_t n)
{
  const double tolerance = sizeof(mr_real) == sizeof(double) ? 1e-11 : 4 * (c->rtol + c->atol);
  mr_real *gradient[2];
  int64_t count = 0;
  bool same = true;
  rig r[2];
  if (c->large) return true;
  for (int skew = 0; skew < 2; skew++) {
    rig_device_skew = skew;
    rig_open(&r[skew], c, be);
    rig_forward(&r[skew]);
    rig_backward(&r[skew]);
    gradient[skew] = rig_gradients(&r[skew], &count);
  }
  rig_device_skew = 0;
  for (int o = 0; o <= c->op->n_out; o++) {
    const bool last = o == c->op->n_out;
    const mr_real *got = last ? gradient[1] : r[1].out[o].data;
    const mr_real *want = last ? gradient[0] : r[0].out[o].data;
    const int64_t m = last ? count : rig_count(&r[0].out[o]);
    double top = 1e-3;
    for (int64_t j = 0; j < m; j++) top = fmax(top, fabs((double)want[j]));
    for (int64_t j = 0; j < m && same; j++) {
      same = fabs((double)got[j] - (double)want[j]) <= tolerance * top;
      if (!same)
        (void)snprintf(text, n, "%s: %s at %lld is %.17g at an odd address, else %.17g", c->name,
                       last ? "gradient" : "output", (long long)j, (double)got[j], (double)want[j]);
    }
  }
  for (int skew = 0; skew < 2; skew++) {
    mr_free(gradient[skew]);
    rig_close(&r[skew]);
  }
  return same;
}

int main(void)
{
  const struct {
    const char *what;
    rig_case_test one;
  } property[] = {
      {"on_cuda_gradients_may_share_memory_as_declared", prop_shares},
      {"on_cuda_gradients_add_to_what_is_there", prop_adds},
      {"on_cuda_gradients_come_alone_or_together", alone},
      {"on_cuda_reads_only_what_it_declares", reads_as_declared},
      {"on_cuda_is_causal_to_the_bit", causal},
      {"on_cuda_carries_its_state", carries},
      {"on_cuda_treats_sequences_alone", sequences_alone},
      {"on_cuda_keeps_its_algebra", prop_algebra},
      {"on_cuda_takes_arrays_at_any_address", odd_addresses},
  };
  int failed = 0;
  mr_backend *be = NULL;
  assert_ok(mr_backend_open(&be, MR_CUDA, 0));
  for (size_t i = 0; i < sizeof property / sizeof *property; i++)
    failed += rig_run_table(property[i].what, property[i].one, be);
  mr_backend_close(be);
  return failed;
}
