/* embed.h — rows of a table by token: in token [B,T], table [V,D]; out [B,T,D].
 * SPDX-License-Identifier: MIT */
#ifndef MR_EMBED_H
#define MR_EMBED_H
#include "op.h"
MR_C_BEGIN

extern const mr_op mr_embed_op;
MR_KERNELS(embed);
MR_C_END
#endif
