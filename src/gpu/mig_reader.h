// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

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

// A GPU instance profile and the NVML index that it was found under.
struct MigProfile {
  unsigned index = 0;
  abi::GpuInstanceProfileInfo info{};
};

// What reading the MIG side of one GPU found out and need not ask again in the same session while
// the GPU's MIG mode stays.
struct MigMemory {
  struct Device {
    MigDevice value;
    abi::DeviceAttributes attributes{};
  };
  std::vector<MigProfile> profiles;
  std::map<std::string, Device> devices;  // by UUID
};

struct MigMode {
  bool capable = false;
  bool enabled = false;

  friend bool operator==(const MigMode&, const MigMode&) = default;
};
Result<MigMode> ReadMigMode(const NvmlApi& api, abi::Device device);

// Reads everything about MIG into `gpu`, whose minor number and total memory are set already, and
// into `memory`. A MIG device that cannot be read goes to gpu.broken_mig_devices; an error means
// that the GPU itself, or the driver, is in trouble. Only on the driver thread.
Status ReadMig(const NvmlApi& api, abi::Device device, const MigMinors& minors, Gpu& gpu,
               MigMemory& memory);

// Reads the MIG devices of `gpu` again, on which MIG is on as it was at the last ReadMig. A device
// is remembered if its UUID and its attributes are: the UUID alone follows from the instance ids,
// which a different instance made in the same place may have too.
Status ReadMigDevices(const NvmlApi& api, abi::Device device, const MigMinors& minors, Gpu& gpu,
                      MigMemory& memory);

}  // namespace aliquot::gpu
