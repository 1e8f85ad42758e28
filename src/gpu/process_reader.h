// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "gpu/inventory.h"
#include "gpu/nvml_api.h"

namespace aliquot::gpu {

// A process that uses a device, as the driver sees it.
struct GpuProcess {
  std::uint32_t pid = 0;                      // in the PID namespace of this process
  std::string device_uuid;                    // of the GPU, or of the MIG device it is on
  std::optional<std::uint64_t> memory_bytes;  // absent if the driver cannot tell

  friend bool operator==(const GpuProcess&, const GpuProcess&) = default;
};

struct DeviceMemory {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;

  friend bool operator==(const DeviceMemory&, const DeviceMemory&) = default;
};

// Who uses the node's GPUs. A plain value.
struct ProcessSnapshot {
  Clock::TimePoint taken_at;          // before the driver was asked
  std::vector<GpuProcess> processes;  // sorted by device UUID, PID; one entry for both
  // UUIDs of GPUs that could not be asked: nothing is known of them, or of MIG devices on them.
  std::vector<std::string> unread_gpus;
  // By UUID, of GPUs and MIG devices; those that did not tell are missing.
  std::map<std::string, DeviceMemory> memory;
  // By UUID of the GPU and PID: in how many percent of the time since the former look kernels of
  // the process were on the GPU; who is missing did nothing. The driver samples now and then, so
  // short work may be missed. GPUs that cannot tell (with MIG on, old drivers) and the first look
  // are missing.
  std::map<std::string, std::map<std::uint32_t, unsigned>> busy_percent = {};
};

// Up to where the driver's samples were read, microseconds since 1970 by GPU UUID.
using SampleMarks = std::map<std::string, unsigned long long>;

// Asks for the compute, graphics and MPS clients of every GPU of `inventory`, and with `marks`, to
// be kept between looks, how busy they keep it. Only on the driver thread. Fails only if the driver
// is gone.
Result<ProcessSnapshot> ReadProcesses(const NvmlApi& api, const Inventory& inventory,
                                      Clock::TimePoint now, SampleMarks* marks = nullptr);

}  // namespace aliquot::gpu
