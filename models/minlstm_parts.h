/* minlstm_parts.h — what minLSTM and its unfused twin share. SPDX-License-Identifier: MIT */
#ifndef MR_MINLSTM_PARTS_H
#define MR_MINLSTM_PARTS_H
#include <math.h>
#include "model.h"

#define MR_MINLSTM_OPTS                                                                            \
  {"normalise", "1", "0|1",                                                                        \
   0,           0,   "1: gates f/(f+i), i/(f+i) as printed; 0: as in the released code"},          \
  {                                                                                                \
    "forget_bias", "0", NULL, -100, 100, "added to the initial bias of the forget gate"            \
  }

/* Pre-activations c, k_f, k_i of x [B,T,D] -> [B,T,3H], the forget third of the bias shifted. */
static inline mr_val mr_minlstm_gates(mr_tape *t, mr_dims d, mr_val x, double forget_bias)
{
  mr_init bias = mr_init_uniform(1 / sqrt((double)d.D));
  bias.shift = forget_bias, bias.shift_from = d.H, bias.shift_n = d.H;
  mr_val w =
      mr_param(t, "in.weight", mr_shape2(3 * d.H, d.D), mr_init_uniform(1 / sqrt((double)d.D)));
  mr_val b = mr_param(t, "in.bias", mr_shape1(3 * d.H), bias);
  return mr_linear_with(t, x, w, b);
}
#endif
