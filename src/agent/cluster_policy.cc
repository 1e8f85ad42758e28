// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <optional>
#include <utility>

#include "agent/json_path.h"
#include "base/text.h"
#include "config/options.h"

namespace aliquot::agent {
namespace {

namespace json = boost::json;

// Reads spec of one policy, noting what has an unexpected type.
class Reader {
 public:
  Reader(const json::object& spec, Policy& policy) : spec_(spec), policy_(policy) {}

  bool Bool(std::string_view section, std::string_view key, bool absent) {
    const json::value* value = Value({section, key});
    if (value == nullptr) return absent;
    if (value->is_bool()) return value->as_bool();
    Note(fmt::format("spec.{}.{} is not a boolean; it counts as {}", section, key, absent));
    return absent;
  }

  std::string Text(std::initializer_list<std::string_view> path) {
    const json::value* value = Value(path);
    if (value == nullptr) return {};
    if (value->is_string()) return std::string(value->as_string());
    const std::vector<std::string> keys(path.begin(), path.end());
    Note(fmt::format("spec.{} is not a text; it counts as absent", Join(keys, ".")));
    return {};
  }

  // Takes the switches of migManager.env into the wish.
  void MigVariables(MigWish& wish) {
    const json::value* value = Value({"migManager", "env"});
    if (value == nullptr) return;
    if (!value->is_array()) return Note("spec.migManager.env is not a list");
    for (const json::value& entry : value->as_array()) {
      const json::object* pair = entry.if_object();
      const std::string name = pair == nullptr ? "" : FindText(*pair, {"name"});
      if (name == "WITH_REBOOT") {
        wish.allow_reboot = Truth(name, *pair).value_or(false);
      } else if (name == "WITH_SHUTDOWN_HOST_GPU_CLIENTS") {
        wish.stop_host_clients = Truth(name, *pair);
      } else {
        Note(fmt::format("spec.migManager.env: \"{}\" does not change anything here", name));
      }
    }
  }

  // Takes the variables of spec.<section>.env that `wanted` accepts.
  void Environment(std::string_view section, bool (*wanted)(const config::Option&)) {
    const json::value* value = Value({section, "env"});
    if (value == nullptr) return;
    if (!value->is_array()) return Note(fmt::format("spec.{}.env is not a list", section));
    for (const json::value& entry : value->as_array()) {
      const json::object* pair = entry.if_object();
      const std::string name = pair == nullptr ? "" : FindText(*pair, {"name"});
      const auto& all = config::AllOptions();
      const auto option = std::find_if(all.begin(), all.end(), [&](const config::Option& each) {
        return wanted(each) && std::find(each.variables.begin(), each.variables.end(), name) !=
                                   each.variables.end();
      });
      if (option == all.end()) {
        Note(fmt::format("spec.{}.env: \"{}\" does not change anything here", section, name));
      } else if (pair->contains("value") && !pair->at("value").is_string()) {
        Note(fmt::format("spec.{}.env: the value of {} is not a text", section, name));
      } else {
        policy_.environment[name] = FindText(*pair, {"value"});
      }
    }
  }

 private:
  const json::value* Value(std::initializer_list<std::string_view> path) const {
    const json::value* value = Find(spec_, path);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  // Of a variable in migManager.env.
  std::optional<bool> Truth(const std::string& name, const json::object& pair) {
    const std::string text = ToLower(FindText(pair, {"value"}));
    if (text == "true" || text == "1") return true;
    if (text == "false" || text == "0") return false;
    Note(fmt::format("spec.migManager.env: {} is \"{}\", expected true or false", name, text));
    return {};
  }
  void Note(std::string problem) { policy_.problems.push_back(std::move(problem)); }

  const json::object& spec_;
  Policy& policy_;
};

// What a running agent can take over. The rest says who and where the process is.
bool OfThePlugin(const config::Option& option) {
  if (!option.key.empty()) return true;
  const std::string_view name = option.variables.empty() ? "" : option.variables.front();
  return name.starts_with("DP_") || name.starts_with("CDI_");
}

bool OfTheLabels(const config::Option& option) {
  return option.key.starts_with("flags.gfd") || option.key == "flags.useNodeFeatureAPI";
}

}  // namespace

Policy ReadPolicy(const kube::Object& object) {
  Policy policy;
  policy.name = FindText(object, {"metadata", "name"});
  const json::value* found = Find(object, {"spec"});
  const json::object* spec = found == nullptr ? nullptr : found->if_object();
  if (spec == nullptr) return policy;
  Reader reader(*spec, policy);
  policy.plugin_enabled = reader.Bool("devicePlugin", "enabled", true);
  policy.labels_enabled = reader.Bool("gfd", "enabled", true);
  policy.config_map = reader.Text({"devicePlugin", "config", "name"});
  policy.default_key = reader.Text({"devicePlugin", "config", "default"});
  policy.mig.enabled = reader.Bool("migManager", "enabled", true);
  policy.mig.config_map = reader.Text({"migManager", "config", "name"});
  policy.mig.clients_map = reader.Text({"migManager", "gpuClientsConfig", "name"});
  reader.MigVariables(policy.mig);
  reader.Environment("gfd", OfTheLabels);
  reader.Environment("devicePlugin", OfThePlugin);
  if (std::string strategy = reader.Text({"mig", "strategy"}); !strategy.empty()) {
    policy.environment.erase("GFD_MIG_STRATEGY");
    policy.environment["MIG_STRATEGY"] = std::move(strategy);
  }
  return policy;
}

const kube::Object* ActivePolicy(const std::map<std::string, kube::Object>& by_name) {
  const kube::Object* active = nullptr;
  std::string oldest;
  for (const auto& [name, object] : by_name) {
    // RFC 3339 in UTC and whole seconds, so that texts compare as times do.
    std::string created = FindText(object, {"metadata", "creationTimestamp"});
    if (active != nullptr && created >= oldest) continue;
    active = &object;
    oldest = std::move(created);
  }
  return active;
}

}  // namespace aliquot::agent
