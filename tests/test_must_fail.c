/* test_must_fail.c — the tests can fail: ops broken on purpose are reported, and the sound one that
 * they are made from is not. SPDX-License-Identifier: MIT */
/* labels: unit; real: double */
#include "check.h"
#include "props.h"

/* y_t = x_t^2 + y_{t-1} / 2 over [B,T,D]; backward reads x. */
typedef struct flaw_attr {
  int32_t sign;    /* of the gradient                        */
  int32_t lag;     /* reads x_{t-lag} instead of x_t         */
  int32_t drift;   /* 1: adds the number of calls so far, 2: that of threads */
  int32_t hides;   /* does not declare that it reads x       */
  int32_t boasts;  /* declares that it reads y               */
  int32_t passes;  /* claims that dx 1: equals dy, 2: may overwrite x */
  int32_t forgets; /* ignores beta                           */
  int32_t spills;  /* sequences start from the one before    */
} flaw_attr;

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  const flaw_attr *f = attr;
  (void)n_in, (void)site;
  need->out[0] = in[0].shape;
  need->reads_in = f->hides ? 0 : 1;
  need->reads_out = f->boasts ? 1 : 0;
  need->passes = f->passes == 1;
  need->overwrites = f->passes == 2;
  return MR_OK;
}

static int n_calls;

static mr_status forward(mr_backend *be, const mr_call *c)
{
  const flaw_attr *f = c->attr;
  const mr_shape *s = &c->in[0].shape;
  int64_t T = s->dim[1], D = s->dim[2];
  mr_real extra = f->drift == 2 ? (mr_real)be->threads : 0;
  n_calls++;
  if (f->drift == 1) extra += (mr_real)1e-9 * (mr_real)n_calls;
  for (int64_t i = 0; i < mr_count(s); i++) {
    int64_t t = i / D % T;
    mr_real x = t >= f->lag && t - f->lag < T ? MR_IN(c, 0)[i - f->lag * D] : 0;
    mr_real before = t > 0 || (f->spills && i >= D) ? MR_OUT(c, 0)[i - D] : 0;
    MR_OUT(c, 0)[i] = x * x + before / 2 + extra;
  }
  return MR_OK;
}

static mr_status backward(mr_backend *be, const mr_call *c)
{
  const flaw_attr *f = c->attr;
  const mr_shape *s = &c->in[0].shape;
  int64_t T = s->dim[1], D = s->dim[2];
  (void)be;
  for (int64_t b = 0; b < s->dim[0]; b++)
    for (int64_t d = 0; d < D; d++) {
      mr_real carried = 0;
      for (int64_t t = T - 1; t >= 0; t--) {
        int64_t i = (b * T + t) * D + d;
        mr_real old = c->beta[0] != 0 && !f->forgets ? MR_DIN(c, 0)[i] : 0;
        carried = MR_DOUT(c, 0)[i] + carried / 2;
        if (f->passes == 2) MR_DIN(c, 0)[i] = 0;
        MR_DIN(c, 0)[i] = old + (mr_real)f->sign * 2 * MR_IN(c, 0)[i] * carried;
      }
    }
  return MR_OK;
}

static mr_status no_backward(mr_backend *be, const mr_call *c)
{
  (void)be, (void)c;
  return MR_OK;
}

static void reference(const mr_ref *r)
{
  const mr_shape *s = &r->in[0].shape;
  const double *x = r->in[0].data;
  int64_t T = s->dim[1], D = s->dim[2];
  for (int64_t i = 0; i < mr_count(s); i++)
    r->out[0][i] = x[i] * x[i] + (i / D % T > 0 ? r->out[0][i - D] / 2 : 0);
}

static const mr_op sound = {"flawed",        1, 1, sizeof(flaw_attr), infer, {forward, NULL},
                            {backward, NULL}};
static const mr_op stub = {"stubbed",          1, 1, sizeof(flaw_attr), infer, {forward, NULL},
                           {no_backward, NULL}};

static mr_case with(const mr_op *op, flaw_attr f)
{
  f.sign = f.sign ? f.sign : 1;
  mr_case c = mr_case_begin(op, reference, &f, "B2T5D3");
  mr_case_real(&c, MR_FILL_NORMAL, mr_shape3(2, 5, 3));
  c.along_time = true, c.rtol = c.atol = 1e-5, c.why = "broken on purpose";
  return c;
}

static mr_backend *be;

static int open_backend(void **state)
{
  (void)state;
  be = rig_backend(2);
  return 0;
}

static int close_backend(void **state)
{
  (void)state;
  mr_backend_close(be);
  return 0;
}

static bool passes(const mr_case *c, int what)
{
  mr_check_result r;
  assert_ok(mr_check_case(c, be, what, &r));
  assert_int_equal(r.ok, r.worst <= 1);
  return r.ok;
}

static bool keeps(rig_case_test property, const mr_case *c)
{
  char text[384] = "";
  bool kept = property(c, be, text, sizeof text);
  assert_int_equal(kept, text[0] == '\0');
  return kept;
}

