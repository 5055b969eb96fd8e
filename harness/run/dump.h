/* dump.h — one training batch with all that was computed from it, in one HDF5 file: what another
 * program needs to check this one. SPDX-License-Identifier: MIT */
#ifndef MR_DUMP_H
#define MR_DUMP_H
#include "registry.h"
MR_C_BEGIN

typedef struct mr_dump_opts {
  bool force;          /* replace an existing file                                    */
  bool dropout;        /* draw masks as in training; otherwise dropout is the identity */
  const char *command; /* for the file                                                */
  const char *init;    /* checkpoint or dump whose parameters to take, NULL: none     */
} mr_dump_opts;

typedef struct mr_dump_result {
  double loss;
  int64_t n_params; /* numbers */
} mr_dump_result;

/* Runs forward and backward once, on training batch 0 of the config, and writes to the key `out`
 * (which must end in .h5), as results/README.md describes:
 *   /batch  token [B,T] or value [B,T,C]; label [B,T_out], or target [B,T_out,C] and weight [B,T_out]
 *   /params, /grads  every parameter by name and the gradient of the loss by it, before any clip
 *   /y [B,T_out,out_dim], /loss (scalar), /config.
 * A config that cannot be dumped, an existing file, an unreadable `init` or one of another network
 * are MR_ERR_CONFIG, and nothing is written. */
MR_MUST mr_status mr_dump(const mr_config *c, const mr_dump_opts *o, mr_dump_result *r);
MR_C_END
#endif
