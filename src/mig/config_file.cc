// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "base/text.h"
#include "config/yaml_document.h"
#include "mig/placement.h"

namespace aliquot::mig {
namespace {

std::string FilterOf(const GpuMigState& gpu) { return fmt::format("0x{:08X}", gpu.pci_device_id); }

bool SpeaksOf(const ConfigEntry& entry, const GpuMigState& gpu) {
  const bool passes = entry.device_filter.empty() ||
                      std::any_of(entry.device_filter.begin(), entry.device_filter.end(),
                                  [&](const auto& filter) { return FilterMatches(filter, gpu); });
  return passes && (entry.all_devices ||
                    std::count(entry.devices.begin(), entry.devices.end(), gpu.index) > 0);
}

// JSON text, with the characters escaped that JSON allows in strings but YAML does not: DEL, the
// C1 controls and the two noncharacters.
std::string ToText(const boost::json::value& value) {
  const std::string raw = boost::json::serialize(value);
  std::string text;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const auto byte = [&](std::size_t at) {
      return at < raw.size() ? static_cast<unsigned char>(raw[at]) : 0u;
    };
    if (byte(i) == 0x7f) {
      text += "\\u007f";
    } else if (byte(i) == 0xc2 && byte(i + 1) < 0xa0) {
      text += fmt::format("\\u{:04x}", byte(++i));
    } else if (byte(i) == 0xef && byte(i + 1) == 0xbf && byte(i + 2) >= 0xbe) {
      text += fmt::format("\\uff{:02x}", byte(i + 2) + 0x40);
      i += 2;
    } else {
      text += raw[i];
    }
  }
  return text;
}

// A word that YAML takes for itself, or the same in quotes.
std::string Quoted(const std::string& text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  config::Node node;
  node.text = text;
  config::ResolvePlainScalar(node);
  const bool word = !text.empty() && text.front() != '-' && text.front() != '.' &&
                    std::all_of(text.begin(), text.end(), plain) &&
                    node.kind == config::Node::Kind::kString;
  return word ? text : ToText(boost::json::value(text));
}

std::string DevicesText(const ConfigEntry& entry) {
  return entry.all_devices ? "all" : fmt::format("[{}]", fmt::join(entry.devices, ", "));
}

// One GPU kind's number of devices that fit at once.
unsigned MostOf(const Placer& placer, const InstanceProfile& profile) {
  unsigned count = 0;
  while (count < profile.max_instances &&
         placer.Place({}, std::vector<const InstanceProfile*>(count + 1, &profile))) {
    ++count;
  }
  return count;
}

// Of the profiles with this many slices the one most can be had of.
const InstanceProfile* MostNumerous(const GpuMigState& gpu, unsigned slices) {
  const InstanceProfile* most = nullptr;
  for (const InstanceProfile& profile : gpu.profiles) {
    if (profile.slices != slices) continue;
    if (most == nullptr || profile.max_instances > most->max_instances) most = &profile;
  }
  return most;
}

// A mix of sizes: {1g: 2, 2g: 1, 3g: 1}, without the 3g on parts of four slices.
std::optional<DesiredGpu> Balanced(const GpuMigState& gpu, const Placer& placer) {
  DesiredGpu desired{true, {}};
  std::vector<const InstanceProfile*> add;
  const unsigned whole = ComputeSlices(gpu.profiles);
  for (const auto& [slices, count] : {std::pair{1u, 2u}, {2u, 1u}, {3u, 1u}}) {
    if (slices == 3 && whole < 7) continue;
    const InstanceProfile* profile = MostNumerous(gpu, slices);
    if (profile == nullptr) return {};
    desired.devices[profile->name] = count;
    add.insert(add.end(), count, profile);
  }
  if (!placer.Place({}, add)) return {};
  return desired;
}

// Appends, or widens an entry for other GPUs that wants the same.
void AddEntry(std::vector<ConfigEntry>& entries, ConfigEntry entry) {
  for (ConfigEntry& other : entries) {
    if (other.desired != entry.desired || other.all_devices != entry.all_devices) continue;
    other.device_filter.insert(other.device_filter.end(), entry.device_filter.begin(),
                               entry.device_filter.end());
    other.devices.insert(other.devices.end(), entry.devices.begin(), entry.devices.end());
    std::sort(other.devices.begin(), other.devices.end());
    return;
  }
  entries.push_back(std::move(entry));
}

std::set<std::uint32_t> KindsOf(const std::vector<GpuMigState>& gpus) {
  std::set<std::uint32_t> kinds;
  for (const GpuMigState& gpu : gpus) kinds.insert(gpu.pci_device_id);
  return kinds;
}

DesiredGpu SettingsOf(const GpuMigState& gpu) {
  DesiredGpu settings{gpu.mode_on, {}};
  for (const GpuInstance& instance : gpu.instances) {
    const InstanceProfile* profile = FindProfile(gpu, instance.profile);
    for (const ComputeInstance& compute : instance.compute) {
      const ComputeProfile* kind =
          profile == nullptr ? nullptr : FindComputeProfile(*profile, compute.profile);
      if (kind == nullptr) continue;
      ProfileName name = profile->name;
      name.compute_slices = kind->slices;
      ++settings.devices[name];
    }
  }
  return settings;
}

}  // namespace

