// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "share/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "share/list_size.h"
#include "share/names.h"
#include "share/test_nodes.h"

namespace aliquot::share {
namespace {

using config::DeviceCount;
using config::DeviceRefs;
using config::MigStrategy;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Severity = Condition::Severity;

// "nvidia.com/gpu=20 nvidia.com/mig-1g.5gb=7"
std::string Summary(const Plan& plan) {
  std::vector<std::string> parts;
  for (const PlannedResource& resource : plan.resources) {
    parts.push_back(fmt::format("{}={}", resource.name, resource.devices.size()));
  }
  return fmt::format("{}", fmt::join(parts, " "));
}

std::vector<std::string> Ids(const PlannedResource& resource) {
  std::vector<std::string> ids;
  for (const PlannedDevice& device : resource.devices) ids.push_back(device.id);
  return ids;
}

std::string Messages(const Plan& plan) {
  std::string all;
  for (const Condition& c : plan.conditions) all += c.object + ": " + c.message + "\n";
  return all;
}

TEST(Names, PatternsAreAnchoredAndCaseSensitive) {
  EXPECT_TRUE(MatchesPattern("*", ""));
  EXPECT_TRUE(MatchesPattern("*A100*", "NVIDIA A100-SXM4-40GB"));
  EXPECT_TRUE(MatchesPattern("1g.*", "1g.5gb"));
  EXPECT_TRUE(MatchesPattern("a*b*c", "a-b-b-c"));
  EXPECT_FALSE(MatchesPattern("a100", "A100"));
  EXPECT_FALSE(MatchesPattern("1g.24gb", "1g.24gb-me"));  // k8s-device-plugin#1807
  EXPECT_FALSE(MatchesPattern("a*b", "a-b-c"));
  EXPECT_FALSE(MatchesPattern("1g.5gb", "1gx5gb"));
}

TEST(Names, MigProfilesBecomeResourceNames) {
  EXPECT_EQ(MigResourceName("1g.10gb+me"), "nvidia.com/mig-1g.10gb.me");
  EXPECT_EQ(MigResourceName("1g.24gb-me"), "nvidia.com/mig-1g.24gb-me");
  EXPECT_TRUE(FillsGpuInstance("3g.20gb"));
  EXPECT_FALSE(FillsGpuInstance("1c.3g.20gb"));
}

TEST(Planner, OffersEveryGpuWithoutConfiguration) {
  const Plan plan = BuildPlan(TestNode(2), {});
  ASSERT_EQ(Summary(plan), "nvidia.com/gpu=2");
  EXPECT_THAT(Ids(plan.resources[0]), ElementsAre(GpuUuid(0), GpuUuid(1)));
  EXPECT_FALSE(plan.resources[0].shared);
  EXPECT_FALSE(plan.resources[0].devices[0].replica.has_value());
  EXPECT_THAT(plan.conditions, IsEmpty());
}

TEST(Planner, ReplicasGetNumberedIds) {
  const Plan plan = BuildPlan(TestNode(8), Sharing({Entry(10)}));
  ASSERT_EQ(Summary(plan), "nvidia.com/gpu=80");
  EXPECT_EQ(plan.resources[0].devices[11].id, GpuUuid(1) + "::1");
  EXPECT_EQ(plan.resources[0].devices[11].device_uuid, GpuUuid(1));
  EXPECT_EQ(plan.resources[0].devices[11].index, "1");
  EXPECT_TRUE(plan.resources[0].shared);
  EXPECT_FALSE(plan.resources[0].max_request.has_value());
  EXPECT_EQ(plan.resources[0].devices[0].share, Share{});
}

TEST(Planner, RenamedResourceReplacesTheOldName) {
  config::Config config = Sharing({Entry(10, config::AllDevices{}, "nvidia.com/gpu.shared")});
  config.sharing.fail_requests_greater_than_one = true;
  const Plan plan = BuildPlan(TestNode(8), config);
  ASSERT_EQ(Summary(plan), "nvidia.com/gpu.shared=80");
  EXPECT_EQ(plan.resources[0].max_request, 1u);
  EXPECT_TRUE(plan.resources[0].devices[0].renamed);
}

TEST(Planner, NoneOffersMigGpusWholeAndWarns) {
  const Plan plan = BuildPlan(TestNode({TestMigGpu(0, {"1g.5gb"}), TestGpu(1)}), {});
  EXPECT_EQ(Summary(plan), "nvidia.com/gpu=2");
  EXPECT_THAT(Messages(plan), HasSubstr("MIG on but migStrategy is \"none\""));
}

TEST(Planner, SingleOffersEqualSlicesAsGpus) {
  const Plan plan =
      BuildPlan(TestNode({TestMigGpu(0, {"1g.5gb", "1g.5gb"}), TestMigGpu(1, {"1g.5gb"})}),
                WithMig(MigStrategy::kSingle));
  ASSERT_EQ(Summary(plan), "nvidia.com/gpu=3");
  EXPECT_EQ(plan.resources[0].devices[1].index, "0:1");
  EXPECT_EQ(plan.resources[0].devices[1].mig_uuid, MigUuid(0, 1));
  EXPECT_EQ(plan.resources[0].devices[1].gpu_uuid, GpuUuid(0));
}

TEST(Planner, SingleOffersNothingAmbiguous) {
  for (const gpu::Inventory& node : {TestNode({TestMigGpu(0, {"1g.5gb"}), TestGpu(1)}),
                                     TestNode({TestMigGpu(0, {"1g.5gb", "2g.10gb"})})}) {
    const Plan plan = BuildPlan(node, WithMig(MigStrategy::kSingle));
    EXPECT_EQ(Summary(plan), "");
    ASSERT_EQ(plan.conditions.size(), 1u);
    EXPECT_EQ(plan.conditions[0].severity, Severity::kError);
    EXPECT_EQ(plan.conditions[0].object, "nvidia.com/gpu");
    EXPECT_THAT(plan.conditions[0].message,
                AllOf(HasSubstr("MIG 1g.5gb (GPU 0)"), HasSubstr("\"mixed\"")));
  }
}

TEST(Planner, SingleLeavesOutOnlyTheEmptyMigGpu) {
  const Plan plan = BuildPlan(TestNode({TestMigGpu(0, {}), TestMigGpu(1, {"1g.5gb"})}),
                              WithMig(MigStrategy::kSingle));
  EXPECT_EQ(Summary(plan), "nvidia.com/gpu=1");
  ASSERT_EQ(plan.conditions.size(), 1u);
  EXPECT_EQ(plan.conditions[0].object, GpuUuid(0));
  EXPECT_EQ(plan.conditions[0].severity, Severity::kError);
}

TEST(Planner, MixedNamesResourcesByProfile) {
  const Plan plan = BuildPlan(
      TestNode({TestGpu(0), TestMigGpu(1, {"3g.20gb", "1g.5gb", "1g.5gb"}), TestMigGpu(2, {})}),
      WithMig(MigStrategy::kMixed));
  EXPECT_EQ(Summary(plan), "nvidia.com/gpu=1 nvidia.com/mig-1g.5gb=2 nvidia.com/mig-3g.20gb=1");
  ASSERT_EQ(plan.conditions.size(), 1u);
  EXPECT_EQ(plan.conditions[0].severity, Severity::kWarning);
}

TEST(Planner, MixedLeavesOutPartialComputeInstances) {
  const gpu::Inventory node = TestNode({TestMigGpu(0, {"1c.3g.20gb", "3g.20gb"})});
  config::Config config = WithMig(MigStrategy::kMixed);
  const Plan plan = BuildPlan(node, config);
  EXPECT_EQ(Summary(plan), "nvidia.com/mig-3g.20gb=1");
  EXPECT_THAT(Messages(plan), HasSubstr("MIG device 0:0 is left out: profile \"1c.3g.20gb\""));

  config.sharing.extended = true;
  config.mig_patterns = {{"1c.*", "nvidia.com/mig-part"}};
  const Plan named = BuildPlan(node, config);
  EXPECT_EQ(Summary(named), "nvidia.com/mig-3g.20gb=1 nvidia.com/mig-part=1");
  EXPECT_THAT(named.conditions, IsEmpty());
}

TEST(Planner, PatternsNameGpusByModelInExtendedModeOnly) {  // k8s-device-plugin#1121
  gpu::Inventory node = TestNode(2);
  node.gpus[1].name = "Tesla T4";
  config::Config config;
  config.gpu_patterns = {{"*A100*", "nvidia.com/a100"}, {"*H100*", "nvidia.com/h100"}};
  EXPECT_EQ(Summary(BuildPlan(node, config)), "nvidia.com/gpu=2");
  config.sharing.extended = true;
  const Plan plan = BuildPlan(node, config);
  EXPECT_EQ(Summary(plan), "nvidia.com/a100=1 nvidia.com/gpu=1");
  ASSERT_EQ(plan.conditions.size(), 1u);
  EXPECT_EQ(plan.conditions[0].object, "resources.gpus[1]");
}

TEST(Planner, SharesOnlySomeGpusWithDifferentCounts) {  // k8s-device-plugin#628, #404
  const config::Config config = Sharing(
      {Entry(4, DeviceRefs{{"2", GpuUuid(0)}}), Entry(3, DeviceCount{1}, "nvidia.com/gpu.few")},
      true);
  const Plan plan = BuildPlan(TestNode(4), config);
  // GPUs 0 and 2 give 4 replicas each, GPU 1 is the first one left, GPU 3 stays whole.
  ASSERT_EQ(Summary(plan), "nvidia.com/gpu=9 nvidia.com/gpu.few=3");
  EXPECT_EQ(plan.resources[0].devices.front().id, GpuUuid(0) + "::0");
  EXPECT_EQ(plan.resources[0].devices.back().id, GpuUuid(3));
  EXPECT_EQ(plan.resources[1].devices.front().id, GpuUuid(1) + "::0");
  EXPECT_THAT(plan.conditions, IsEmpty());
}

TEST(Planner, ExampleOfTheTimeSlicingPage) {  // docs/time-slicing.md
  const config::Config config = Sharing({Entry(8, DeviceRefs{{"0", "1"}}, "nvidia.com/gpu.small"),
                                         Entry(4, DeviceCount{2}, "nvidia.com/gpu.shared")},
                                        true);
  EXPECT_EQ(Summary(BuildPlan(TestNode(8), config)),
            "nvidia.com/gpu=4 nvidia.com/gpu.shared=8 nvidia.com/gpu.small=16");
}

TEST(Planner, EarlierEntriesAreNotOfferedAgainUnshared) {
  const config::Config config =
      Sharing({Entry(2, DeviceRefs{{"0"}}), Entry(4, DeviceRefs{{"1"}})}, true);
  EXPECT_EQ(Summary(BuildPlan(TestNode(2), config)), "nvidia.com/gpu=6");
}

TEST(Planner, OneReplicaRenamesWithoutSharing) {  // k8s-device-plugin#1022
  const Plan plan =
      BuildPlan(TestNode(2), Sharing({Entry(1, config::AllDevices{}, "nvidia.com/whole")}, true));
  ASSERT_EQ(Summary(plan), "nvidia.com/whole=2");
  EXPECT_EQ(plan.resources[0].devices[0].id, GpuUuid(0));
  EXPECT_FALSE(plan.resources[0].shared);
}

TEST(Planner, FirstEntryWinsADevice) {
  const Plan plan = BuildPlan(
      TestNode(2), Sharing({Entry(2, DeviceRefs{{"0"}}), Entry(5, DeviceRefs{{"0", "1"}})}, true));
  EXPECT_EQ(Summary(plan), "nvidia.com/gpu=7");
  EXPECT_THAT(Messages(plan), HasSubstr("sharing.timeSlicing.resources[1]: device \"0\" already "
                                        "belongs to sharing.timeSlicing.resources[0]"));
  const Plan twice = BuildPlan(TestNode(1), Sharing({Entry(3), Entry(2)}));
  EXPECT_EQ(Summary(twice), "nvidia.com/gpu=3");
  EXPECT_THAT(Messages(twice), HasSubstr("nothing left to share"));
}

TEST(Planner, ReferenceToNothingNamesTheChoices) {
  const Plan plan = BuildPlan(TestNode(2), Sharing({Entry(2, DeviceRefs{{"7"}})}, true));
  EXPECT_EQ(Summary(plan), "nvidia.com/gpu=2");
  EXPECT_THAT(Messages(plan), AllOf(HasSubstr("device \"7\""), HasSubstr("1 (" + GpuUuid(1))));
}

TEST(Planner, SelectsMigDevicesByEveryKindOfReference) {
  config::Config config = Sharing({}, true);
  config.flags.mig_strategy = MigStrategy::kMixed;
  const std::string name = "nvidia.com/mig-1g.5gb";
  config.sharing.resources = {
      {name, "", DeviceRefs{{"0:0", MigUuid(0, 1), "MIG-" + GpuUuid(0) + "/9/0"}}, 2}};
  const Plan plan =
      BuildPlan(TestNode({TestMigGpu(0, {"1g.5gb", "1g.5gb", "1g.5gb", "1g.5gb"})}), config);
  EXPECT_EQ(Summary(plan), "nvidia.com/mig-1g.5gb=7");
  EXPECT_THAT(plan.conditions, IsEmpty());
}

TEST(Planner, SharingOfAnAbsentResourceWarns) {
  config::Config config = Sharing({{"nvidia.com/mig-1g.5gb", "", config::AllDevices{}, 2}});
  const Plan plan = BuildPlan(TestNode(1), config);
  EXPECT_EQ(Summary(plan), "nvidia.com/gpu=1");
  EXPECT_THAT(Messages(plan),
              HasSubstr("no resource \"nvidia.com/mig-1g.5gb\", only nvidia.com/gpu"));
}

TEST(Planner, MemoryShareIsUsableMemoryDividedInWholeMiB) {
  config::Config config = Sharing({Entry(3)});
  config.sharing.isolation.emplace();
  config.sharing.isolation->memory = config::Isolation::Memory::kShare;
  config.sharing.isolation->compute = config::Isolation::Compute::kFair;
  const Plan plan = BuildPlan(TestNode(1), config);
  EXPECT_EQ(plan.resources[0].devices[0].share.memory_bytes, 13446 * kTestMiB);  // 40339 / 3
  EXPECT_EQ(plan.resources[0].devices[0].share.compute_permille, 333u);
}

TEST(Planner, MemoryQuantityIsCappedAndOvercommitWarns) {
  config::Config config = Sharing({Entry(10)});
  config.sharing.isolation.emplace();
  config.sharing.isolation->memory = config::Isolation::Memory::kBytes;
  config.sharing.isolation->memory_bytes_per_replica = 4096 * kTestMiB;
  Plan plan = BuildPlan(TestNode(1), config);
  EXPECT_EQ(plan.resources[0].devices[0].share.memory_bytes, 4096 * kTestMiB);
  EXPECT_FALSE(plan.resources[0].devices[0].share.compute_permille.has_value());
  EXPECT_THAT(Messages(plan), HasSubstr("promised more than once"));
  config.sharing.isolation->memory_bytes_per_replica = 99999 * kTestMiB;
  plan = BuildPlan(TestNode(1), config);
  EXPECT_EQ(plan.resources[0].devices[0].share.memory_bytes, 40339 * kTestMiB);
  config.sharing.isolation->memory_bytes_per_replica = 4000 * kTestMiB;
  EXPECT_THAT(BuildPlan(TestNode(1), config).conditions, IsEmpty());
}

TEST(Planner, UnknownMemoryIsNotPromised) {
  gpu::Inventory node = TestNode(1);
  node.gpus[0].memory_usable_bytes = 0;
  config::Config config = Sharing({Entry(2)});
  EXPECT_EQ(Summary(BuildPlan(node, config)), "nvidia.com/gpu=2");
  config.sharing.isolation.emplace();
  config.sharing.isolation->memory = config::Isolation::Memory::kShare;
  const Plan plan = BuildPlan(node, config);
  EXPECT_EQ(Summary(plan), "nvidia.com/gpu=1");
  EXPECT_THAT(Messages(plan), HasSubstr("offered unshared"));
}

TEST(Planner, MpsRefusesMigAndTooManyReplicasOnly) {
  config::Config config = Sharing({Entry(48)});
  config.sharing.strategy = config::SharingStrategy::kMps;
  config.flags.mig_strategy = MigStrategy::kSingle;
  EXPECT_EQ(Summary(BuildPlan(TestNode(1), config)), "nvidia.com/gpu=48");
  const Plan mig = BuildPlan(TestNode({TestMigGpu(0, {"1g.5gb"})}), config);
  EXPECT_EQ(Summary(mig), "nvidia.com/gpu=1");
  EXPECT_THAT(Messages(mig), AllOf(HasSubstr("MPS cannot share MIG devices"),
                                   HasSubstr("sharing.mps.resources[0]")));
  config.sharing.resources[0].replicas = 49;
  EXPECT_THAT(Messages(BuildPlan(TestNode(1), config)), HasSubstr("at most 48 clients"));
}

TEST(Planner, ListsTheKubeletWouldDropAreRefused) {
  gpu::Inventory node = TestNode(8);
  config::Config config = Sharing({Entry(4000000000u)});
  const Plan plan = BuildPlan(node, config);
  EXPECT_EQ(Summary(plan), "");
  ASSERT_EQ(plan.conditions.size(), 1u);
  EXPECT_EQ(plan.conditions[0].object, "nvidia.com/gpu");
  const std::string& message = plan.conditions[0].message;
  const std::string tail = "lower replicas to at most ";
  const std::size_t at = message.find(tail);
  ASSERT_NE(at, std::string::npos) << message;
  const auto most = static_cast<unsigned>(std::stoul(message.substr(at + tail.size())));
  config.sharing.resources[0].replicas = most;
  const Plan fits = BuildPlan(node, config);
  ASSERT_EQ(fits.resources.size(), 1u);
  EXPECT_LE(EncodedListBytes(fits.resources[0]), kMaxListBytes);
  // 0a 0e, 0a 01 'a', 12 09 "Unhealthy"; and 1a 04, 0a 02, 08 01.
  EXPECT_EQ(EncodedDeviceBytes(1, std::nullopt), 16u);
  EXPECT_EQ(EncodedDeviceBytes(1, 1), 22u);
  config.sharing.resources[0].replicas = most + 1;
  EXPECT_EQ(Summary(BuildPlan(node, config)), "");
}

TEST(ListSize, CountsWhatProtobufWrites) {
  // Device: tag, length and 40 bytes of id; tag, length and "Unhealthy". In the list: tag, length.
  EXPECT_EQ(EncodedDeviceBytes(40, std::nullopt), 2u + (2 + 40) + (2 + 9));
  // With topology { nodes { ID: 300 } }: three tags, two lengths and a number of two bytes.
  EXPECT_EQ(EncodedDeviceBytes(40, 300), 2u + (2 + 40) + (2 + 9) + 7);
  EXPECT_EQ(LongestId(40, 1), 40u);
  EXPECT_EQ(LongestId(40, 10), 43u);
  EXPECT_EQ(LongestId(40, 11), 44u);
}

TEST(Planner, TooLongIdsAreLeftOut) {
  gpu::Inventory node = TestNode(2);
  node.gpus[0].uuid = "GPU-" + std::string(57, 'a');  // 61 characters: "::0" is one too many
  EXPECT_EQ(Summary(BuildPlan(node, {})), "nvidia.com/gpu=2");
  const Plan plan = BuildPlan(node, Sharing({Entry(2)}));
  EXPECT_EQ(Summary(plan), "nvidia.com/gpu=2");
  EXPECT_THAT(Messages(plan), HasSubstr("64 characters"));
}

TEST(Planner, RepeatedUuidIsOfferedOnce) {
  gpu::Inventory node = TestNode(3);
  node.gpus[2].uuid = node.gpus[0].uuid;
  const Plan plan = BuildPlan(node, {});
  EXPECT_EQ(Summary(plan), "nvidia.com/gpu=2");
  EXPECT_THAT(Messages(plan), HasSubstr("GPU 2: left out"));
}

TEST(Planner, BrokenGpuIsToldAndTheRestServed) {
  gpu::Inventory node = TestNode(2);
  node.broken.push_back({2, "GPU-x", "", "cannot read memory: GPU is lost"});
  const Plan plan = BuildPlan(node, {});
  EXPECT_EQ(Summary(plan), "nvidia.com/gpu=2");
  EXPECT_THAT(Messages(plan), HasSubstr("GPU-x: GPU 2 is left out: cannot read memory"));
}

TEST(PlanDiff, TellsListsFromOptions) {
  const gpu::Inventory node = TestNode(2);
  const Plan plain = BuildPlan(node, {});
  EXPECT_TRUE(Diff(plain, plain).empty());
  const Plan shared = BuildPlan(node, Sharing({Entry(2)}));
  EXPECT_THAT(Diff(plain, shared).changed, ElementsAre("nvidia.com/gpu"));
  config::Config renamed = Sharing({Entry(2, config::AllDevices{}, "nvidia.com/gpu.shared")});
  const PlanDiff diff = Diff(shared, BuildPlan(node, renamed));
  EXPECT_THAT(diff.added, ElementsAre("nvidia.com/gpu.shared"));
  EXPECT_THAT(diff.removed, ElementsAre("nvidia.com/gpu"));
  config::Config limited = Sharing({Entry(2)});
  limited.sharing.fail_requests_greater_than_one = true;
  const PlanDiff options = Diff(shared, BuildPlan(node, limited));
  EXPECT_THAT(options.option_changed, ElementsAre("nvidia.com/gpu"));
  EXPECT_THAT(options.changed, IsEmpty());
}

}  // namespace
}  // namespace aliquot::share
