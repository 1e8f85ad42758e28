// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "sim/nvml/abi.h"

// Handles are numbers, not addresses: they say what they stand for, so a stale or made-up one is
// an error and never a crash. The tag in the top byte keeps them out of the canonical address
// range, where a garbage collector (Go's, for one) would take them for pointers of its own.
namespace aliquot::sim {

enum class HandleKind : std::uint8_t {
  kDevice = 0x41,
  kMigDevice = 0x42,
  kGpuInstance = 0x43,
  kComputeInstance = 0x44,
  kEventSet = 0x45,
  kGpmSample = 0x46,
};

struct HandleParts {
  HandleKind kind = HandleKind::kDevice;
  unsigned generation = 0;   // of the driver, its lower 10 bits
  unsigned gpu = 0;          // below 64
  unsigned gi = 0;           // below 16
  unsigned ci = 0;           // below 16
  std::uint32_t serial = 0;  // of the instance, or of the event set; its lower 24 bits

  friend bool operator==(const HandleParts&, const HandleParts&) = default;
};

inline constexpr std::uint32_t kSerialMask = 0xFFFFFF;
inline constexpr unsigned kGenerationMask = 0x3FF;

template <typename Handle>
Handle MakeHandle(const HandleParts& parts) {
  const std::uint64_t bits = std::uint64_t{static_cast<std::uint8_t>(parts.kind)} << 56 |
                             std::uint64_t{parts.serial & kSerialMask} << 32 |
                             std::uint64_t{parts.generation & kGenerationMask} << 16 |
                             std::uint64_t{parts.gpu & 0x3F} << 8 |
                             std::uint64_t{parts.gi & 0xF} << 4 | std::uint64_t{parts.ci & 0xF};
  return reinterpret_cast<Handle>(static_cast<std::uintptr_t>(bits));
}

// Nothing for a value MakeHandle cannot have made.
template <typename Handle>
std::optional<HandleParts> ReadHandle(Handle handle) {
  const auto bits = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(handle));
  const auto tag = static_cast<std::uint8_t>(bits >> 56);
  if (tag < static_cast<std::uint8_t>(HandleKind::kDevice) ||
      tag > static_cast<std::uint8_t>(HandleKind::kGpmSample)) {
    return std::nullopt;
  }
  HandleParts parts;
  parts.kind = static_cast<HandleKind>(tag);
  parts.serial = static_cast<std::uint32_t>(bits >> 32) & kSerialMask;
  parts.generation = static_cast<unsigned>(bits >> 16) & kGenerationMask;
  parts.gpu = static_cast<unsigned>(bits >> 8) & 0x3F;
  parts.gi = static_cast<unsigned>(bits >> 4) & 0xF;
  parts.ci = static_cast<unsigned>(bits) & 0xF;
  if (MakeHandle<Handle>(parts) != handle) return std::nullopt;
  return parts;
}

}  // namespace aliquot::sim
