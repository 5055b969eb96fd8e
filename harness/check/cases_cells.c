/* cases_cells.c — cases of the four recurrent cells. SPDX-License-Identifier: MIT */
#include "cases.h"
#include "gru_seq.h"
#include "lstm_seq.h"
#include "mingru_seq.h"
#include "minlstm_seq.h"
#include "ops.h"

static const char recursion[] = "rounding carried through T dependent steps";
static const char logs[] = "the same, and log h loses digits where h is far from 1";

typedef struct size {
  int b, t, h;
} size;
/* From B9T50 on they cross the parallel threshold or have the several tiles of a large batch. */
static const size shape[] = {{1, 1, 1},  {1, 1, 3},  {2, 5, 3},   {1, 13, 7},  {3, 3, 37},
                             {2, 2, 67}, {1, 17, 7}, {9, 50, 37}, {29, 3, 37}, {2, 9, 64}};
enum { N_SHAPES = sizeof shape / sizeof *shape };
/* CUDA sweeps tiles of 32 channels by 64 or 128 steps, four channels at a time where H allows it, and
 * cuts long T where B H is small. */
static const size tile[] = {{1, 127, 33}, {2, 128, 32}, {1, 129, 36}, {1, 1030, 7}, {1, 1300, 12}};
enum { N_TILES = sizeof tile / sizeof *tile };
/* There H up to 128, padded to 32, 64 or 128, stays on chip, and backward takes a stretch of
 * steps at a time: 64 rows per multiprocessor. */
static const size chip[] = {{2, 4, 32}, {1, 7, 33}, {2, 12, 100}, {1, 3, 128}, {3, 4, 130}};
static const size stretches[] = {{2, 130, 3}, {22, 4, 130}};
enum { N_CHIPS = sizeof chip / sizeof *chip };

/* h0 must not be negative for cells that carry its logarithm. */
static void initial(mr_case *c, size n, bool given, mr_fill fill)
{
  if (given)
    mr_case_real(c, fill, mr_shape3(n.b, 1, n.h));
  else
    mr_case_absent(c);
}

static void emit(mr_case_sink *s, mr_case *c, size n, bool log)
{
  c->large = n.b >= 9 || n.t >= 100 || n.h >= 100, c->along_time = true;
  if (log)
    mr_case_emit(s, c, 4e-6, 4e-6, logs);
  else
    mr_case_emit(s, c, 2e-6, 2e-6, recursion);
}

static void mingru(mr_case_sink *s, size n, int form, bool h0)
{
  mingru_seq_attr attr = {form};
  bool log = form == MR_FORM_LOG;
  mr_case c = mr_case_begin(&mr_mingru_seq_op, mr_ref_mingru_seq, &attr, "B%dT%dH%d:form=%s%s", n.b,
                            n.t, n.h, log ? "log" : "linear", h0 ? ":h0" : "");
  mr_case_real(&c, MR_FILL_OFF_ZERO, mr_shape3(n.b, n.t, 2 * (int64_t)n.h));
  initial(&c, n, h0, log ? MR_FILL_POSITIVE : MR_FILL_NORMAL);
  emit(s, &c, n, log);
}

static void minlstm(mr_case_sink *s, size n, int form, int normalise, bool h0)
{
  minlstm_seq_attr attr = {.normalise = normalise, .form = form};
  bool log = form == MR_FORM_LOG;
  mr_case c = mr_case_begin(&mr_minlstm_seq_op, mr_ref_minlstm_seq, &attr,
                            "B%dT%dH%d:form=%s:normalise=%d%s", n.b, n.t, n.h,
                            log ? "log" : "linear", normalise, h0 ? ":h0" : "");
  mr_case_real(&c, MR_FILL_OFF_ZERO, mr_shape3(n.b, n.t, 3 * (int64_t)n.h));
  initial(&c, n, h0, log ? MR_FILL_POSITIVE : MR_FILL_NORMAL);
  emit(s, &c, n, log);
}

