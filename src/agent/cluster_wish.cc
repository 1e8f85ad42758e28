// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster_wish.h"

#include <fmt/format.h>

#include <utility>

#include "agent/json_path.h"

namespace aliquot::agent {
namespace {

using Labels = std::map<std::string, std::string>;

constexpr char kDeploy[] = "nvidia.com/gpu.deploy.";

std::string ValueOf(const Labels& labels, const std::string& name) {
  const auto found = labels.find(name);
  return found == labels.end() ? std::string() : found->second;
}

// Why the node's labels keep an operand from running; empty if they do not.
std::string KeptOff(const Labels& labels, const std::string& operand) {
  for (const std::string& name : {kDeploy + operand, kDeploy + std::string("operands")}) {
    const std::string value = ValueOf(labels, name);
    if (value.empty() || value == "true") continue;
    // "operands" is a switch with the one value that means something.
    if (name.ends_with(".operands") && value != "false") continue;
    return fmt::format("the node is labelled {}={}", name, value);
  }
  return {};
}

ConfigOffer OfferOf(const WishOptions& options, const Labels& labels, const Policy& policy,
                    const std::optional<Configs>& configs) {
  if (!configs) return {};
  ChoiceInputs inputs;
  inputs.config_map = options.ns + "/" + policy.config_map;
  inputs.policy = policy.name;
  inputs.node = options.node;
  inputs.label = options.config_label;
  inputs.label_value = ValueOf(labels, options.config_label);
  inputs.default_key = policy.default_key;
  inputs.fallbacks = options.fallbacks;
  if (configs->ok()) {
    inputs.configs = **configs;
  } else if (configs->error().code != Code::kNotFound) {
    ConfigOffer offer;
    offer.refusal = Refusal{"ConfigMapUnreadable", "configmap " + inputs.config_map,
                            configs->error().message, ""};
    return offer;
  }
  return ChooseConfig(inputs);
}

}  // namespace

Labels LabelsOf(const kube::Object& object) {
  Labels labels;
  const boost::json::value* found = Find(object, {"metadata", "labels"});
  if (found == nullptr || !found->is_object()) return labels;
  for (const auto& [name, value] : found->get_object()) {
    if (value.is_string()) labels.emplace(name, value.get_string());
  }
  return labels;
}

Wish MakeWish(const WishOptions& options, const Labels& node_labels, const Policy& policy,
              const std::optional<Configs>& configs) {
  Wish wish;
  wish.policy = policy.name;
  wish.policy_problems = policy.problems;
  wish.config = OfferOf(options, node_labels, policy, configs);
  wish.config.environment = policy.environment;
  wish.config.environment_source = "clusterpolicy " + policy.name;
  wish.config.withdrawn = KeptOff(node_labels, "device-plugin");
  if (!policy.plugin_enabled) {
    wish.config.withdrawn =
        fmt::format("clusterpolicy {} has devicePlugin.enabled: false", policy.name);
  }
  wish.labels_because = KeptOff(node_labels, "gpu-feature-discovery");
  if (!wish.labels_because.empty()) {
    const bool paused = wish.labels_because.find("=paused-for-") != std::string::npos;
    wish.labels = paused ? LabelMode::kHold : LabelMode::kRemove;
  }
  wish.mig = policy.mig;
  // As while the driver is exchanged: paused-for-driver-upgrade.
  if (!KeptOff(node_labels, "mig-manager").empty()) wish.mig.enabled = false;
  if (!policy.labels_enabled) {
    wish.labels = LabelMode::kRemove;
    wish.labels_because = fmt::format("clusterpolicy {} has gfd.enabled: false", policy.name);
  }
  return wish;
}

}  // namespace aliquot::agent
