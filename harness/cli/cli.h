/* cli.h — what the commands of `minrnn` share: each is one file with one function, and only main.c
 * exits. SPDX-License-Identifier: MIT */
#ifndef MR_CLI_H
#define MR_CLI_H
#include <stdbool.h>
#include "status.h"
MR_C_BEGIN

/* Exit codes of the program. */
enum { MR_EXIT_DONE = 0, MR_EXIT_FAILED = 1, MR_EXIT_USAGE = 2 };

/* One command per file, harness/cli/cmd_<name>.c. argv[0] is the command's name. Returns the exit
 * code. */
int mr_cmd_list(int argc, char **argv);
int mr_cmd_info(int argc, char **argv);
int mr_cmd_train(int argc, char **argv);
int mr_cmd_bench(int argc, char **argv);
int mr_cmd_compare(int argc, char **argv);
int mr_cmd_infer(int argc, char **argv);
int mr_cmd_verify(int argc, char **argv);
int mr_cmd_crossover(int argc, char **argv);
int mr_cmd_table(int argc, char **argv);
int mr_cmd_check(int argc, char **argv);
int mr_cmd_sample(int argc, char **argv);
int mr_cmd_dump(int argc, char **argv);
int mr_cmd_rl_info(int argc, char **argv);
int mr_cmd_rl_make(int argc, char **argv);

/* Prints "minrnn: <sentence of the last failure>" to stderr; with MINRNN_TRACE=1 in the environment
 * also the places it passed. Returns 2 for MR_ERR_CONFIG and MR_ERR_ARG, otherwise 1. */
int mr_cli_fail(mr_status st);
/* The same for a failure that is the user's whatever its kind, such as an unreadable experiment file:
 * returns 2. */
int mr_cli_wrong_use(mr_status st);
/* Prints one sentence about an argument that `command` does not know to stderr. Returns 2. */
int mr_cli_unknown(const char *command, const char *arg);

/* True for exactly "--name". */
bool mr_cli_flag(const char *arg, const char *name);
/* What follows "--name=" in arg; NULL when arg is something else. */
const char *mr_cli_value(const char *arg, const char *name);

/* What a command hands on to the config: an experiment file and "--key=value" words. */
typedef struct mr_cli_settings {
  const char *file; /* NULL: none */
  const char **word;
  int n;
} mr_cli_settings;
/* Room for the words of a command line. Release with mr_free(s->word). */
MR_MUST mr_status mr_cli_settings_open(mr_cli_settings *s, int argc);
/* Adds a word that is no flag of `command` itself. MR_ERR_ARG for a second file, or an option that
 * starts with one dash. */
MR_MUST mr_status mr_cli_setting(mr_cli_settings *s, const char *command, const char *arg);

/* "minrnn" and the n words as one line that a shell would read back, into a new string; release with
 * mr_free. */
MR_MUST mr_status mr_cli_line(char **out, int n, char **word);

/* Index of the one of n choices that `word` is most likely a slip of; -1 when none is close. */
int mr_cli_nearest(const char *word, const char *const *choice, int n);
MR_C_END
#endif