static void the_sound_op_passes_everything(void **state)
{
  static const rig_case_test property[] = {prop_shares, prop_adds,    prop_alone, prop_threads,
                                           prop_causal, prop_carries, prop_batch, prop_algebra};
  char text[384];
  mr_case c = with(&sound, (flaw_attr){0});
  (void)state;
  assert_true(passes(&c, MR_CHECK_ALL));
  assert_true(rig_needs(&c, be, true, text, sizeof text));
  for (size_t i = 0; i < sizeof property / sizeof *property; i++)
    assert_true(keeps(property[i], &c));
}

static void a_sign_error_is_reported(void **state)
{
  mr_case c = with(&sound, (flaw_attr){.sign = -1});
  (void)state;
  assert_true(passes(&c, MR_CHECK_FORWARD));
  assert_false(passes(&c, MR_CHECK_BACKWARD));
}

static void a_forward_that_is_late_by_one_step_is_reported(void **state)
{
  mr_case c = with(&sound, (flaw_attr){.lag = 1});
  (void)state;
  assert_false(passes(&c, MR_CHECK_FORWARD));
}

static void a_forward_that_sees_the_next_step_is_reported(void **state)
{
  mr_case c = with(&sound, (flaw_attr){.lag = -1});
  (void)state;
  assert_false(passes(&c, MR_CHECK_FORWARD));
  assert_false(keeps(prop_causal, &c));
}

static void an_empty_backward_is_reported(void **state)
{
  mr_case c = with(&stub, (flaw_attr){0});
  (void)state;
  assert_false(passes(&c, MR_CHECK_BACKWARD));
  assert_false(keeps(prop_adds, &c));
}

static void an_undeclared_read_is_reported(void **state)
{
  char text[384];
  mr_case c = with(&sound, (flaw_attr){.hides = 1});
  (void)state;
  assert_false(rig_needs(&c, be, true, text, sizeof text));
  assert_holds(text, "does not declare");
}

static void a_needless_declaration_is_reported(void **state)
{
  char text[384];
  mr_case c = with(&sound, (flaw_attr){.boasts = 1});
  (void)state;
  assert_true(rig_needs(&c, be, false, text, sizeof text));
  assert_false(rig_needs(&c, be, true, text, sizeof text));
  assert_holds(text, "output 0");
}

static void a_result_that_differs_from_run_to_run_is_reported(void **state)
{
  mr_case c = with(&sound, (flaw_attr){.drift = 1});
  (void)state;
  assert_false(passes(&c, MR_CHECK_REPEAT));
}

static void a_result_that_depends_on_the_number_of_threads_is_reported(void **state)
{
  mr_case c = with(&sound, (flaw_attr){.drift = 2});
  (void)state;
  assert_false(keeps(prop_threads, &c));
}

static void a_gradient_that_only_claims_to_overwrite_is_reported(void **state)
{
  mr_case c = with(&sound, (flaw_attr){.passes = 2});
  (void)state;
  assert_false(keeps(prop_shares, &c));
}

static void a_gradient_that_only_claims_to_pass_is_reported(void **state)
{
  mr_case c = with(&sound, (flaw_attr){.passes = 1});
  (void)state;
  assert_false(keeps(prop_shares, &c));
}

static void a_backward_that_ignores_beta_is_reported(void **state)
{
  mr_case c = with(&sound, (flaw_attr){.forgets = 1});
  (void)state;
  assert_true(passes(&c, MR_CHECK_ALL));
  assert_false(keeps(prop_adds, &c));
}

static void sequences_that_run_into_each_other_are_reported(void **state)
{
  mr_case c = with(&sound, (flaw_attr){.spills = 1});
  (void)state;
  assert_false(passes(&c, MR_CHECK_FORWARD));
  assert_false(keeps(prop_batch, &c));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_sound_op_passes_everything),
      cmocka_unit_test(a_sign_error_is_reported),
      cmocka_unit_test(a_forward_that_is_late_by_one_step_is_reported),
      cmocka_unit_test(a_forward_that_sees_the_next_step_is_reported),
      cmocka_unit_test(an_empty_backward_is_reported),
      cmocka_unit_test(an_undeclared_read_is_reported),
      cmocka_unit_test(a_needless_declaration_is_reported),
      cmocka_unit_test(a_result_that_differs_from_run_to_run_is_reported),
      cmocka_unit_test(a_result_that_depends_on_the_number_of_threads_is_reported),
      cmocka_unit_test(a_gradient_that_only_claims_to_overwrite_is_reported),
      cmocka_unit_test(a_gradient_that_only_claims_to_pass_is_reported),
      cmocka_unit_test(a_backward_that_ignores_beta_is_reported),
      cmocka_unit_test(sequences_that_run_into_each_other_are_reported),
  };
  return cmocka_run_group_tests(tests, open_backend, close_backend);
}
