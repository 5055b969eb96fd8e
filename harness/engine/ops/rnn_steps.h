/* rnn_steps.h — what GRU and LSTM share: threads own whole sequences, so that T dependent steps need
 * no barrier; recurrent gradients are gathered over some steps and turned into dU by one product.
 * SPDX-License-Identifier: MIT */
#ifndef MR_RNN_STEPS_H
#define MR_RNN_STEPS_H
#include "op.h"
MR_C_BEGIN

/* Sizes of a call: G gates of H hidden channels over B sequences of T steps. */
typedef struct mr_rnn {
  int64_t B, T, H, G;
  int parts;       /* threads that share the sequences                                */
  int64_t rows;    /* sequences of the largest part                                   */
  int64_t stretch; /* steps gathered before their products with h are added to dU     */
  bool packs;      /* U may be packed once per call; no matter how many threads       */
} mr_rnn;

mr_rnn mr_rnn_sizes(const mr_shape *xw, int64_t gates, int threads);
/* Shape rule of inputs xw [B,T,GH], u [GH,H] and optional states [B,1,H] from input `first_state`. */
MR_MUST mr_status mr_rnn_infer(const char *name, const mr_view *in, int32_t n_in, int64_t gates,
                               int first_state);

/* Some gates of U as the right side [k,n] of every step's product: U itself or panels of it. */
typedef struct mr_rnn_side {
  int64_t k, n;
  const mr_real *b;
  bool trans, packed;
} mr_rnn_side;

/* Reals for the panels of all gates, at the start of working memory. */
int64_t mr_rnn_panel_reals(const mr_rnn *r);
/* Gates [g0,g1) of u, forward (h U^T) or backward (dgate U), packed into their place in `panels`
 * where r->packs. Outside parallel regions. */
mr_rnn_side mr_rnn_right(mr_backend *be, const mr_rnn *r, const mr_real *u, int64_t g0, int64_t g1,
                         bool back, mr_real *panels);
/* C[m,n] = beta C + A op(B); rows of A and C lie lda and ldc apart. */
void mr_rnn_product(mr_backend *be, int64_t m, const mr_real *a, int64_t lda, const mr_rnn_side *b,
                    mr_real beta, mr_real *c, int64_t ldc);

/* State `input` of sequences from .. from + n - 1 into h [n,H]; zeros when it was not given. */
void mr_rnn_load_state(const mr_call *c, int input, int64_t from, int64_t n, int64_t H, mr_real *h);
/* Stores (beta 0) or adds n reals; nothing when `to` is NULL. */
void mr_rnn_put(mr_real *to, const mr_real *from, int64_t n, mr_real beta);

/* The working memory of one part in backward. */
typedef struct mr_rnn_back {
  int64_t from, n;   /* sequences from .. from + n - 1                                 */
  int64_t gathered;  /* steps in the two blocks below                                  */
  mr_real *gate;     /* [stretch, n, GH] gradients of the recurrent sums               */
  mr_real *left;     /* [stretch, n, H]  what U was multiplied with: h_{t-1}           */
  mr_real *left2;    /* [stretch, n, H]  a second such block, or NULL                  */
  mr_real *dh, *tmp; /* [n,H]            gradient carried to h_{t-1} (zero at first), scratch */
  mr_real *zero;     /* [H]             zeros, for a state that was not given         */
  mr_real *du, *db;  /* [GH,H], [GH]     this part's sums; db may be unused            */
  mr_real beta_u, beta_b;
} mr_rnn_back;

/* Bytes of working memory for all parts; blocks: 1, or 2 when left2 is wanted. */
size_t mr_rnn_work_back(const mr_rnn *r, int blocks);
/* Lays out part `part` in c->work. din: index of u, and of its bias or -1. Part 0 sums straight into
 * the results. */
mr_rnn_back mr_rnn_part(const mr_rnn *r, const mr_call *c, int part, int blocks, int u, int b);
/* The same, with dh and zero cleared: the start of a part's walk. */
mr_rnn_back mr_rnn_begin(const mr_rnn *r, const mr_call *c, int part, int blocks, int u, int b);
/* Adds the gathered steps to du (rows g0*H .. of gates [g0,g1) times `left`) and db, and empties the
 * blocks. */
void mr_rnn_gather(mr_backend *be, const mr_rnn *r, mr_rnn_back *p, int64_t split);
/* Adds all parts' sums to the results, in the order of parts. */
void mr_rnn_add_parts(const mr_rnn *r, const mr_call *c, int blocks, int u, int b);

/* ---- CUDA ------------------------------------------------------------------------------------ */

/* The width, 32, 64 or 128, to which H is padded by the kernels that keep U on chip; 0: a product per
 * step, as for sequences of 4 GB. shared_limit: bytes of shared memory of a block. */
int mr_rnn_cuda_padded(int64_t T, int64_t H, int64_t gates, int shared_limit);
/* Steps that backward gathers before it adds them to dU. */
int64_t mr_rnn_cuda_stretch(int sm_count, int64_t B, int64_t T);
/* Working memory of backward, in reals and without U as kernels on chip have it, which stands behind;
 * see mr_rnn_begin_walk. */
int64_t mr_rnn_cuda_walk_reals(int sm_count, int64_t B, int64_t T, int64_t H, int64_t gates);
/* Working memory and variant. */
void mr_rnn_cuda_need(const mr_site *site, const mr_rnn *r, mr_need *need);

/* Asks for n reals that the next step of this sequence reads or writes: more streams run side by side
 * than the hardware follows. */
static inline void mr_rnn_fetch(const mr_real *p, int64_t n)
{
  for (int64_t j = 0; j < n; j += 64 / (int64_t)sizeof *p) __builtin_prefetch(p + j, 1);
}
MR_C_END
#endif
