// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/cuda_abi.h"

// CUDA's devices and contexts as places in the grant. Calls of the driver that ask without effect;
// any thread.
namespace aliquot::interposer {

// The place of a device in the grant, or -1 if the grant does not govern it.
int GpuOf(CUdevice device);
// Of the current context's device, or -1.
int CurrentGpu();
// Where work goes that is submitted now: as CurrentGpu, but where there is one device the driver is
// not asked, since each launch asks this.
int GpuOfWork();
CUdevice CurrentDevice();  // -1 without a context
// The current context as an owner of blocks; 0 without one.
uint64_t CurrentContext();

}  // namespace aliquot::interposer
