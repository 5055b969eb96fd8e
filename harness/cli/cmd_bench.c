/* cmd_bench.c — `minrnn bench`: times of one or several models side by side.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"
#include "cli.h"
#include "json.h"
#include "mem.h"

enum { MOST_MODELS = 16, MOST_SAMPLES = 1000000 };

static int help(void)
{
  const mr_owner *owner;
  int n = mr_option_owners(&owner);
  printf(
      "minrnn bench times models: their mixers alone, the matrix products in them alone, and "
      "whole\n"
      "training steps. A model must pass a correctness gate first. Times are medians.\n\n"
      "Usage: minrnn bench [EXPERIMENT.cfg] [--model=NAME[,NAME ...]] [--key=value ...]\n"
      "                    [--samples=N] [--seconds=S] [--json] [--force]\n\n"
      "  --model=A,B    several models take turns, round by round\n"
      "  --samples=N    timed rounds, 1 to 1000000; default: at least 5, until the noise is below\n"
      "                 1 %% or the time is spent\n"
      "  --seconds=S    that time per model, 0 to 86400; default 10\n"
      "  --json         one JSON object per model\n"
      "  --out=F.h5     keep every sample (with several models in F-<model>.h5)\n"
      "  --force        replace existing files\n\n"
      "--length counts the steps of the mixer; the whole step has what the task adds to it.\n"
      "Keys, in an experiment file as `key = value`:\n");
  mr_config_help(stdout, owner, n, 0);
  return MR_EXIT_DONE;
}

/* ---- Arguments ------------------------------------------------------------------------------ */

typedef struct arguments {
  mr_cli_settings settings;
  const char *models; /* NULL: the config's */
  mr_bench_opts opts;
  bool json, help;
} arguments;

static mr_status parse_number(const char *name, const char *text, double low, double high,
                              double *out)
{
  char *end;
  errno = 0;
  double x = strtod(text, &end);
  if (end == text || *end != '\0' || errno != 0 || !(x >= low && x <= high))
    return MR_FAIL(MR_ERR_CONFIG, "%s is \"%s\"; allowed: %g to %g", name, text, low, high);
  *out = x;
  return MR_OK;
}

static mr_status parse_samples(const char *text, int64_t *out)
{
  double x;
  MR_CHECK(parse_number("samples", text, 1, MOST_SAMPLES, &x));
  if (x != floor(x)) return MR_FAIL(MR_ERR_CONFIG, "samples is %s; allowed: whole numbers", text);
  *out = (int64_t)x;
  return MR_OK;
}

static mr_status parse(arguments *a, int argc, char **argv)
{
  MR_CHECK(mr_cli_settings_open(&a->settings, argc));
  for (int i = 1; i < argc; i++) {
    if (mr_cli_flag(argv[i], "help"))
      a->help = true;
    else if (mr_cli_flag(argv[i], "json"))
      a->json = true;
    else if (mr_cli_flag(argv[i], "force"))
      a->opts.force = true;
    else if (mr_cli_value(argv[i], "samples") != NULL)
      MR_CHECK(parse_samples(mr_cli_value(argv[i], "samples"), &a->opts.samples));
    else if (mr_cli_value(argv[i], "seconds") != NULL)
      MR_CHECK(
          parse_number("seconds", mr_cli_value(argv[i], "seconds"), 0, 86400, &a->opts.seconds));
    else if (mr_cli_value(argv[i], "model") != NULL)
      a->models = mr_cli_value(argv[i], "model");
    else
      MR_CHECK(mr_cli_setting(&a->settings, argv[0], argv[i]));
  }
  return MR_OK;
}

/* ---- Configs: one per model ----------------------------------------------------------------- */

typedef struct configs {
  mr_config c[MOST_MODELS];
  int n;
} configs;

static void free_configs(configs *k)
{
  for (int i = 0; i < k->n; i++) mr_config_free(&k->c[i]);
}

/* One more config, with `--model=` of the first n bytes of name as its last word. */
static mr_status add_config(configs *k, const mr_cli_settings *s, const char *name, int n)
{
  char word[128];
  if (k->n == MOST_MODELS)
    return MR_FAIL(MR_ERR_CONFIG, "model names more than %d models", MOST_MODELS);
  if (snprintf(word, sizeof word, "--model=%.*s", n, name) >= (int)sizeof word)
    return MR_FAIL(MR_ERR_CONFIG, "there is no model %s, see minrnn list", name);
  s->word[s->n] = word; /* the word of the command's own name leaves room */
  MR_CHECK(mr_run_config(&k->c[k->n], s->file, s->n + 1, s->word));
  k->n++;
  return MR_OK;
}

static mr_status load_configs(configs *k, const arguments *a)
{
  const char *at = a->models;
  if (at == NULL) {
    MR_CHECK(mr_run_config(&k->c[0], a->settings.file, a->settings.n, a->settings.word));
    k->n = 1;
    return MR_OK;
  }
  for (;;) {
    size_t n = strcspn(at, ",");
    MR_CHECK(add_config(k, &a->settings, at, n < 1000 ? (int)n : 1000));
    if (at[n] == '\0') return MR_OK;
    at += n + 1;
  }
}

