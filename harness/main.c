/* main.c — the command line: picks the command, checks that its output arrived, and exits.
 * SPDX-License-Identifier: MIT */
#include "build_info.h"
#include "cli/cli.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define VERSION "0.1.0"

typedef struct command {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *summary;
} command;

static const command commands[] = {
    {"list", mr_cmd_list, "models, baselines and tasks"},
    {"info", mr_cmd_info, "this machine, its libraries and its measured rates"},
    {"train", mr_cmd_train, "train a model on a task into one run file"},
    {"sample", mr_cmd_sample, "text from a trained network"},
    {"bench", mr_cmd_bench, "time forward, backward and whole steps of models"},
    {"compare", mr_cmd_compare, "cells timed twice: the same, faster or slower"},
    {"infer", mr_cmd_infer, "time reading a context and going on step by step"},
    {"table", mr_cmd_table, "run files as columns of text"},
    {"crossover", mr_cmd_crossover, "from which length on each parallel model is the faster one"},
    {"verify", mr_cmd_verify, "the paper's claims held against what was run"},
    {"check", mr_cmd_check, "hold every op against its reference"},
    {"dump", mr_cmd_dump, "one batch with outputs and gradients, for other programs to check"},
    {"rl-info", mr_cmd_rl_info, "what data sets of offline reinforcement learning hold"},
    {"rl-make", mr_cmd_rl_make, "train policies and write data sets of theirs"},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static int usage(void)
{
  printf("minrnn trains and times small recurrent models.\n\n"
         "Usage: minrnn COMMAND [--key=value ...]\n\n");
  for (int i = 0; i < N_COMMANDS; i++) printf("  %-9s %s\n", commands[i].name, commands[i].summary);
  printf("\nminrnn COMMAND --help tells what a command takes; minrnn --version, the version.\n"
         "Exit codes: 0 done, 1 failed, 2 wrong use.\n");
  return MR_EXIT_DONE;
}

static int unknown(const char *word)
{
  const char *name[N_COMMANDS];
  for (int i = 0; i < N_COMMANDS; i++) name[i] = commands[i].name;
  int near = mr_cli_nearest(word, name, N_COMMANDS);
  if (near >= 0)
    return mr_cli_fail(
        MR_FAIL(MR_ERR_ARG, "there is no command %s; did you mean %s?", word, name[near]));
  return mr_cli_fail(MR_FAIL(MR_ERR_ARG, "there is no command %s, see minrnn --help", word));
}

static int dispatch(int argc, char **argv)
{
  if (argc < 2 || mr_cli_flag(argv[1], "help")) return usage();
  if (mr_cli_flag(argv[1], "version")) {
    printf("minrnn " VERSION ", commit " MR_BUILD_COMMIT "\n");
    return MR_EXIT_DONE;
  }
  for (int i = 0; i < N_COMMANDS; i++)
    if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
  return unknown(argv[1]);
}

/* Commands print to standard output without looking; whether it arrived is read here, once. */
static int check_output(int code)
{
  errno = 0;
  bool arrived = fflush(stdout) == 0 && ferror(stdout) == 0;
  if (arrived || code != MR_EXIT_DONE) return code;
  return mr_cli_fail(MR_FAIL(MR_ERR_IO, "standard output could not be written: %s",
                             errno != 0 ? strerror(errno) : "an earlier write failed"));
}

/* A run file must never be opened in the place of a closed standard stream: what is printed there
 * would end up in it. Writing to these stand-ins fails, as it should. */
static bool fill_standard_streams(void)
{
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDONLY) != fd) return false;
  return true;
}

int main(int argc, char **argv)
{
  /* A reader that goes away is a failed write, not a sudden death. */
  (void)signal(SIGPIPE, SIG_IGN);
  if (!fill_standard_streams()) return MR_EXIT_FAILED;
  return check_output(dispatch(argc, argv));
}
