/* attention.h — causal multi-head attention. SPDX-License-Identifier: MIT */
#ifndef MR_OP_ATTENTION_H
#define MR_OP_ATTENTION_H
#include "op.h"
MR_C_BEGIN
typedef struct attention_attr {
  int64_t heads; /* divides D */
} attention_attr;
enum { MR_ATTENTION_TILED = 128 }; /* widest head that CUDA has tiles for */
/* Inputs qkv [B,T,3D]; both or neither of cache [B,C,2D] (keys, values, latest step last) and seen
 * [B,1,1] (steps so far; 0 .. C of them are read, NaN as 0). Output y [B,T,D].
 * Saved: log (CUDA: log2) of the sum of exp of each row of scores, [B,heads,T]. */
extern const mr_op mr_attention_op;
MR_KERNELS(attention);
MR_C_END
#endif
