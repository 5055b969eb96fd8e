/* cmd_dump.c — `minrnn dump`: one batch with everything computed from it, for other programs.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "cli.h"
#include "dump.h"
#include "mem.h"

static int help(void)
{
  const mr_owner *owner;
  int n = mr_option_owners(&owner);
  printf(
      "minrnn dump runs one training batch forward and backward and writes batch, parameters,\n"
      "outputs, loss and the gradient of every parameter to an HDF5 file, so that another program\n"
      "can check them. results/README.md describes the file and every parameter in it;\n"
      "scripts/peers/torch_check.py compares it with PyTorch.\n\n"
      "Usage: minrnn dump [EXPERIMENT.cfg] --out=FILE.h5 [--key=value ...] [--init=FILE]\n"
      "                   [--with-dropout] [--force]\n\n"
      "  --out=FILE.h5   the file to write\n"
      "  --init=FILE     take the parameters from a checkpoint or dump of the same network\n"
      "  --with-dropout  drop elements as in training; without it dropout does nothing\n"
      "  --force         replace an existing file\n\n"
      "Keys, in an experiment file as `key = value`:\n");
  mr_config_help(stdout, owner, n, 0);
  return MR_EXIT_DONE;
}

typedef struct arguments {
  mr_cli_settings settings;
  mr_dump_opts opts;
  bool help;
} arguments;

static mr_status parse(arguments *a, int argc, char **argv)
{
  MR_CHECK(mr_cli_settings_open(&a->settings, argc));
  for (int i = 1; i < argc; i++) {
    if (mr_cli_flag(argv[i], "help"))
      a->help = true;
    else if (mr_cli_flag(argv[i], "force"))
      a->opts.force = true;
    else if (mr_cli_flag(argv[i], "with-dropout"))
      a->opts.dropout = true;
    else if (mr_cli_value(argv[i], "init") != NULL)
      a->opts.init = mr_cli_value(argv[i], "init");
    else
      MR_CHECK(mr_cli_setting(&a->settings, argv[0], argv[i]));
  }
  return MR_OK;
}

static int dump(const arguments *a)
{
  mr_config c;
  mr_dump_result r;
  mr_status st = mr_run_config(&c, a->settings.file, a->settings.n, a->settings.word);
  if (st != MR_OK) return mr_cli_wrong_use(st);
  st = mr_dump(&c, &a->opts, &r);
  if (st == MR_OK)
    printf("%s: %s on %s, %lld parameters, loss %.9g\n", c.out, c.model, c.task,
           (long long)r.n_params, r.loss);
  mr_config_free(&c);
  return st == MR_OK ? MR_EXIT_DONE : mr_cli_fail(st);
}

int mr_cmd_dump(int argc, char **argv)
{
  arguments a = {.help = false};
  char *line = NULL;
  int code;
  mr_status st = parse(&a, argc, argv);
  if (st == MR_OK) st = mr_cli_line(&line, argc, argv);
  a.opts.command = line;
  if (st != MR_OK)
    code = mr_cli_fail(st);
  else
    code = a.help ? help() : dump(&a);
  mr_free(line);
  mr_free(a.settings.word);
  return code;
}
