// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "mig/layout.h"
#include "mig/profile.h"

namespace aliquot::mig {

// A profile name found in a GPU's profile table.
struct ResolvedProfile {
  const InstanceProfile* instance = nullptr;  // points into the table that was searched
  // Of the compute profiles with C slices the one with the most multiprocessors: a double-memory
  // 1g instance has two with one slice, and only one of them covers the whole instance.
  const ComputeProfile* compute = nullptr;
  std::string warning;  // not empty if the name was matched loosely
};

// Finds `name` among the profiles of `gpu`. Slices and attributes must be equal; the gigabytes
// too, or else near (drivers and board revisions name the same profile one or a few gigabytes
// apart) and no other profile as near. Fails with kNotFound, naming what the GPU offers.
Result<ResolvedProfile> ResolveProfile(const GpuMigState& gpu, const ProfileName& name);

// The attributes that the NVML profile constant stands for are part of its name.
// Source: NVML API reference, NVML_GPU_INSTANCE_PROFILE_*.
ProfileName NameOfProfile(unsigned index, unsigned slices, std::uint64_t memory_mib,
                          std::uint64_t gpu_total_bytes);

// Legal places of a compute instance of `slices` in a GPU instance of `instance_slices`: multiples
// of the size rounded up to a power of two. For drivers that do not list them.
std::vector<Placement> ComputePlacements(unsigned slices, unsigned instance_slices);

// "1g.5gb, 1g.5gb+me, 2g.10gb": every profile of `gpu` by name, smallest first.
std::string OfferedProfiles(const GpuMigState& gpu);

}  // namespace aliquot::mig
