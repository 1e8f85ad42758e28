// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace aliquot::config {
namespace {

using namespace std::string_view_literals;

constexpr std::array kMig = {std::pair{"none"sv, MigStrategy::kNone},
                             std::pair{"single"sv, MigStrategy::kSingle},
                             std::pair{"mixed"sv, MigStrategy::kMixed}};
constexpr std::array kDeviceList = {
    std::pair{"envvar"sv, DeviceListStrategy::kEnvVar},
    std::pair{"volume-mounts"sv, DeviceListStrategy::kVolumeMounts},
    std::pair{"cdi-annotations"sv, DeviceListStrategy::kCdiAnnotations},
    std::pair{"cdi-cri"sv, DeviceListStrategy::kCdiCri}};
constexpr std::array kDeviceId = {std::pair{"uuid"sv, DeviceIdStrategy::kUuid},
                                  std::pair{"index"sv, DeviceIdStrategy::kIndex}};
constexpr std::array kDiscovery = {
    std::pair{"auto"sv, DiscoveryStrategy::kAuto}, std::pair{"nvml"sv, DiscoveryStrategy::kNvml},
    std::pair{"tegra"sv, DiscoveryStrategy::kTegra}, std::pair{"vfio"sv, DiscoveryStrategy::kVfio}};
constexpr std::array kPolicy = {std::pair{"distributed"sv, AllocationPolicy::kDistributed},
                                std::pair{"packed"sv, AllocationPolicy::kPacked},
                                std::pair{"spread"sv, AllocationPolicy::kSpread}};
constexpr std::array kSharing = {std::pair{"none"sv, SharingStrategy::kNone},
                                 std::pair{"time-slicing"sv, SharingStrategy::kTimeSlicing},
                                 std::pair{"mps"sv, SharingStrategy::kMps}};
constexpr std::array kCompute = {std::pair{"none"sv, Isolation::Compute::kNone},
                                 std::pair{"fair"sv, Isolation::Compute::kFair},
                                 std::pair{"capped"sv, Isolation::Compute::kCapped}};
constexpr std::array kOnViolation = {std::pair{"report"sv, Isolation::OnViolation::kReport},
                                     std::pair{"kill"sv, Isolation::OnViolation::kKill}};
constexpr std::array kTenantClass = {
    std::pair{"normal"sv, Isolation::TenantClass::kNormal},
    std::pair{"latency"sv, Isolation::TenantClass::kLatency},
    std::pair{"best-effort"sv, Isolation::TenantClass::kBestEffort}};

constexpr std::string_view kPrefix = "nvidia.com/";
// The reference's own limit; Kubernetes would allow 63 characters after the prefix.
constexpr std::size_t kMaxNameLength = 63;

bool IsLowerAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool IsSubdomain(std::string_view name) {
  for (const std::string& label : Split(name, '.')) {
    if (label.empty() || !IsLowerAlphanumeric(label.front()) ||
        !IsLowerAlphanumeric(label.back())) {
      return false;
    }
    if (!std::all_of(label.begin(), label.end(),
                     [](char c) { return IsLowerAlphanumeric(c) || c == '-'; })) {
      return false;
    }
  }
  return true;
}

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const char lower = static_cast<char>(c | 0x20);
    return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'f');
  });
}

// The four spellings Go's uuid package takes: plain, 32 digits without dashes, {plain}, urn:uuid:.
bool IsUuid(std::string_view text) {
  if (text.size() == 32) return IsHex(text);
  if (text.size() == 38) text = text.substr(1, 36);
  if (text.size() == 45 && ToLower(text.substr(0, 9)) == "urn:uuid:") text.remove_prefix(9);
  if (text.size() != 36) return false;
  const std::vector<std::string> groups = Split(text, '-');
  constexpr std::size_t kSizes[] = {8, 4, 4, 4, 12};
  if (groups.size() != std::size(kSizes)) return false;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].size() != kSizes[i] || !IsHex(groups[i])) return false;
  }
  return true;
}

bool IsGpuUuid(std::string_view text) { return text.starts_with("GPU-") && IsUuid(text.substr(4)); }

bool IsMigUuid(std::string_view text) {
  if (!text.starts_with("MIG-")) return false;
  text.remove_prefix(4);
  if (IsUuid(text)) return true;
  const std::vector<std::string> parts = Split(text, '/');
  return parts.size() == 3 && IsGpuUuid(parts[0]) && ParseUnsigned(parts[1]) &&
         ParseUnsigned(parts[2]);
}

}  // namespace

Words<MigStrategy> WordsOf(MigStrategy) { return kMig; }
Words<DeviceListStrategy> WordsOf(DeviceListStrategy) { return kDeviceList; }
Words<DeviceIdStrategy> WordsOf(DeviceIdStrategy) { return kDeviceId; }
Words<DiscoveryStrategy> WordsOf(DiscoveryStrategy) { return kDiscovery; }
Words<AllocationPolicy> WordsOf(AllocationPolicy) { return kPolicy; }
Words<SharingStrategy> WordsOf(SharingStrategy) { return kSharing; }
Words<Isolation::Compute> WordsOf(Isolation::Compute) { return kCompute; }
Words<Isolation::OnViolation> WordsOf(Isolation::OnViolation) { return kOnViolation; }
Words<Isolation::TenantClass> WordsOf(Isolation::TenantClass) { return kTenantClass; }

std::string EitherOf(std::span<const std::string_view> words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

Result<std::string> CompleteResourceName(std::string_view name) {
  std::string full =
      name.starts_with(kPrefix) ? std::string(name) : fmt::format("{}{}", kPrefix, name);
  if (full.size() > kMaxNameLength) {
    return Error{Code::kInvalidArgument,
                 fmt::format("the resource name \"{}\" has {} characters, expected at most {}",
                             full, full.size(), kMaxNameLength)};
  }
  if (!IsSubdomain(std::string_view(full).substr(kPrefix.size()))) {
    return Error{
        Code::kInvalidArgument,
        fmt::format(
            "incorrect format for the resource name \"{}\", expected {} and then lower-case "
            "letters, digits, \"-\" and \".\", such as {}gpu",
            full, kPrefix, kPrefix)};
  }
  return full;
}

bool IsNamespace(std::string_view text) {
  constexpr std::size_t kMost = 63;
  return text.size() <= kMost && text.find('.') == text.npos && IsSubdomain(text);
}

bool IsDeviceRef(std::string_view text) {
  const std::vector<std::string> parts = Split(text, ':');
  if (parts.size() <= 2 && std::all_of(parts.begin(), parts.end(),
                                       [](const std::string& p) { return ParseUnsigned(p); })) {
    return true;
  }
  return IsGpuUuid(text) || IsMigUuid(text);
}

}  // namespace aliquot::config
