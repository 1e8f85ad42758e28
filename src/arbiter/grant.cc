// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/grant.h"

#include <fmt/format.h>

#include <algorithm>

namespace aliquot::arbiter {
namespace {

std::string_view NameOf(ComputeMode mode) {
  switch (mode) {
    case ComputeMode::kFair:
      return "fair";
    case ComputeMode::kCapped:
      return "capped";
    case ComputeMode::kOff:
      break;
  }
  return "none";
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string ShareFile(const GrantSpec& spec, std::string_view driver, std::string_view nvml) {
  std::string text = "version=1\n";
  bool limited = false;
  for (const DeviceShare& device : spec.devices) {
    text += fmt::format("gpu={} {} {}\n", device.uuid, device.memory_limit, device.weight);
    limited |= device.memory_limit != 0;
  }
  text += fmt::format("memory={}\ncompute={}\n", limited ? "share" : "none", NameOf(spec.compute));
  if (!driver.empty()) text += fmt::format("driver={}\n", driver);
  if (!nvml.empty()) text += fmt::format("nvml={}\n", nvml);
  return text;
}

std::array<std::uint8_t, 16> UuidBytes(std::string_view uuid) {
  std::array<std::uint8_t, 16> bytes{};
  const std::size_t dash = uuid.find('-');  // the prefix may have digits of its own
  int digits = 0;
  for (const char c : uuid.substr(dash == std::string_view::npos ? 0 : dash)) {
    if (c == '-') continue;
    const int digit = HexDigit(c);
    if (digit < 0 || digits == 32) return {};
    std::uint8_t& byte = bytes[static_cast<std::size_t>(digits++ / 2)];
    byte = static_cast<std::uint8_t>((byte << 4) | digit);
  }
  return digits == 32 ? bytes : std::array<std::uint8_t, 16>{};
}

}  // namespace aliquot::arbiter
