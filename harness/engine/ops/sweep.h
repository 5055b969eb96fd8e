/* sweep.h — what the gated scans share: tiles of channels swept along time with the state on the
 * stack. SPDX-License-Identifier: MIT */
#ifndef MR_SWEEP_H
#define MR_SWEEP_H
#include "op.h"
MR_C_BEGIN

/* Channels per tile; steps between asking for a row's cache lines and using it. */
enum { MR_SWEEP_TILE = 256, MR_SWEEP_AHEAD = 4 };

/* One tile: sequence b, channels j .. j+n. Pointers stand at step 0. */
typedef struct mr_sweep {
  int64_t T, H, n;    /* n <= MR_SWEEP_TILE channels                        */
  int64_t gates;      /* pre-activations per channel: pre is [B,T,gates*H]  */
  const mr_real *pre; /* candidate; gate g stands g*H further               */
  const mr_real *h0;  /* NULL: zeros                                        */
  mr_real *h;         /* forward: written; backward: read                   */
  const mr_real *dh;  /* backward: gradient of h                            */
  mr_real *dpre;      /* NULL: not wanted; may be pre itself                */
  mr_real *dh0;       /* NULL: not wanted                                   */
  mr_real beta_pre, beta_h0;
  const void *attr;
} mr_sweep;

typedef void (*mr_sweep_fn)(const mr_sweep *s);

/* Runs fn on every tile of a forward or backward call with inputs (pre, h0), output h. */
void mr_sweep_all(mr_backend *be, const mr_call *c, int64_t gates, mr_sweep_fn fn);
/* Stores (beta 0) or adds one step's gradients, rows of MR_SWEEP_TILE per gate, into dpre. */
void mr_sweep_store(const mr_sweep *s, int64_t t, const mr_real *grad);
/* Shape rule and needs of such an op. */
MR_MUST mr_status mr_sweep_infer(const char *name, const mr_view *in, int32_t n_in, int64_t gates,
                                 const mr_site *site, mr_need *need);

/* On CUDA a block sweeps MR_SWEEP_WIDTH channels of one sequence, in tiles of at most MR_SWEEP_STEPS
 * steps. Where there are too few blocks to fill the device, T is cut into segments that run side by
 * side, each over `steps` steps but perhaps the last. */
enum { MR_SWEEP_WIDTH = 32, MR_SWEEP_STEPS = 128 };
typedef struct mr_sweep_cut {
  int64_t segments, steps;
} mr_sweep_cut;
mr_sweep_cut mr_sweep_split(int sm_count, int64_t B, int64_t T, int64_t H);
/* Working memory and variant of an op that sweeps over [B,T,H] in both directions on CUDA; leaves the
 * CPU's needs alone. */
void mr_sweep_need(const mr_site *site, const mr_shape *h, mr_need *need);
MR_C_END
/* Iterations of the next loop do not depend on each other, also where a gradient overwrites its
 * pre-activation in place. */
#define MR_SIMD MR_PRAGMA(omp simd)
/* Loop bodies that must become vector code are inlined whatever their size. */
#define MR_INLINE static inline __attribute__((always_inline))

/* Asks for the rows of step t, if there is one. The hardware follows neither the jumps between rows
 * nor a walk back in time well: this halves the time of backward. */
MR_INLINE void mr_sweep_fetch(const mr_sweep *s, int64_t t, bool back)
{
  enum { LINE = 64 / sizeof(mr_real) };
  if (t < 0 || t >= s->T) return;
  const mr_real *pre = s->pre + t * s->gates * s->H, *dh = back ? s->dh + t * s->H : NULL;
  mr_real *h = s->h + t * s->H;
  for (int64_t j = 0; j < s->n; j += LINE) {
    for (int64_t g = 0; g < s->gates; g++) __builtin_prefetch(pre + g * s->H + j);
    if (back)
      __builtin_prefetch(h + j);
    else
      __builtin_prefetch(h + j, 1);
    if (back) __builtin_prefetch(dh + j);
  }
}
#endif
