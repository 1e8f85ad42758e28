// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/mig_names.h"

#include <fmt/format.h>

#include <array>

namespace aliquot::gpu {

std::optional<std::string_view> ProfileSuffix(unsigned profile_index) {
  static constexpr std::array<std::string_view, kGpuInstanceProfiles> kSuffixes = {
      "",     "",     "",     "",    "",    "",        "",        // 0x0-0x6: 1, 2, 3, 4, 7, 8, 6
      "+me",  "+me",  "",                                         // 0x7-0x9: REV1, REV1, REV2
      "+gfx", "+gfx", "+gfx", "-me", "-me", "+me.all", "+me.all"  // 0xA-0x10
  };
  if (profile_index >= kSuffixes.size()) return std::nullopt;
  return kSuffixes[profile_index];
}

std::string MigProfileName(unsigned compute_slices, unsigned slices, std::uint64_t memory_mib,
                           std::uint64_t gpu_memory_bytes, std::string_view suffix) {
  // Whole numbers throughout: eighths of the GPU, rounded up, then GiB, rounded half up.
  const std::uint64_t eighths = ((memory_mib << 20) * 8 + gpu_memory_bytes - 1) / gpu_memory_bytes;
  const std::uint64_t gpu_gib = (gpu_memory_bytes + (1ull << 30) - 1) >> 30;
  const std::uint64_t gib = (eighths * gpu_gib * 2 + 8) / 16;
  const std::string name = fmt::format("{}g.{}gb{}", slices, gib, suffix);
  if (compute_slices == 0 || compute_slices == slices) return name;
  return fmt::format("{}c.{}", compute_slices, name);
}

}  // namespace aliquot::gpu
