// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/status.h"
#include "gpu/driver_source.h"
#include "gpu/host_files.h"
#include "gpu/inventory.h"
#include "gpu/nvml_api.h"
#include "gpu/topology_reader.h"

namespace aliquot::gpu {

// Turns what NVML and the host say into an Inventory. One broken GPU is listed as such and the
// others are served; a driver that cannot be asked at all is an error, never an empty list. Only on
// the driver thread.
class InventoryReader {
 public:
  explicit InventoryReader(HostFiles files) : files_(std::move(files)) {}

  // `generation` is the session's, from 1; the topology is read again when it changes.
  // `simulated_node` is the driver's: the machine's own /sys and /proc then say nothing about its
  // GPUs and are not read.
  Result<Inventory> Read(const NvmlApi& api, std::uint64_t generation,
                         const std::string& simulated_node);

 private:
  // The driver's list does not change while it is loaded, so it is read once per session.
  const MigMinors& Minors(bool simulated, std::uint64_t generation);

  HostFiles files_;
  TopologyReader topology_;
  MigMinors minors_;
  std::uint64_t minors_generation_ = 0;  // 0: not read yet
};

// Loads NVML, reads the inventory once and closes everything again. Blocks, for a second or more
// where the driver has to wake its GPUs first. For the command line; the agent uses GpuMonitor.
Result<Inventory> ReadInventoryOnce(DriverSource& source, HostFiles files);

}  // namespace aliquot::gpu
