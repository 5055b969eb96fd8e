/* cudart.h — what a test tells the stand-in for CUDA's run time to do, and asks it.
 * SPDX-License-Identifier: MIT */
#ifndef FAKE_CUDART_H
#define FAKE_CUDART_H
#include <stdbool.h>
#include <stddef.h>

/* What is wrong with the machine. */
extern struct fake_cudart {
  bool no_driver, no_device, no_kernels, no_graphs, no_graph_memory;
  size_t memory; /* bytes of the device */
} fake_cudart;

/* Blocks of memory, streams, events and graphs that were made and not destroyed. */
int fake_cudart_alive(void);
/* Pieces of work that are queued and not done yet. */
int fake_cudart_pending(void);
#endif
