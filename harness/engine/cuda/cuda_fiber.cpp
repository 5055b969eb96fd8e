/* cuda_fiber.cpp — switching between stacks. SPDX-License-Identifier: MIT */
#include "cuda_fiber.cuh"
#include <sys/mman.h>
#ifdef __SANITIZE_ADDRESS__
#define MR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MR_ASAN 1
#endif
#endif
#ifdef MR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace
{

#ifdef MR_ASAN
constexpr size_t STACK_BYTES = 256 << 10; /* frames are larger */
#else
constexpr size_t STACK_BYTES = 64 << 10;
#endif
constexpr size_t GUARD_BYTES = 4096;

mr_fiber *left_last; /* the fiber that the last switch came from */

#ifdef __x86_64__
/* Saves what a function must preserve, stores the stack pointer and takes another. */
extern "C" void mr_fiber_swap(void **from, void *to);
asm(R"(
.text
.p2align 4
.globl mr_fiber_swap
.hidden mr_fiber_swap
.type mr_fiber_swap, @function
mr_fiber_swap:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size mr_fiber_swap, .-mr_fiber_swap
)");

/* As if entry's caller had just been left: six registers, the place to return to, and no caller. */
void prepare(mr_fiber *f, void (*entry)())
{
  char *end = static_cast<char *>(const_cast<void *>(f->stack)) + f->bytes;
  void **top = reinterpret_cast<void **>(end) - 8;
  for (int i = 0; i < 8; i++) top[i] = nullptr;
  top[6] = reinterpret_cast<void *>(entry);
  f->sp = top;
}

void swap(mr_fiber *from, mr_fiber *to)
{
  mr_fiber_swap(&from->sp, to->sp);
}
#else
void prepare(mr_fiber *f, void (*entry)())
{
  getcontext(&f->context);
  f->context.uc_stack.ss_sp = const_cast<void *>(f->stack);
  f->context.uc_stack.ss_size = f->bytes;
  f->context.uc_link = nullptr;
  makecontext(&f->context, entry, 0);
}

void swap(mr_fiber *from, mr_fiber *to)
{
  swapcontext(&from->context, &to->context);
}
#endif

} // namespace

bool mr_fiber_make(mr_fiber *f, void (*entry)())
{
  void *p = mmap(nullptr, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED || mprotect(p, GUARD_BYTES, PROT_NONE) != 0) return false;
  *f = {};
  f->stack = static_cast<char *>(p) + GUARD_BYTES;
  f->bytes = STACK_BYTES;
  prepare(f, entry);
  return true;
}

void mr_fiber_reset(mr_fiber *f, void (*entry)())
{
#ifdef MR_ASAN
  __asan_unpoison_memory_region(f->stack, f->bytes);
#endif
  f->fake = nullptr;
  prepare(f, entry);
}

void mr_fiber_arrive(mr_fiber *running)
{
#ifdef MR_ASAN
  __sanitizer_finish_switch_fiber(running->fake, &left_last->stack, &left_last->bytes);
#else
  (void)running;
#endif
}

void mr_fiber_switch(mr_fiber **running, mr_fiber *to)
{
  mr_fiber *from = left_last = *running;
  *running = to;
#ifdef MR_ASAN
  __sanitizer_start_switch_fiber(&from->fake, to->stack, to->bytes);
#endif
  swap(from, to);
  mr_fiber_arrive(from);
}
