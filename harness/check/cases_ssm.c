/* cases_ssm.c — cases of the selective scan. SPDX-License-Identifier: MIT */
#include "cases.h"
#include "selective_scan.h"

static const char recursion[] =
    "rounding carried through T dependent steps and sums over N, E and B";

/* Those longer than 64 steps have several chunks; the large ones share sequences between threads.
 * Where T = E = N, state and output have one shape and both can have a gradient. */
static const struct {
  int b, t, e, n;
} shape[] = {{1, 1, 1, 1},   {2, 5, 3, 2},  {1, 13, 7, 16},  {2, 3, 67, 5}, {1, 65, 2, 3},
             {2, 130, 2, 2}, {3, 64, 5, 1}, {3, 70, 130, 4}, {2, 4, 4, 4},  {1, 67, 67, 67}};
enum { N_SHAPES = sizeof shape / sizeof *shape };

static void scan(mr_case_sink *s, int i, bool h0, bool both)
{
  const int64_t B = shape[i].b, T = shape[i].t, E = shape[i].e, N = shape[i].n;
  mr_case c = mr_case_begin(&mr_selective_scan_op, mr_ref_selective_scan, NULL, "B%dT%dE%dN%d%s%s",
                            shape[i].b, shape[i].t, shape[i].e, shape[i].n, h0 ? ":h0" : "",
                            both ? ":dh" : "");
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(B, T, E));
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(B, T, E));
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape2(E, N));
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(B, T, N));
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(B, T, N));
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(E));
  if (h0)
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(B, E, N));
  else
    mr_case_absent(&c);
  c.large = B * T * E * N >= 16384, c.along_time = true;
  c.both = both;
  mr_case_emit(s, &c, 2e-6, 2e-6, recursion);
}

/* Steps from nearly none to large ones: decays from 1 down to 0. */
static void extremes(mr_case_sink *s)
{
  mr_case c = mr_case_begin(&mr_selective_scan_op, mr_ref_selective_scan, NULL, "B2T13E5N4:wide");
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(2, 13, 5));
  mr_case_real(&c, MR_FILL_WIDE, mr_shape3(2, 13, 5));
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape2(5, 4));
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(2, 13, 4));
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(2, 13, 4));
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(5));
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(2, 5, 4));
  c.along_time = true;
  mr_case_emit(s, &c, 1e-5, 1e-5, "decays near their ends magnify the rounding of exp");
}

void mr_cases_ssm(mr_case_sink *s)
{
  for (int i = 0; i < N_SHAPES; i++)
    for (int h0 = 0; h0 < 2; h0++) {
      scan(s, i, h0, false);
      if (shape[i].t == shape[i].e && shape[i].e == shape[i].n) scan(s, i, h0, true);
    }
  extremes(s);
}