Result<const std::vector<ConfigEntry>*> SelectConfig(const ConfigFile& file,
                                                     const std::string& label) {
  std::vector<std::string> labels;
  for (const auto& [name, entries] : file.configs) labels.push_back(name);
  if (label.empty() && labels.size() == 1) return &file.configs.begin()->second;
  if (labels.empty()) return Error{Code::kNotFound, "the file has no MIG configurations"};
  if (label.empty()) {
    return Error{Code::kInvalidArgument,
                 fmt::format("the file has several MIG configurations, select one of {}",
                             Join(labels, ", "))};
  }
  const auto found = file.configs.find(label);
  if (found != file.configs.end()) return &found->second;
  return Error{Code::kNotFound,
               fmt::format("MIG configuration \"{}\" is not in the file, which has "
                           "{}",
                           label, Join(labels, ", "))};
}

Result<std::vector<std::optional<DesiredGpu>>> DesiredFor(const std::vector<ConfigEntry>& entries,
                                                          const std::vector<GpuMigState>& gpus) {
  std::vector<std::optional<DesiredGpu>> desired(gpus.size());
  for (const ConfigEntry& entry : entries) {
    for (std::size_t i = 0; i < gpus.size(); ++i) {
      if (!SpeaksOf(entry, gpus[i])) continue;
      if (!gpus[i].mig_capable && entry.desired.mig_enabled && !entry.all_devices) {
        return Error{Code::kFailedPrecondition,
                     fmt::format("the configuration turns MIG on for {} ({}), which cannot do MIG",
                                 GpuTitle(gpus[i]), gpus[i].name)};
      }
      if (gpus[i].mig_capable) desired[i] = entry.desired;
    }
  }
  return desired;
}

bool MayMean(const std::vector<ConfigEntry>& entries, unsigned index) {
  return std::any_of(entries.begin(), entries.end(), [&](const ConfigEntry& entry) {
    return entry.all_devices || std::count(entry.devices.begin(), entry.devices.end(), index) > 0;
  });
}

std::string WriteYaml(const ConfigFile& file) {
  std::string text = "version: v1\n";
  if (!file.configs.empty()) text += "mig-configs:\n";
  for (const auto& [label, entries] : file.configs) {
    text += fmt::format("  {}:\n", Quoted(label));
    for (const ConfigEntry& entry : entries) {
      const char* indent = "  - ";
      if (!entry.device_filter.empty()) {
        std::vector<std::string> filters;
        for (const std::string& filter : entry.device_filter) {
          filters.push_back(ToText(boost::json::value(filter)));
        }
        text += fmt::format("{}device-filter: [{}]\n", indent, Join(filters, ", "));
        indent = "    ";
      }
      text += fmt::format("{}devices: {}\n    mig-enabled: {}\n", indent, DevicesText(entry),
                          entry.desired.mig_enabled);
      if (!entry.desired.mig_enabled) continue;
      text += entry.desired.devices.empty() ? "    mig-devices: {}\n" : "    mig-devices:\n";
      for (const auto& [name, count] : entry.desired.devices) {
        text += fmt::format("      \"{}\": {}\n", name.ToString(), count);
      }
    }
  }
  return text;
}

