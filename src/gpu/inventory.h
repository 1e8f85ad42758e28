// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace aliquot::gpu {

// Hardware engines of a GPU instance, as counted by NVML.
struct EngineCounts {
  unsigned copy = 0;
  unsigned decoder = 0;
  unsigned encoder = 0;
  unsigned jpeg = 0;
  unsigned ofa = 0;

  friend bool operator==(const EngineCounts&, const EngineCounts&) = default;
};

// A compute instance of a GPU instance: what a container gets when MIG is on.
struct MigDevice {
  std::string uuid;     // "MIG-..."
  unsigned index = 0;   // NVML's MIG index under the parent; changes when instances come and go
  unsigned gi_id = 0;   // GPU instance id, stable while the instance lives
  unsigned ci_id = 0;   // compute instance id within the GPU instance
  std::string profile;  // canonical profile name, "1g.5gb", "1c.3g.20gb", "1g.10gb+me"
  unsigned placement_start = 0;  // of the GPU instance, in memory slices
  unsigned placement_size = 0;
  std::uint64_t memory_total_bytes = 0;
  std::uint64_t memory_usable_bytes = 0;  // total less what the driver reserves
  unsigned multiprocessors = 0;
  unsigned gi_slices = 0;
  unsigned ci_slices = 0;
  EngineCounts engines;     // of the GPU instance; shared by its compute instances
  std::string gi_cap_path;  // "/dev/nvidia-caps/nvidia-cap<minor>", empty if not listed
  std::string ci_cap_path;

  friend bool operator==(const MigDevice&, const MigDevice&) = default;
};

// A MIG device that is there but cannot be offered.
struct BrokenMigDevice {
  unsigned index = 0;  // NVML's MIG index under the parent
  std::string uuid;    // empty if NVML could not tell
  std::string reason;  // for people: which call failed with which NVML error

  friend bool operator==(const BrokenMigDevice&, const BrokenMigDevice&) = default;
};

// NVLink fabric membership; only of GPUs attached to one.
struct Fabric {
  std::string cluster_uuid;
  unsigned clique_id = 0;

  friend bool operator==(const Fabric&, const Fabric&) = default;
};

// One physical device.
struct Gpu {
  unsigned index = 0;  // NVML index
  unsigned minor = 0;  // number of the device node /dev/nvidia<minor>; may differ from the index
  std::string uuid;    // "GPU-..."
  std::string name;    // NVML product name, "NVIDIA A100-SXM4-40GB"
  std::string bus_id;  // as sysfs spells it: lower case, 4-digit domain, "0000:1a:00.0"
  std::uint32_t pci_device_id = 0;     // device << 16 | vendor
  std::uint32_t pci_subsystem_id = 0;  // device << 16 | vendor
  int compute_major = 0;
  int compute_minor = 0;
  unsigned multiprocessors = 0;           // 0 if unknown
  std::uint64_t memory_total_bytes = 0;   // nvmlDeviceGetMemoryInfo().total; 0 if unknown
  std::uint64_t memory_usable_bytes = 0;  // total less what the driver reserves; 0 if unknown
  std::optional<int> numa_node;           // absent if the host does not say
  bool mig_capable = false;
  bool mig_enabled = false;
  unsigned max_mig_devices = 0;
  std::vector<std::string> mig_profiles;  // every C = G profile this GPU could have, sorted
  std::vector<MigDevice> mig_devices;     // sorted by (gi_id, ci_id)
  std::vector<BrokenMigDevice> broken_mig_devices;
  std::string device_path;             // "/dev/nvidia<minor>"
  std::vector<std::string> drm_paths;  // "/dev/dri/card1", "/dev/dri/renderD128", sorted
  std::optional<Fabric> fabric;

  friend bool operator==(const Gpu&, const Gpu&) = default;
};

// A GPU that is there but cannot be offered.
struct BrokenGpu {
  unsigned index = 0;  // NVML index
  std::string uuid;    // empty if NVML could not tell
  std::string bus_id;  // empty if NVML could not tell
  std::string reason;  // for people: which call failed with which NVML error

  friend bool operator==(const BrokenGpu&, const BrokenGpu&) = default;
};

// How two GPUs reach each other over PCIe, nearest last, so that higher is better.
// Source: NVML nvmlGpuTopologyLevel_t, in reverse.
enum class P2pLevel { kUnknown, kSystem, kNode, kHostBridge, kMultiple, kSingle, kInternal };

struct Link {
  P2pLevel p2p = P2pLevel::kUnknown;
  unsigned nvlinks = 0;  // direct links; links through a switch count 0

  friend bool operator==(const Link&, const Link&) = default;
};

// Links between every two GPUs of Inventory::gpus. Symmetric; the diagonal is meaningless.
class Topology {
 public:
  Topology() = default;
  explicit Topology(std::size_t gpus) : gpus_(gpus), links_(gpus * gpus) {}

  std::size_t size() const { return gpus_; }
  // Positions in Inventory::gpus, not NVML indices.
  const Link& At(std::size_t a, std::size_t b) const { return links_[a * gpus_ + b]; }
  void Set(std::size_t a, std::size_t b, Link link) {
    links_[a * gpus_ + b] = link;
    links_[b * gpus_ + a] = link;
  }

  friend bool operator==(const Topology&, const Topology&) = default;

 private:
  std::size_t gpus_ = 0;
  std::vector<Link> links_;
};

// What one look at the node found. A plain value: no handles, safe to copy between threads.
struct Inventory {
  std::string driver_version;  // "580.159.04"
  std::string nvml_version;
  int cuda_version = 0;        // 1000 * major + 10 * minor; 0 if unknown
  std::string simulated_node;  // name of the simulated node; empty on real hardware
  std::vector<Gpu> gpus;       // sorted by NVML index
  std::vector<BrokenGpu> broken;
  Topology topology;  // same order as gpus

  bool simulated() const { return !simulated_node.empty(); }

  friend bool operator==(const Inventory&, const Inventory&) = default;
};

}  // namespace aliquot::gpu
