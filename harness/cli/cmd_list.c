/* cmd_list.c — `minrnn list`: every model, baseline and task with its options.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "cli.h"
#include "json.h"
#include "registry.h"
#include "text.h"

static int help(void)
{
  printf("minrnn list tells every model, baseline and task of this program, with their options.\n\n"
         "Usage: minrnn list [--json]\n\n"
         "  --json  one JSON object per line: kind, name, summary, options\n");
  return MR_EXIT_DONE;
}

/* ---- As text --------------------------------------------------------------------------------- */

static void print_option(const char *owner, const mr_opt *o)
{
  char low[32], high[32];
  printf("      --%s.%s=%s  %s", owner, o->key, o->dflt, o->help);
  if (!o->choices)
    printf(" (%s to %s)\n", mr_num_text(o->min, low, sizeof low),
           mr_num_text(o->max, high, sizeof high));
  else if (o->choices[0] == '*' && o->choices[1] == '\0')
    printf(" (any text)\n");
  else
    printf(" (%s)\n", o->choices);
}

static void print_entry(const char *kind, const char *name, const char *summary, const mr_opt *opts,
                        int n)
{
  (void)kind;
  printf("  %-18s %s\n", name, summary);
  for (int i = 0; i < n; i++) print_option(name, &opts[i]);
}

/* ---- As JSON --------------------------------------------------------------------------------- */

static void json_option(mr_json *j, const char *owner, const mr_opt *o)
{
  char key[128];
  (void)snprintf(key, sizeof key, "%s.%s", owner, o->key);
  mr_json_object_open(j, NULL);
  mr_json_field_str(j, "key", key);
  mr_json_field_str(j, "default", o->dflt);
  if (o->choices) {
    mr_json_field_str(j, "choices", o->choices);
  } else {
    mr_json_field_num(j, "min", o->min);
    mr_json_field_num(j, "max", o->max);
  }
  mr_json_field_str(j, "help", o->help);
  mr_json_object_close(j);
}

static void json_entry(const char *kind, const char *name, const char *summary, const mr_opt *opts,
                       int n)
{
  mr_json j;
  mr_json_begin(&j, stdout);
  mr_json_field_str(&j, "kind", kind);
  mr_json_field_str(&j, "name", name);
  mr_json_field_str(&j, "summary", summary);
  mr_json_list_open(&j, "options");
  for (int i = 0; i < n; i++) json_option(&j, name, &opts[i]);
  mr_json_list_close(&j);
  mr_json_end(&j);
}

/* ---- The command ----------------------------------------------------------------------------- */

int mr_cmd_list(int argc, char **argv)
{
  bool json = false;
  for (int i = 1; i < argc; i++) {
    if (mr_cli_flag(argv[i], "help")) return help();
    if (!mr_cli_flag(argv[i], "json")) return mr_cli_unknown(argv[0], argv[i]);
    json = true;
  }
  void (*tell)(const char *, const char *, const char *, const mr_opt *, int) =
      json ? json_entry : print_entry;
  if (!json) printf("models of the paper\n");
  for (int i = 0; i < mr_n_models; i++) {
    const mr_model_def *m = mr_models[i];
    if (!json && i == mr_n_paper_models) printf("\nbaselines\n");
    tell(i < mr_n_paper_models ? "model" : "baseline", m->name, m->summary, m->opts, m->n_opts);
  }
  if (!json) printf("\ntasks\n");
  for (int i = 0; i < mr_n_tasks; i++)
    tell("task", mr_tasks[i]->name, mr_tasks[i]->summary, mr_tasks[i]->opts, mr_tasks[i]->n_opts);
  return MR_EXIT_DONE;
}
