/* cmd_sample.c — `minrnn sample`: text from a trained network. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "mem.h"
#include "sample.h"

#define MOST_TOKENS 1e9
#define MOST_SEED   9007199254740992.0 /* 2^53 */

static int help(void)
{
  printf(
      "minrnn sample reads a prompt with a trained network and goes on with it, symbol by symbol,\n"
      "in recurrent mode.\n\n"
      "Usage: minrnn sample CHECKPOINT [--prompt=TEXT] [--tokens=N] [--temperature=T] [--top-k=K]\n"
      "                     [--seed=S] [--key=value ...]\n\n"
      "  CHECKPOINT       parameters of a run on text, such as RUN.best.ckpt\n"
      "  --prompt=        text to begin with, in symbols that the network has learnt; empty: a "
      "new\n"
      "                   line\n"
      "  --tokens=500     symbols to draw\n"
      "  --temperature=1  divides the logits: below 1 safer, above 1 bolder; 0: always the "
      "likeliest\n"
      "  --top-k=0        draws among the K likeliest symbols only; 0: among all\n"
      "  --seed=1         source of randomness; the same arguments give the same text\n\n"
      "Other keys go over the config of the run, e.g. --threads=1 or --shakespeare.file=ANY.txt "
      "where\n"
      "the text it learnt has moved to.\n");
  return MR_EXIT_DONE;
}

typedef struct arguments {
  mr_cli_settings settings; /* its file is the checkpoint */
  mr_sample_opts opts;
  bool help;
} arguments;

/* ---- Arguments ------------------------------------------------------------------------------- */

static mr_status parse_number(const char *name, const char *text, double max, bool whole,
                              double *out)
{
  char *end;
  errno = 0;
  const double x = strtod(text, &end);
  if (end == text || *end != '\0' || errno != 0 || !(x >= 0 && x <= max) ||
      (whole && x != floor(x)))
    return MR_FAIL(MR_ERR_ARG, "%s is \"%s\"; allowed: %snumbers from 0 to %.17g", name, text,
                   whole ? "whole " : "", max);
  *out = x;
  return MR_OK;
}

static mr_status parse_one(arguments *a, const char *command, const char *arg)
{
  const char *tokens = mr_cli_value(arg, "tokens"), *top_k = mr_cli_value(arg, "top-k");
  const char *seed = mr_cli_value(arg, "seed"), *prompt = mr_cli_value(arg, "prompt");
  const char *temperature = mr_cli_value(arg, "temperature");
  double x = 0;
  if (mr_cli_flag(arg, "help"))
    a->help = true;
  else if (prompt != NULL)
    a->opts.prompt = prompt;
  else if (tokens != NULL) {
    MR_CHECK(parse_number("tokens", tokens, MOST_TOKENS, true, &x));
    a->opts.tokens = (int64_t)x;
  } else if (top_k != NULL) {
    MR_CHECK(parse_number("top-k", top_k, MOST_TOKENS, true, &x));
    a->opts.top_k = (int64_t)x;
  } else if (seed != NULL) {
    MR_CHECK(parse_number("seed", seed, MOST_SEED, true, &x));
    a->opts.seed = (uint64_t)x;
  } else if (temperature != NULL) {
    MR_CHECK(parse_number("temperature", temperature, 1000, false, &a->opts.temperature));
  } else if (arg[0] == '-' && strchr(arg, '=') == NULL) {
    return MR_FAIL(MR_ERR_ARG, "%s does not know the argument \"%s\", see minrnn %s --help",
                   command, arg, command);
  } else if (arg[0] != '-' && a->settings.file != NULL) {
    return MR_FAIL(MR_ERR_ARG, "%s takes one checkpoint, not both %s and %s", command,
                   a->settings.file, arg);
  } else {
    MR_CHECK(mr_cli_setting(&a->settings, command, arg));
  }
  return MR_OK;
}

static mr_status parse(arguments *a, int argc, char **argv)
{
  MR_CHECK(mr_cli_settings_open(&a->settings, argc));
  for (int i = 1; i < argc; i++) MR_CHECK(parse_one(a, argv[0], argv[i]));
  if (!a->help && a->settings.file == NULL)
    return MR_FAIL(MR_ERR_ARG, "sample needs a checkpoint, see minrnn sample --help");
  return MR_OK;
}

/* ---- The command ----------------------------------------------------------------------------- */

/* Shows text at once; *ctx becomes its last byte. */
static mr_status show(void *ctx, const char *bytes, int n)
{
  char *last = ctx;
  errno = 0;
  if (n == 0) return MR_OK;
  if (fwrite(bytes, 1, (size_t)n, stdout) != (size_t)n || fflush(stdout) != 0)
    return MR_FAIL(MR_ERR_IO, "standard output could not be written: %s",
                   errno != 0 ? strerror(errno) : "an earlier write failed");
  *last = bytes[n - 1];
  return MR_OK;
}

int mr_cmd_sample(int argc, char **argv)
{
  arguments a = {.opts = {.prompt = "", .tokens = 500, .temperature = 1, .seed = 1}};
  char last = '\n';
  int code = MR_EXIT_DONE;
  mr_status st = parse(&a, argc, argv);
  if (st == MR_OK && a.help)
    code = help();
  else if (st == MR_OK)
    st = mr_sample(a.settings.file, a.settings.n, a.settings.word, &a.opts, show, &last);
  if (st == MR_OK && last != '\n') st = show(&last, "\n", 1);
  if (st != MR_OK) code = mr_cli_fail(st);
  mr_free(a.settings.word);
  return code;
}
