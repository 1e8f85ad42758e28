// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/mig_wish.h"
#include "kube/client.h"

namespace aliquot::agent {

// What a ClusterPolicy says about the work of a node agent. Keys that are absent have the defaults
// of NVIDIA's gpu-operator. A plain value.
struct Policy {
  std::string name = {};         // empty: there is no policy
  bool plugin_enabled = true;    // devicePlugin.enabled
  bool labels_enabled = true;    // gfd.enabled
  std::string config_map = {};   // devicePlugin.config.name; empty: none
  std::string default_key = {};  // devicePlugin.config.default
  // migManager: enabled, config.name, gpuClientsConfig.name, and of env WITH_REBOOT and
  // WITH_SHUTDOWN_HOST_GPU_CLIENTS.
  MigWish mig = {};
  // MIG_STRATEGY of mig.strategy, and of devicePlugin.env and gfd.env what sets options of the
  // configuration or of health checks and CDI hooks. mig.strategy beats the lists.
  std::map<std::string, std::string> environment = {};
  // Entries of those lists that mean nothing here, and keys of an unexpected type.
  std::vector<std::string> problems = {};

  friend bool operator==(const Policy&, const Policy&) = default;
};

// Never fails: what cannot be read counts as absent and is a problem.
Policy ReadPolicy(const kube::Object& object);

// The policy that counts: the oldest one, of equally old ones the first by name. Null if there is
// none.
const kube::Object* ActivePolicy(const std::map<std::string, kube::Object>& by_name);

}  // namespace aliquot::agent
