// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "kube/client.h"

namespace aliquot::controller {

// What matters of the agent's DaemonSet.
struct DaemonSet {
  bool observed = false;     // the status is about the present spec
  std::int64_t desired = 0;  // nodes it is to run on
  // Counts changes of the pod template; the pods carry it. Empty if the cluster does not tell.
  std::string template_generation;

  friend bool operator==(const DaemonSet&, const DaemonSet&) = default;
};

// What matters of one pod of it.
struct AgentPod {
  std::string node;  // empty: not placed
  bool ready = false;
  bool leaving = false;             // being deleted
  std::string template_generation;  // see DaemonSet
  std::string trouble;              // why it is not ready, as far as the pod says; "" if unknown

  friend bool operator==(const AgentPod&, const AgentPod&) = default;
};

using AgentPods = std::map<std::string, AgentPod, std::less<>>;  // by pod name

DaemonSet ReadDaemonSet(const kube::Object& object);
AgentPod ReadAgentPod(const kube::Object& object);
// Of a Pod its name and what ReadAgentPod reads. A kube::Excerpt.
kube::Object AgentPodExcerpt(const kube::Object& object);

}  // namespace aliquot::controller
