// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/plugin_transport.h"

#include <cstdint>
#include <string_view>

namespace aliquot::rpc {
namespace {

// A varint carries seven bits per byte.
std::size_t VarintBytes(std::uint64_t value) {
  std::size_t bytes = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++bytes;
  }
  return bytes;
}

// A length-delimited field with a number below 16: tag, length, content.
std::size_t FieldBytes(std::size_t content) { return 1 + VarintBytes(content) + content; }

}  // namespace

std::size_t EncodedListBytes(const std::vector<DeviceEntry>& devices) {
  std::size_t total = 0;
  for (const DeviceEntry& device : devices) {
    const std::string_view health = device.healthy ? "Healthy" : "Unhealthy";
    std::size_t content = FieldBytes(device.id.size()) + FieldBytes(health.size());
    if (device.numa_node) {
      // proto3 leaves out a zero, so that NUMA node 0 is an empty message.
      const auto node = static_cast<std::uint64_t>(static_cast<std::int64_t>(*device.numa_node));
      content += FieldBytes(FieldBytes(node == 0 ? 0 : 1 + VarintBytes(node)));
    }
    total += FieldBytes(content);
  }
  return total;
}

}  // namespace aliquot::rpc
