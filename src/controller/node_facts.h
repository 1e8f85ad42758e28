// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "controller/policy.h"
#include "kube/client.h"
#include "labels/node_keys.h"

namespace aliquot::controller {

// Labels of nodes besides those of labels/node_keys.h. Names and meanings: NVIDIA GPU operator.
inline constexpr std::string_view kDeployPrefix = "nvidia.com/gpu.deploy.";
inline constexpr std::string_view kOperandsLabel = "nvidia.com/gpu.deploy.operands";
inline constexpr std::string_view kWorkloadLabel = "nvidia.com/gpu.workload.config";
inline constexpr std::string_view kConfigLabel = "nvidia.com/device-plugin.config";
inline constexpr std::string_view kMigConfigLabel = "nvidia.com/mig.config";
inline constexpr std::string_view kMigStateLabel = "nvidia.com/mig.config.state";
inline constexpr std::string_view kMigCapableLabel = "nvidia.com/mig.capable";

// The parts that NVIDIA's operator switches per node with a label kDeployPrefix + name. The last
// one is for nodes whose GPUs can do MIG.
inline constexpr std::array<std::string_view, 10> kParts = {
    "driver", "container-toolkit", "device-plugin",        "gpu-feature-discovery",
    "dcgm",   "dcgm-exporter",     "node-status-exporter", "operator-validator",
    "client", "mig-manager"};
inline constexpr std::size_t kPluginPart = 2;
inline constexpr std::size_t kClientPart = 8;
inline constexpr std::size_t kMigPart = 9;

// What a label kDeployPrefix + part says.
enum class Deploy : std::uint8_t {
  kAbsent,
  kEmpty,  // counts as absent
  kTrue,
  kFalse,   // the administrator keeps this part off the node
  kPaused,  // any other value: somebody paused it and will put it back
};

enum class Answer : std::uint8_t { kUnknown, kNo, kYes };
enum class MigState : std::uint8_t { kNone, kPending, kRebooting, kSuccess, kFailed };

// What the controller keeps of a Node: a few hundred bytes of the ten thousand it has, so that
// thousands of nodes fit. Heartbeats leave it unchanged.
struct NodeFacts {
  bool ready = false;                 // condition Ready is True
  bool nfd = false;                   // Node Feature Discovery labels this node
  bool nfd_gpu = false;               // ... and says that it has an NVIDIA GPU
  Answer present = Answer::kUnknown;  // labels::kGpuPresent
  bool operands_off = false;          // kOperandsLabel is "false"
  std::array<Deploy, kParts.size()> deploy = {};
  std::optional<Workload> workload = {};  // kWorkloadLabel; absent or nonsense: the default
  bool mig_capable = false;
  bool mig_devices = false;     // its labels show MIG devices
  bool mig_config_set = false;  // kMigConfigLabel is there
  MigState mig_state = MigState::kNone;
  std::string config_choice;  // kConfigLabel; empty = none
  std::string refusal;        // labels::kConfigRefused, cut; empty = none

  // Has a GPU, as far as is known.
  bool gpu() const { return nfd_gpu || present == Answer::kYes; }
  friend bool operator==(const NodeFacts&, const NodeFacts&) = default;
};

NodeFacts ReadNode(const kube::Object& object);
// Of a Node its name, its version and what ReadNode reads: a kibibyte or two. A kube::Excerpt.
kube::Object NodeExcerpt(const kube::Object& object);

struct Node {
  NodeFacts facts;
  std::string version;  // metadata.resourceVersion
};

using Nodes = std::map<std::string, Node, std::less<>>;  // by name

// The workload that counts on a node.
Workload WorkloadOf(const NodeFacts& node, const PolicySpec& spec);
// Whether the node's GPUs are to be served: it has some, nobody opted it out, and they are not
// meant for virtual machines.
bool WantsAgent(const NodeFacts& node, const PolicySpec& spec);

// Labels to set, or to remove where there is no value.
using LabelChanges = std::map<std::string, std::optional<std::string>, std::less<>>;

// What has to change for the node's labels to be right under `spec`; empty if nothing. Sets
// gpu.present only where it is the controller's, see labels::kGpuPresent. Never
// changes a gpu.deploy.* value that somebody else chose, and takes away only what says "true".
// all-disabled is not asked for where labels show MIG devices: they were made by hand and would go.
LabelChanges PlanLabels(const NodeFacts& node, const PolicySpec& spec);

}  // namespace aliquot::controller
