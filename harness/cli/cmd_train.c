/* cmd_train.c — `minrnn train`: one run from an experiment file and settings.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "cli.h"
#include "json.h"
#include "mem.h"
#include "train.h"

static int help(void)
{
  const mr_owner *owner;
  int n = mr_option_owners(&owner);
  printf(
      "minrnn train trains a model on a task and writes one run file, with the parameters of the\n"
      "best and the last step beside it.\n\n"
      "Usage: minrnn train [EXPERIMENT.cfg] [--key=value ...] [--quiet] [--json] [--force]\n"
      "                    [--resume] [--init=FILE]\n\n"
      "  --quiet            no progress on standard error\n"
      "  --json             the result as one JSON object on the last line\n"
      "  --force            replace the files of an earlier run\n"
      "  --resume           go on with an unfinished run, to the same result\n"
      "  --init=FILE        start from the parameters in a checkpoint or dump of the same "
      "network\n\n"
      "Keys, in an experiment file as `key = value`:\n");
  mr_config_help(stdout, owner, n, 0);
  return MR_EXIT_DONE;
}

/* The keys alone, as the table in README.md. */
static int help_markdown(void)
{
  const mr_owner *owner;
  int n = mr_option_owners(&owner);
  mr_config_help(stdout, owner, n, 1);
  return MR_EXIT_DONE;
}

/* ---- The result ----------------------------------------------------------------------------- */

static mr_status json_number(void *ctx, const char *name, double value)
{
  mr_json_field_num(ctx, name, value);
  return MR_OK;
}

static mr_status print_json(const mr_train_result *r)
{
  mr_json j;
  mr_json_begin(&j, stdout);
  mr_json_field_str(&j, "run", r->path);
  mr_json_field_str(&j, "status", r->skipped ? "skipped" : "complete");
  if (r->skipped)
    mr_json_field_str(&j, "reason", r->reason);
  else
    MR_CHECK(mr_train_result_each(r, json_number, &j));
  mr_json_end(&j);
  return MR_OK;
}

static void print_row(const char *name, int64_t step, double valid, double test, int n,
                      const double *metric)
{
  printf("%-5s %10lld %12.5g %12.5g", name, (long long)step, valid, test);
  for (int i = 0; i < n; i++) printf(" %18.4f", metric[i]);
  printf("\n");
}

static void print_text(const mr_train_result *r)
{
  if (r->skipped) {
    printf("%s: SKIPPED: %s\n", r->path, r->reason);
    return;
  }
  printf("%s: %lld steps in %.1f s\n\n", r->path, (long long)r->steps, r->seconds);
  printf("%-5s %10s %12s %12s", "", "step", "valid loss", "test loss");
  for (int i = 0; i < r->n_metrics; i++) {
    char name[64];
    snprintf(name, sizeof name, "test %s", r->metric[i]);
    printf(" %18s", name);
  }
  printf("\n");
  print_row("best", r->best_step, r->valid_loss_best, r->test_loss_best, r->n_metrics,
            r->test_best);
  print_row("last", r->steps, r->valid_loss_last, r->test_loss_last, r->n_metrics, r->test_last);
}

/* ---- The command ---------------------------------------------------------------------------- */

typedef struct arguments {
  mr_cli_settings settings;
  mr_train_opts opts;
  bool json, help, markdown;
} arguments;

static mr_status parse(arguments *a, int argc, char **argv)
{
  MR_CHECK(mr_cli_settings_open(&a->settings, argc));
  for (int i = 1; i < argc; i++) {
    if (mr_cli_flag(argv[i], "help"))
      a->help = true;
    else if (mr_cli_flag(argv[i], "help=markdown"))
      a->markdown = true;
    else if (mr_cli_flag(argv[i], "quiet"))
      a->opts.quiet = true;
    else if (mr_cli_flag(argv[i], "json"))
      a->json = true;
    else if (mr_cli_flag(argv[i], "force"))
      a->opts.force = true;
    else if (mr_cli_flag(argv[i], "resume"))
      a->opts.resume = true;
    else if (mr_cli_value(argv[i], "init") != NULL)
      a->opts.init = mr_cli_value(argv[i], "init");
    else
      MR_CHECK(mr_cli_setting(&a->settings, argv[0], argv[i]));
  }
  if (a->opts.force && a->opts.resume)
    return MR_FAIL(MR_ERR_ARG, "--force starts a run over and --resume goes on with it: give one");
  return MR_OK;
}

/* The command that goes on with a run begun by --force, which it must not repeat. */
static mr_status line_again(char **out, int argc, char **argv)
{
  static char resume[] = "--resume";
  for (int i = 1; i < argc; i++)
    if (mr_cli_flag(argv[i], "force")) argv[i] = resume;
  return mr_cli_line(out, argc, argv);
}

/* Trains and tells the result. */
static int train(const arguments *a)
{
  mr_config c;
  mr_train_result r;
  mr_status st = mr_run_config(&c, a->settings.file, a->settings.n, a->settings.word);
  if (st != MR_OK) return mr_cli_wrong_use(st);
  st = mr_train(&c, &a->opts, &r);
  mr_config_free(&c);
  if (st == MR_OK && a->json) st = print_json(&r);
  if (st != MR_OK) return mr_cli_fail(st);
  if (!a->json) print_text(&r);
  return MR_EXIT_DONE;
}

int mr_cmd_train(int argc, char **argv)
{
  arguments a = {.json = false};
  char *line = NULL, *again = NULL;
  int code;
  mr_status st = parse(&a, argc, argv);
  if (st == MR_OK) st = mr_cli_line(&line, argc, argv);
  if (st == MR_OK && a.opts.force) st = line_again(&again, argc, argv);
  a.opts.command = line;
  a.opts.again = again;
  if (st != MR_OK)
    code = mr_cli_fail(st);
  else
    code = a.markdown ? help_markdown() : a.help ? help() : train(&a);
  mr_free(line);
  mr_free(again);
  mr_free(a.settings.word);
  return code;
}
