// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "share/quota.h"

#include <fmt/format.h>

#include <algorithm>

namespace aliquot::share {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

Error Refusal(std::string message) { return {Code::kFailedPrecondition, std::move(message)}; }

Status CheckMps(const Candidate& device, unsigned replicas) {
  if (device.mig != nullptr) {
    return Refusal("MPS cannot share MIG devices; use sharing.timeSlicing, or turn MIG off");
  }
  const unsigned most = MaxMpsReplicas(*device.gpu);
  if (replicas > most) {
    return Refusal(
        fmt::format("{} MPS replicas wanted but one MPS server of this GPU takes at most "
                    "{} clients; lower replicas",
                    replicas, most));
  }
  return {};
}

Result<std::uint64_t> MemoryOf(const Candidate& device, unsigned replicas,
                               const config::Isolation& isolation,
                               std::vector<Condition>& conditions) {
  const std::uint64_t usable = device.usable_bytes();
  if (usable == 0) {
    return Refusal(
        "its usable memory is unknown, so no part of it can be promised; set isolation.memory to "
        "\"none\", or check the driver");
  }
  std::uint64_t bytes = usable / replicas;
  if (isolation.memory == config::Isolation::Memory::kBytes) {
    const std::uint64_t wanted = isolation.memory_bytes_per_replica;
    if (wanted > bytes) {
      conditions.push_back(
          {Condition::Severity::kWarning, device.uuid(),
           fmt::format("memory is promised more than once: {} replicas of {} MiB exceed the {} MiB "
                       "usable; at most {} MiB for each would fit",
                       replicas, wanted / kMiB, usable / kMiB, bytes / kMiB)});
    }
    bytes = std::min(wanted, usable);
  }
  bytes -= bytes % kMiB;
  if (bytes == 0) {
    return Refusal(
        fmt::format("{} replicas of {} MiB usable memory leave less than 1 MiB for each; "
                    "lower replicas, or raise isolation.memory",
                    replicas, usable / kMiB));
  }
  return bytes;
}

}  // namespace

unsigned MaxMpsReplicas(const gpu::Gpu& gpu) { return gpu.compute_major >= 7 ? 48 : 16; }

Result<Share> ShareOf(const Candidate& device, unsigned replicas, const config::Sharing& sharing,
                      std::vector<Condition>& conditions) {
  if (sharing.strategy == config::SharingStrategy::kMps) {
    if (Status status = CheckMps(device, replicas); !status.ok()) return status.error();
    return Share{};
  }
  Share share;
  if (!sharing.isolation.has_value()) return share;
  if (sharing.isolation->memory != config::Isolation::Memory::kNone) {
    Result<std::uint64_t> bytes = MemoryOf(device, replicas, *sharing.isolation, conditions);
    if (!bytes) return bytes.error();
    share.memory_bytes = *bytes;
  }
  if (sharing.isolation->compute != config::Isolation::Compute::kNone) {
    share.compute_permille = std::max(1u, 1000 / replicas);
  }
  return share;
}

}  // namespace aliquot::share
