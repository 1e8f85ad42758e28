// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/status.h"
#include "gpu/driver_source.h"
#include "gpu/host_files.h"
#include "gpu/inventory.h"
#include "gpu/mig_reader.h"
#include "gpu/nvml_api.h"
#include "gpu/topology_reader.h"

namespace aliquot::gpu {

// Turns what NVML and the host say into an Inventory. One broken GPU is listed as such and the
// others are served; a driver that cannot be asked at all is an error, never an empty list. Only on
// the driver thread.
class InventoryReader {
 public:
  // A full look asks everything again and costs 5 to 10 ms of CPU time per GPU, nearly all of it in
  // calls that the GPU's firmware answers (each MIG profile 0.5 to 1 ms on an H200).
  //
  // A quick look takes over what it knows of a GPU when four answers say that this is the same GPU
  // in the same state and reachable: the handle of the index, the UUID, the total memory and the
  // MIG mode. The first two come from NVML's own tables; memory is asked of the driver (0.1 ms) and
  // MIG mode of the GPU's firmware (0.5 ms), so a GPU that fell off the bus cannot answer both.
  // Temperature is no such question: the library answers it from a cache, or takes 2 ms. MIG
  // devices are enumerated while MIG is on. A GPU with another answer, or that failed the last
  // look, is read in full.
  //
  // What a quick look cannot notice: a new name, reserved memory, NUMA node, device nodes, or
  // fabric (unless it was being set up).
  enum class Look { kFull, kQuick };

  explicit InventoryReader(HostFiles files) : files_(std::move(files)) {}

  // `generation` is the session's, from 1; when it changes, everything is read again, topology
  // included. `simulated_node` is the driver's: the machine's own /sys and /proc then say nothing
  // about its GPUs and are not read.
  Result<Inventory> Read(const NvmlApi& api, std::uint64_t generation,
                         const std::string& simulated_node, Look look = Look::kFull);

 private:
  // A GPU that answered everything.
  struct Known {
    Gpu gpu;
    MigMemory mig;
    bool is_display = false;  // and therefore no GPU for us; only the index and name are known
    bool is_settled = true;   // false: about to change; a quick look does not do
  };
  struct Surroundings;
  // Version strings; no GPUs.
  Result<Inventory> ReadSystem(const NvmlApi& api, const std::string& simulated_node);
  // The driver's list does not change while it is loaded, so it is read once per session.
  void ReadMinors(bool simulated);
  // Fills `gpu` as far as the answers go, so that a failure can still be named by UUID.
  static Status ReadOne(const Surroundings& around, const Known* before, abi::Device device,
                        Known& now);

  HostFiles files_;
  TopologyReader topology_;
  // The rest is of this session.
  std::uint64_t generation_ = 0;
  std::optional<Inventory> system_;
  MigMinors minors_;
  bool minors_listed_ = false;
  std::map<unsigned, Known> known_;  // by NVML index
};

// Loads NVML, reads the inventory once and closes everything again. Blocks, for a second or more
// where the driver has to wake its GPUs first. For the command line; the agent uses GpuMonitor.
Result<Inventory> ReadInventoryOnce(DriverSource& source, HostFiles files);

}  // namespace aliquot::gpu
