/* status.c — status texts and the per-thread error trail. SPDX-License-Identifier: MIT */
#include "status.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[1024];
static _Thread_local char trail[2048];

const char *mr_status_text(mr_status s)
{
  switch (s) {
#define X(code, text)                                                                              \
  case code:                                                                                       \
    return text;
    MR_STATUS_MAP(X)
#undef X
  case MR_STATUS_COUNT:
    break;
  }
  return "unknown status";
}

/* File names without folders: the trail reads the same wherever the sources were built. */
static const char *base_name(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static void add_place(const char *how, const char *file, int line)
{
  size_t used = strlen(trail);
  (void)snprintf(trail + used, sizeof trail - used, "\n  %s %s:%d", how, base_name(file), line);
}

mr_status mr_fail_at(const char *file, int line, mr_status code, const char *fmt, ...)
{
  /* The arguments may hold the message before, so it must not be written in place. */
  char fresh[sizeof message];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(fresh, sizeof fresh, fmt, args);
  va_end(args);
  if (n < 0 || fresh[0] == '\0') (void)snprintf(fresh, sizeof fresh, "%s", mr_status_text(code));
  memcpy(message, fresh, sizeof message);
  (void)snprintf(trail, sizeof trail, "%s", message);
  add_place("at", file, line);
  return code;
}

void mr_trace_at(const char *file, int line)
{
  add_place("via", file, line);
}

const char *mr_error_message(void)
{
  return message;
}

const char *mr_error_trail(void)
{
  return trail;
}