std::string WriteJson(const ConfigFile& file) {
  namespace json = boost::json;
  json::object configs;
  for (const auto& [label, entries] : file.configs) {
    json::array list;
    for (const ConfigEntry& entry : entries) {
      json::object object;
      if (!entry.device_filter.empty()) {
        object["device-filter"] =
            json::array(entry.device_filter.begin(), entry.device_filter.end());
      }
      object["devices"] =
          entry.all_devices ? json::value("all")
                            : json::value(json::array(entry.devices.begin(), entry.devices.end()));
      object["mig-enabled"] = entry.desired.mig_enabled;
      if (entry.desired.mig_enabled) {
        json::object devices;
        for (const auto& [name, count] : entry.desired.devices) devices[name.ToString()] = count;
        object["mig-devices"] = std::move(devices);
      }
      list.push_back(std::move(object));
    }
    configs[label] = std::move(list);
  }
  json::object root{{"version", "v1"}};
  if (!configs.empty()) root["mig-configs"] = std::move(configs);
  return ToText(root) + "\n";
}

ConfigFile ExportConfig(const std::vector<GpuMigState>& gpus, const std::string& label) {
  const std::set<std::uint32_t> kinds = KindsOf(gpus);
  std::vector<ConfigEntry> entries;
  for (const std::uint32_t kind : kinds) {
    std::vector<ConfigEntry> of_kind;
    std::size_t members = 0;
    for (const GpuMigState& gpu : gpus) {
      if (gpu.pci_device_id != kind || !gpu.mig_capable) continue;
      ++members;
      ConfigEntry entry;
      entry.devices = {gpu.index};
      entry.desired = SettingsOf(gpu);
      AddEntry(of_kind, std::move(entry));
    }
    for (ConfigEntry& entry : of_kind) {
      if (entry.devices.size() == members) {
        entry.all_devices = true;
        entry.devices.clear();
      }
      if (kinds.size() > 1) entry.device_filter = {fmt::format("0x{:08X}", kind)};
      AddEntry(entries, std::move(entry));
    }
  }
  ConfigFile file;
  if (!entries.empty()) file.configs[label] = std::move(entries);
  return file;
}

Result<ConfigFile> GenerateConfig(const std::vector<GpuMigState>& gpus) {
  ConfigFile file;
  const bool several = KindsOf(gpus).size() > 1;
  std::set<std::uint32_t> seen;
  bool capable = false;
  for (const GpuMigState& gpu : gpus) {
    capable |= gpu.mig_capable;
    if (!gpu.mig_capable || gpu.profiles.empty() || !seen.insert(gpu.pci_device_id).second) {
      continue;
    }
    const auto add = [&](const std::string& label, DesiredGpu desired) {
      ConfigEntry entry;
      if (several) entry.device_filter = {FilterOf(gpu)};
      entry.all_devices = true;
      entry.desired = std::move(desired);
      AddEntry(file.configs[label], std::move(entry));
    };
    const Placer placer(gpu.profiles);
    for (const InstanceProfile& profile : gpu.profiles) {
      const unsigned count = MostOf(placer, profile);
      if (count > 0) add("all-" + LabelForm(profile.name), {true, {{profile.name, count}}});
    }
    if (auto balanced = Balanced(gpu, placer)) add("all-balanced", *std::move(balanced));
  }
  if (!capable) return Error{Code::kNotFound, "no GPU of this node can do MIG"};
  if (seen.empty()) {
    return Error{Code::kFailedPrecondition,
                 "the driver lists no MIG profiles; it may list them only with MIG mode on"};
  }
  ConfigEntry all;
  all.all_devices = true;
  file.configs["all-disabled"] = {all};
  all.desired.mig_enabled = true;
  file.configs["all-enabled"] = {all};
  return file;
}

}  // namespace aliquot::mig
