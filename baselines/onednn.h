/* onednn.h — recurrent layers of oneDNN as plans: the primitives of one shape with their memory
 * formats, made when the shape is first seen and kept in a small cache of the process.
 * SPDX-License-Identifier: MIT */
#ifndef MR_ONEDNN_H
#define MR_ONEDNN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "status.h"

typedef enum mr_onednn_cell { MR_ONEDNN_GRU, MR_ONEDNN_LSTM } mr_onednn_cell;
typedef enum mr_onednn_pass { MR_ONEDNN_FWD, MR_ONEDNN_BWD, MR_ONEDNN_PASSES } mr_onednn_pass;

/* One layer: x [B,T,D] -> h [B,T,H] on so many threads, from a given state or from zeros. */
typedef struct mr_onednn_shape {
  mr_onednn_cell cell;
  int threads;
  bool state;
  int64_t B, T, D, H;
} mr_onednn_shape;

/* Memory of a pass. Weights and gradients of weights exist twice: plain, [gate,H,D] and [gate,H,H],
 * and as oneDNN wants them. Gates are in oneDNN's order: z, r, n for GRU (whose bias has a fourth
 * row, the recurrent bias of n) and i, f, g, o for LSTM. */
typedef enum mr_onednn_role {
  MR_ROLE_X,      /* [B,T,D]                             */
  MR_ROLE_H0,     /* [B,H]; with a given state           */
  MR_ROLE_C0,     /* [B,H]; the same, LSTM               */
  MR_ROLE_W,      /* w_bytes                             */
  MR_ROLE_U,      /* u_bytes                             */
  MR_ROLE_BIAS,   /* [4,H]                               */
  MR_ROLE_H,      /* [B,T,H]                             */
  MR_ROLE_H_LAST, /* [B,H]; LSTM                         */
  MR_ROLE_C_LAST, /* [B,H]; LSTM                         */
  MR_ROLE_WORKSPACE,
  MR_ROLE_SCRATCH,
  MR_ROLE_DX,      /* from here on backward: [B,T,D]     */
  MR_ROLE_DH0,     /* [B,H]                              */
  MR_ROLE_DC0,     /* [B,H]                              */
  MR_ROLE_DW,      /* dw_bytes                           */
  MR_ROLE_DU,      /* du_bytes                           */
  MR_ROLE_DBIAS,   /* [4,H]                              */
  MR_ROLE_DH,      /* [B,T,H]                            */
  MR_ROLE_DH_LAST, /* [B,H]; LSTM                        */
  MR_ROLE_DC_LAST, /* [B,H]; LSTM                        */
  MR_ROLE_W_PLAIN, /* plain weights, read                */
  MR_ROLE_U_PLAIN,
  MR_ROLE_DW_PLAIN, /* plain gradients, written          */
  MR_ROLE_DU_PLAIN,
  MR_ONEDNN_ROLES
} mr_onednn_role;

/* Bytes that oneDNN asks for; the workspace goes from forward to backward. */
typedef struct mr_onednn_need {
  size_t workspace, scratch[MR_ONEDNN_PASSES];
  size_t w_bytes[MR_ONEDNN_PASSES], u_bytes[MR_ONEDNN_PASSES], dw_bytes, du_bytes;
} mr_onednn_need;

/* Makes the plan of the shape, unless it is in the cache. MR_ERR_UNSUPPORTED where oneDNN has no
 * such layer. */
MR_MUST mr_status mr_onednn_needs(const mr_onednn_shape *s, mr_onednn_need *need);
/* Runs a pass on the memory of each role that the pass and the shape have; others are not looked at.
 * Brings weights and gradients from and to their plain form. One call runs at a time. */
MR_MUST mr_status mr_onednn_run(const mr_onednn_shape *s, mr_onednn_pass pass,
                                void *const data[MR_ONEDNN_ROLES]);
#endif
