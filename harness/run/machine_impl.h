/* machine_impl.h — what machine.c and machine_rates.c share. SPDX-License-Identifier: MIT */
#ifndef MR_MACHINE_IMPL_H
#define MR_MACHINE_IMPL_H
#include <stdint.h>
#include "backend.h"
MR_C_BEGIN
int64_t mr_ram_bytes(void); /* 0: unknown */
/* Bytes of source and target together that the copy rate is measured on: four times the last cache,
 * but at least 64 MiB and at most 512 MiB or a quarter of the memory; 2 GiB on a GPU. */
int64_t mr_rate_block_bytes(const mr_backend *be);
MR_C_END
#endif
