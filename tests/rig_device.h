/* rig_device.h — kernels of a device with memory of its own, called on host buffers.
 * SPDX-License-Identifier: MIT */
#ifndef MR_RIG_DEVICE_H
#define MR_RIG_DEVICE_H
#include "op.h"

/* Where arrays of reals start on the device: so many reals behind an aligned address. */
extern int rig_device_skew;

/* fn on copies of all that k points at, work of work_bytes included; what the kernel left there is
 * copied back. Host buffers that are one, or the same as another's, are so on the device too. */
MR_MUST mr_status rig_device_call(mr_backend *be, mr_kernel fn, const mr_call *k, int n_save,
                                  size_t work_bytes);
#endif
