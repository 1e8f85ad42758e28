// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "labels/host_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <span>
#include <string_view>
#include <system_error>

#include "base/file.h"
#include "base/text.h"

namespace aliquot::labels {
namespace {

constexpr std::uint32_t kNvidia = 0x10de;
constexpr std::uint32_t kDisplay = 0x03;  // base class
constexpr std::size_t kMaxConfigSpace = 4096;

// "0x030200\n"
std::optional<std::uint32_t> ParseHex(std::string_view text) {
  text = Trim(text);
  if (!text.starts_with("0x")) return {};
  std::uint32_t value = 0;
  const auto [end, failure] =
      std::from_chars(text.data() + 2, text.data() + text.size(), value, 16);
  if (failure != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

Result<std::uint32_t> ReadHex(const std::string& path) {
  const Result<std::string> text = ReadFile(path, 64);
  if (!text) return text.error();
  const std::optional<std::uint32_t> value = ParseHex(*text);
  if (!value) {
    return Error{Code::kDataLoss,
                 fmt::format("cannot read {}: \"{}\" is no hexadecimal number", path, Trim(*text))};
  }
  return *value;
}

// Sorted. Empty if there is no such directory.
Result<std::vector<std::string>> ListNames(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code failure;
  std::filesystem::directory_iterator entries(directory, failure);
  const std::filesystem::directory_iterator end;
  while (!failure && entries != end) {
    names.push_back(entries->path().filename().string());
    entries.increment(failure);
  }
  if (failure && failure != std::errc::no_such_file_or_directory) {
    return Error{Code::kUnknown, fmt::format("cannot list {}: {}", directory, failure.message())};
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Adds one PCI device to `facts` if it is an NVIDIA GPU.
Status ReadDevice(const std::string& directory, const std::string& bus_id, HostFacts& facts) {
  const Result<std::uint32_t> vendor = ReadHex(directory + "/vendor");
  if (!vendor) return vendor.error();
  if (*vendor != kNvidia) return {};
  const Result<std::uint32_t> pci_class = ReadHex(directory + "/class");
  if (!pci_class) return pci_class.error();
  if (*pci_class >> 16 != kDisplay) return {};  // audio, USB or switch functions
  facts.pci_classes[ToLower(bus_id)] = *pci_class;

  const Result<std::string> config = ReadFile(directory + "/config", kMaxConfigSpace);
  if (!config) return config.error();
  const Result<std::optional<VgpuHost>> host =
      ParseVgpuHost({reinterpret_cast<const std::uint8_t*>(config->data()), config->size()});
  if (!host) return host.error().In("cannot tell whether " + bus_id + " is a virtual GPU");
  if (!host->has_value()) return {};
  facts.vgpu = true;
  if (!facts.vgpu_host.has_value()) facts.vgpu_host = **host;
  return {};
}

}  // namespace

HostFactsReading ReadHostFacts(const std::string& root, const std::string& machine_type_file) {
  HostFactsReading reading;
  const Result<std::string> machine = ReadFile(root + machine_type_file, 4096);
  if (machine.ok()) {
    reading.facts.machine_type = std::string(Trim(*machine));
  } else {
    reading.problems.push_back(machine.error().message);
  }
  const std::string bus = root + "/sys/bus/pci/devices";
  const Result<std::vector<std::string>> names = ListNames(bus);
  if (!names) {
    reading.problems.push_back(names.error().message);
    return reading;
  }
  for (const std::string& name : *names) {
    const Status status = ReadDevice(bus + "/" + name, name, reading.facts);
    if (!status.ok()) reading.problems.push_back(status.error().message);
  }
  return reading;
}

}  // namespace aliquot::labels
