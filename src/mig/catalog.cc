// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/text.h"

namespace aliquot::mig {
namespace {

// How far apart two names of one profile may be. Seen between drivers and board revisions: 39/40,
// 79/80 (A100 80GB), 23/24, 93/95 and 186/189 (GB200); the nearest distinct profiles of one shape
// are 90/93 and 180/186 (B200 and GB200), which must stay apart.
unsigned Tolerance(unsigned gigabytes) { return std::max(1u, gigabytes / 40); }

// NVML_COMPUTE_INSTANCE_PROFILE_1_SLICE_REV1, the driver's default in a double-memory instance.
constexpr unsigned kOneSliceRev1 = 7;

unsigned Distance(unsigned a, unsigned b) { return a > b ? a - b : b - a; }

Result<const InstanceProfile*> FindInstanceProfile(const GpuMigState& gpu,
                                                   const ProfileName& wanted) {
  std::vector<const InstanceProfile*> near;
  for (const InstanceProfile& profile : gpu.profiles) {
    if (profile.name == wanted) return &profile;
    if (profile.name.gpu_slices != wanted.gpu_slices || profile.name.with != wanted.with ||
        profile.name.without != wanted.without) {
      continue;
    }
    const unsigned apart = Distance(profile.name.gigabytes, wanted.gigabytes);
    if (apart <= Tolerance(wanted.gigabytes)) near.push_back(&profile);
  }
  if (near.size() == 1) return near.front();
  if (near.empty()) {
    return Error{Code::kNotFound,
                 fmt::format("{} does not offer MIG profile \"{}\"; it offers {}", GpuTitle(gpu),
                             wanted.ToString(), OfferedProfiles(gpu))};
  }
  return Error{Code::kNotFound,
               fmt::format("{} does not offer MIG profile \"{}\", and both {} and {} are near; "
                           "name one of them",
                           GpuTitle(gpu), wanted.ToString(), near[0]->name.ToString(),
                           near[1]->name.ToString())};
}

}  // namespace

Result<ResolvedProfile> ResolveProfile(const GpuMigState& gpu, const ProfileName& name) {
  const auto instance = FindInstanceProfile(gpu, name.OfGpuInstance());
  if (!instance.ok()) return instance.error();
  ResolvedProfile found;
  found.instance = *instance;
  for (const ComputeProfile& compute : found.instance->compute) {
    if (compute.slices != name.compute_slices) continue;
    if (found.compute == nullptr || compute.multiprocessors > found.compute->multiprocessors ||
        (compute.multiprocessors == found.compute->multiprocessors &&
         compute.index == kOneSliceRev1)) {
      found.compute = &compute;
    }
  }
  const std::string offered = found.instance->name.ToString();
  if (found.compute == nullptr) {
    return Error{Code::kNotFound,
                 fmt::format("{} offers {}, but no compute instance of {} slices "
                             "in it, as \"{}\" asks",
                             GpuTitle(gpu), offered, name.compute_slices, name.ToString())};
  }
  if (found.instance->name.gigabytes != name.gigabytes) {
    ProfileName proper = found.instance->name;
    proper.compute_slices = name.compute_slices;
    found.warning = fmt::format("{} calls MIG profile \"{}\" \"{}\"; taking that", GpuTitle(gpu),
                                name.ToString(), proper.ToString());
  }
  return found;
}

ProfileName NameOfProfile(unsigned index, unsigned slices, std::uint64_t memory_mib,
                          std::uint64_t gpu_total_bytes) {
  ProfileName name{slices, slices, ProfileGigabytes(memory_mib, gpu_total_bytes), {}, {}};
  switch (index) {
    case 0x7:  // 1_SLICE_REV1
    case 0x8:  // 2_SLICE_REV1
      name.with = {"me"};
      break;
    case 0xA:   // 1_SLICE_GFX
    case 0xB:   // 2_SLICE_GFX
    case 0xC:   // 4_SLICE_GFX
    case 0x11:  // 3_SLICE_GFX
      name.with = {"gfx"};
      break;
    case 0xD:  // 1_SLICE_NO_ME
    case 0xE:  // 2_SLICE_NO_ME
      name.without = {"me"};
      break;
    case 0xF:   // 1_SLICE_ALL_ME
    case 0x10:  // 2_SLICE_ALL_ME
      name.with = {"me.all"};
      break;
    default:
      break;
  }
  return name;
}

std::vector<Placement> ComputePlacements(unsigned slices, unsigned instance_slices) {
  std::vector<Placement> placements;
  if (slices == 0) return placements;
  const unsigned stride = std::bit_ceil(slices);
  for (unsigned start = 0; start + slices <= instance_slices; start += stride) {
    placements.push_back({start, slices});
  }
  return placements;
}

std::string OfferedProfiles(const GpuMigState& gpu) {
  std::vector<ProfileName> names;
  for (const InstanceProfile& profile : gpu.profiles) names.push_back(profile.name);
  std::sort(names.begin(), names.end());
  std::vector<std::string> texts;
  for (const ProfileName& name : names) texts.push_back(name.ToString());
  return texts.empty() ? "none" : Join(texts, ", ");
}

}  // namespace aliquot::mig
