/* device.c — opens the device that a config asks for. SPDX-License-Identifier: MIT */
#include "device.h"
#include <string.h>

static mr_math math_of(const char *word)
{
  if (strcmp(word, "tf32") == 0) return MR_MATH_TF32;
  return strcmp(word, "bf16") == 0 ? MR_MATH_BF16 : MR_MATH_F32;
}

mr_status mr_device_open(mr_backend **out, const mr_config *c)
{
  mr_status st = MR_OK;
  mr_backend *be = NULL;
  const mr_device device = strcmp(c->device, "cuda") == 0 ? MR_CUDA : MR_CPU;
  MR_TRY(mr_backend_open(&be, device, (int)c->threads));
  MR_TRY(mr_backend_set_math(be, math_of(c->math)));
  *out = be;
  be = NULL;
out:
  mr_backend_close(be);
  return st;
}
