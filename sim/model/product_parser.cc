// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "sim/model/product.h"
#include "sim/model/yaml_reader.h"

namespace aliquot::sim {
namespace {

struct ProfileKind {
  std::string_view name;  // as in NVML_GPU_INSTANCE_PROFILE_<name>
  unsigned index;
  std::string_view suffix;
};

// NVML_GPU_INSTANCE_PROFILE_3_SLICE_GFX is left out: tools that do not know it give up on the GPU.
constexpr ProfileKind kProfileKinds[] = {
    {"1_SLICE", 0x0, ""},
    {"2_SLICE", 0x1, ""},
    {"3_SLICE", 0x2, ""},
    {"4_SLICE", 0x3, ""},
    {"7_SLICE", 0x4, ""},
    {"1_SLICE_REV1", 0x7, "+me"},
    {"2_SLICE_REV1", 0x8, "+me"},
    {"1_SLICE_REV2", 0x9, ""},
    {"1_SLICE_GFX", 0xA, "+gfx"},
    {"2_SLICE_GFX", 0xB, "+gfx"},
    {"4_SLICE_GFX", 0xC, "+gfx"},
    {"1_SLICE_NO_ME", 0xD, "-me"},
    {"2_SLICE_NO_ME", 0xE, "-me"},
    {"1_SLICE_ALL_ME", 0xF, "+me.all"},
    {"2_SLICE_ALL_ME", 0x10, "+me.all"},
};

constexpr std::pair<std::string_view, unsigned> kArchitectures[] = {
    {"turing", 6}, {"ampere", 7}, {"ada", 8}, {"hopper", 9}, {"blackwell", 10}};
constexpr std::pair<std::string_view, unsigned> kBrands[] = {{"tesla", 2}, {"nvidia", 14}};
constexpr std::pair<std::string_view, NvLinkKind> kNvLinkKinds[] = {
    {"none", NvLinkKind::kNone}, {"direct", NvLinkKind::kDirect}, {"switch", NvLinkKind::kSwitch}};
constexpr std::pair<std::string_view, MigModeChange> kModeChanges[] = {
    {"reset", MigModeChange::kReset}, {"immediate", MigModeChange::kImmediate}};

// Far above any GPU, and small enough that no arithmetic on them overflows.
constexpr std::int64_t kMostMib = 1 << 24;
constexpr std::int64_t kMostCount = 1 << 16;

class ProductParser {
 public:
  ProductParser(std::string_view file, const std::string& text) : file_(file), reader_(text) {}

  Result<Product> Parse() {
    if (reader_.ok()) ReadAll(reader_.root());
    if (!reader_.ok()) {
      return Error{Code::kInvalidArgument, FormatProblems(file_, reader_.problems())};
    }
    return std::move(product_);
  }

 private:
  template <typename T, std::size_t N>
  T Choice(const YAML::Node& map, std::string_view key,
           const std::pair<std::string_view, T> (&choices)[N]) {
    const YAML::Node node = reader_.Require(map, key);
    const std::optional<std::string> text = reader_.ScalarText(node, key);
    if (!text) return {};
    for (const auto& [name, value] : choices) {
      if (name == *text) return value;
    }
    reader_.Report(node, fmt::format("{} \"{}\" is not known", key, *text));
    return {};
  }

  std::string Text(const YAML::Node& map, std::string_view key) {
    return reader_.ScalarText(reader_.Require(map, key), key).value_or("");
  }

  unsigned Number(const YAML::Node& map, std::string_view key, std::int64_t least,
                  std::int64_t most = kMostCount) {
    const YAML::Node node = reader_.Require(map, key);
    return static_cast<unsigned>(reader_.ScalarInteger(node, key, least, most).value_or(least));
  }

  void ReadAll(const YAML::Node& root) {
    if (!reader_.CheckMap(root, "a product",
                          {"key", "name", "architecture", "brand", "computeCapability",
                           "multiprocessors", "cores", "pci", "memory", "power", "clocks", "ecc",
                           "nvlink", "vbios", "partNumber", "mig"})) {
      return;
    }
    product_.key = Text(root, "key");
    product_.name = Text(root, "name");
    product_.architecture = Choice(root, "architecture", kArchitectures);
    product_.brand = Choice(root, "brand", kBrands);
    ReadComputeCapability(root);
    product_.multiprocessors = Number(root, "multiprocessors", 1);
    product_.cores = Number(root, "cores", 1);
    product_.ecc = reader_.Boolean(root, "ecc").value_or(false);
    product_.vbios = Text(root, "vbios");
    product_.part_number = Text(root, "partNumber");
    ReadPci(reader_.Require(root, "pci"));
    ReadMemory(reader_.Require(root, "memory"));
    ReadPowerAndClocks(root);
    ReadNvLink(reader_.Require(root, "nvlink"));
    const YAML::Node mig = reader_.Get(root, "mig");
    if (mig.IsDefined() && product_.memory_total_mib > 0) ReadMig(mig);
  }

