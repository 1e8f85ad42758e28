// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "base/text.h"
#include "config/reader.h"
#include "config/yaml_document.h"
#include "mig/config_file.h"

namespace aliquot::mig {
namespace {

using config::Node;
using config::NodePtr;
using config::Problems;

// Of a configuration's name. Written with escapes it still is shorter than the 1024 characters that
// YAML allows a key.
constexpr std::size_t kMaxLabelBytes = 128;

// Where a value stands, and its dotted path for messages.
struct Place {
  const Node* node = nullptr;
  std::string path;
};

// A filter as numbers.
struct Filter {
  std::uint32_t device = 0;
  std::optional<std::uint32_t> subsystem;
};

std::optional<std::uint32_t> ParseHex(std::string_view text) {
  if (text.size() < 3 || text.size() > 10 || text[0] != '0' || (text[1] | 0x20) != 'x') return {};
  std::uint32_t value = 0;
  for (const char c : ToLower(text.substr(2))) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return {};
    value = value << 4 | static_cast<std::uint32_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return value;
}

std::optional<Filter> ParseFilter(std::string_view text) {
  const std::size_t colon = text.find(':');
  const auto device = ParseHex(text.substr(0, colon));
  if (!device) return {};
  if (colon == std::string_view::npos) return Filter{*device, {}};
  const auto subsystem = ParseHex(text.substr(colon + 1));
  if (!subsystem) return {};
  return Filter{*device, subsystem};
}

// Reads the file top down; every problem is reported and reading goes on.
class Parser {
 public:
  explicit Parser(Problems& problems) : problems_(problems) {}

  ConfigFile File(const Node& root) {
    ConfigFile file;
    if (root.is_null()) return file;
    const Place place{&root, ""};
    const auto fields = Fields(place, {"version", "mig-configs"});
    if (!fields) return file;
    const Node* version = fields->at("version").node;
    if (version == nullptr) {
      problems_.Error(root.position, "",
                      "the key \"version\" is missing, expected \"version: v1\"");
    } else if (version->kind != Node::Kind::kString || version->text != "v1") {
      problems_.Error(
          version->position, "version",
          fmt::format("unknown version, expected \"v1\", found {}", config::Describe(*version)));
    }
    const Place configs = fields->at("mig-configs");
    if (configs.node == nullptr) return file;
    if (configs.node->kind != Node::Kind::kMap || configs.node->entries.empty()) {
      Expected(configs, "a map with at least one configuration");
      return file;
    }
    for (const Node::Entry& entry : configs.node->entries) {
      const Place config{entry.value.get(), configs.path + "." + entry.key};
      if (file.configs.contains(entry.key)) Twice(entry, configs.path);
      if (entry.key.size() > kMaxLabelBytes) {
        problems_.Error(entry.position, configs.path,
                        fmt::format("the name of a configuration has {} bytes, expected at most {}",
                                    entry.key.size(), kMaxLabelBytes),
                        "the node label that selects it holds at most 63 characters");
      }
      file.configs[entry.key] = Entries(config);
    }
    return file;
  }

 private:
  using FieldMap = std::map<std::string_view, Place>;

  void Expected(const Place& place, std::string_view what) {
    problems_.Error(place.node->position, place.path,
                    fmt::format("expected {}, found {}", what, config::Describe(*place.node)));
  }
  void Twice(const Node::Entry& entry, const std::string& path) {
    problems_.Error(entry.position, path, fmt::format("the key \"{}\" is there twice", entry.key));
  }

  // The values of a map's keys; null pointers for those that are not there.
  std::optional<FieldMap> Fields(const Place& place, std::vector<std::string_view> known) {
    if (place.node->kind != Node::Kind::kMap) {
      Expected(place, fmt::format("a map with {}", fmt::join(known, ", ")));
      return {};
    }
    FieldMap fields;
    for (const std::string_view key : known) fields[key];
    for (const Node::Entry& entry : place.node->entries) {
      const auto field = fields.find(entry.key);
      if (field == fields.end()) {
        const auto nearest = NearestOf(entry.key, known);
        problems_.Error(entry.position, place.path, fmt::format("unknown key \"{}\"", entry.key),
                        nearest ? fmt::format("did you mean \"{}\"?", *nearest) : "");
        continue;
      }
      if (field->second.node != nullptr && !entry.merged) Twice(entry, place.path);
      const std::string prefix = place.path.empty() ? "" : place.path + ".";
      field->second = {entry.value.get(), prefix + entry.key};
    }
    return fields;
  }

  std::vector<ConfigEntry> Entries(const Place& place) {
    std::vector<ConfigEntry> entries;
    if (place.node->kind != Node::Kind::kSequence || place.node->items.empty()) {
      Expected(place, "a list with at least one entry");
      return entries;
    }
    for (std::size_t i = 0; i < place.node->items.size(); ++i) {
      entries.push_back(Entry({place.node->items[i].get(), fmt::format("{}[{}]", place.path, i)}));
    }
    return entries;
  }

