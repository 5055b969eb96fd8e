/* cases.h — the op case table: every op at the shapes that have broken kernels before, with the
 * tolerance it is held to and why. SPDX-License-Identifier: MIT */
#ifndef MR_CASES_H
#define MR_CASES_H
#include "ref_ops.h"
MR_C_BEGIN

enum { MR_CASE_MAX_IN = 7, MR_CASE_ATTR_BYTES = 64 };

/* Where an input's numbers come from. */
typedef enum mr_fill {
  MR_FILL_NORMAL,   /* mean 0, deviation 1                                              */
  MR_FILL_OFF_ZERO, /* the same, at least 0.1 away from 0, where relu and g have a kink */
  MR_FILL_WEIGHT,   /* mean 0, deviation 1/sqrt(last dimension)                         */
  MR_FILL_POSITIVE, /* 0.1 .. 2                                                         */
  MR_FILL_GATE,     /* 0.05 .. 0.95                                                     */
  MR_FILL_WIDE,     /* mean 0, deviation 10                                             */
  MR_FILL_MASK,     /* 0 or 0.5 .. 2, first always positive                             */
  MR_FILL_TOKEN,    /* int: 0 .. range-1, and one of each invalid kind when range > 2   */
  MR_FILL_LABEL,    /* int: -1 .. range-1                                               */
  MR_FILL_NO_LABEL, /* int: -1 throughout                                               */
  MR_FILL_ABSENT    /* optional input not given                                         */
} mr_fill;

typedef struct mr_case_in {
  mr_fill fill;
  mr_shape shape;
  mr_dtype dtype;
  int32_t range;
  bool fixed; /* takes no gradient */
} mr_case_in;

typedef struct mr_case {
  char name[96]; /* "gru_seq:B2T5H3:reset=after:h0" */
  const mr_op *op;
  mr_ref_fn ref;
  union {
    unsigned char byte[MR_CASE_ATTR_BYTES];
    double align;
  } attr;
  int n_in;
  mr_case_in in[MR_CASE_MAX_IN];
  bool both;         /* the gradient comes in through output 1 as well as output 0        */
  bool large;        /* crosses the size at which kernels go parallel; sampled only       */
  bool along_time;   /* real inputs of rank 3 and the outputs are [B,T,*] and causal      */
  double rtol, atol; /* float: |got - want| <= rtol |want| + atol max |want|              */
  const char *why;   /* reason of the tolerance                                           */
} mr_case;

/* Calls fn for every case, in a fixed order, until it fails. The case lives during the call. */
typedef mr_status (*mr_case_fn)(void *ctx, const mr_case *c);
MR_MUST mr_status mr_cases_each(mr_case_fn fn, void *ctx);

/* Fills `data` (double for reals, int32_t otherwise) of input i. A pure function of c's input i; real
 * numbers are rounded to mr_real so that reference and kernel see the same ones. */
void mr_case_draw(const mr_case *c, int i, void *data);

/* ---- For the files of the table ------------------------------------------------------------- */
typedef struct mr_case_sink {
  mr_case_fn fn;
  void *ctx;
  mr_status st; /* first failure; later cases are not emitted */
} mr_case_sink;

/* Starts a case with the op's attributes and the part of the name behind "op:". */
mr_case mr_case_begin(const mr_op *op, mr_ref_fn ref, const void *attr, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void mr_case_real(mr_case *c, mr_fill fill, mr_shape s);  /* with gradient    */
void mr_case_fixed(mr_case *c, mr_fill fill, mr_shape s); /* without gradient */
void mr_case_ints(mr_case *c, mr_fill fill, mr_shape s, int32_t range);
void mr_case_absent(mr_case *c);
void mr_case_emit(mr_case_sink *s, mr_case *c, double rtol, double atol, const char *why);

/* The families. */
void mr_cases_pointwise(mr_case_sink *s);
void mr_cases_rows(mr_case_sink *s);      /* projections, norms, losses  */
void mr_cases_time(mr_case_sink *s);      /* slices, conv1d, running sums, scan */
void mr_cases_cells(mr_case_sink *s);     /* the four recurrent cells    */
void mr_cases_ssm(mr_case_sink *s);       /* the selective scan          */
void mr_cases_attention(mr_case_sink *s); /* attention and positions */
MR_C_END
#endif
