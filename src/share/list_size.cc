// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "share/list_size.h"

#include <string_view>

namespace aliquot::share {
namespace {

// Source: Protocol Buffers documentation, "Encoding". All field numbers used here take one byte.
std::size_t VarintBytes(std::uint64_t value) {
  std::size_t bytes = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++bytes;
  }
  return bytes;
}

std::size_t FieldBytes(std::size_t length) { return 1 + VarintBytes(length) + length; }

}  // namespace

std::size_t EncodedDeviceBytes(std::size_t id_length, std::optional<int> numa_node) {
  constexpr std::string_view kLongestHealth = "Unhealthy";
  std::size_t device = FieldBytes(id_length) + FieldBytes(kLongestHealth.size());
  if (numa_node.has_value()) {
    const std::size_t node = 1 + VarintBytes(static_cast<std::uint64_t>(std::int64_t{*numa_node}));
    device += FieldBytes(FieldBytes(node));
  }
  return FieldBytes(device);
}

std::size_t EncodedListBytes(const PlannedResource& resource) {
  std::size_t bytes = 0;
  for (const PlannedDevice& device : resource.devices) {
    bytes += EncodedDeviceBytes(device.id.size(), device.numa_node);
  }
  return bytes;
}

std::size_t LongestId(std::size_t uuid_length, unsigned replicas) {
  if (replicas <= 1) return uuid_length;
  std::size_t digits = 1;
  for (unsigned last = replicas - 1; last >= 10; last /= 10) ++digits;
  return uuid_length + 2 + digits;
}

std::uint64_t EncodedReplicasBytes(std::size_t uuid_length, unsigned replicas,
                                   std::optional<int> numa_node) {
  return std::uint64_t{replicas} * EncodedDeviceBytes(LongestId(uuid_length, replicas), numa_node);
}

}  // namespace aliquot::share
