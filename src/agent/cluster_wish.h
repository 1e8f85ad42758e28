// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/cluster_policy.h"
#include "agent/config_choice.h"
#include "agent/config_offer.h"
#include "kube/client.h"

namespace aliquot::agent {

// What to do about the node's labels of feature discovery.
enum class LabelMode {
  kPublish,
  kHold,    // leave what is there: somebody paused us
  kRemove,  // take away ours
};

// Everything the cluster wants of this agent, as of one moment. A plain value.
struct Wish {
  std::string policy;  // name of the active ClusterPolicy; empty: none
  ConfigOffer config;
  LabelMode labels = LabelMode::kPublish;
  std::string labels_because;  // unless kPublish
  MigWish mig;
  std::vector<std::string> policy_problems;

  friend bool operator==(const Wish&, const Wish&) = default;
};

struct WishOptions {
  std::string node;
  std::string ns;  // of the ConfigMap: the agent's own
  std::string config_label = "nvidia.com/device-plugin.config";
  std::vector<Fallback> fallbacks = {Fallback::kEmpty};
};

// What an object asks of a ConfigMap that could not be looked up: kNotFound if it does not exist.
using Configs = Result<std::map<std::string, std::string>>;

// Puts the wish together. `configs` are those of the ConfigMap that the policy names, absent if it
// names none. Pure.
//
// nvidia.com/gpu.deploy.<operand> of the node decides as the gpu-operator's node selectors do: only
// "true" runs the operand. Absent and empty count as "true", so that an agent without a controller
// serves. "paused-for-..." is somebody who will give the node back.
Wish MakeWish(const WishOptions& options, const std::map<std::string, std::string>& node_labels,
              const Policy& policy, const std::optional<Configs>& configs);

// metadata.labels of an object.
std::map<std::string, std::string> LabelsOf(const kube::Object& object);

}  // namespace aliquot::agent
