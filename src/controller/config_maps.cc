// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/config_maps.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/settings.h"
#include "controller/json_path.h"

namespace aliquot::controller {
namespace {

constexpr std::size_t kLongestList = 200;
constexpr std::size_t kLongestProblem = 300;

// The first error, with its place; empty if the text is a valid configuration. Rules that need the
// node (how many GPUs it has) are the agent's.
std::string ProblemOf(const std::string& text) {
  config::ConfigSources sources;
  sources.file_text = text;
  for (const config::Diagnostic& diagnostic : config::ResolveConfig(sources).diagnostics) {
    if (diagnostic.severity != config::Severity::kError) continue;
    std::string problem = diagnostic.position.line > 0
                              ? fmt::format("line {}, column {}: ", diagnostic.position.line,
                                            diagnostic.position.column)
                              : std::string();
    if (!diagnostic.path.empty()) problem += diagnostic.path + ": ";
    problem += diagnostic.message;
    if (!diagnostic.hint.empty()) problem += " (" + diagnostic.hint + ")";
    return problem.substr(0, kLongestProblem);
  }
  return {};
}

}  // namespace

ConfigKeys ReadConfigMap(const kube::Object& object) {
  ConfigKeys keys;
  for (const auto& item : ObjectAt(object, {"data"})) {
    const std::string_view key = item.key();
    if (key.starts_with("..") || !item.value().is_string()) continue;
    keys.emplace(key, ProblemOf(std::string(item.value().get_string())));
  }
  return keys;
}

std::vector<std::string> NamedConfigMaps(const PolicySpec& spec) {
  std::vector<std::string> names;
  if (spec.device_plugin_enabled && !spec.config_name.empty()) names.push_back(spec.config_name);
  if (!spec.mig_manager_enabled) return names;
  for (const std::string& name : {spec.mig_config_name, spec.mig_clients_name}) {
    if (name.empty() || std::find(names.begin(), names.end(), name) != names.end()) continue;
    names.push_back(name);
  }
  return names;
}

std::string ListKeys(const ConfigKeys& keys) {
  if (keys.empty()) return "it has none";
  std::string text = "it has ";
  std::size_t shown = 0;
  for (const auto& [key, problem] : keys) {
    if (text.size() > kLongestList) break;
    text += (shown++ == 0 ? "" : ", ") + key;
  }
  if (shown < keys.size()) text += fmt::format(" and {} more", keys.size() - shown);
  return text;
}

}  // namespace aliquot::controller
