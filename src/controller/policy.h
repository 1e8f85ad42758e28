// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kube/client.h"

namespace aliquot::controller {

// What runs on a node: containers, or virtual machines that get the GPUs.
enum class Workload { kContainer, kVmPassthrough, kVmVgpu };

// The word of a `nvidia.com/gpu.workload.config` label or of sandboxWorkloads.defaultWorkload.
std::optional<Workload> ParseWorkload(std::string_view word);

// The fields of a ClusterPolicy that mean something here, with the defaults of NVIDIA's GPU
// operator where they are absent.
struct PolicySpec {
  bool device_plugin_enabled = true;
  std::string config_name;     // devicePlugin.config.name; empty = none
  std::string config_default;  // devicePlugin.config.default; empty = none
  bool mig_manager_enabled = true;
  std::string mig_config_name;     // migManager.config.name; empty = none
  std::string mig_clients_name;    // migManager.gpuClientsConfig.name; empty = none
  bool label_mig_disabled = true;  // migManager.config.default is "all-disabled"
  bool sandbox_enabled = false;    // sandboxWorkloads.enabled
  Workload default_workload = Workload::kContainer;

  friend bool operator==(const PolicySpec&, const PolicySpec&) = default;
};

// One ClusterPolicy as the API server has it.
struct Policy {
  std::string name;
  std::string uid;
  std::string version;  // metadata.resourceVersion
  std::string created;  // RFC 3339 in UTC, so that texts compare as times
  std::int64_t generation = 0;
  PolicySpec spec;
  std::vector<std::string> problems;  // values that cannot be meant, one line each
  std::string without_effect;         // FieldsWithoutEffect
  boost::json::object status;         // as stored
};

// Never fails: what is missing has its default, what is wrong is in `problems`.
Policy ReadPolicy(const kube::Object& object);

using Policies = std::map<std::string, Policy>;  // by name

// The one in effect: the oldest, by name among equally old ones. Null if there is none.
const Policy* ActivePolicy(const Policies& policies);

}  // namespace aliquot::controller
