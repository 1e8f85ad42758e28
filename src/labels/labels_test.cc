// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "labels/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "labels/text.h"
#include "share/planner.h"
#include "share/test_nodes.h"

namespace aliquot::labels {
namespace {

using config::MigStrategy;
using share::TestGpu;
using share::TestMigGpu;
using share::TestNode;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;
using LabelMap = std::map<std::string, std::string>;

LabelMap Of(const gpu::Inventory& node, const config::Config& config = {},
            const HostFacts& facts = {}) {
  return NodeLabels(node, config, share::BuildPlan(node, config), facts);
}

LabelMap WithPrefix(const LabelMap& labels, const std::string& prefix) {
  LabelMap some;
  for (const auto& [key, value] : labels) {
    if (key.starts_with(prefix)) some[key.substr(prefix.size())] = value;
  }
  return some;
}

TEST(LabelValue, IsAlwaysValid) {
  EXPECT_EQ(LabelValue("NVIDIA A100-SXM4-40GB"), "NVIDIA-A100-SXM4-40GB");
  EXPECT_EQ(LabelValue("  To be   filled (by) O.E.M. "), "To-be-filled-by-O.E.M");
  EXPECT_EQ(LabelValue("--"), "");
  EXPECT_EQ(LabelValue("\xc3\xa9 x"), "x");
  EXPECT_EQ(LabelValue(std::string(62, 'a') + "-b"), std::string(62, 'a'));
}

TEST(LabelValue, LongProductsKeepTheirSuffix) {  // k8s-device-plugin#1876
  const std::string model = "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition";
  const std::string value = ProductValue(model, "-MIG-1g.24gb.me-SHARED");
  EXPECT_LE(value.size(), kMaxValueLength);
  EXPECT_TRUE(value.ends_with("-MIG-1g.24gb.me-SHARED")) << value;
  EXPECT_TRUE(value.starts_with("NVIDIA-RTX-PRO-6000-Blackwell"));
}

TEST(Family, FollowsComputeCapability) {
  EXPECT_EQ(FamilyOf(7, 0), "volta");
  EXPECT_EQ(FamilyOf(7, 5), "turing");
  EXPECT_EQ(FamilyOf(8, 9), "ada-lovelace");
  EXPECT_EQ(FamilyOf(9, 0), "hopper");
  EXPECT_EQ(FamilyOf(12, 0), "blackwell");
  EXPECT_EQ(FamilyOf(11, 0), "undefined");
}

TEST(Labels, NodeWithoutGpusTellsOnlyVgpuPresence) {
  EXPECT_EQ(Of(TestNode(0)), (LabelMap{{"nvidia.com/vgpu.present", "false"}}));
}

TEST(Labels, CompleteListOfAPlainNode) {
  HostFacts facts;
  facts.machine_type = "PowerEdge XE9680";
  facts.timestamp = 1700000000;
  facts.pci_classes = {{"0000:01:00.0", 0x030200}, {"0000:02:00.0", 0x030200}};
  const LabelMap expected = {
      {"nvidia.com/cuda.driver-version.full", "580.159.04"},
      {"nvidia.com/cuda.driver-version.major", "580"},
      {"nvidia.com/cuda.driver-version.minor", "159"},
      {"nvidia.com/cuda.driver-version.revision", "04"},
      {"nvidia.com/cuda.driver.major", "580"},
      {"nvidia.com/cuda.driver.minor", "159"},
      {"nvidia.com/cuda.driver.rev", "04"},
      {"nvidia.com/cuda.runtime-version.full", "13.0"},
      {"nvidia.com/cuda.runtime-version.major", "13"},
      {"nvidia.com/cuda.runtime-version.minor", "0"},
      {"nvidia.com/cuda.runtime.major", "13"},
      {"nvidia.com/cuda.runtime.minor", "0"},
      {"nvidia.com/gfd.timestamp", "1700000000"},
      {"nvidia.com/gpu.compute.major", "8"},
      {"nvidia.com/gpu.compute.minor", "0"},
      {"nvidia.com/gpu.count", "2"},
      {"nvidia.com/gpu.family", "ampere"},
      {"nvidia.com/gpu.machine", "PowerEdge-XE9680"},
      {"nvidia.com/gpu.memory", "40960"},
      {"nvidia.com/gpu.mode", "compute"},
      {"nvidia.com/gpu.product", "NVIDIA-A100-SXM4-40GB"},
      {"nvidia.com/gpu.replicas", "1"},
      {"nvidia.com/gpu.sharing-strategy", "none"},
      {"nvidia.com/mig.capable", "true"},
      {"nvidia.com/mps.capable", "false"},
      {"nvidia.com/vgpu.present", "false"},
  };
  EXPECT_EQ(Of(TestNode(2), {}, facts), expected);
  config::Config config;
  config.flags.gfd_no_timestamp = true;
  EXPECT_THAT(Of(TestNode(2), config, facts), Not(Contains(Key("nvidia.com/gfd.timestamp"))));
}

TEST(Labels, SharedUnlessRenamed) {
  LabelMap labels = Of(TestNode(2), share::Sharing({share::Entry(4)}));
  EXPECT_EQ(labels["nvidia.com/gpu.product"], "NVIDIA-A100-SXM4-40GB-SHARED");
  EXPECT_EQ(labels["nvidia.com/gpu.replicas"], "4");  // configured, not 8: k8s-device-plugin#732
  EXPECT_EQ(labels["nvidia.com/gpu.count"], "2");
  EXPECT_EQ(labels["nvidia.com/gpu.sharing-strategy"], "time-slicing");
  config::Config mps =
      share::Sharing({share::Entry(4, config::AllDevices{}, "nvidia.com/gpu.shared")});
  mps.sharing.strategy = config::SharingStrategy::kMps;
  labels = Of(TestNode(2), mps);
  EXPECT_EQ(labels["nvidia.com/gpu.product"], "NVIDIA-A100-SXM4-40GB");
  EXPECT_EQ(labels["nvidia.com/gpu.sharing-strategy"], "mps");
  EXPECT_EQ(labels["nvidia.com/mps.capable"], "true");
}

TEST(Labels, DifferentCountsReportTheLargest) {
  LabelMap labels = Of(TestNode(3), share::Sharing({share::Entry(2, config::DeviceRefs{{"2"}}),
                                                    share::Entry(8, config::DeviceRefs{{"0"}})},
                                                   true));
  EXPECT_EQ(labels["nvidia.com/gpu.replicas"], "8");
  EXPECT_EQ(labels["nvidia.com/gpu.product"], "NVIDIA-A100-SXM4-40GB-SHARED");
}

TEST(Labels, SeveralModelsDoNotFlap) {  // k8s-device-plugin#731
  gpu::Inventory node = TestNode(3);
  node.gpus[0].name = "Tesla T4";
  node.gpus[0].compute_minor = 5;
  LabelMap labels = Of(node);
  EXPECT_EQ(labels["nvidia.com/gpu.product"], "NVIDIA-A100-SXM4-40GB");
  EXPECT_EQ(labels["nvidia.com/gpu.count"], "2");
  EXPECT_EQ(labels["nvidia.com/gpu.compute.minor"], "0");
  node.gpus.pop_back();
  std::swap(node.gpus[0], node.gpus[1]);
  labels = Of(node);
  EXPECT_EQ(labels["nvidia.com/gpu.product"], "Tesla-T4");
  EXPECT_EQ(labels["nvidia.com/gpu.count"], "1");
}

TEST(Labels, SingleDescribesSlices) {
  LabelMap labels = Of(
      TestNode({TestMigGpu(0, {"1g.5gb", "1g.5gb"}), TestMigGpu(1, {"1g.5gb"}), TestMigGpu(2, {})}),
      share::WithMig(MigStrategy::kSingle));
  EXPECT_EQ(labels["nvidia.com/gpu.product"], "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb");
  EXPECT_EQ(labels["nvidia.com/gpu.count"], "3");
  EXPECT_EQ(labels["nvidia.com/gpu.memory"], "4864");
  EXPECT_EQ(labels["nvidia.com/gpu.multiprocessors"], "14");
  EXPECT_EQ(labels["nvidia.com/gpu.engines.copy"], "1");
  EXPECT_EQ(labels["nvidia.com/gpu.family"], "ampere");
  EXPECT_EQ(labels["nvidia.com/mig.strategy"], "single");
}

TEST(Labels, SingleWithoutMigIsAsNone) {
  LabelMap labels = Of(TestNode(2), share::WithMig(MigStrategy::kSingle));
  EXPECT_EQ(labels["nvidia.com/gpu.product"], "NVIDIA-A100-SXM4-40GB");
  EXPECT_EQ(labels["nvidia.com/mig.strategy"], "single");
}

TEST(Labels, SingleWithAmbiguousLayoutIsInvalid) {
  for (const gpu::Inventory& node :
       {TestNode({TestMigGpu(0, {"1g.5gb", "2g.10gb"})}),
        TestNode({TestMigGpu(0, {"1g.5gb"}), TestGpu(1)}), TestNode({TestMigGpu(0, {})})}) {
    const LabelMap labels = Of(node, share::WithMig(MigStrategy::kSingle));
    EXPECT_THAT(labels,
                AllOf(Contains(Pair("nvidia.com/gpu.product", "NVIDIA-A100-SXM4-40GB-MIG-INVALID")),
                      Contains(Pair("nvidia.com/gpu.count", "0")),
                      Contains(Pair("nvidia.com/gpu.replicas", "0")),
                      Contains(Pair("nvidia.com/gpu.memory", "0")),
                      Contains(Pair("nvidia.com/gpu.sharing-strategy", ""))));
  }
}

TEST(Labels, MixedDescribesGpusAndProfiles) {
  config::Config config = share::Sharing({{"nvidia.com/mig-1g.5gb", "", config::AllDevices{}, 2}});
  config.flags.mig_strategy = MigStrategy::kMixed;
  const LabelMap labels =
      Of(TestNode({TestGpu(0), TestMigGpu(1, {"1g.5gb", "1g.5gb", "1g.10gb+me"}),
                   TestMigGpu(2, {"1c.3g.20gb"})}),
         config);
  EXPECT_THAT(labels, AllOf(Contains(Pair("nvidia.com/gpu.count", "3")),
                            Contains(Pair("nvidia.com/gpu.replicas", "1")),
                            Not(Contains(Key("nvidia.com/mig-1c.3g.20gb.count")))));
  EXPECT_EQ(WithPrefix(labels, "nvidia.com/mig-1g.5gb."),
            (LabelMap{{"product", "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb-SHARED"},
                      {"count", "2"},
                      {"replicas", "2"},
                      {"sharing-strategy", "time-slicing"},
                      {"memory", "4864"},
                      {"multiprocessors", "14"},
                      {"slices.gi", "1"},
                      {"slices.ci", "1"},
                      {"engines.copy", "1"},
                      {"engines.decoder", "0"},
                      {"engines.encoder", "0"},
                      {"engines.jpeg", "0"},
                      {"engines.ofa", "0"}}));
  EXPECT_THAT(labels, Contains(Pair("nvidia.com/mig-1g.10gb.me.product",
                                    "NVIDIA-A100-SXM4-40GB-MIG-1g.10gb.me")));
}

TEST(Labels, GpusWithMigOnHaveNoReplicas) {
  const LabelMap labels =
      Of(TestNode({TestMigGpu(0, {"1g.5gb"})}), share::WithMig(MigStrategy::kMixed));
  EXPECT_THAT(labels, AllOf(Contains(Pair("nvidia.com/gpu.replicas", "0")),
                            Contains(Pair("nvidia.com/gpu.count", "1"))));
}

TEST(Labels, ModeIsOnlyToldIfAllGpusAgree) {
  HostFacts facts;
  facts.pci_classes = {{"0000:01:00.0", 0x030000}, {"0000:02:00.0", 0x030000}};
  EXPECT_EQ(Of(TestNode(2), {}, facts)["nvidia.com/gpu.mode"], "graphics");
  facts.pci_classes["0000:02:00.0"] = 0x030200;
  EXPECT_EQ(Of(TestNode(2), {}, facts)["nvidia.com/gpu.mode"], "unknown");
  EXPECT_EQ(Of(TestNode(3), {}, facts)["nvidia.com/gpu.mode"], "unknown");
}

TEST(Labels, CliqueNeedsOneFabricClique) {
  gpu::Inventory node = TestNode(2);
  const std::string cluster = "5f1cb0b3-1111-4222-8333-444455556666";
  node.gpus[0].fabric = gpu::Fabric{cluster, 7};
  EXPECT_EQ(Of(node)["nvidia.com/gpu.clique"], cluster + ".7");
  node.gpus[1].fabric = gpu::Fabric{cluster, 8};
  EXPECT_THAT(Of(node), Not(Contains(Key("nvidia.com/gpu.clique"))));
}

TEST(Labels, VgpuGuestsTellTheHostDriver) {
  HostFacts facts;
  facts.vgpu = true;
  facts.vgpu_host = VgpuHost{"535.161.05", "r535_00"};
  const LabelMap labels = Of(TestNode(1), {}, facts);
  EXPECT_THAT(labels, AllOf(Contains(Pair("nvidia.com/vgpu.present", "true")),
                            Contains(Pair("nvidia.com/vgpu.host-driver-version", "535.161.05")),
                            Contains(Pair("nvidia.com/vgpu.host-driver-branch", "r535_00"))));
}

TEST(Labels, SimulatedNodesSaySo) {
  gpu::Inventory node = TestNode(1);
  EXPECT_THAT(Of(node), Not(Contains(Key("aliquot.dev/simulated"))));
  node.simulated_node = "t4-x1";
  EXPECT_EQ(Of(node)["aliquot.dev/simulated"], "true");
}

TEST(Labels, OddDriverVersionsGiveNoVersionLabels) {
  gpu::Inventory node = TestNode(1);
  node.driver_version = "580";
  EXPECT_THAT(Of(node), Not(Contains(Key("nvidia.com/cuda.driver.major"))));
  node.driver_version = "580.1";
  EXPECT_EQ(Of(node)["nvidia.com/cuda.driver.rev"], "");
}

}  // namespace
}  // namespace aliquot::labels
