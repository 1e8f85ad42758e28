// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/host_files.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>

#include "base/file.h"
#include "base/text.h"

namespace aliquot::gpu {
namespace {

std::optional<unsigned> ParseNumber(std::string_view text) {
  const auto value = ParseUnsigned(text);
  if (!value || *value > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  return static_cast<unsigned>(*value);
}

// "gi12" with prefix "gi" is 12.
std::optional<unsigned> NumberAfter(std::string_view prefix, std::string_view text) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return ParseNumber(text.substr(prefix.size()));
}

}  // namespace

MigMinors MigMinors::Parse(std::string_view text) {
  MigMinors result;
  for (const std::string& raw : Split(text, '\n')) {
    const std::string_view line = Trim(raw);
    if (!line.starts_with("gpu")) continue;
    const std::size_t blank = line.find(' ');
    const std::vector<std::string> parts = Split(line.substr(0, blank), '/');
    const bool shape = blank != std::string_view::npos &&
                       (parts.size() == 3 || parts.size() == 4) && parts.back() == "access";
    const auto minor = shape ? ParseNumber(Trim(line.substr(blank))) : std::nullopt;
    const auto gpu = shape ? NumberAfter("gpu", parts[0]) : std::nullopt;
    const auto gi = shape ? NumberAfter("gi", parts[1]) : std::nullopt;
    const bool has_ci = parts.size() == 4;
    const auto ci = shape && has_ci ? NumberAfter("ci", parts[2]) : std::nullopt;
    if (!minor || !gpu || !gi || (has_ci && !ci)) {
      ++result.skipped_lines_;
      continue;
    }
    result.minors_.push_back({{*gpu, *gi, has_ci ? static_cast<int>(*ci) : -1}, *minor});
  }
  std::sort(result.minors_.begin(), result.minors_.end());
  return result;
}

MigMinors MigMinors::ByRule() {
  MigMinors result;
  result.by_rule_ = true;
  return result;
}

std::optional<unsigned> MigMinors::Find(const Key& key) const {
  if (by_rule_) return 3 + 135 * key.gpu_minor + 9 * key.gi + static_cast<unsigned>(key.ci + 1);
  const auto found =
      std::lower_bound(minors_.begin(), minors_.end(), key,
                       [](const auto& entry, const Key& wanted) { return entry.first < wanted; });
  if (found == minors_.end() || found->first != key) return std::nullopt;
  return found->second;
}

std::optional<unsigned> MigMinors::GpuInstance(unsigned gpu_minor, unsigned gi) const {
  return Find({gpu_minor, gi, -1});
}

std::optional<unsigned> MigMinors::ComputeInstance(unsigned gpu_minor, unsigned gi,
                                                   unsigned ci) const {
  return Find({gpu_minor, gi, static_cast<int>(ci)});
}

std::string SysfsBusId(std::string_view nvml_bus_id) {
  while (nvml_bus_id.find(':') > 4 && nvml_bus_id.starts_with('0')) nvml_bus_id.remove_prefix(1);
  return ToLower(nvml_bus_id);
}

HostFiles::HostFiles(std::string root) : root_(std::move(root)) {
  while (root_.ends_with('/')) root_.pop_back();
}

std::optional<int> HostFiles::NumaNode(const std::string& bus_id) const {
  const auto text = ReadFile(root_ + "/sys/bus/pci/devices/" + bus_id + "/numa_node", 64);
  if (!text.ok()) return std::nullopt;
  const auto node = ParseNumber(Trim(*text));
  if (!node) return std::nullopt;  // "-1": the firmware does not say
  return static_cast<int>(*node);
}

std::vector<std::string> HostFiles::DrmPaths(const std::string& bus_id) const {
  std::vector<std::string> paths;
  std::error_code error;
  const std::filesystem::path folder(root_ + "/sys/bus/pci/devices/" + bus_id + "/drm");
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (NumberAfter("card", name) || NumberAfter("renderD", name)) {
      paths.push_back("/dev/dri/" + name);
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

Result<MigMinors> HostFiles::ReadMigMinors() const {
  const auto text = ReadFile(root_ + "/proc/driver/nvidia-caps/mig-minors");
  if (!text.ok()) return text.error();
  return MigMinors::Parse(*text);
}

}  // namespace aliquot::gpu
