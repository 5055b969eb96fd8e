/* device.h — the device that a config asks for. SPDX-License-Identifier: MIT */
#ifndef MR_DEVICE_H
#define MR_DEVICE_H
#include "backend.h"
#include "config.h"
MR_C_BEGIN
/* Opens it with the config's threads and math; as mr_backend_open. */
MR_MUST mr_status mr_device_open(mr_backend **out, const mr_config *c);
MR_C_END
#endif
