/* cmd_check.c — `minrnn check`: every op against its reference, on this machine.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "cli.h"

static int help(void)
{
  printf("minrnn check holds every op against a slow reference, its backward against differences, "
         "and\n"
         "each result against a second run.\n\n"
         "Usage: minrnn check [CASE] [--all] [--list] [--device=cpu|cuda]\n\n"
         "  CASE      only the cases whose name starts so, e.g. gru_seq or model:gru\n"
         "  --all     models too: loss and gradients against the CPU, steps twice and as graphs\n"
         "  --list    the names of all cases with their tolerances; runs nothing\n"
         "  --device  where to run, default cpu\n");
  return MR_EXIT_DONE;
}

static mr_status parse_device(const char *word, mr_device *dev)
{
  if (strcmp(word, "cpu") != 0 && strcmp(word, "cuda") != 0)
    return MR_FAIL(MR_ERR_CONFIG, "device is %s; allowed: cpu, cuda", word);
  *dev = strcmp(word, "cuda") == 0 ? MR_CUDA : MR_CPU;
  return MR_OK;
}

static int run(const char *name, mr_device dev, bool all)
{
  mr_check_count n;
  mr_status st = mr_check_run(name, dev, all, stdout, &n);
  if (st == MR_ERR_UNSUPPORTED) return mr_cli_wrong_use(st);
  if (st != MR_OK) return mr_cli_fail(st);
  if (n.failed > 0)
    return mr_cli_fail(MR_FAIL(MR_ERR_NUMERIC, "%d of %d cases failed", n.failed, n.run));
  if (n.skipped > 0)
    printf("all %d cases hold, %d were skipped\n", n.run, n.skipped);
  else
    printf("all %d cases hold\n", n.run);
  return MR_EXIT_DONE;
}

int mr_cmd_check(int argc, char **argv)
{
  const char *name = NULL;
  bool list = false, all = false;
  mr_device dev = MR_CPU;
  mr_status st = MR_OK;
  for (int i = 1; i < argc && st == MR_OK; i++) {
    if (mr_cli_flag(argv[i], "help")) return help();
    if (mr_cli_flag(argv[i], "list"))
      list = true;
    else if (mr_cli_flag(argv[i], "all"))
      all = true;
    else if (mr_cli_value(argv[i], "device") != NULL)
      st = parse_device(mr_cli_value(argv[i], "device"), &dev);
    else if (argv[i][0] == '-' || name != NULL)
      return mr_cli_unknown(argv[0], argv[i]);
    else
      name = argv[i];
  }
  if (st == MR_OK && list) st = mr_check_list(stdout);
  if (st != MR_OK) return mr_cli_fail(st);
  return list ? MR_EXIT_DONE : run(name, dev, all);
}
