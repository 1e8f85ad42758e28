// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

// Sizes by which the driver hands out device memory, seen with driver 580 on an H200.
namespace aliquot::sim::cuda {

inline constexpr std::uint64_t kBlock = 2u << 20;       // what an allocation takes at least
inline constexpr std::uint64_t kSmall = 1u << 20;       // up to here, allocations share blocks
inline constexpr std::uint64_t kAlignment = 512;        // of allocations in shared blocks
inline constexpr std::uint64_t kPoolChunk = 32u << 20;  // by which memory pools grow
inline constexpr std::uint64_t kPitchAlignment = 512;
// What a context takes before any allocation: 524 MiB with 132 multiprocessors.
inline constexpr std::uint64_t kContextBytesPerMultiprocessor = 4u << 20;

constexpr std::uint64_t RoundUp(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace aliquot::sim::cuda
