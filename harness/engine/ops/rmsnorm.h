/* rmsnorm.h — scaling of rows by their root mean square: in x [N,D], gain [D]; out [N,D]; keeps
 * 1/rms [N]. SPDX-License-Identifier: MIT */
#ifndef MR_RMSNORM_H
#define MR_RMSNORM_H
#include "op.h"
MR_C_BEGIN

extern const mr_op mr_rmsnorm_op;
MR_KERNELS(rmsnorm);
MR_C_END
#endif
