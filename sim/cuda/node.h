// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "sim/cuda/seats.h"
#include "sim/model/node.h"
#include "sim/state/seen_pids.h"
#include "sim/state/shared_state.h"

namespace aliquot::sim::cuda {

// A device as a CUDA program sees it: a GPU, or one compute instance of a MIG GPU.
struct DeviceInfo {
  const GpuSpec* gpu = nullptr;
  EngineKey engine;
  std::string uuid_text;  // "GPU-..." or "MIG-..."
  Uuid uuid{};
  std::string name;
  unsigned multiprocessors = 0;
};

// What of the environment the driver looks at, read once in cuInit.
struct Environment {
  std::string node;                           // ALIQUOT_SIM_NODE
  std::string state_directory;                // ALIQUOT_SIM_STATE; empty: private
  std::optional<std::string> cuda_visible;    // CUDA_VISIBLE_DEVICES
  std::optional<std::string> nvidia_visible;  // NVIDIA_VISIBLE_DEVICES
  std::string dev = "/dev";                   // where device nodes are
  std::uint64_t time_scale_ppm = 1'000'000;   // ALIQUOT_SIM_TIME_SCALE
  DeviceTime kernel_time = 10'000;            // ALIQUOT_SIM_KERNEL_TIME_US

  static Result<Environment> Read();
};

// The simulated node of this process: its devices, and the process's share of its changing state.
// Thread-safe.
class Node {
 public:
  static Result<std::unique_ptr<Node>> Open(const Environment& environment);

  const NodeSpec& spec() const { return spec_; }
  SeatTable& seats() { return *seats_; }
  // In CUDA's order, after CUDA_VISIBLE_DEVICES.
  const std::vector<DeviceInfo>& devices() const { return devices_; }

  // What one device has for allocations, and what of it is free. Memory of dead processes is free.
  struct Memory {
    std::uint64_t total = 0;
    std::uint64_t free = 0;
  };
  Memory MemoryOf(const DeviceInfo& device);
  // Takes `bytes` of the device's memory for this process; false if so much is not free.
  bool Charge(const DeviceInfo& device, std::uint64_t bytes);
  void Uncharge(const DeviceInfo& device, std::uint64_t bytes);

  // The process kept the device's SMs busy for so long, of late. Told to NVML now and then.
  void AddBusy(const DeviceInfo& device, DeviceTime amount);

  // Counts a context of this process on the device; NVML lists the process from then on.
  // kResourceExhausted if the node's process table is full.
  Result<SeatOwner> Enter(const DeviceInfo& device);
  // The process leaves the list with its last context and its last byte.
  void Leave(const DeviceInfo& device);
  // The number by which `pids` knows the owner of a seat; 0 if it cannot be seen, or is gone.
  std::uint32_t PidOf(const SeatOwner& owner, SeenPids& pids);
  // In a child of fork: lets go of what would keep this process's entries alive after it ended.
  void AbandonInChild() { state_.reset(); }

 private:
  struct Use {
    EngineKey engine;
    unsigned slot = 0;
    std::uint64_t serial = 0;
    unsigned contexts = 0;
    DeviceTime busy = 0;  // since then:
    DeviceTime busy_since = 0;
  };
  Node(NodeSpec spec, std::unique_ptr<SharedState> state);
  void ChooseDevices(const Environment& environment);
  // The rest needs mutex_. EnsureUse is null if the node's process table is full.
  Use* FindUse(const DeviceInfo& device);
  Use* EnsureUse(const DeviceInfo& device);
  void DropIfUnused(Use* use);
  // Forgets processes that ended without saying so.
  void DropDead(NodeState& state);

  NodeSpec spec_;
  std::unique_ptr<SharedState> state_;
  std::unique_ptr<SeatTable> seats_;
  std::vector<DeviceInfo> devices_;
  std::mutex mutex_;  // guards uses_
  std::vector<Use> uses_;
};

}  // namespace aliquot::sim::cuda
