// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/state/mig.h"

#include <algorithm>

namespace aliquot::sim {
namespace {

bool Overlap(unsigned start_a, unsigned size_a, unsigned start_b, unsigned size_b) {
  return start_a < start_b + size_b && start_b < start_a + size_a;
}

// Most OFA engines a GPU has: what the largest profile gets.
unsigned OfaEngines(const MigTraits& mig) {
  unsigned most = 0;
  for (const MigProfile& profile : mig.profiles) most = std::max(most, profile.engines.ofa);
  return most;
}

const MigProfile* ProfileOf(const MigTraits& mig, const GpuInstanceState& gi) {
  const auto found = std::find_if(mig.profiles.begin(), mig.profiles.end(),
                                  [&](const MigProfile& p) { return p.index == gi.profile_index; });
  return found == mig.profiles.end() ? nullptr : &*found;
}

// Whether one more instance of `profile` is possible at all, wherever it lies.
bool Allowed(const MigTraits& mig, const GpuState& gpu, const MigProfile& profile) {
  unsigned slices = profile.slices;
  unsigned ofa = profile.engines.ofa;
  unsigned same = 1;
  for (const GpuInstanceState& gi : gpu.instances) {
    const MigProfile* other = gi.used != 0 ? ProfileOf(mig, gi) : nullptr;
    if (other == nullptr) continue;
    slices += other->slices;
    ofa += other->engines.ofa;
    if (other->index == profile.index) ++same;
    const bool both_media = !other->media_none && !profile.media_none;
    if (both_media && (other->media_exclusive || profile.media_exclusive)) return false;
  }
  return slices <= mig.slices && same <= profile.instances && ofa <= OfaEngines(mig);
}

bool Free(const GpuState& gpu, unsigned start, unsigned size) {
  return std::none_of(gpu.instances.begin(), gpu.instances.end(), [&](const GpuInstanceState& gi) {
    return gi.used != 0 && Overlap(start, size, gi.start, gi.size);
  });
}

bool FreeCompute(const GpuInstanceState& gi, unsigned start, unsigned size) {
  return std::none_of(gi.compute.begin(), gi.compute.end(), [&](const ComputeInstanceState& ci) {
    return ci.used != 0 && Overlap(start, size, ci.start, ci.size);
  });
}

// Picks the wanted start out of the free ones, or the first.
abi::Return Choose(const std::vector<unsigned>& legal, const std::vector<unsigned>& free,
                   unsigned size, std::optional<abi::Placement> placement, unsigned* start) {
  if (placement) {
    const bool known = std::find(legal.begin(), legal.end(), placement->start) != legal.end();
    if (!known || placement->size != size) return abi::kInvalidArgument;
    if (std::find(free.begin(), free.end(), placement->start) == free.end()) {
      return abi::kInsufficientResources;
    }
    *start = placement->start;
    return abi::kSuccess;
  }
  if (free.empty()) return abi::kInsufficientResources;
  *start = free.front();
  return abi::kSuccess;
}

}  // namespace

unsigned GpuInstanceId(const MigTraits& mig, unsigned start, unsigned size) {
  return mig.grid / size - 1 + start / size;
}

std::vector<unsigned> FreeStarts(const MigTraits& mig, const GpuState& gpu,
                                 const MigProfile& profile) {
  std::vector<unsigned> starts;
  if (!Allowed(mig, gpu, profile)) return starts;
  for (const unsigned start : profile.starts) {
    if (Free(gpu, start, profile.size)) starts.push_back(start);
  }
  return starts;
}

unsigned RemainingGpuInstances(const MigTraits& mig, const GpuState& gpu,
                               const MigProfile& profile) {
  GpuState trial = gpu;
  unsigned created = 0;
  unsigned gi_id = 0;
  while (CreateGpuInstance(mig, trial, profile, std::nullopt, &gi_id) == abi::kSuccess) ++created;
  return created;
}

abi::Return CreateGpuInstance(const MigTraits& mig, GpuState& gpu, const MigProfile& profile,
                              std::optional<abi::Placement> placement, unsigned* gi_id) {
  unsigned start = 0;
  const abi::Return chosen =
      Choose(profile.starts, FreeStarts(mig, gpu, profile), profile.size, placement, &start);
  if (chosen != abi::kSuccess) return chosen;
  const unsigned id = GpuInstanceId(mig, start, profile.size);
  GpuInstanceState& gi = gpu.instances[id];
  gi = {};
  gi.used = 1;
  gi.profile_index = static_cast<std::uint8_t>(profile.index);
  gi.start = static_cast<std::uint8_t>(start);
  gi.size = static_cast<std::uint8_t>(profile.size);
  gi.serial = ++gpu.last_serial;
  *gi_id = id;
  return abi::kSuccess;
}

abi::Return DestroyGpuInstance(GpuState& gpu, unsigned gi_id) {
  GpuInstanceState& gi = gpu.instances[gi_id];
  for (const ComputeInstanceState& ci : gi.compute) {
    if (ci.used != 0) return abi::kInUse;
  }
  gi = {};
  return abi::kSuccess;
}

std::vector<unsigned> FreeComputeStarts(const GpuInstanceState& gi, const ComputeProfile& profile) {
  std::vector<unsigned> starts;
  for (const unsigned start : profile.starts) {
    if (FreeCompute(gi, start, profile.slices)) starts.push_back(start);
  }
  return starts;
}

unsigned RemainingComputeInstances(const GpuInstanceState& gi, const ComputeProfile& profile) {
  return static_cast<unsigned>(FreeComputeStarts(gi, profile).size());
}

abi::Return CreateComputeInstance(GpuState& gpu, unsigned gi_id, const ComputeProfile& profile,
                                  std::optional<abi::Placement> placement, unsigned* ci_id) {
  GpuInstanceState& gi = gpu.instances[gi_id];
  unsigned start = 0;
  const abi::Return chosen =
      Choose(profile.starts, FreeComputeStarts(gi, profile), profile.slices, placement, &start);
  if (chosen != abi::kSuccess) return chosen;
  for (unsigned id = 0; id < gi.compute.size(); ++id) {
    ComputeInstanceState& ci = gi.compute[id];
    if (ci.used != 0) continue;
    ci.used = 1;
    ci.profile_index = static_cast<std::uint8_t>(profile.index);
    ci.start = static_cast<std::uint8_t>(start);
    ci.size = static_cast<std::uint8_t>(profile.slices);
    ci.serial = ++gpu.last_serial;
    *ci_id = id;
    return abi::kSuccess;
  }
  return abi::kInsufficientResources;
}

void DestroyComputeInstance(GpuState& gpu, unsigned gi_id, unsigned ci_id) {
  gpu.instances[gi_id].compute[ci_id] = {};
}

bool HasInstances(const GpuState& gpu) {
  return std::any_of(gpu.instances.begin(), gpu.instances.end(),
                     [](const GpuInstanceState& gi) { return gi.used != 0; });
}

std::vector<MigDeviceId> MigDevices(const GpuState& gpu) {
  std::vector<MigDeviceId> devices;
  for (unsigned gi = 0; gi < gpu.instances.size(); ++gi) {
    if (gpu.instances[gi].used == 0) continue;
    for (unsigned ci = 0; ci < gpu.instances[gi].compute.size(); ++ci) {
      if (gpu.instances[gi].compute[ci].used != 0) devices.push_back({gi, ci});
    }
  }
  return devices;
}

unsigned GpuInstanceCapMinor(unsigned gpu_minor, unsigned gi) {
  return 3 + 135 * gpu_minor + 9 * gi;
}

unsigned ComputeInstanceCapMinor(unsigned gpu_minor, unsigned gi, unsigned ci) {
  return GpuInstanceCapMinor(gpu_minor, gi) + 1 + ci;
}

}  // namespace aliquot::sim
