/* cases_time.c — cases of slices and of the ops along time. SPDX-License-Identifier: MIT */
#include "cases.h"
#include "concat_time.h"
#include "conv1d.h"
#include "cumsum_time.h"
#include "logcumsumexp_time.h"
#include "repeat_batch.h"
#include "scan.h"
#include "slice_last.h"
#include "slice_time.h"

static const char copies[] = "copies, and float sums of gradients";
static const char running[] = "float running sums over T";
static const char taps[] = "float sums over taps, and over B and T in gradients";
static const char recursion[] = "rounding carried through T dependent steps";

static const struct {
  int b, t, d;
} shape[] = {{1, 1, 1},   {1, 1, 3},    {2, 5, 3},    {3, 13, 7},   {2, 3, 67},
             {9, 64, 37}, {1, 129, 36}, {2, 128, 32}, {1, 1030, 4}, {1, 1029, 1}};
enum { N_SHAPES = 6, N_SWEEPS = sizeof shape / sizeof *shape }; /* running ops go on to the last */

static void slices(mr_case_sink *s)
{
  const struct {
    int t, d, from, n;
  } at[] = {{1, 1, 0, 1}, {13, 7, 0, 5}, {13, 7, 6, 7}, {13, 67, 12, 1}, {70, 67, 1, 68}};
  for (int i = 0; i < 5; i++) {
    slice_time_attr attr = {at[i].from, at[i].n};
    slice_last_attr last = {at[i].from, at[i].n};
    mr_case c = mr_case_begin(&mr_slice_time_op, mr_ref_slice_time, &attr, "B4T%dD%d:%d+%d",
                              at[i].t, at[i].d, at[i].from, at[i].n);
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(4, at[i].t, at[i].d));
    c.large = at[i].t == 70;
    mr_case_emit(s, &c, 1e-6, 1e-7, copies);
    /* The same numbers with time and channels exchanged. */
    c = mr_case_begin(&mr_slice_last_op, mr_ref_slice_last, &last, "N%dD%d:%d+%d", 4 * at[i].d,
                      at[i].t, at[i].from, at[i].n);
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape2(4 * (int64_t)at[i].d, at[i].t));
    c.large = at[i].t == 70;
    mr_case_emit(s, &c, 1e-6, 1e-7, copies);
  }
}

static void joined(mr_case_sink *s)
{
  const struct {
    int b, n, t[4], d;
  } part[] = {{1, 1, {1}, 1}, {2, 2, {1, 4}, 3}, {3, 4, {5, 1, 1, 7}, 67}, {4, 3, {30, 1, 50}, 67}};
  for (int i = 0; i < 4; i++) {
    mr_case c = mr_case_begin(&mr_concat_time_op, mr_ref_concat_time, NULL, "B%dx%dD%d", part[i].b,
                              part[i].n, part[i].d);
    for (int k = 0; k < part[i].n; k++)
      mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(part[i].b, part[i].t[k], part[i].d));
    c.large = part[i].b == 4;
    mr_case_emit(s, &c, 1e-6, 1e-7, copies);
  }
}

static void repeated(mr_case_sink *s)
{
  const struct {
    int b, d;
  } of[] = {{1, 1}, {1, 7}, {5, 67}, {300, 64}};
  for (int i = 0; i < 4; i++) {
    repeat_batch_attr attr = {of[i].b};
    mr_case c =
        mr_case_begin(&mr_repeat_batch_op, mr_ref_repeat_batch, &attr, "B%dD%d", of[i].b, of[i].d);
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(of[i].d));
    c.large = of[i].b == 300;
    mr_case_emit(s, &c, 2e-6, 2e-6, copies);
  }
}

static bool is_large(int i)
{
  return shape[i].b == 9 || shape[i].t > 100;
}