  ConfigEntry Entry(const Place& place) {
    ConfigEntry entry;
    const auto fields = Fields(place, {"device-filter", "devices", "mig-enabled", "mig-devices"});
    if (!fields) return entry;
    if (fields->at("device-filter").node != nullptr) Filters(fields->at("device-filter"), entry);
    if (Required(place, *fields, "devices")) Devices(fields->at("devices"), entry);
    if (!Required(place, *fields, "mig-enabled")) return entry;
    const Place enabled = fields->at("mig-enabled");
    if (enabled.node->kind != Node::Kind::kBool) {
      Expected(enabled, "true or false");
      return entry;
    }
    entry.desired.mig_enabled = enabled.node->boolean;
    const Place devices = fields->at("mig-devices");
    const bool given = devices.node != nullptr && !devices.node->is_null();
    if (given) Profiles(devices, entry);
    if (entry.desired.mig_enabled && !given) {
      problems_.Error(place.node->position, place.path,
                      "with mig-enabled: true the key \"mig-devices\" is required",
                      "write \"mig-devices: {}\" for MIG mode without devices");
    }
    if (!entry.desired.mig_enabled && given && !devices.node->entries.empty()) {
      problems_.Error(devices.node->position, devices.path,
                      "there are MIG devices although mig-enabled is false");
    }
    return entry;
  }

  bool Required(const Place& place, const FieldMap& fields, std::string_view key) {
    if (fields.at(key).node != nullptr) return true;
    problems_.Error(place.node->position, place.path,
                    fmt::format("the key \"{}\" is required", key));
    return false;
  }

  void Filters(const Place& place, ConfigEntry& entry) {
    std::vector<const Node*> items = {place.node};
    if (place.node->kind == Node::Kind::kSequence) {
      items.clear();
      for (const NodePtr& item : place.node->items) items.push_back(item.get());
    }
    for (const Node* item : items) {
      if (item->kind != Node::Kind::kString) {
        // An unquoted 0x20B010DE is a number to YAML.
        problems_.Error(item->position, place.path,
                        fmt::format("expected a device id in quotes like \"0x20B010DE\", found {}",
                                    config::Describe(*item)));
        continue;
      }
      if (!ParseFilter(item->text)) {
        problems_.Warn(item->position, place.path,
                       fmt::format("\"{}\" is no device id and matches no GPU", item->text),
                       "expected 0x, device id and vendor id, like 0x20B010DE");
      }
      entry.device_filter.push_back(item->text);
    }
  }

  void Devices(const Place& place, ConfigEntry& entry) {
    if (place.node->kind == Node::Kind::kString && place.node->text == "all") {
      entry.all_devices = true;
      return;
    }
    if (place.node->kind != Node::Kind::kSequence) {
      Expected(place, "\"all\" or a list of GPU indices");
      return;
    }
    for (std::size_t i = 0; i < place.node->items.size(); ++i) {
      const Node& item = *place.node->items[i];
      if (item.kind != Node::Kind::kInteger || item.integer < 0 ||
          item.integer > std::numeric_limits<int>::max()) {
        Expected({&item, fmt::format("{}[{}]", place.path, i)}, "a GPU index");
        continue;
      }
      entry.devices.push_back(static_cast<unsigned>(item.integer));
    }
  }

  void Profiles(const Place& place, ConfigEntry& entry) {
    if (place.node->kind != Node::Kind::kMap) {
      Expected(place, "a map of MIG profiles and counts");
      return;
    }
    std::set<std::string> spellings;
    bool all_zero = !place.node->entries.empty();
    for (const Node::Entry& item : place.node->entries) {
      const std::string path = fmt::format("{}[\"{}\"]", place.path, item.key);
      if (!spellings.insert(item.key).second) Twice(item, place.path);
      const auto name = ParseProfileName(item.key);
      if (!name.ok()) {
        problems_.Error(item.position, path, name.error().message);
        all_zero = false;
        continue;
      }
      const Node& count = *item.value;
      if (count.kind != Node::Kind::kInteger || count.integer < 0 ||
          count.integer > std::numeric_limits<int>::max()) {
        Expected({&count, path}, "a whole number of devices, 0 or more");
        all_zero = false;
        continue;
      }
      if (count.integer == 0) continue;
      unsigned& total = entry.desired.devices[*name];
      if (total != 0) {
        problems_.Warn(item.position, path,
                       fmt::format("\"{}\" is another spelling of {}; the counts are added up",
                                   item.key, name->ToString()));
      }
      // Saturates: no GPU holds anywhere near as many.
      constexpr std::int64_t kMost = std::numeric_limits<int>::max();
      total = static_cast<unsigned>(std::min(total + count.integer, kMost));
      all_zero = false;
    }
    if (all_zero) {
      problems_.Error(place.node->position, place.path, "all counts are 0, expected a device",
                      "write \"mig-devices: {}\" for MIG mode without devices");
    }
  }

  Problems& problems_;
};

}  // namespace

ParsedConfigFile ParseConfigFile(std::string_view text) {
  ParsedConfigFile parsed;
  Problems problems;
  const NodePtr root = config::ParseYaml(text, problems);
  if (root != nullptr) parsed.file = Parser(problems).File(*root);
  parsed.problems = std::move(problems).Take();
  return parsed;
}

bool FilterMatches(const std::string& filter, const GpuMigState& gpu) {
  const auto parsed = ParseFilter(filter);
  return parsed && parsed->device == gpu.pci_device_id &&
         (!parsed->subsystem || *parsed->subsystem == gpu.pci_subsystem_id);
}

}  // namespace aliquot::mig
