/* cmd_check.c — `minrnn check`: every op against its reference, on this machine.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "cli.h"

/* What is to be checked, and where. */
typedef struct order {
  mr_device dev;
  int what;
  bool all;
} order;

static int help(void)
{
  printf(
      "minrnn check holds every op against a slow reference, its backward against differences, "
      "and\n"
      "each result against a second run.\n\n"
      "Usage: minrnn check [CASE ...] [--all] [--no-differences] [--list] [--device=cpu|cuda]\n\n"
      "  CASE      only the cases whose names start so, e.g. gru_seq or model:gru\n"
      "  --all     models too: loss and gradients against the CPU, steps twice and as graphs\n"
      "  --no-differences  backward passes are run and compared with the CPU's where that is\n"
      "            another device, but not with differences, which take the processor's time\n"
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

/* The cases that start with one of n names; none: all. */
static mr_status check(char *const *name, int n, const order *o, mr_check_count *sum)
{
  mr_check_count one;
  for (int i = 0; i < n || i == 0; i++) {
    MR_CHECK(mr_check_run(n > 0 ? name[i] : NULL, o->dev, o->what, o->all, stdout, &one));
    sum->run += one.run, sum->failed += one.failed, sum->skipped += one.skipped;
  }
  return MR_OK;
}

static int run(char *const *name, int n_names, const order *o)
{
  mr_check_count n = {0, 0, 0};
  const mr_status st = check(name, n_names, o, &n);
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
  int n_names = 0;
  bool list = false;
  order o = {MR_CPU, MR_CHECK_ALL, false};
  mr_status st = MR_OK;
  for (int i = 1; i < argc && st == MR_OK; i++) {
    if (mr_cli_flag(argv[i], "help")) return help();
    if (mr_cli_flag(argv[i], "list"))
      list = true;
    else if (mr_cli_flag(argv[i], "all"))
      o.all = true;
    else if (mr_cli_flag(argv[i], "no-differences"))
      o.what &= ~MR_CHECK_BACKWARD;
    else if (mr_cli_value(argv[i], "device") != NULL)
      st = parse_device(mr_cli_value(argv[i], "device"), &o.dev);
    else if (argv[i][0] == '-')
      return mr_cli_unknown(argv[0], argv[i]);
    else
      argv[1 + n_names++] = argv[i]; /* the names move to the front */
  }
  if (st == MR_OK && list) st = mr_check_list(stdout);
  if (st != MR_OK) return mr_cli_fail(st);
  return list ? MR_EXIT_DONE : run(argv + 1, n_names, &o);
}