static void running_sums(mr_case_sink *s)
{
  for (int i = 0; i < N_SWEEPS; i++)
    for (int log = 0; log < 2; log++) {
      mr_case c = mr_case_begin(log ? &mr_logcumsumexp_time_op : &mr_cumsum_time_op,
                                log ? mr_ref_logcumsumexp_time : mr_ref_cumsum_time, NULL,
                                "B%dT%dD%d", shape[i].b, shape[i].t, shape[i].d);
      mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(shape[i].b, shape[i].t, shape[i].d));
      c.large = is_large(i), c.along_time = true;
      mr_case_emit(s, &c, 2e-6, 2e-6, running);
    }
  mr_case c =
      mr_case_begin(&mr_logcumsumexp_time_op, mr_ref_logcumsumexp_time, NULL, "B2T13D5:wide");
  mr_case_real(&c, MR_FILL_WIDE, mr_shape3(2, 13, 5));
  c.along_time = true;
  mr_case_emit(s, &c, 4e-6, 4e-6, running);
}

static void convolutions(mr_case_sink *s)
{
  const int n_taps[] = {1, 2, 4, 4, 3, 4}; /* more taps than steps among them */
  for (int i = 0; i < N_SHAPES; i++)
    for (int tail = 0; tail < 2; tail++) {
      int64_t K = n_taps[i];
      if (tail && K == 1) continue;
      mr_case c = mr_case_begin(&mr_conv1d_op, mr_ref_conv1d, NULL, "B%dT%dD%dK%d%s", shape[i].b,
                                shape[i].t, shape[i].d, n_taps[i], tail ? ":tail" : "");
      mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(shape[i].b, shape[i].t, shape[i].d));
      if (tail)
        mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(shape[i].b, K - 1, shape[i].d));
      else
        mr_case_absent(&c);
      mr_case_real(&c, MR_FILL_WEIGHT, mr_shape2(shape[i].d, K));
      mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(shape[i].d));
      c.large = shape[i].b == 9, c.along_time = true;
      mr_case_emit(s, &c, 2e-6, 2e-6, taps);
    }
}

/* More taps than a CUDA kernel keeps in registers, and more than are summed in one go. */
static void long_convolutions(mr_case_sink *s)
{
  const struct {
    int b, t, d, taps;
  } at[] = {{2, 5, 3, 7}, {1, 37, 2, 5}, {2, 40, 33, 9}};
  for (int i = 0; i < 3; i++)
    for (int tail = 0; tail < 2; tail++) {
      mr_case c = mr_case_begin(&mr_conv1d_op, mr_ref_conv1d, NULL, "B%dT%dD%dK%d%s", at[i].b,
                                at[i].t, at[i].d, at[i].taps, tail ? ":tail" : "");
      mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(at[i].b, at[i].t, at[i].d));
      if (tail)
        mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(at[i].b, at[i].taps - 1, at[i].d));
      else
        mr_case_absent(&c);
      mr_case_real(&c, MR_FILL_WEIGHT, mr_shape2(at[i].d, at[i].taps));
      mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(at[i].d));
      c.large = at[i].d > 30, c.along_time = true;
      mr_case_emit(s, &c, 2e-6, 2e-6, taps);
    }
}

static void scans(mr_case_sink *s)
{
  for (int i = 0; i < N_SWEEPS; i++)
    for (int h0 = 0; h0 < 2; h0++) {
      mr_case c = mr_case_begin(&mr_scan_op, mr_ref_scan, NULL, "B%dT%dH%d%s", shape[i].b,
                                shape[i].t, shape[i].d, h0 ? ":h0" : "");
      mr_case_real(&c, MR_FILL_GATE, mr_shape3(shape[i].b, shape[i].t, shape[i].d));
      mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(shape[i].b, shape[i].t, shape[i].d));
      if (h0)
        mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(shape[i].b, 1, shape[i].d));
      else
        mr_case_absent(&c);
      c.large = is_large(i), c.along_time = true;
      mr_case_emit(s, &c, 2e-6, 2e-6, recursion);
    }
}

void mr_cases_time(mr_case_sink *s)
{
  slices(s);
  joined(s);
  repeated(s);
  running_sums(s);
  convolutions(s);
  long_convolutions(s);
  scans(s);
}
