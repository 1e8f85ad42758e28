// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/node_facts.h"

#include <algorithm>
#include <boost/json/array.hpp>

#include "base/text.h"
#include "controller/json_path.h"

namespace aliquot::controller {
namespace {

namespace json = boost::json;

constexpr std::string_view kProductLabel = "nvidia.com/gpu.product";
constexpr std::string_view kVgpuGuestLabel = "nvidia.com/vgpu.host-driver-version";
constexpr std::string_view kGpuInstancesLabel = "nvidia.com/gpu.slices.gi";
constexpr std::string_view kMigDevicesPrefix = "nvidia.com/mig-";

// Of ReadNode's labels those that are known by name; the others are known by prefix.
constexpr std::array kReadLabels = {labels::kGpuPresent,
                                    labels::kNfdGpuLabels[0],
                                    labels::kNfdGpuLabels[1],
                                    labels::kNfdGpuLabels[2],
                                    kOperandsLabel,
                                    kWorkloadLabel,
                                    kConfigLabel,
                                    kMigConfigLabel,
                                    kMigStateLabel,
                                    kMigCapableLabel,
                                    kProductLabel,
                                    kVgpuGuestLabel,
                                    kGpuInstancesLabel};

constexpr std::size_t kLongestRefusal = 300;  // of 5,000 nodes, all must fit

Deploy ReadDeploy(const json::object& given, std::string_view part) {
  const json::value* value = given.if_contains(std::string(kDeployPrefix) + std::string(part));
  if (value == nullptr || !value->is_string()) return Deploy::kAbsent;
  const std::string_view text = value->get_string();
  if (text.empty()) return Deploy::kEmpty;
  if (text == "true") return Deploy::kTrue;
  return text == "false" ? Deploy::kFalse : Deploy::kPaused;
}

bool IsReady(const kube::Object& object) {
  const json::value* conditions = Find(object, {"status", "conditions"});
  if (conditions == nullptr || !conditions->is_array()) return false;
  return std::any_of(conditions->get_array().begin(), conditions->get_array().end(),
                     [](const json::value& condition) {
                       return condition.is_object() &&
                              Member(condition.get_object(), "type") == "Ready" &&
                              Member(condition.get_object(), "status") == "True";
                     });
}

// As the operator decides it: the label if it is there, else by the product; never a vGPU guest.
bool MigCapable(const json::object& given) {
  if (given.contains(kVgpuGuestLabel)) return false;
  if (given.contains(kMigCapableLabel)) return Member(given, kMigCapableLabel) == "true";
  const std::string product = ToLower(Member(given, kProductLabel));
  for (const char* family : {"h100", "a100", "a30"}) {
    if (product.find(family) != std::string::npos) return true;
  }
  return false;
}

// Labels that only nodes with MIG devices have, under the strategies single and mixed.
bool ShowsMigDevices(const json::object& given) {
  if (given.contains(kGpuInstancesLabel)) return true;
  return std::any_of(given.begin(), given.end(), [](const auto& label) {
    const std::string_view key = label.key();
    return key.starts_with(kMigDevicesPrefix) && key.ends_with(".count") && label.value() != "0";
  });
}

MigState ReadMigState(std::string_view word) {
  if (word == "pending") return MigState::kPending;
  if (word == "rebooting") return MigState::kRebooting;
  if (word == "success") return MigState::kSuccess;
  return word == "failed" ? MigState::kFailed : MigState::kNone;
}

}  // namespace

NodeFacts ReadNode(const kube::Object& object) {
  const json::object& given = ObjectAt(object, {"metadata", "labels"});
  NodeFacts facts;
  facts.ready = IsReady(object);
  facts.nfd = std::any_of(given.begin(), given.end(), [](const auto& label) {
    return std::string_view(label.key()).starts_with(labels::kNfdPrefix);
  });
  facts.nfd_gpu = std::any_of(labels::kNfdGpuLabels.begin(), labels::kNfdGpuLabels.end(),
                              [&](auto key) { return Member(given, key) == "true"; });
  if (const std::string_view present = Member(given, labels::kGpuPresent); !present.empty()) {
    facts.present = present == "true" ? Answer::kYes : Answer::kNo;
  }
  facts.operands_off = Member(given, kOperandsLabel) == "false";
  for (std::size_t i = 0; i < kParts.size(); ++i) facts.deploy[i] = ReadDeploy(given, kParts[i]);
  facts.workload = ParseWorkload(Member(given, kWorkloadLabel));
  facts.mig_capable = MigCapable(given);
  facts.mig_devices = ShowsMigDevices(given);
  facts.mig_config_set = !Member(given, kMigConfigLabel).empty();
  facts.mig_state = ReadMigState(Member(given, kMigStateLabel));
  facts.config_choice = std::string(Member(given, kConfigLabel));
  facts.refusal =
      std::string(Member(ObjectAt(object, {"metadata", "annotations"}), labels::kConfigRefused)
                      .substr(0, kLongestRefusal));
  return facts;
}

kube::Object NodeExcerpt(const kube::Object& object) {
  const std::string_view refusal =
      Member(ObjectAt(object, {"metadata", "annotations"}), labels::kConfigRefused);
  json::object kept;
  bool nfd = false;
  for (const auto& label : ObjectAt(object, {"metadata", "labels"})) {
    const std::string_view key = label.key();
    const bool of_nfd = key.starts_with(labels::kNfdPrefix);
    // One label of NFD's hundred says as well as all of them that it is there.
    if (std::find(kReadLabels.begin(), kReadLabels.end(), key) != kReadLabels.end() ||
        key.starts_with(kDeployPrefix) || key.starts_with(kMigDevicesPrefix) || (of_nfd && !nfd)) {
      kept.insert(label);
    }
    nfd = nfd || of_nfd;
  }
  kube::Object out = {{"metadata", {{"labels", std::move(kept)}}},
                      {"status", {{"conditions", ReadyConditions(object)}}}};
  CopyAt(object, {"metadata", "name"}, out);
  CopyAt(object, {"metadata", "resourceVersion"}, out);
  if (!refusal.empty()) {
    out["metadata"].as_object()["annotations"] = {
        {labels::kConfigRefused, refusal.substr(0, kLongestRefusal)}};
  }
  return out;
}

Workload WorkloadOf(const NodeFacts& node, const PolicySpec& spec) {
  if (!spec.sandbox_enabled) return Workload::kContainer;
  return node.workload.value_or(spec.default_workload);
}

bool WantsAgent(const NodeFacts& node, const PolicySpec& spec) {
  return node.gpu() && !node.operands_off && node.deploy[kPluginPart] != Deploy::kFalse &&
         WorkloadOf(node, spec) == Workload::kContainer;
}

LabelChanges PlanLabels(const NodeFacts& node, const PolicySpec& spec) {
  LabelChanges changes;
  if (node.nfd_gpu && node.present != Answer::kYes) {
    changes[std::string(labels::kGpuPresent)] = "true";
  }
  // Not looked at yet: an opt-out that is there already must survive until it is.
  if (!node.gpu() && node.present == Answer::kUnknown) return changes;

  const bool serves = node.gpu() && !node.operands_off;
  const bool containers = WorkloadOf(node, spec) == Workload::kContainer;
  for (std::size_t i = 0; i < kParts.size(); ++i) {
    bool wanted = serves && (containers || i == kClientPart);
    if (i == kMigPart) wanted = wanted && node.mig_capable;
    const Deploy now = node.deploy[i];
    const std::string key = std::string(kDeployPrefix) + std::string(kParts[i]);
    if (wanted && (now == Deploy::kAbsent || now == Deploy::kEmpty)) changes[key] = "true";
    if (!wanted && (now == Deploy::kTrue || now == Deploy::kEmpty)) changes[key] = std::nullopt;
  }
  if (serves && containers && spec.mig_manager_enabled && spec.label_mig_disabled &&
      node.mig_capable && !node.mig_devices && !node.mig_config_set &&
      node.deploy[kMigPart] != Deploy::kFalse) {
    changes[std::string(kMigConfigLabel)] = "all-disabled";
  }
  return changes;
}

}  // namespace aliquot::controller
