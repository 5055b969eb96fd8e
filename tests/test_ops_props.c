/* test_ops_props.c — every case of every op keeps the properties of props.h.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include "props.h"

int main(void)
{
  const struct {
    const char *what;
    rig_case_test one;
  } property[] = {
      {"gradients_may_share_memory_as_declared", prop_shares},
      {"gradients_add_to_what_is_there", prop_adds},
      {"gradients_come_alone_or_together", prop_alone},
      {"gives_the_same_on_one_and_two_threads", prop_threads},
      {"is_causal_to_the_bit", prop_causal},
      {"carries_its_state", prop_carries},
      {"treats_sequences_alone", prop_batch},
      {"keeps_its_algebra", prop_algebra},
  };
  int failed = 0;
  mr_backend *be = rig_backend(2);
  for (size_t i = 0; i < sizeof property / sizeof *property; i++)
    failed += rig_run_table(property[i].what, property[i].one, be);
  mr_backend_close(be);
  return failed;
}
