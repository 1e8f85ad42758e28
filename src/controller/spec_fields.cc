// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/spec_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "controller/json_path.h"

namespace aliquot::controller {
namespace {

namespace json = boost::json;
using Words = std::span<const std::string_view>;

constexpr std::size_t kMostNames = 12;  // of one group
constexpr std::size_t kLongestName = 60;

// A block of the spec whose part exists here.
struct Block {
  std::string_view name;
  Words effective;  // fields that work when the policy is changed
  Words helm;       // fields that are values of the Helm chart here
};

constexpr std::array<std::string_view, 3> kPlugin = {"enabled", "config", "env"};
constexpr std::array<std::string_view, 2> kLabels = {"enabled", "env"};
constexpr std::array<std::string_view, 4> kMigManager = {"enabled", "config", "gpuClientsConfig",
                                                         "env"};
constexpr std::array<std::string_view, 1> kStrategy = {"strategy"};
constexpr std::array<std::string_view, 2> kSandbox = {"enabled", "defaultWorkload"};
// What every part of the GPU operator has.
constexpr std::array<std::string_view, 9> kCommon = {
    "repository", "image", "version", "imagePullPolicy", "imagePullSecrets",
    "resources",  "args",  "env",     "hostNetwork"};
constexpr std::array<std::string_view, 22> kDeployment = {"labels",
                                                          "annotations",
                                                          "tolerations",
                                                          "priorityClassName",
                                                          "updateStrategy",
                                                          "rollingUpdate",
                                                          "podSecurityContext",
                                                          "defaultRuntime",
                                                          "runtimeClass",
                                                          "initContainer",
                                                          "use_ocp_driver_toolkit",
                                                          "metrics",
                                                          "enabled",
                                                          "default",
                                                          "nriPluginEnabled",
                                                          "rootFS",
                                                          "driverInstallDir",
                                                          "kubeletRootDir",
                                                          "upgradeCRD",
                                                          "cleanupCRD",
                                                          "logging",
                                                          "hostNetwork"};

constexpr std::array<Block, 9> kBlocks = {{
    {"devicePlugin", kPlugin, kCommon},
    {"gfd", kLabels, kCommon},
    {"mig", kStrategy, {}},
    {"migManager", kMigManager, kCommon},
    {"sandboxWorkloads", kSandbox, {}},
    {"operator", {}, kDeployment},
    {"daemonsets", {}, kDeployment},
    {"cdi", {}, kDeployment},
    {"hostPaths", {}, kDeployment},
}};

// Parts of the GPU operator that do not exist here.
constexpr std::array<std::string_view, 18> kAbsent = {"driver",
                                                      "toolkit",
                                                      "dcgm",
                                                      "dcgmExporter",
                                                      "nodeStatusExporter",
                                                      "validator",
                                                      "gds",
                                                      "gdrcopy",
                                                      "vfioManager",
                                                      "sandboxDevicePlugin",
                                                      "vgpuManager",
                                                      "vgpuDeviceManager",
                                                      "kataManager",
                                                      "ccManager",
                                                      "kataSandboxDevicePlugin",
                                                      "psp",
                                                      "psa",
                                                      "fabricManager"};

bool Contains(Words words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool SwitchedOff(const json::value& block) {
  if (!block.is_object()) return false;
  const json::value* enabled = block.get_object().if_contains("enabled");
  return enabled != nullptr && enabled->is_bool() && !enabled->get_bool();
}

// "driver, toolkit, and 3 more"
std::string Names(const std::vector<std::string>& names) {
  const std::size_t shown = std::min(names.size(), kMostNames);
  std::string text = fmt::format("{}", fmt::join(names.begin(), names.begin() + shown, ", "));
  if (names.size() > shown) text += fmt::format(", and {} more", names.size() - shown);
  return text;
}

class Sorter {
 public:
  void Add(std::string_view name, const json::value& value) {
    if (SaysNothing(value)) return;
    const auto block = std::find_if(kBlocks.begin(), kBlocks.end(),
                                    [&](const Block& b) { return b.name == name; });
    if (block != kBlocks.end()) {
      AddFields(*block, value);
    } else if (Contains(kAbsent, name)) {
      if (!SwitchedOff(value)) absent_.emplace_back(name);
    } else {
      AddUnknown("", name, TopLevel());
    }
  }

  std::string Text() const {
    std::vector<std::string> groups;
    if (!absent_.empty()) groups.push_back("not part of Aliquot: " + Names(absent_));
    if (!helm_.empty()) groups.push_back("set by the Helm chart only: " + Names(helm_));
    if (!unknown_.empty()) groups.push_back("unknown: " + Names(unknown_));
    return fmt::format("{}", fmt::join(groups, "; "));
  }

 private:
  static std::vector<std::string_view> TopLevel() {
    std::vector<std::string_view> names(kAbsent.begin(), kAbsent.end());
    for (const Block& block : kBlocks) names.push_back(block.name);
    return names;
  }

  void AddFields(const Block& block, const json::value& value) {
    if (!value.is_object()) return;  // a problem of its own, see ReadPolicy
    for (const auto& field : value.get_object()) {
      const std::string_view name = field.key();
      if (SaysNothing(field.value())) continue;
      if (name == "config" && Contains(block.effective, name)) {
        AddConfig(block.name, field.value());
      } else if (Contains(block.effective, name)) {
        continue;
      } else if (Contains(block.helm, name)) {
        helm_.push_back(fmt::format("{}.{}", block.name, name));
      } else if ((block.name == "devicePlugin" && name == "mps") ||
                 (block.name == "sandboxWorkloads" && name == "mode")) {
        absent_.push_back(fmt::format("{}.{}", block.name, name));
      } else {
        std::vector<std::string_view> known(block.effective.begin(), block.effective.end());
        known.insert(known.end(), block.helm.begin(), block.helm.end());
        AddUnknown(fmt::format("{}.", block.name), name, known);
      }
    }
  }

  void AddConfig(std::string_view block, const json::value& config) {
    constexpr std::array<std::string_view, 2> kKnown = {"name", "default"};
    if (!config.is_object()) return;
    for (const auto& field : config.get_object()) {
      if (Contains(kKnown, field.key()) || SaysNothing(field.value())) continue;
      AddUnknown(fmt::format("{}.config.", block), field.key(), kKnown);
    }
  }

  void AddUnknown(const std::string& prefix, std::string_view name, Words known) {
    std::string text = prefix + std::string(name.substr(0, kLongestName));
    // What is not shown needs no guess, which is costly for long names.
    const bool guess = unknown_.size() < kMostNames && name.size() <= kLongestName;
    if (const auto near = guess ? NearestOf(name, known) : std::nullopt)
      text += fmt::format(" (meant {}?)", *near);
    unknown_.push_back(std::move(text));
  }

  std::vector<std::string> absent_, helm_, unknown_;
};

}  // namespace

std::string FieldsWithoutEffect(const json::object& spec) {
  Sorter sorter;
  for (const auto& block : spec) sorter.Add(block.key(), block.value());
  return sorter.Text();
}

}  // namespace aliquot::controller
