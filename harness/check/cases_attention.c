/* cases_attention.c — cases of attention, with and without carried keys, and of positions.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "add_position.h"
#include "attention.h"
#include "cases.h"
#include "shift.h"

static const char sums[] = "float sums over keys and channels, weights by exp of float scores";
static const char peaked[] = "scores near 100, whose rounding is magnified by exp";
static const char once[] = "one sum per element; sums over B in the gradient";

/* One step, a head of one channel, odd heads, one tile of keys less one, exactly, plus one, three
 * tiles; a head of every width that CUDA has a kernel for, full and not, and of more than the
 * widest; the last ones cross the parallel threshold. */
static const struct {
  int b, t, heads, d;
} shape[] = {{1, 1, 1, 1},    {2, 1, 2, 3},   {2, 5, 3, 1},   {3, 13, 1, 7},
             {1, 63, 2, 3},   {2, 64, 1, 5},  {1, 65, 2, 2},  {1, 130, 1, 4},
             {1, 33, 2, 12},  {1, 17, 1, 32}, {1, 9, 1, 130}, {1, 66, 1, 48},
             {1, 33, 1, 128}, {2, 65, 1, 64}, {1, 35, 2, 80}, {3, 150, 2, 19}};
enum { N_SHAPES = sizeof shape / sizeof *shape, FIRST_LARGE = 11 };

static mr_case begin(int b, int t, int heads, int d, int carried, const char *more)
{
  const attention_attr attr = {heads};
  char cache[24] = "";
  if (carried > 0) (void)snprintf(cache, sizeof cache, ":cache=%d", carried);
  return mr_case_begin(&mr_attention_op, mr_ref_attention, &attr, "B%dT%dD%d:heads=%d%s%s", b, t,
                       heads * d, heads, cache, more);
}

static void whole(mr_case_sink *s)
{
  for (int i = 0; i < N_SHAPES; i++) {
    const int64_t D = (int64_t)shape[i].heads * shape[i].d;
    mr_case c = begin(shape[i].b, shape[i].t, shape[i].heads, shape[i].d, 0, "");
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(shape[i].b, shape[i].t, 3 * D));
    mr_case_absent(&c);
    mr_case_absent(&c);
    c.large = i >= FIRST_LARGE, c.along_time = true;
    mr_case_emit(s, &c, 1e-6, 1e-6, sums);
  }
  mr_case c = begin(2, 13, 2, 3, 0, ":wide");
  mr_case_real(&c, MR_FILL_WIDE, mr_shape3(2, 13, 18));
  mr_case_absent(&c);
  mr_case_absent(&c);
  c.along_time = true;
  mr_case_emit(s, &c, 1e-5, 1e-5, peaked);
}

/* Rooms for as many steps as are carried on, and (wide counts) too small or empty ones; the longest
 * hold more than a tile of keys. */
static void carried(mr_case_sink *s)
{
  const struct {
    int b, t, heads, d, room;
    bool wide;
  } at[] = {{1, 1, 1, 1, 3, false},  {3, 5, 2, 3, 9, false},  {2, 66, 1, 2, 70, false},
            {4, 1, 2, 3, 5, true},   {6, 4, 3, 2, 2, true},   {5, 3, 1, 4, 12, true},
            {8, 2, 1, 3, 7, true},   {3, 5, 1, 130, 4, true}, {2, 3, 1, 64, 70, true},
            {3, 4, 2, 80, 33, true}, {9, 70, 2, 9, 90, false}};
  for (int i = 0; i < 11; i++) {
    const int64_t D = (int64_t)at[i].heads * at[i].d;
    mr_case c =
        begin(at[i].b, at[i].t, at[i].heads, at[i].d, at[i].room, at[i].wide ? ":wide" : "");
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(at[i].b, at[i].t, 3 * D));
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(at[i].b, at[i].room, 2 * D));
    mr_case_fixed(&c, at[i].wide ? MR_FILL_WIDE : MR_FILL_POSITIVE, mr_shape3(at[i].b, 1, 1));
    c.large = at[i].b == 9, c.along_time = !at[i].wide;
    mr_case_emit(s, &c, 1e-6, 1e-6, sums);
  }
}

static void positions(mr_case_sink *s)
{
  const struct {
    int b, t, d, rows;
    mr_fill seen;
  } at[] = {{1, 1, 1, 1, MR_FILL_ABSENT},    {2, 5, 3, 9, MR_FILL_ABSENT},
            {9, 50, 37, 50, MR_FILL_ABSENT}, {3, 5, 3, 9, MR_FILL_POSITIVE},
            {6, 4, 7, 8, MR_FILL_WIDE},      {9, 50, 37, 60, MR_FILL_POSITIVE}};
  for (int i = 0; i < 6; i++) {
    mr_case c = mr_case_begin(&mr_add_position_op, mr_ref_add_position, NULL, "B%dT%dD%d:P%d%s",
                              at[i].b, at[i].t, at[i].d, at[i].rows,
                              at[i].seen == MR_FILL_ABSENT ? ""
                              : at[i].seen == MR_FILL_WIDE ? ":seen:wide"
                                                           : ":seen");
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(at[i].b, at[i].t, at[i].d));
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape2(at[i].rows, at[i].d));
    if (at[i].seen == MR_FILL_ABSENT)
      mr_case_absent(&c);
    else
      mr_case_fixed(&c, at[i].seen, mr_shape3(at[i].b, 1, 1));
    c.large = at[i].b == 9, c.along_time = at[i].seen != MR_FILL_WIDE;
    mr_case_emit(s, &c, 1e-6, 1e-6, once);
  }
}

static void shifts(mr_case_sink *s)
{
  const int n[] = {1, 7, 20000};
  for (int i = 0; i < 3; i++) {
    const shift_attr attr = {1.75};
    mr_case c = mr_case_begin(&mr_shift_op, mr_ref_shift, &attr, "N%d", n[i]);
    mr_case_real(&c, MR_FILL_NORMAL, mr_shape1(n[i]));
    c.large = n[i] == 20000;
    mr_case_emit(s, &c, 1e-6, 1e-6, once);
  }
}

void mr_cases_attention(mr_case_sink *s)
{
  whole(s);
  carried(s);
  positions(s);
  shifts(s);
}
