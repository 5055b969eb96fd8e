/* cmd_info.c — `minrnn info`: this machine, its libraries and its measured rates.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "json.h"
#include "machine.h"

enum { MOST_THREADS = 4096 };

static int help(void)
{
  printf(
      "minrnn info tells what this machine and this program are, and measures for about a second\n"
      "how fast memory is copied and matrices are multiplied.\n\n"
      "Usage: minrnn info [--threads=N] [--device=cpu|cuda] [--json]\n\n"
      "  --threads=0   CPU threads to measure with, 0 to %d; 0: all cores\n"
      "  --device=cpu  what to measure\n"
      "  --json        one JSON object\n",
      MOST_THREADS);
  return MR_EXIT_DONE;
}

typedef struct request {
  int threads;
  mr_device device;
  bool json;
} request;

static mr_status parse_threads(const char *text, int *threads)
{
  char *end;
  errno = 0;
  long n = strtol(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0 || n < 0 || n > MOST_THREADS)
    return MR_FAIL(MR_ERR_ARG, "threads is %s, allowed are whole numbers from 0 to %d", text,
                   MOST_THREADS);
  *threads = (int)n;
  return MR_OK;
}

static mr_status parse_device(const char *text, mr_device *device)
{
  if (strcmp(text, "cpu") == 0)
    *device = MR_CPU;
  else if (strcmp(text, "cuda") == 0)
    *device = MR_CUDA;
  else
    return MR_FAIL(MR_ERR_ARG, "device is %s, allowed are cpu and cuda", text);
  return MR_OK;
}

/* ---- Telling --------------------------------------------------------------------------------- */

static mr_status print_fact(void *ctx, const char *name, const char *value)
{
  (void)ctx;
  printf("%-18s %s\n", name, value);
  return MR_OK;
}

/* Counts and sizes are numbers in JSON, all else is text. */
static mr_status json_fact(void *ctx, const char *name, const char *value)
{
  char *end;
  long long whole = strtoll(value, &end, 10);
  bool counts = strcmp(name, "cores") == 0 || strcmp(name, "threads") == 0 ||
                strcmp(name, "sm_count") == 0 || strstr(name, "_bytes");
  if (counts && strcmp(value, "none") == 0)
    mr_json_field_str(ctx, name, NULL);
  else if (counts && end != value && *end == '\0')
    mr_json_field_int(ctx, name, whole);
  else
    mr_json_field_str(ctx, name, value);
  return MR_OK;
}

static mr_status tell(const request *r)
{
  mr_status st = MR_OK;
  mr_backend *be = NULL;
  double copy = 0, gemm = 0;
  mr_json j;
  MR_TRY(mr_backend_open(&be, r->device, r->threads));
  MR_TRY(mr_machine_rates(be, &copy, &gemm));
  if (r->json) {
    mr_json_begin(&j, stdout);
    MR_TRY(mr_machine_each(be, json_fact, &j));
    mr_json_field_str(&j, "device", be->api->name);
    mr_json_field_num(&j, "copy_bytes_per_s", copy);
    mr_json_field_num(&j, "gemm_flop_per_s", gemm);
    mr_json_end(&j);
  } else {
    MR_TRY(mr_machine_each(be, print_fact, NULL));
    printf("%-18s %s\n%-18s %.1f GB/s (read and written)\n%-18s %.1f Gflop/s (%s)\n", "device",
           be->api->name, "copy", copy * 1e-9, "gemm", gemm * 1e-9,
           sizeof(mr_real) == sizeof(double) ? "f64" : "f32");
  }
out:
  mr_backend_close(be);
  return st;
}

int mr_cmd_info(int argc, char **argv)
{
  request r = {.threads = 0, .device = MR_CPU};
  for (int i = 1; i < argc; i++) {
    mr_status st = MR_OK;
    const char *threads = mr_cli_value(argv[i], "threads");
    const char *device = mr_cli_value(argv[i], "device");
    if (mr_cli_flag(argv[i], "help")) return help();
    if (mr_cli_flag(argv[i], "json"))
      r.json = true;
    else if (threads)
      st = parse_threads(threads, &r.threads);
    else if (device)
      st = parse_device(device, &r.device);
    else
      return mr_cli_unknown(argv[0], argv[i]);
    if (st != MR_OK) return mr_cli_fail(st);
  }
  mr_status st = tell(&r);
  return st == MR_OK ? MR_EXIT_DONE : mr_cli_fail(st);
}