static void gru(mr_case_sink *s, size n, int reset, bool h0)
{
  gru_seq_attr attr = {reset};
  int64_t H = n.h;
  mr_case c = mr_case_begin(&mr_gru_seq_op, mr_ref_gru_seq, &attr, "B%dT%dH%d:reset=%s%s", n.b, n.t,
                            n.h, reset == MR_RESET_AFTER ? "after" : "before", h0 ? ":h0" : "");
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(n.b, n.t, 3 * H));
  mr_case_real(&c, MR_FILL_WEIGHT, mr_shape2(3 * H, H));
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(3 * H));
  initial(&c, n, h0, MR_FILL_NORMAL);
  emit(s, &c, n, false);
}

static void lstm(mr_case_sink *s, size n, bool h0, bool c0, bool both)
{
  int64_t H = n.h;
  mr_case c = mr_case_begin(&mr_lstm_seq_op, mr_ref_lstm_seq, NULL, "B%dT%dH%d%s%s%s", n.b, n.t,
                            n.h, h0 ? ":h0" : "", c0 ? ":c0" : "", both ? ":dc" : "");
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(n.b, n.t, 4 * H));
  mr_case_real(&c, MR_FILL_WEIGHT, mr_shape2(4 * H, H));
  initial(&c, n, h0, MR_FILL_NORMAL);
  initial(&c, n, c0, MR_FILL_NORMAL);
  c.both = both;
  emit(s, &c, n, false);
}

static void extremes(mr_case_sink *s)
{
  /* Gates at their ends and large candidates: nothing may overflow or become NaN. */
  for (int form = 0; form < 2; form++)
    for (int normalise = 0; normalise < 3; normalise++) {
      static const char *const part[] = {"unnormalised", "normalised", "mingru"};
      mingru_seq_attr mingru_attr = {form};
      minlstm_seq_attr minlstm_attr = {.normalise = normalise, .form = form};
      bool gru_cell = normalise == 2;
      mr_case c = mr_case_begin(gru_cell ? &mr_mingru_seq_op : &mr_minlstm_seq_op,
                                gru_cell ? mr_ref_mingru_seq : mr_ref_minlstm_seq,
                                gru_cell ? (const void *)&mingru_attr : &minlstm_attr,
                                "B2T13H5:wide:%s:form=%s", part[normalise],
                                form == MR_FORM_LOG ? "log" : "linear");
      mr_case_real(&c, MR_FILL_WIDE, mr_shape3(2, 13, gru_cell ? 10 : 15));
      mr_case_real(&c, MR_FILL_POSITIVE, mr_shape3(2, 1, 5));
      c.along_time = true;
      mr_case_emit(s, &c, 1e-5, 1e-5, "gates near their ends magnify the rounding of exp");
    }
}

void mr_cases_cells(mr_case_sink *s)
{
  for (int i = 0; i < N_SHAPES; i++)
    for (int h0 = 0; h0 < 2; h0++) {
      for (int form = 0; form < 2; form++) {
        mingru(s, shape[i], form, h0);
        for (int normalise = 0; normalise < 2; normalise++)
          minlstm(s, shape[i], form, normalise, h0);
      }
      for (int reset = 0; reset < 2; reset++) gru(s, shape[i], reset, h0);
      lstm(s, shape[i], h0, h0, false);
      lstm(s, shape[i], h0, h0, true);
    }
  for (int i = 0; i < N_TILES; i++)
    for (int form = 0; form < 2; form++) {
      mingru(s, tile[i], form, i % 2 == 0);
      minlstm(s, tile[i], form, (i + form) % 2, i % 2 == 1);
    }
  for (int i = 0; i < N_CHIPS; i++)
    for (int h0 = 0; h0 < 2; h0++) {
      for (int reset = 0; reset < 2; reset++) gru(s, chip[i], reset, h0);
      lstm(s, chip[i], h0, h0, h0);
    }
  for (int i = 0; i < 2; i++) {
    for (int reset = 0; reset < 2; reset++) gru(s, stretches[i], reset, true);
    lstm(s, stretches[i], true, true, true);
  }
  lstm(s, shape[2], true, false, true);
  lstm(s, shape[3], false, true, true);
  extremes(s);
}
