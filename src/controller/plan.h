// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <boost/json/object.hpp>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/config_maps.h"
#include "controller/node_facts.h"
#include "controller/policy.h"
#include "controller/rollout.h"

namespace aliquot::controller {

// Everything the controller knows of the cluster.
struct Observed {
  std::string ns;               // its own namespace, where the agent and the ConfigMaps are
  std::string daemon_set_name;  // of the agent
  Policies policies;
  Nodes nodes;
  std::optional<DaemonSet> daemon_set;  // absent: there is none
  AgentPods agents;
  ConfigMaps config_maps;  // those looked at so far
  // What cannot be read or written at present, by what it is: "node a", "configmap b".
  std::map<std::string, std::string> errors;
};

// Why the policy is not fulfilled.
struct Problem {
  // The state of NVIDIA's operator that this belongs to: "state-device-plugin",
  // "state-mig-manager"; empty: what the policy asks for cannot be done at all.
  std::string state;
  std::string node;  // empty: not about one node
  std::string text;

  friend auto operator<=>(const Problem&, const Problem&) = default;
};

// How the nodes with GPUs are doing; each is counted once.
struct NodeCounts {
  std::size_t serving = 0;      // agent ready, configuration accepted
  std::size_t starting = 0;     // agent not there, not ready or of the former version
  std::size_t refusing = 0;     // cannot or will not take the configuration chosen for it
  std::size_t unreachable = 0;  // the node itself is not ready
  std::size_t paused = 0;       // somebody paused the part, for a change of driver or MIG layout
  std::size_t opted_out = 0;    // by label, or its GPUs are for virtual machines
  std::array<std::size_t, 5> mig = {};  // by MigState, of all nodes

  std::size_t gpu() const {
    return serving + starting + refusing + unreachable + paused + opted_out;
  }
};

// What is the case, for the status page, metrics and conditions.
struct Assessment {
  std::string active;     // the policy in effect; empty = none
  std::string state;      // its status.state; empty = none
  bool complete = false;  // everything that the judgement needs is known
  NodeCounts counts;
  bool nfd = false;               // Node Feature Discovery labels some node
  std::vector<Problem> problems;  // sorted: of the whole first, then by node
};

struct NodeWrite {
  std::string name;
  std::string version;  // only if this is still the node's resourceVersion
  LabelChanges labels;
};

struct StatusWrite {
  std::string policy;
  std::string version;         // only if this is still the policy's resourceVersion
  boost::json::object status;  // the whole new status
  bool urgent = false;         // more than counts in a message changed
};

// Something for a person, told once on the policy.
struct Notice {
  std::string policy;
  std::string uid;
  bool warning = false;
  std::string reason;
  std::string message;

  friend auto operator<=>(const Notice&, const Notice&) = default;
};

struct Actions {
  std::vector<NodeWrite> nodes;
  std::vector<StatusWrite> statuses;
  std::vector<Notice> notices;  // what is the case now; told are those that were not before
  std::vector<std::string> config_maps;  // to be watched
  Assessment assessment;
};

// What to do so that the cluster is as the active policy wants it; nothing where it is already.
// A pure function: equal inputs, equal actions. `now` is an RFC 3339 time for new conditions.
Actions Plan(const Observed& observed, const std::string& now);

}  // namespace aliquot::controller
