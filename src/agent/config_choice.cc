// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/config_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/json_path.h"
#include "base/text.h"

namespace aliquot::agent {
namespace {

namespace json = boost::json;

// Events and conditions are short; a ConfigMap may have thousands of keys.
constexpr std::size_t kMostNames = 20;

std::string ValidKeys(const std::map<std::string, std::string>& configs) {
  std::vector<std::string> names;
  for (const auto& [key, text] : configs) {
    if (names.size() == kMostNames) {
      return fmt::format("valid keys: {} and {} more", Join(names, ", "),
                         configs.size() - names.size());
    }
    names.push_back(fmt::format("\"{}\"", key));
  }
  return "valid keys: " + Join(names, ", ");
}

ConfigOffer Refuse(std::string reason, std::string object, std::string message, std::string hint) {
  ConfigOffer offer;
  offer.refusal =
      Refusal{std::move(reason), std::move(object), std::move(message), std::move(hint)};
  return offer;
}

ConfigOffer Take(const ChoiceInputs& inputs, const std::string& key) {
  ConfigOffer offer;
  offer.source = fmt::format("configmap {} (key {})", inputs.config_map, key);
  offer.text = inputs.configs->at(key);
  return offer;
}

ConfigOffer FallBack(const ChoiceInputs& inputs) {
  for (const Fallback fallback : inputs.fallbacks) {
    if (fallback == Fallback::kNamed && inputs.configs->contains("default")) {
      return Take(inputs, "default");
    }
    if (fallback == Fallback::kSingle && inputs.configs->size() == 1) {
      return Take(inputs, inputs.configs->begin()->first);
    }
    if (fallback == Fallback::kEmpty) return {};
  }
  return Refuse("ConfigNotChosen", "node " + inputs.node,
                fmt::format("nothing chooses a key of configmap {}", inputs.config_map),
                fmt::format("label the node {}=KEY, or set devicePlugin.config.default of "
                            "clusterpolicy {}; {}",
                            inputs.label, inputs.policy, ValidKeys(*inputs.configs)));
}

}  // namespace

Result<std::vector<Fallback>> ParseFallbacks(std::string_view text) {
  std::vector<Fallback> fallbacks;
  for (const std::string& piece : Split(text, ',')) {
    const std::string_view word = Trim(piece);
    if (word == "named") {
      fallbacks.push_back(Fallback::kNamed);
    } else if (word == "single") {
      fallbacks.push_back(Fallback::kSingle);
    } else if (word == "empty") {
      fallbacks.push_back(Fallback::kEmpty);
    } else if (!Trim(text).empty()) {
      return Error{Code::kInvalidArgument,
                   fmt::format("\"{}\" is not a fallback; expected named, single or empty", word)};
    }
  }
  return fallbacks;
}

std::map<std::string, std::string> ConfigsOf(const kube::Object& config_map) {
  std::map<std::string, std::string> configs;
  const json::value* data = Find(config_map, {"data"});
  if (data == nullptr || !data->is_object()) return configs;
  for (const auto& [key, value] : data->get_object()) {
    if (key.starts_with("..") || !value.is_string()) continue;
    configs.emplace(key, value.get_string());
  }
  return configs;
}

ConfigOffer ChooseConfig(const ChoiceInputs& inputs) {
  const std::string object = "configmap " + inputs.config_map;
  const std::string policy = "clusterpolicy " + inputs.policy;
  if (!inputs.configs) {
    return Refuse("ConfigMapNotFound", object, "does not exist",
                  fmt::format("{} names it in devicePlugin.config.name; create it, or change the "
                              "policy",
                              policy));
  }
  if (inputs.configs->empty()) {
    return Refuse("ConfigMapEmpty", object, "has no keys, so there is no configuration to choose",
                  "add a key with a configuration under data");
  }
  if (!inputs.label_value.empty()) {
    if (inputs.configs->contains(inputs.label_value)) return Take(inputs, inputs.label_value);
    return Refuse("ConfigKeyNotFound", fmt::format("node {}, label {}", inputs.node, inputs.label),
                  fmt::format("\"{}\" is not a key of {}", inputs.label_value, object),
                  ValidKeys(*inputs.configs));
  }
  if (!inputs.default_key.empty()) {
    if (inputs.configs->contains(inputs.default_key)) return Take(inputs, inputs.default_key);
    return Refuse("DefaultConfigNotFound", policy + ", devicePlugin.config.default",
                  fmt::format("\"{}\" is not a key of {}", inputs.default_key, object),
                  ValidKeys(*inputs.configs));
  }
  return FallBack(inputs);
}

}  // namespace aliquot::agent