  void ReadComputeCapability(const YAML::Node& root) {
    const YAML::Node node = reader_.Require(root, "computeCapability");
    const std::string text = reader_.ScalarText(node, "computeCapability").value_or("0.0");
    const std::size_t dot = text.find('.');
    const YAML::Node major(text.substr(0, dot));
    const YAML::Node minor(dot == std::string::npos ? "" : text.substr(dot + 1));
    product_.compute_major =
        static_cast<unsigned>(reader_.ScalarInteger(major, "major", 0, 99).value_or(0));
    product_.compute_minor =
        static_cast<unsigned>(reader_.ScalarInteger(minor, "minor", 0, 99).value_or(0));
  }

  void ReadPci(const YAML::Node& pci) {
    if (!reader_.CheckMap(pci, "pci",
                          {"device", "subsystem", "class", "generation", "width", "paired"})) {
      return;
    }
    constexpr std::uint32_t kNvidia = 0x10DE;
    product_.pci_device_id = Number(pci, "device", 0, 0xFFFF) << 16 | kNvidia;
    product_.pci_subsystem_id = static_cast<std::uint32_t>(
        reader_.ScalarInteger(reader_.Require(pci, "subsystem"), "subsystem", 0, 0xFFFFFFFF)
            .value_or(0));
    product_.pci_class = Number(pci, "class", 0, 0xFFFFFF);
    product_.pcie_generation = Number(pci, "generation", 1, 8);
    product_.pcie_width = Number(pci, "width", 1, 32);
    product_.paired = reader_.Boolean(pci, "paired").value_or(false);
  }

  void ReadMemory(const YAML::Node& memory) {
    if (!reader_.CheckMap(memory, "memory", {"totalMiB", "reservedKiB", "bar1MiB", "busWidth"})) {
      return;
    }
    product_.memory_total_mib = Number(memory, "totalMiB", 1024, kMostMib);
    product_.memory_reserved_kib = Number(memory, "reservedKiB", 0, 1 << 20);
    product_.bar1_mib = Number(memory, "bar1MiB", 1, kMostMib);
    product_.memory_bus_width = Number(memory, "busWidth", 1);
  }

  void ReadPowerAndClocks(const YAML::Node& root) {
    const YAML::Node power = reader_.Require(root, "power");
    if (reader_.CheckMap(power, "power", {"limitWatts", "minWatts", "idleWatts"})) {
      product_.power_limit_watts = Number(power, "limitWatts", 1);
      product_.power_min_watts = Number(power, "minWatts", 1);
      product_.power_idle_watts = Number(power, "idleWatts", 1);
    }
    const YAML::Node clocks = reader_.Require(root, "clocks");
    if (reader_.CheckMap(clocks, "clocks", {"graphicsMHz", "memoryMHz", "videoMHz"})) {
      product_.graphics_clock_mhz = Number(clocks, "graphicsMHz", 1);
      product_.memory_clock_mhz = Number(clocks, "memoryMHz", 1);
      product_.video_clock_mhz = static_cast<unsigned>(
          reader_.Integer(clocks, "videoMHz", 1, kMostCount).value_or(product_.graphics_clock_mhz));
    }
  }

  void ReadNvLink(const YAML::Node& nvlink) {
    if (!reader_.CheckMap(nvlink, "nvlink", {"kind", "links", "version"})) return;
    product_.nvlink = Choice(nvlink, "kind", kNvLinkKinds);
    if (product_.nvlink == NvLinkKind::kNone) return;
    product_.nvlink_count = Number(nvlink, "links", 1, 18);
    product_.nvlink_version = Number(nvlink, "version", 1, 16);
  }

