/* cuda_fiber.cuh — stacks that a thread switches between, for the played CUDA device.
 * SPDX-License-Identifier: MIT */
#ifndef MR_CUDA_FIBER_CUH
#define MR_CUDA_FIBER_CUH
#include <cstddef>
#ifndef __x86_64__
#include <ucontext.h>
#endif

struct mr_fiber {
#ifdef __x86_64__
  void *sp;
#else
  ucontext_t context;
#endif
  const void *stack; /* lowest byte; the launcher's own is known once it was left */
  size_t bytes;      /* of the stack                                              */
  void *fake;        /* AddressSanitizer's account of it                          */
};

/* A new stack, above a page that must not be touched, on which `entry` will run when it is switched to
 * for the first time; entry calls mr_fiber_arrive first, and never returns. False without memory. */
bool mr_fiber_make(mr_fiber *f, void (*entry)());
/* The same once more, whatever the fiber was doing. */
void mr_fiber_reset(mr_fiber *f, void (*entry)());

/* Goes on in `to`; returns when somebody switches back. *running is kept up to date. */
void mr_fiber_switch(mr_fiber **running, mr_fiber *to);
void mr_fiber_arrive(mr_fiber *running);
#endif
