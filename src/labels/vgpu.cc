// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "labels/vgpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>

namespace aliquot::labels {
namespace {

constexpr std::size_t kStatus = 0x06;
constexpr std::uint8_t kStatusHasList = 0x10;
constexpr std::size_t kFirstCapability = 0x34;
constexpr std::size_t kHeaderBytes = 64;
constexpr std::uint8_t kVendorSpecific = 0x09;
constexpr std::size_t kFirstRecord = 5;  // after id, next, length, 'V', 'F'
constexpr std::uint8_t kDriverRecord = 0;
constexpr std::size_t kRecordHeader = 2;
constexpr std::size_t kVersionBytes = 10;
constexpr std::size_t kBranchBytes = 10;

using Bytes = std::span<const std::uint8_t>;

Error Malformed(std::string what) {
  return {Code::kDataLoss, "malformed virtual GPU capability: " + std::move(what)};
}

// Text up to the first zero; nothing unprintable, as it comes from outside.
std::string ReadText(Bytes bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    if (byte == 0) break;
    if (byte > 0x20 && byte < 0x7f) text.push_back(static_cast<char>(byte));
  }
  return text;
}

Result<std::optional<VgpuHost>> ParseRecords(Bytes capability) {
  std::size_t at = kFirstRecord;
  while (true) {
    if (at + kRecordHeader > capability.size()) return Malformed("no driver version record");
    const std::size_t length = capability[at + 1];
    if (length < kRecordHeader) {
      return Malformed(fmt::format("record length {} at offset {}", length, at));
    }
    if (capability[at] == kDriverRecord) break;
    at += length;
  }
  const std::size_t data = at + kRecordHeader;
  if (data + kVersionBytes + kBranchBytes > capability.size()) {
    return Malformed("driver version record is cut short");
  }
  return std::optional<VgpuHost>(VgpuHost{
      ReadText(capability.subspan(data, kVersionBytes)),
      ReadText(capability.subspan(data + kVersionBytes, kBranchBytes)),
  });
}

}  // namespace

Result<std::optional<VgpuHost>> ParseVgpuHost(Bytes config_space) {
  if (config_space.size() < kHeaderBytes) {
    return Error{Code::kDataLoss, fmt::format("PCI configuration space has {} bytes, expected at "
                                              "least {}",
                                              config_space.size(), kHeaderBytes)};
  }
  if ((config_space[kStatus] & kStatusHasList) == 0) return std::optional<VgpuHost>();
  std::bitset<256> seen;
  // The two lowest bits of an offset are reserved.
  std::size_t at = config_space[kFirstCapability] & 0xfcu;
  while (at != 0) {
    if (at < kHeaderBytes || seen[at]) {
      return Error{Code::kDataLoss,
                   fmt::format("PCI capability list is malformed at offset {:#x}", at)};
    }
    seen.set(at);
    if (at + kRecordHeader > config_space.size()) {
      return Error{
          Code::kFailedPrecondition,
          fmt::format("PCI capabilities at offset {:#x} are beyond the {} bytes that could "
                      "be read; reading them needs CAP_SYS_ADMIN",
                      at, config_space.size())};
    }
    if (config_space[at] == kVendorSpecific && at + kFirstRecord <= config_space.size() &&
        config_space[at + 3] == 'V' && config_space[at + 4] == 'F') {
      const std::size_t length =
          std::min<std::size_t>(config_space[at + 2], config_space.size() - at);
      return ParseRecords(config_space.subspan(at, length));
    }
    at = config_space[at + 1] & 0xfcu;
  }
  return std::optional<VgpuHost>();
}

}  // namespace aliquot::labels
