/* judging.h — claims judged by made-up run files, for tests of verdicts.
 * SPDX-License-Identifier: MIT */
#ifndef MR_TEST_JUDGING_H
#define MR_TEST_JUDGING_H
#include "synthetic.h"
#include "verify.h"

/* First lines of a table of claims, and two claims. */
#define HEADING                                                                                    \
  "# a comment\n"                                                                                  \
  "id\tclaim\tquantity\tvalue\tdeviation\tunit\tcertainty\tsource\trule\tpaper\tfair\t"            \
  "paper_with\tmatch\tscale\tvary\texperiment\n"
#define SPEED                                                                                      \
  "speed\tfast\tspeed_up\t100\tnan\t1\tT\tsection 4.1\tat_least 0.5\tmingru_smallops / gru_loop\t" \
  "mingru / gru|gru_vendor\tmode=eager\tlength=512\tbatch=64 device=cuda\twidth=64|128\t-\n"
#define ACCURACY                                                                                   \
  "copy\tlearns\taccuracy\t96\t2.8\tpercent\tS\ttable 1\twithin 3\tmingru\t-\t-\t"                 \
  "task=selective_copy layers=3\tlength=4096 steps=1000\t-\tselective_copy_paper.cfg\n"

/* What is being judged. */
extern mr_claims claims;
extern mr_runset runs;
extern mr_findings findings;
extern bool skip_first; /* the first claim is not asked for */

mr_status read_claims(const char *text);
/* Judges the claims of the text against the folder's run files; returns row `i` of `n`. */
const mr_finding *judge(const char *text, int i, int n);
/* Forgets all that and the run files: a teardown. */
int judge_no_more(void **state);

/* A timing at the paper's scale. */
fake_timing at_scale(const char *model, double ms);
void put(const char *name, fake_timing t);
/* All five models of SPEED at the paper's scale: its ratio and the fair one. */
void put_all(double its, double fair);
bool near(double a, double b);
#endif