  void ReadMig(const YAML::Node& mig) {
    if (!reader_.CheckMap(mig, "mig",
                          {"slices", "grid", "unitMultiprocessors", "modeChange", "profiles"})) {
      return;
    }
    MigTraits traits;
    traits.slices = Number(mig, "slices", 1, 8);
    traits.grid = Number(mig, "grid", 1, 16);
    traits.unit_multiprocessors = Number(mig, "unitMultiprocessors", 1);
    traits.mode_change = Choice(mig, "modeChange", kModeChanges);
    product_.mig = std::move(traits);
    for (const YAML::Node& entry : reader_.List(mig, "profiles", 16)) ReadProfile(entry);
    if (reader_.ok() && product_.mig->profiles.empty()) {
      reader_.Report(mig, "profiles is empty; expected at least one");
    }
    std::sort(product_.mig->profiles.begin(), product_.mig->profiles.end(),
              [](const MigProfile& a, const MigProfile& b) { return a.index < b.index; });
  }

  void ReadProfile(const YAML::Node& entry) {
    if (!reader_.CheckMap(entry, "a profile",
                          {"kind", "id", "name", "slices", "instances", "memoryMiB",
                           "multiprocessors", "engines", "size", "starts"})) {
      return;
    }
    const YAML::Node kind_node = reader_.Require(entry, "kind");
    const std::string kind_name = reader_.ScalarText(kind_node, "kind").value_or("");
    const auto* kind = std::find_if(std::begin(kProfileKinds), std::end(kProfileKinds),
                                    [&](const ProfileKind& k) { return k.name == kind_name; });
    if (kind == std::end(kProfileKinds)) {
      reader_.Report(kind_node, fmt::format("profile kind \"{}\" is not known", kind_name));
      return;
    }
    MigProfile profile;
    profile.index = kind->index;
    profile.graphics = kind->suffix == "+gfx";
    profile.media_none = kind->suffix == "-me";
    profile.media_exclusive = kind->suffix == "+me.all";
    profile.id = Number(entry, "id", 0, 255);
    profile.slices = Number(entry, "slices", 1, product_.mig->slices);
    profile.instances = Number(entry, "instances", 1, 8);
    profile.memory_mib = Number(entry, "memoryMiB", 1, product_.memory_total_mib);
    profile.multiprocessors = Number(entry, "multiprocessors", 1);
    ReadEngines(entry, profile);
    ReadPlacements(entry, profile);
    profile.name = MigProfileName(profile.slices, profile.slices, profile.memory_mib,
                                  product_.memory_total_bytes(), kind->suffix);
    const std::string written = Text(entry, "name");
    if (written != profile.name) {
      reader_.Report(entry, fmt::format("profile is named \"{}\", but its memory makes it \"{}\"",
                                        written, profile.name));
    }
    if (product_.ProfileById(profile.id) != nullptr ||
        product_.ProfileByIndex(profile.index) != nullptr) {
      reader_.Report(entry, "profile repeats the kind or id of an earlier one");
    }
    product_.mig->profiles.push_back(std::move(profile));
  }

  void ReadEngines(const YAML::Node& entry, MigProfile& profile) {
    reader_.Require(entry, "engines");
    const std::vector<YAML::Node> counts = reader_.List(entry, "engines", 5);
    if (counts.size() != 5) {
      reader_.Report(entry, "engines is not [copy, decoder, encoder, jpeg, ofa]");
      return;
    }
    std::array<unsigned, 5> n{};
    for (std::size_t i = 0; i < n.size(); ++i) {
      n[i] = static_cast<unsigned>(reader_.ScalarInteger(counts[i], "engines", 0, 64).value_or(0));
    }
    profile.engines = {n[0], n[1], n[2], n[3], n[4]};
  }

  void ReadPlacements(const YAML::Node& entry, MigProfile& profile) {
    const unsigned grid = product_.mig->grid;
    profile.size = Number(entry, "size", 1, grid);
    reader_.Require(entry, "starts");
    for (const YAML::Node& node : reader_.List(entry, "starts", 8)) {
      const auto start =
          static_cast<unsigned>(reader_.ScalarInteger(node, "start", 0, grid).value_or(0));
      if (start % profile.size != 0 || start + profile.size > grid) {
        reader_.Report(node, fmt::format("start {} does not fit a size of {} in a grid of {}",
                                         start, profile.size, grid));
      }
      profile.starts.push_back(start);
    }
    if (profile.starts.empty()) reader_.Report(entry, "starts is empty");
  }

  std::string file_;
  YamlReader reader_;
  Product product_;
};

}  // namespace

Result<Product> ParseProduct(std::string_view file, const std::string& text) {
  return ProductParser(file, text).Parse();
}

}  // namespace aliquot::sim
