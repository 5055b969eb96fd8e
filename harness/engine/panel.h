/* panel.h — products on one thread with a right side that is packed once and used many times: BLAS
 * packs it at every call, which for a few rows takes longer than the arithmetic.
 * SPDX-License-Identifier: MIT */
#ifndef MR_PANEL_H
#define MR_PANEL_H
#include "backend.h"
MR_C_BEGIN

/* True where products of `rows` rows with op(B) [k,n] are no slower in panels. BLAS asks the processor
 * for its widest vectors at run time; a build for narrower ones gains only by not packing, that is
 * for few rows and where BLAS would transpose or leave the cache. */
bool mr_panel_pays(int64_t rows, bool trans, int64_t k, int64_t n);

/* Reals that op(B) [k,n] takes in panels. */
int64_t mr_panel_reals(int64_t k, int64_t n);

/* Packs op(B) [k,n], where op(B) is B [k,n] or with `trans` the transpose of B [n,k], rows ldb apart,
 * into `panels`. All threads of `be` take part, unless called inside a parallel region. */
void mr_panel_pack(mr_backend *be, const mr_real *b, int64_t ldb, bool trans, int64_t k, int64_t n,
                   mr_real *panels);

/* g with g->packed: b holds the panels of op(B), ldb is not read; A is not transposed, alpha is 1,
 * beta 0 or 1. Every element of C is summed along k in the same order, whatever m is. */
void mr_panel_gemm(const mr_gemm *g);
MR_C_END
#endif
