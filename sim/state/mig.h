// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "sim/model/product.h"
#include "sim/nvml/abi.h"
#include "sim/state/layout.h"

// What the driver does with GPU and compute instances, as pure functions on the state of one GPU.
// None of them looks at the MIG mode or at running processes; the caller does. Rules and the
// driver's order of placements: NVIDIA MIG User Guide and logs of real sessions.
namespace aliquot::sim {

// The id of a GPU instance follows from where it lies: 0 for the whole GPU, then 1 and 2 for the
// halves, 3 to 6 for the quarters, 7 to 14 for the eighths.
unsigned GpuInstanceId(const MigTraits& mig, unsigned start, unsigned size);

// Starts at which one more instance of `profile` could be created, in the driver's order. Empty
// also if the profile's count, the compute slices or the media engines are used up.
std::vector<unsigned> FreeStarts(const MigTraits& mig, const GpuState& gpu,
                                 const MigProfile& profile);
// How many more instances of `profile`, and of no other, could be created.
unsigned RemainingGpuInstances(const MigTraits& mig, const GpuState& gpu,
                               const MigProfile& profile);
// Creates an instance at `placement`, or where the driver likes best. kInvalidArgument for a
// placement the profile never has, kInsufficientResources for one that is not free.
abi::Return CreateGpuInstance(const MigTraits& mig, GpuState& gpu, const MigProfile& profile,
                              std::optional<abi::Placement> placement, unsigned* gi_id);
// kInUse while it has compute instances.
abi::Return DestroyGpuInstance(GpuState& gpu, unsigned gi_id);

// Starts at which one more compute instance of `profile` fits, ascending.
std::vector<unsigned> FreeComputeStarts(const GpuInstanceState& gi, const ComputeProfile& profile);
unsigned RemainingComputeInstances(const GpuInstanceState& gi, const ComputeProfile& profile);
abi::Return CreateComputeInstance(GpuState& gpu, unsigned gi_id, const ComputeProfile& profile,
                                  std::optional<abi::Placement> placement, unsigned* ci_id);
void DestroyComputeInstance(GpuState& gpu, unsigned gi_id, unsigned ci_id);

bool HasInstances(const GpuState& gpu);

// A MIG device's ids. Its index under the GPU is its rank by (gi, ci).
struct MigDeviceId {
  unsigned gi = 0;
  unsigned ci = 0;
};
std::vector<MigDeviceId> MigDevices(const GpuState& gpu);

// Minors of capability device nodes: /dev/nvidia-caps/nvidia-cap<minor>. `gpu_minor` is the number
// of the GPU's own node. Source: /proc/driver/nvidia-caps/mig-minors of driver 580.
unsigned GpuInstanceCapMinor(unsigned gpu_minor, unsigned gi);
unsigned ComputeInstanceCapMinor(unsigned gpu_minor, unsigned gi, unsigned ci);

}  // namespace aliquot::sim