/* ---- Output --------------------------------------------------------------------------------- */

static void json_spread(mr_json *j, const char *key, const mr_bench_stat *s)
{
  mr_json_object_open(j, key);
  mr_json_field_num(j, "p10", s->p10 / 1e6);
  mr_json_field_num(j, "p90", s->p90 / 1e6);
  mr_json_field_num(j, "min", s->min / 1e6);
  mr_json_object_close(j);
}

static void print_json(const mr_bench_row *r)
{
  const mr_config *c = r->config;
  const mr_bench_stat *t = r->time;
  mr_json j;
  mr_json_begin(&j, stdout);
  mr_json_field_str(&j, "model", c->model);
  mr_json_field_int(&j, "batch", c->batch);
  mr_json_field_int(&j, "length", r->length);
  mr_json_field_int(&j, "width", c->width);
  mr_json_field_int(&j, "layers", c->layers);
  mr_json_field_str(&j, "device", c->device);
  mr_json_field_str(&j, "math", c->math);
  mr_json_field_num(&j, "mixer_fwd_ms", t[MR_BENCH_FWD].median / 1e6);
  mr_json_field_num(&j, "mixer_bwd_ms", t[MR_BENCH_BWD].median / 1e6);
  mr_json_field_num(&j, "mixer_gemm_ms", t[MR_BENCH_GEMM].median / 1e6);
  mr_json_field_num(&j, "step_ms", t[MR_BENCH_STEP].median / 1e6);
  mr_json_field_int(&j, "planned_bytes", r->planned_bytes);
  mr_json_field_int(&j, "device_bytes", r->device_bytes);
  mr_json_field_int(&j, "samples", r->samples);
  mr_json_field_int(&j, "threads", r->threads);
  mr_json_field_num(&j, "gemm_ratio", r->gemm_ratio);
  mr_json_field_num(&j, "gemm_flops", r->gemm_flops);
  json_spread(&j, "mixer_fwd_spread_ms", &t[MR_BENCH_FWD]);
  json_spread(&j, "mixer_bwd_spread_ms", &t[MR_BENCH_BWD]);
  json_spread(&j, "mixer_gemm_spread_ms", &t[MR_BENCH_GEMM]);
  json_spread(&j, "step_spread_ms", &t[MR_BENCH_STEP]);
  mr_json_end(&j);
}

static void print_text(const mr_bench_row *row, int n)
{
  const mr_config *c = row[0].config;
  printf("batch %lld  length %lld  width %lld  layers %lld  %s  %s  threads %d\n\n",
         (long long)c->batch, (long long)row[0].length, (long long)c->width, (long long)c->layers,
         c->device, c->math, row[0].threads);
  printf("%-18s %12s %12s %12s %12s %8s %12s %12s %8s\n", "model", "mixer fwd ms", "mixer bwd ms",
         "products ms", "step ms", "ratio", "planned MB", "device MB", "samples");
  for (int i = 0; i < n; i++) {
    const mr_bench_row *r = &row[i];
    const mr_bench_stat *t = r->time;
    printf("%-18s %12.3f %12.3f %12.3f %12.3f %8.3f %12.1f %12.1f %8lld\n", r->config->model,
           t[MR_BENCH_FWD].median / 1e6, t[MR_BENCH_BWD].median / 1e6,
           t[MR_BENCH_GEMM].median / 1e6, t[MR_BENCH_STEP].median / 1e6, r->gemm_ratio,
           (double)r->planned_bytes / 1e6, (double)r->device_bytes / 1e6, (long long)r->samples);
  }
  printf("\nratio: (mixer fwd + mixer bwd) / products\n");
}

/* ---- The command ---------------------------------------------------------------------------- */

static int bench(const arguments *a)
{
  mr_bench_row row[MOST_MODELS];
  configs k = {.n = 0};
  mr_status st = load_configs(&k, a);
  int code = MR_EXIT_DONE;
  if (st != MR_OK) {
    code = mr_cli_wrong_use(st);
  } else if ((st = mr_bench(k.c, k.n, &a->opts, row)) != MR_OK) {
    code = mr_cli_fail(st);
  } else if (a->json) {
    for (int i = 0; i < k.n; i++) print_json(&row[i]);
  } else {
    print_text(row, k.n);
  }
  free_configs(&k);
  return code;
}

int mr_cmd_bench(int argc, char **argv)
{
  arguments a = {.opts = {.seconds = 10}};
  char *line = NULL;
  int code;
  mr_status st = parse(&a, argc, argv);
  if (st == MR_OK) st = mr_cli_line(&line, argc, argv);
  a.opts.command = line;
  if (st != MR_OK)
    code = mr_cli_fail(st);
  else
    code = a.help ? help() : bench(&a);
  mr_free(line);
  mr_free(a.settings.word);
  return code;
}
