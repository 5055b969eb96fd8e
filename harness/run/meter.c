/* meter.c — progress of a run on standard error. SPDX-License-Identifier: MIT */
#include "meter.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "machine.h"

#define TERMINAL_NS 100000000   /* between rewritten lines */
#define PLAIN_NS    10000000000 /* between plain lines     */

void mr_meter_begin(mr_meter *m, bool quiet, int64_t step, int64_t total, int64_t tokens_per_step)
{
  memset(m, 0, sizeof *m);
  m->off = quiet;
  m->terminal = isatty(STDERR_FILENO) == 1;
  m->total = total;
  m->tokens_per_step = tokens_per_step;
  m->from_step = step;
  m->from_ns = m->shown_ns = mr_now_ns();
}

/* Writes text; a standard error that fails turns the meter off. */
static void show(mr_meter *m, const char *before, const char *text, const char *after)
{
  if (fprintf(stderr, "%s%s%s", before, text, after) < 0 || fflush(stderr) != 0) m->off = true;
}

/* "1h02m", "3m07s" or "42s". */
static void duration(double seconds, char *buf, size_t n)
{
  int64_t s = seconds > 0 && seconds < 1e9 ? (int64_t)(seconds + 0.5) : 0;
  if (s >= 3600)
    snprintf(buf, n, "%dh%02dm", (int)(s / 3600), (int)(s / 60 % 60));
  else if (s >= 60)
    snprintf(buf, n, "%dm%02ds", (int)(s / 60), (int)(s % 60));
  else
    snprintf(buf, n, "%ds", (int)s);
}

bool mr_meter_due(const mr_meter *m)
{
  return !m->off && mr_now_ns() - m->shown_ns >= (m->terminal ? TERMINAL_NS : PLAIN_NS);
}

void mr_meter_step(mr_meter *m, int64_t step, double loss, double lr)
{
  if (!mr_meter_due(m)) return;
  const int64_t now = m->shown_ns = mr_now_ns();
  double seconds = (double)(now - m->from_ns) * 1e-9;
  double rate = (double)(step - m->from_step) / seconds;
  char left[32], line[192];
  duration((double)(m->total - step) / rate, left, sizeof left);
  snprintf(line, sizeof line,
           "step %lld/%lld  loss %.4g  %.0f tokens/s  %.*f steps/s  lr %.3g  %s left",
           (long long)step, (long long)m->total, loss, rate * (double)m->tokens_per_step,
           rate < 10 ? 2 : 0, rate, lr, left);
  if (m->terminal) {
    show(m, "\r\033[K", line, "");
    m->line_open = true;
  } else {
    show(m, "", line, "\n");
  }
}

void mr_meter_say(mr_meter *m, const char *fmt, ...)
{
  char line[512];
  va_list args;
  if (m->off) return;
  va_start(args, fmt);
  int n = vsnprintf(line, sizeof line, fmt, args);
  va_end(args);
  if (n < 0) return;
  show(m, m->line_open ? "\r\033[K" : "", line, "\n");
  m->line_open = false;
}

void mr_meter_end(mr_meter *m)
{
  if (!m->off && m->line_open) show(m, "", "", "\n");
  m->line_open = false;
}
