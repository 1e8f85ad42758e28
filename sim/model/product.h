// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace aliquot::sim {

// Hardware engines as NVML counts them.
struct Engines {
  unsigned copy = 0;
  unsigned decoder = 0;
  unsigned encoder = 0;
  unsigned jpeg = 0;
  unsigned ofa = 0;

  friend bool operator==(const Engines&, const Engines&) = default;
};

// One row of a product's table of GPU instance profiles.
struct MigProfile {
  std::string name;        // by the naming rule, "1g.5gb+me"
  unsigned index = 0;      // NVML_GPU_INSTANCE_PROFILE_*: the number profile info is asked by
  unsigned id = 0;         // the number instances are created by
  unsigned slices = 0;     // compute slices, the G of the name
  unsigned instances = 0;  // most on one GPU
  std::uint64_t memory_mib = 0;
  unsigned multiprocessors = 0;
  Engines engines;
  unsigned size = 0;             // of a placement, in units of the memory grid
  std::vector<unsigned> starts;  // legal starts in the order the driver tries them
  bool media_exclusive = false;  // "+me.all": alone among users of media engines
  bool media_none = false;       // "-me": no media engines
  bool graphics = false;         // "+gfx"
};

// How a change of the MIG mode takes effect.
enum class MigModeChange {
  kReset,      // Ampere: the driver resets the GPU; the mode outlives reboots
  kImmediate,  // Hopper and later: at once; the mode is gone with the driver
};

struct MigTraits {
  unsigned slices = 0;                // compute slices of the whole GPU, also the most MIG devices
  unsigned grid = 0;                  // memory units of the whole GPU
  unsigned unit_multiprocessors = 0;  // of a compute instance, per compute slice, unless it is full
  MigModeChange mode_change = MigModeChange::kImmediate;
  std::vector<MigProfile> profiles;
};

// A compute instance profile within one GPU instance profile.
struct ComputeProfile {
  std::string name;    // "1c.3g.20gb", or the GPU instance's own name if it takes all of it
  unsigned index = 0;  // NVML_COMPUTE_INSTANCE_PROFILE_*, and also the id
  unsigned slices = 0;
  unsigned instances = 0;
  unsigned multiprocessors = 0;
  std::vector<unsigned> starts;  // ascending, in compute slices
};

enum class NvLinkKind {
  kNone,
  kDirect,  // bridges between boards; only what the node file says is connected
  kSwitch,  // every link goes to an NVSwitch
};

// A GPU model. Values carry NVML's units and meaning; sources are in the product's file.
struct Product {
  std::string key;            // how node files call it, "A100-SXM4-40GB"
  std::string name;           // nvmlDeviceGetName
  unsigned architecture = 0;  // NVML_DEVICE_ARCH_*
  unsigned brand = 0;         // NVML_BRAND_*
  unsigned compute_major = 0;
  unsigned compute_minor = 0;
  unsigned multiprocessors = 0;
  unsigned cores = 0;                  // CUDA cores
  std::uint32_t pci_device_id = 0;     // device << 16 | vendor
  std::uint32_t pci_subsystem_id = 0;  // device << 16 | vendor
  std::uint32_t pci_class = 0;         // 0x030200 3D controller, 0x030000 VGA controller
  unsigned pcie_generation = 0;
  unsigned pcie_width = 0;
  bool paired = false;  // on its usual board, two GPUs sit behind one PCIe switch
  std::uint64_t memory_total_mib = 0;
  std::uint64_t memory_reserved_kib = 0;  // part of the total that nobody can allocate
  std::uint64_t bar1_mib = 0;
  unsigned memory_bus_width = 0;  // bits
  unsigned power_limit_watts = 0;
  unsigned power_min_watts = 0;
  unsigned power_idle_watts = 0;
  unsigned graphics_clock_mhz = 0;  // greatest
  unsigned memory_clock_mhz = 0;    // greatest
  unsigned video_clock_mhz = 0;     // greatest
  bool ecc = false;                 // has ECC and has it on
  NvLinkKind nvlink = NvLinkKind::kNone;
  unsigned nvlink_count = 0;
  unsigned nvlink_version = 0;
  std::string vbios;
  std::string part_number;
  std::optional<MigTraits> mig;

  std::uint64_t memory_total_bytes() const { return memory_total_mib << 20; }
  std::uint64_t memory_reserved_bytes() const { return memory_reserved_kib << 10; }
  // Stacked memory has a bus this wide; such GPUs rest in P0, others in P8.
  bool has_hbm() const { return memory_bus_width > 1024; }
  // The profile with that NVML index, id or name; null if there is none.
  const MigProfile* ProfileByIndex(unsigned index) const;
  const MigProfile* ProfileById(unsigned id) const;
  const MigProfile* ProfileByName(std::string_view name) const;
};

// Name of a MIG device by NVIDIA's rule: `memory_mib` of `total_bytes` as eighths, rounded up, of
// the total in whole GiB. `suffix` is "", "+me", "+gfx", ... Source: go-nvlib, MIG profile names.
std::string MigProfileName(unsigned compute_slices, unsigned gpu_slices, std::uint64_t memory_mib,
                           std::uint64_t total_bytes, std::string_view suffix);

// Every compute instance profile of a GPU instance of `profile`, by ascending index.
std::vector<ComputeProfile> ComputeProfiles(const Product& product, const MigProfile& profile);

// Reads a product file. All problems are in the error's message, one per line, each with `file`,
// line and column.
Result<Product> ParseProduct(std::string_view file, const std::string& text);

}  // namespace aliquot::sim
