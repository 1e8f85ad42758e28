// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace aliquot::gpu {

// NVML indices of GPU instance profiles (NVML_GPU_INSTANCE_PROFILE_*): the numbers to ask with, not
// the profile ids that the answers carry. Index 0x11 (3_SLICE_GFX) is left out: no driver returns
// it yet and other tools cannot name it.
inline constexpr unsigned kGpuInstanceProfiles = 0x11;
inline constexpr unsigned kProfileOneSliceDoubleMemory = 0x9;  // 1_SLICE_REV2

// What follows the memory in a profile's name: "", "+me", "+me.all", "+gfx" or "-me".
// Nothing for an index that is not in the list above.
std::optional<std::string_view> ProfileSuffix(unsigned profile_index);

// "1g.5gb+me", "1c.3g.20gb". Memory is rounded up to an eighth of the whole GPU and then counted in
// parts of the whole GPU's GiB (the rule of NVIDIA's own tools, so that resource names agree).
// `compute_slices` 0 or equal to `slices` leaves the "c" part out. `gpu_memory_bytes` is the total
// of the parent as NVML reports it and must not be 0.
std::string MigProfileName(unsigned compute_slices, unsigned slices, std::uint64_t memory_mib,
                           std::uint64_t gpu_memory_bytes, std::string_view suffix);

}  // namespace aliquot::gpu
