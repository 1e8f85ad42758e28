// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config_offer.h"
#include "base/status.h"
#include "kube/client.h"

namespace aliquot::agent {

// What counts on a node without a label while no default is named; tried in order.
// Source: NVIDIA k8s-device-plugin, config-manager, FALLBACK_STRATEGIES.
enum class Fallback {
  kNamed,   // the key "default"
  kSingle,  // the only key
  kEmpty,   // no configuration: flags, environment and defaults
};

// Reads "named,single,empty" in any order and number; empty = none.
Result<std::vector<Fallback>> ParseFallbacks(std::string_view text);

// The configurations of a ConfigMap by key. Keys that begin with "..", which the kubelet keeps for
// itself where a ConfigMap is mounted, are none; nor are binaryData and what is no text.
std::map<std::string, std::string> ConfigsOf(const kube::Object& config_map);

struct ChoiceInputs {
  std::string config_map;  // "gpu-operator/time-slicing-config"
  std::string policy;      // name of the ClusterPolicy that names it
  std::string node;
  std::string label;        // the node label that chooses: "nvidia.com/device-plugin.config"
  std::string label_value;  // empty: absent
  std::string default_key;  // empty: none
  std::vector<Fallback> fallbacks;
  std::optional<std::map<std::string, std::string>> configs;  // absent: no such ConfigMap
};

// Which configuration the node is to have, in `source` and `text` or in `refusal`; the rest of the
// offer is empty. A pure function: the label's value if there is one, else the default, else the
// fallbacks. What is chosen but does not exist is refused, never replaced by the next best.
ConfigOffer ChooseConfig(const ChoiceInputs& inputs);

}  // namespace aliquot::agent
