// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gpu/inventory.h"
#include "mig/profile.h"

namespace aliquot::mig {

// Where an instance lies: memory slices of the GPU for a GPU instance, compute slices of its GPU
// instance for a compute instance.
struct Placement {
  unsigned start = 0;
  unsigned size = 0;

  unsigned end() const { return start + size; }
  friend auto operator<=>(const Placement&, const Placement&) = default;
};

// One kind of compute instance that a GPU instance can be given.
struct ComputeProfile {
  unsigned index = 0;   // NVML_COMPUTE_INSTANCE_PROFILE_*
  unsigned id = 0;      // what NVML calls take
  unsigned slices = 0;  // C
  unsigned max_instances = 0;
  unsigned multiprocessors = 0;
  std::vector<Placement> placements;  // legal ones, ascending

  friend bool operator==(const ComputeProfile&, const ComputeProfile&) = default;
};

// One kind of GPU instance that a GPU offers.
struct InstanceProfile {
  unsigned index = 0;   // NVML_GPU_INSTANCE_PROFILE_*; names the profile everywhere in mig/
  unsigned id = 0;      // what NVML calls take
  ProfileName name;     // C = G
  unsigned slices = 0;  // G
  unsigned max_instances = 0;
  std::uint64_t memory_mib = 0;
  unsigned multiprocessors = 0;
  gpu::EngineCounts engines;
  std::vector<Placement> placements;    // legal ones, ascending
  std::vector<ComputeProfile> compute;  // ascending by index

  friend bool operator==(const InstanceProfile&, const InstanceProfile&) = default;
};

// Who uses an instance or GPU: a process, a pod, or a process of a known pod.
struct Holder {
  std::optional<unsigned> pid;
  std::string process;  // executable name, empty if unknown
  std::string pod;      // "namespace/name", empty if unknown

  friend bool operator==(const Holder&, const Holder&) = default;
};

struct ComputeInstance {
  unsigned id = 0;
  unsigned profile = 0;  // ComputeProfile::index
  Placement placement;
  std::string uuid;  // of the MIG device
  std::vector<Holder> holders;

  friend bool operator==(const ComputeInstance&, const ComputeInstance&) = default;
};

struct GpuInstance {
  unsigned id = 0;
  unsigned profile = 0;  // InstanceProfile::index
  Placement placement;
  std::vector<ComputeInstance> compute;  // ascending by id

  friend bool operator==(const GpuInstance&, const GpuInstance&) = default;
};

// What changing the MIG mode of a GPU costs.
enum class ModeSwitch {
  kImmediate,  // Hopper and later
  kWithReset,  // Ampere: the GPU is reset, by the driver itself where it can
};

// Everything the planner needs to know of one GPU: what it is, what it offers, what is on it.
struct GpuMigState {
  unsigned index = 0;  // NVML index
  std::string uuid;
  std::string name;
  std::uint32_t pci_device_id = 0;     // device << 16 | vendor
  std::uint32_t pci_subsystem_id = 0;  // device << 16 | vendor
  std::uint64_t memory_total_bytes = 0;
  bool mig_capable = false;
  ModeSwitch mode_switch = ModeSwitch::kImmediate;
  bool mode_on = false;          // current mode
  bool pending_mode_on = false;  // differs from mode_on while a reset or reboot is awaited
  // Clients of the GPU as a whole, which a mode change would disturb; those of its compute
  // instances are listed there.
  std::vector<Holder> holders;
  // Ascending by index. Empty if MIG is off and the driver lists profiles only with MIG on.
  std::vector<InstanceProfile> profiles;
  std::vector<GpuInstance> instances;  // ascending by id

  friend bool operator==(const GpuMigState&, const GpuMigState&) = default;
};

// What a GPU should look like, by names: the device counts of a configuration file.
struct DesiredGpu {
  bool mig_enabled = false;
  std::map<ProfileName, unsigned> devices;  // counts above 0

  friend bool operator==(const DesiredGpu&, const DesiredGpu&) = default;
};

// One GPU's instances down to their places, without ids: what the applier establishes, and what a
// checkpoint remembers. Profiles are NVML indices.
struct ComputeTarget {
  unsigned profile = 0;
  // Wished for; a driver that cannot place compute instances may choose another.
  Placement placement;

  friend auto operator<=>(const ComputeTarget&, const ComputeTarget&) = default;
};
struct InstanceTarget {
  unsigned profile = 0;
  Placement placement;
  std::vector<ComputeTarget> compute;

  friend bool operator==(const InstanceTarget&, const InstanceTarget&) = default;
};
struct Layout {
  bool mode_on = false;
  std::vector<InstanceTarget> instances;  // ascending by placement

  friend bool operator==(const Layout&, const Layout&) = default;
};

// The layout that `gpu` has now.
Layout LayoutOf(const GpuMigState& gpu);
// Equal but for the places of compute instances within their GPU instance.
bool SameLayout(const Layout& a, const Layout& b);

// Null if the GPU does not offer it.
const InstanceProfile* FindProfile(const GpuMigState& gpu, unsigned index);
const ComputeProfile* FindComputeProfile(const InstanceProfile& profile, unsigned index);

// Memory slices and compute slices of the whole GPU, from its profiles.
unsigned MemorySlices(const std::vector<InstanceProfile>& profiles);
unsigned ComputeSlices(const std::vector<InstanceProfile>& profiles);

// The name of a compute instance as a device, "1c.3g.20gb"; a number for unknown profiles.
std::string DeviceName(const GpuMigState& gpu, unsigned profile, unsigned compute_profile);
std::string InstanceName(const GpuMigState& gpu, unsigned profile);
// "GPU 0 (GPU-...)".
std::string GpuTitle(const GpuMigState& gpu);
// "pod a/b (pid 12 python)", "pid 12 python", "pod a/b".
std::string Describe(const Holder& holder);
std::string Describe(const std::vector<Holder>& holders);
// The layout in one line: "off", "on: empty", "on: 3g.20gb at 4, 1g.5gb at 0".
std::string Describe(const GpuMigState& gpu, const Layout& layout);
// True if some process or pod uses a compute instance of it.
bool InUse(const GpuInstance& instance);

}  // namespace aliquot::mig
