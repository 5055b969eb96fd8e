/* verify_count.c — claims about parameters, counted in the models as they are built.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "build.h"
#include "registry.h"
#include "verify_impl.h"

enum { MOST_WORDS = 16 };

/* Numbers in the parameter of that name of the first layer; 0: it has none. */
static double count_of(const mr_tape *t, const char *name)
{
  char full[64];
  (void)snprintf(full, sizeof full, "block.0.mixer.%s", name);
  const mr_val v = mr_tape_find(t, full);
  if (v.id == 0) return 0;
  const mr_shape s = mr_shape_of(t, v);
  return (double)mr_count(&s);
}

/* One layer of the model under the config, over one step of one sequence. */
static mr_status count(const mr_config *c, bool whole, double *n)
{
  mr_status st = MR_OK;
  mr_backend *be = NULL;
  mr_tape *t = NULL;
  mr_plan_report plan;
  const mr_dims d = {.B = 1, .T = 1, .D = c->width, .H = mr_hidden(c), .L = 1};
  MR_TRY(mr_backend_open(&be, MR_CPU, 1));
  MR_TRY(mr_tape_create(&t, be, 1));
  const mr_val y = mr_build_mixer(t, c, mr_find_model(c->model), d);
  MR_TRY(mr_tape_plan(t, y, false, &plan));
  *n = whole ? (double)(plan.n_params - c->width) /* the input counts as a parameter here */
             : count_of(t, "in.weight") + count_of(t, "u.weight");
out:
  mr_tape_destroy(t);
  mr_backend_close(be);
  return st;
}

/* The conditions of the claim as settings of that model. */
static mr_status count_model(const mr_claim *c, const char *model, bool whole, double *n)
{
  char text[MOST_WORDS][MR_ENTRY + 2], entry[MR_ENTRY];
  const char *word[MOST_WORDS];
  int n_words = 1;
  mr_config config;
  (void)snprintf(text[0], sizeof text[0], "--model=%s", model);
  while (n_words < MOST_WORDS && mr_list_entry(c->match, ' ', n_words - 1, entry, sizeof entry))
    (void)snprintf(text[n_words++], sizeof text[0], "--%s", entry);
  for (int i = 0; i < n_words; i++) word[i] = text[i];
  MR_CHECK(mr_run_config(&config, NULL, n_words, word));
  const mr_status st = count(&config, whole, n);
  mr_config_free(&config);
  return st;
}

mr_status mr_method_counted(const mr_claim *c, const char *method, bool whole, mr_side *out)
{
  char model[MR_ENTRY];
  mr_measure m[2] = {{.there = false}, {.there = false}};
  out->answer = MR_ANSWER_UNUSED;
  (void)snprintf(out->models, sizeof out->models, "%s", method);
  if (strcmp(method, "-") == 0) return MR_OK;
  for (int i = 0; i < 2 && mr_method_part(method, i, model, sizeof model); i++) {
    double n;
    MR_CHECK(count_model(c, model, whole, &n));
    m[i] = (mr_measure){true, n, n, n};
  }
  out->m = mr_combine(c->quantity->form, m[0], m[1]);
  out->answer = mr_answer_of(out->m, c->band);
  return MR_OK;
}
