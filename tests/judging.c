/* judging.c — claims judged by made-up run files. SPDX-License-Identifier: MIT */
#include "judging.h"
#include <math.h>
#include <string.h>

mr_claims claims;
mr_runset runs;
mr_findings findings;
bool skip_first;

mr_status read_claims(const char *text)
{
  return mr_claims_read(&claims, mr_test_file("claims.tsv", text, strlen(text)));
}

const mr_finding *judge(const char *text, int i, int n)
{
  assert_ok(read_claims(text));
  claims.claim[0].skipped = skip_first;
  assert_ok(mr_runset_read(&runs, mr_test_folder()));
  assert_int_equal(runs.n_problems, 0);
  assert_ok(mr_verify(&claims, &runs, &findings));
  assert_int_equal(findings.n, n);
  return &findings.finding[i];
}

int judge_no_more(void **state)
{
  (void)state;
  skip_first = false;
  mr_findings_free(&findings);
  mr_runset_free(&runs);
  mr_claims_free(&claims);
  mr_test_folder_remove();
  return 0;
}

fake_timing at_scale(const char *model, double ms)
{
  const fake_timing t = {.model = model,
                         .length = 512,
                         .batch = 64,
                         .width = 64,
                         .device = "cuda",
                         .step_ms = ms,
                         .spread = 1,
                         .megabytes = ms};
  return t;
}

void put(const char *name, fake_timing t)
{
  fake_timing_write(name, &t);
}

void put_all(double its, double fair)
{
  put("ours_small", at_scale("mingru_smallops", 2));
  put("loop", at_scale("gru_loop", 2 * its));
  put("ours", at_scale("mingru", 1));
  put("gru", at_scale("gru", 3 * fair));
  put("vendor", at_scale("gru_vendor", fair));
}

bool near(double a, double b)
{
  return fabs(a - b) <= 1e-9 * fabs(b);
}
