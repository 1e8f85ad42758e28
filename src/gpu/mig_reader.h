// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/status.h"
#include "gpu/host_files.h"
#include "gpu/inventory.h"
#include "gpu/nvml_api.h"

namespace aliquot::gpu {

// Memory of a GPU or MIG device; both 0 if the driver does not say.
struct MemorySize {
  std::uint64_t total_bytes = 0;
  std::uint64_t usable_bytes = 0;  // total less what the driver reserves, where it tells
};
Result<MemorySize> ReadMemory(const NvmlApi& api, abi::Device device);

// Reads everything about MIG into `gpu`, whose minor number and total memory are set already. A MIG
// device that cannot be read goes to gpu.broken_mig_devices; an error means that the GPU itself, or
// the driver, is in trouble. Only on the driver thread.
Status ReadMig(const NvmlApi& api, abi::Device device, const MigMinors& minors, Gpu& gpu);

}  // namespace aliquot::gpu
