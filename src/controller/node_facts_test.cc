// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/node_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "controller/json_path.h"
#include "controller/test_objects.h"

namespace aliquot::controller {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::Pair;
using testing::UnorderedElementsAre;

LabelChanges PlanFor(const LabelMap& labels, const PolicySpec& spec = {}) {
  // As the controller gets it: a label that the excerpt forgets is not there.
  return PlanLabels(ReadNode(NodeExcerpt(TestNode("n", labels))), spec);
}

LabelMap Applied(LabelMap labels, const LabelChanges& changes) {
  for (const auto& [key, value] : changes) {
    if (value) {
      labels[key] = *value;
    } else {
      labels.erase(key);
    }
  }
  return labels;
}

LabelMap GpuNode(LabelMap more = {}) {
  more.emplace("nvidia.com/gpu.present", "true");
  return more;
}

TEST(NodeLabels, AGpuNodeGetsEveryPartOfAContainerNode) {
  std::set<std::string> parts;
  for (const auto& [key, value] : PlanFor(GpuNode())) {
    EXPECT_EQ(value, "true") << key;
    parts.insert(key.substr(kDeployPrefix.size()));
  }
  EXPECT_THAT(parts, UnorderedElementsAre("driver", "container-toolkit", "device-plugin",
                                          "gpu-feature-discovery", "dcgm", "dcgm-exporter",
                                          "node-status-exporter", "operator-validator", "client"));
}

TEST(NodeLabels, WhatNfdSaysOfAGpuCounts) {
  for (const char* label : {"pci-10de.present", "pci-0302_10de.present", "pci-0300_10de.present"}) {
    const LabelMap labels = {{std::string("feature.node.kubernetes.io/") + label, "true"}};
    EXPECT_THAT(PlanFor(labels), Contains(Pair("nvidia.com/gpu.present", "true"))) << label;
    EXPECT_THAT(PlanFor(labels), Contains(Key("nvidia.com/gpu.deploy.device-plugin")));
  }
  // From before NFD was there.
  EXPECT_THAT(PlanFor({{"feature.node.kubernetes.io/pci-10de.present", "true"},
                       {"nvidia.com/gpu.present", "false"}}),
              Contains(Pair("nvidia.com/gpu.present", "true")));
  EXPECT_THAT(PlanFor({{"feature.node.kubernetes.io/pci-8086.present", "true"}}), IsEmpty());
}

TEST(NodeLabels, AnOptOutFromBeforeTheFirstLookSurvives) {
  EXPECT_THAT(PlanFor({{"nvidia.com/gpu.deploy.device-plugin", "false"},
                       {"nvidia.com/gpu.deploy.dcgm", "true"}}),
              IsEmpty());
}

TEST(NodeLabels, ValuesOfOthersAreRespectedAndEmptyOnesFilled) {
  const LabelChanges changes = PlanFor(GpuNode({{"nvidia.com/gpu.deploy.dcgm", "false"},
                                                {"nvidia.com/gpu.deploy.client", "paused-for-x"},
                                                {"nvidia.com/gpu.deploy.driver", ""}}));
  EXPECT_THAT(changes, Not(Contains(Key("nvidia.com/gpu.deploy.dcgm"))));
  EXPECT_THAT(changes, Not(Contains(Key("nvidia.com/gpu.deploy.client"))));
  EXPECT_THAT(changes, Contains(Pair("nvidia.com/gpu.deploy.driver", "true")));
}

TEST(NodeLabels, OptingOutOfEverythingTakesOurLabelsAway) {
  const LabelMap labels = GpuNode({{"nvidia.com/gpu.deploy.operands", "false"},
                                   {"nvidia.com/gpu.deploy.device-plugin", "true"},
                                   {"nvidia.com/gpu.deploy.dcgm", "false"}});
  EXPECT_THAT(PlanFor(labels),
              UnorderedElementsAre(Pair("nvidia.com/gpu.deploy.device-plugin", std::nullopt)));
  EXPECT_FALSE(WantsAgent(ReadNode(TestNode("n", labels)), {}));
}

TEST(NodeLabels, ANodeThatLostItsGpuLosesTheLabels) {
  EXPECT_THAT(PlanFor({{"nvidia.com/gpu.present", "false"},
                       {"nvidia.com/gpu.deploy.device-plugin", "true"},
                       {"nvidia.com/gpu.deploy.dcgm", "paused-for-driver-upgrade"}}),
              UnorderedElementsAre(Pair("nvidia.com/gpu.deploy.device-plugin", std::nullopt)));
}

TEST(NodeLabels, MigCapabilityIsTheLabelElseTheProduct) {
  const std::string mig_manager = "nvidia.com/gpu.deploy.mig-manager";
  EXPECT_THAT(PlanFor(GpuNode({{"nvidia.com/mig.capable", "true"}})), Contains(Key(mig_manager)));
  EXPECT_THAT(PlanFor(GpuNode({{"nvidia.com/gpu.product", "NVIDIA-A100-SXM4-40GB"}})),
              Contains(Key(mig_manager)));
  EXPECT_THAT(PlanFor(GpuNode({{"nvidia.com/mig.capable", "false"},
                               {"nvidia.com/gpu.product", "NVIDIA-A100-SXM4-40GB"}})),
              Not(Contains(Key(mig_manager))));
  EXPECT_THAT(PlanFor(GpuNode({{"nvidia.com/mig.capable", "true"},
                               {"nvidia.com/vgpu.host-driver-version", "580.1"}})),
              Not(Contains(Key(mig_manager))));
  // What is not capable any more loses the label.
  EXPECT_THAT(PlanFor(GpuNode({{mig_manager, "true"}})), Contains(Pair(mig_manager, std::nullopt)));
}

TEST(NodeLabels, TheDefaultMigLayoutIsAskedForOnce) {
  const LabelMap capable = GpuNode({{"nvidia.com/mig.capable", "true"}});
  const auto with = [&](LabelMap more) {
    more.insert(capable.begin(), capable.end());
    return more;
  };
  EXPECT_THAT(PlanFor(capable), Contains(Pair("nvidia.com/mig.config", "all-disabled")));
  EXPECT_THAT(PlanFor(with({{"nvidia.com/mig.config", "all-1g.5gb"}})),
              Not(Contains(Key("nvidia.com/mig.config"))));
  // Made by hand before there was a label: they are in use.
  EXPECT_THAT(PlanFor(with({{"nvidia.com/mig-1g.5gb.count", "7"}})),
              Not(Contains(Key("nvidia.com/mig.config"))));
  EXPECT_THAT(PlanFor(with({{"nvidia.com/gpu.deploy.mig-manager", "false"}})),
              Not(Contains(Key("nvidia.com/mig.config"))));
  PolicySpec spec;
  spec.label_mig_disabled = false;
  EXPECT_THAT(PlanFor(capable, spec), Not(Contains(Key("nvidia.com/mig.config"))));
  spec = {};
  spec.mig_manager_enabled = false;
  EXPECT_THAT(PlanFor(capable, spec), Not(Contains(Key("nvidia.com/mig.config"))));
}

TEST(NodeLabels, NodesForVirtualMachinesAreLeftToThose) {
  PolicySpec spec;
  spec.sandbox_enabled = true;
  const LabelMap labels = GpuNode({{"nvidia.com/gpu.workload.config", "vm-passthrough"},
                                   {"nvidia.com/gpu.deploy.device-plugin", "true"}});
  EXPECT_THAT(PlanFor(labels, spec),
              UnorderedElementsAre(Pair("nvidia.com/gpu.deploy.device-plugin", std::nullopt),
                                   Pair("nvidia.com/gpu.deploy.client", "true")));
  EXPECT_FALSE(WantsAgent(ReadNode(TestNode("n", labels)), spec));
  // Without sandboxWorkloads the label means nothing, and nonsense means the default.
  EXPECT_TRUE(WantsAgent(ReadNode(TestNode("n", labels)), {}));
  EXPECT_TRUE(WantsAgent(
      ReadNode(TestNode("n", GpuNode({{"nvidia.com/gpu.workload.config", "vm"}}))), spec));
}

TEST(NodeFacts, ReadinessRefusalAndMigState) {
  const NodeFacts facts =
      ReadNode(TestNode("n", {{"nvidia.com/mig.config.state", "failed"}}, false,
                        {{"aliquot.dev/config-refused", std::string(2000, 'x')}}));
  EXPECT_FALSE(facts.ready);
  EXPECT_EQ(facts.mig_state, MigState::kFailed);
  EXPECT_EQ(facts.refusal.size(), 300u);
  EXPECT_EQ(ReadNode({}), NodeFacts());
  EXPECT_EQ(ReadNode(boost::json::parse(R"({"metadata":{"labels":[1]},"status":3})").as_object()),
            NodeFacts());
}

LabelMap AnyLabels() {
  LabelMap labels;
  const auto maybe = [&](const std::string& key, std::vector<std::string> values) {
    if (*rc::gen::arbitrary<bool>()) labels[key] = *rc::gen::elementOf(values);
  };
  maybe("nvidia.com/gpu.present", {"true", "false", ""});
  maybe("feature.node.kubernetes.io/pci-10de.present", {"true", "false"});
  maybe("nvidia.com/mig.capable", {"true", "false"});
  maybe("nvidia.com/gpu.product", {"NVIDIA-A100", "NVIDIA-L40S"});
  maybe("nvidia.com/vgpu.host-driver-version", {"550"});
  maybe("nvidia.com/gpu.slices.gi", {"1"});
  maybe("nvidia.com/device-plugin.config", {"any"});
  maybe("nvidia.com/mig.config", {"all-1g.5gb", ""});
  maybe("nvidia.com/mig.config.state", {"success", "failed", "pending", "rebooting"});
  maybe("nvidia.com/mig-1g.5gb.count", {"0", "7"});
  maybe("nvidia.com/gpu.workload.config", {"container", "vm-vgpu", "?"});
  maybe("nvidia.com/gpu.deploy.operands", {"true", "false"});
  for (const std::string_view part : kParts) {
    maybe(std::string(kDeployPrefix) + std::string(part), {"true", "false", "", "paused-for-x"});
  }
  return labels;
}

PolicySpec AnySpec() {
  PolicySpec spec;
  spec.sandbox_enabled = *rc::gen::arbitrary<bool>();
  spec.mig_manager_enabled = *rc::gen::arbitrary<bool>();
  spec.label_mig_disabled = *rc::gen::arbitrary<bool>();
  spec.default_workload =
      *rc::gen::element(Workload::kContainer, Workload::kVmPassthrough, Workload::kVmVgpu);
  return spec;
}

RC_GTEST_PROP(NodeExcerpts, SayWhatTheNodeSays, ()) {
  LabelMap labels = AnyLabels();
  labels["feature.node.kubernetes.io/cpu-model.id"] = "1";
  labels["kubernetes.io/os"] = "linux";
  LabelMap notes = {{"example.com/note", "long"}};
  if (*rc::gen::arbitrary<bool>()) notes["aliquot.dev/config-refused"] = std::string(400, 'x');
  kube::Object node = TestNode("n", labels, *rc::gen::arbitrary<bool>(), notes);
  node["metadata"].as_object()["resourceVersion"] = "7";
  node["status"].as_object()["images"] = {{{"names", {"a", "b"}}, {"sizeBytes", 1}}};
  const kube::Object excerpt = NodeExcerpt(node);
  RC_ASSERT(ReadNode(excerpt) == ReadNode(node));
  RC_ASSERT(TextAt(excerpt, {"metadata", "name"}) == "n");
  RC_ASSERT(TextAt(excerpt, {"metadata", "resourceVersion"}) == "7");
  RC_ASSERT(NodeExcerpt(excerpt) == excerpt);
}

TEST(NodeExcerpts, LeaveOutWhatNodesAreLargeWith) {
  LabelMap labels = {{"nvidia.com/gpu.product", "A100"},
                     {"nvidia.com/gpu.memory", "40960"},
                     {"kubernetes.io/os", "linux"}};
  for (int i = 0; i < 100; ++i) {
    labels["feature.node.kubernetes.io/cpu-" + std::to_string(i)] = "true";
  }
  kube::Object node = TestNode("n", labels, true, {{"note", "long"}});
  node["spec"] = {{"podCIDR", "10.0.0.0/24"}};
  node["status"].as_object()["images"] = {{{"names", {"a", "b"}}}};
  node["status"].as_object()["conditions"].as_array().push_back(
      {{"type", "DiskPressure"}, {"status", "False"}, {"message", "long"}});
  EXPECT_EQ(NodeExcerpt(node), boost::json::parse(R"({
                "metadata": {"name": "n", "labels": {"nvidia.com/gpu.product": "A100",
                             "feature.node.kubernetes.io/cpu-0": "true"}},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]}})"));
  // What is no node does no harm.
  EXPECT_EQ(ReadNode(NodeExcerpt({{"metadata", 1}, {"status", {{"conditions", {1}}}}})),
            NodeFacts());
}

RC_GTEST_PROP(NodeLabels, OnePlanIsEnoughAndChoicesOfOthersStay, ()) {
  const LabelMap labels = AnyLabels();
  const PolicySpec spec = AnySpec();
  const LabelChanges changes = PlanFor(labels, spec);
  for (const auto& [key, value] : changes) {
    const auto before = labels.find(key);
    if (key.starts_with(kDeployPrefix) && before != labels.end()) {
      RC_ASSERT(before->second.empty() || before->second == "true");
    }
    RC_ASSERT(key != kOperandsLabel);
    // In brackets, because the macro evaluates both sides of a bare "||".
    RC_ASSERT((before == labels.end() || before->second != value));
  }
  RC_ASSERT(PlanFor(Applied(labels, changes), spec).empty());
}

}  // namespace
}  // namespace aliquot::controller
