// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/model/product.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace aliquot::sim {
namespace {

template <typename Match>
const MigProfile* FindProfile(const Product& product, Match match) {
  if (!product.mig) return nullptr;
  const auto& profiles = product.mig->profiles;
  const auto found = std::find_if(profiles.begin(), profiles.end(), match);
  return found == profiles.end() ? nullptr : &*found;
}

// NVML_COMPUTE_INSTANCE_PROFILE_<slices>_SLICE, by number of slices.
constexpr std::array<std::pair<unsigned, unsigned>, 5> kComputeIndices = {
    {{1, 0}, {2, 1}, {3, 2}, {4, 3}, {7, 4}}};
constexpr unsigned kComputeOneSliceRev1 = 7;
// NVML_GPU_INSTANCE_PROFILE_1_SLICE_REV2: one compute slice with the memory of two.
constexpr unsigned kGpuOneSliceRev2 = 9;

}  // namespace

const MigProfile* Product::ProfileByIndex(unsigned index) const {
  return FindProfile(*this, [&](const MigProfile& p) { return p.index == index; });
}

const MigProfile* Product::ProfileById(unsigned id) const {
  return FindProfile(*this, [&](const MigProfile& p) { return p.id == id; });
}

const MigProfile* Product::ProfileByName(std::string_view profile_name) const {
  return FindProfile(*this, [&](const MigProfile& p) { return p.name == profile_name; });
}

std::string MigProfileName(unsigned compute_slices, unsigned gpu_slices, std::uint64_t memory_mib,
                           std::uint64_t total_bytes, std::string_view suffix) {
  const std::uint64_t bytes = memory_mib << 20;
  const std::uint64_t eighths = (8 * bytes + total_bytes - 1) / total_bytes;
  const std::uint64_t total_gib = (total_bytes + (1ull << 30) - 1) >> 30;
  const std::uint64_t gb = (eighths * total_gib + 4) / 8;  // to the nearest, halves up
  const std::string gpu_part = fmt::format("{}g.{}gb{}", gpu_slices, gb, suffix);
  return compute_slices == gpu_slices ? gpu_part : fmt::format("{}c.{}", compute_slices, gpu_part);
}

std::vector<ComputeProfile> ComputeProfiles(const Product& product, const MigProfile& profile) {
  std::vector<ComputeProfile> result;
  for (const auto& [slices, index] : kComputeIndices) {
    const bool full = slices == profile.slices;
    if (!full && 2 * slices > profile.slices + 1) continue;
    ComputeProfile compute;
    compute.index = index;
    compute.slices = slices;
    compute.instances = profile.slices / slices;
    compute.name = full ? profile.name : fmt::format("{}c.{}", slices, profile.name);
    compute.multiprocessors =
        full ? profile.multiprocessors
             : std::min(profile.multiprocessors, slices * product.mig->unit_multiprocessors);
    for (unsigned start = 0; start + slices <= profile.slices; start += std::bit_ceil(slices)) {
      compute.starts.push_back(start);
    }
    result.push_back(std::move(compute));
  }
  if (profile.index == kGpuOneSliceRev2 && profile.slices == 1) {
    // Two ways to fill it: one slice's worth of multiprocessors, or (the default) all of them.
    ComputeProfile all = result.front();
    all.index = kComputeOneSliceRev1;
    result.front().multiprocessors = product.mig->unit_multiprocessors;
    result.front().name = "1c." + profile.name;
    result.push_back(std::move(all));
  }
  return result;
}

}  // namespace aliquot::sim
