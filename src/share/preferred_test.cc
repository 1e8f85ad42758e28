// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "share/preferred.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "share/planner.h"
#include "share/test_nodes.h"

namespace aliquot::share {
namespace {

using config::AllocationPolicy;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Ids = std::vector<std::string>;

// One resource of a node, with some devices in use.
class Node {
 public:
  Node(const gpu::Inventory& inventory, const config::Config& config)
      : inventory_(inventory), plan_(BuildPlan(inventory, config)) {
    for (const PlannedDevice& d : plan_.resources.at(0).devices) free_.push_back(d.id);
  }

  Node& Use(const std::string& id) {
    std::erase(free_, id);
    return *this;
  }
  Node& Use(unsigned gpu, unsigned replicas) {
    for (unsigned i = 0; i < replicas; ++i) Use(GpuUuid(gpu) + "::" + std::to_string(i));
    return *this;
  }
  Result<Ids> Ask(AllocationPolicy policy, int size, const Ids& must_include = {}) const {
    return PreferredAllocation(plan_.resources[0], inventory_, policy, {free_, must_include, size});
  }
  Ids Choose(AllocationPolicy policy, int size, const Ids& must_include = {}) const {
    Result<Ids> chosen = Ask(policy, size, must_include);
    EXPECT_TRUE(chosen.ok()) << (chosen.ok() ? "" : chosen.error().message);
    return chosen.ok() ? *chosen : Ids{};
  }

 private:
  gpu::Inventory inventory_;
  Plan plan_;
  Ids free_;
};

std::string R(unsigned gpu, unsigned replica) {
  return GpuUuid(gpu) + "::" + std::to_string(replica);
}

config::Config Isolated(unsigned replicas) {
  config::Config config = Sharing({Entry(replicas)});
  config.sharing.isolation.emplace();
  config.sharing.isolation->memory = config::Isolation::Memory::kShare;
  return config;
}

TEST(Preferred, WholeGpusAreAlignedWhateverThePolicy) {
  gpu::Inventory inventory = TestNode(4);
  inventory.topology.Set(1, 3, {gpu::P2pLevel::kNode, 4});
  const Node node(inventory, {});
  for (const auto policy : {AllocationPolicy::kDistributed, AllocationPolicy::kPacked}) {
    EXPECT_THAT(node.Choose(policy, 2), ElementsAre(GpuUuid(1), GpuUuid(3)));
  }
  EXPECT_THAT(node.Choose(AllocationPolicy::kPacked, 2, {GpuUuid(2)}),
              ElementsAre(GpuUuid(2), GpuUuid(0)));
}

TEST(Preferred, DistributedTakesTheLeastAllocatedGpu) {
  Node node(TestNode(3), Sharing({Entry(4)}));
  node.Use(0, 2).Use(1, 1);
  EXPECT_THAT(node.Choose(AllocationPolicy::kDistributed, 3),
              ElementsAre(R(2, 0), R(1, 1), R(2, 1)));  // after the first, 1 and 2 tie: 1 unpicked
}

TEST(Preferred, PackedFillsTheFullestGpu) {
  Node node(TestNode(3), Sharing({Entry(4)}));
  node.Use(1, 3);
  EXPECT_THAT(node.Choose(AllocationPolicy::kPacked, 3), ElementsAre(R(1, 3), R(0, 0), R(0, 1)));
}

TEST(Preferred, SpreadTakesDistinctGpusFirst) {  // k8s-device-plugin#491
  Node node(TestNode(3), Sharing({Entry(4)}));
  node.Use(0, 3).Use(1, 2);
  EXPECT_THAT(node.Choose(AllocationPolicy::kSpread, 3), ElementsAre(R(2, 0), R(1, 2), R(0, 3)));
  EXPECT_THAT(node.Choose(AllocationPolicy::kDistributed, 2), ElementsAre(R(2, 0), R(2, 1)));
  EXPECT_THAT(node.Choose(AllocationPolicy::kSpread, 3, {R(2, 0)}),
              ElementsAre(R(2, 0), R(1, 2), R(0, 3)));
}

TEST(Preferred, MigDevicesCountForTheirGpu) {  // k8s-device-plugin#2036
  const gpu::Inventory inventory = TestNode({TestMigGpu(0, {"1g.5gb", "1g.5gb", "1g.5gb"}),
                                             TestMigGpu(1, {"1g.5gb", "1g.5gb", "1g.5gb"})});
  Node node(inventory, WithMig(config::MigStrategy::kSingle));
  node.Use(MigUuid(0, 0));
  EXPECT_THAT(node.Choose(AllocationPolicy::kDistributed, 1), ElementsAre(MigUuid(1, 0)));
  EXPECT_THAT(node.Choose(AllocationPolicy::kPacked, 2), ElementsAre(MigUuid(0, 1), MigUuid(0, 2)));
  EXPECT_THAT(node.Choose(AllocationPolicy::kSpread, 2), ElementsAre(MigUuid(1, 0), MigUuid(0, 1)));
}

TEST(Preferred, ReplicasOfMigDevicesSpreadWithinTheGpuToo) {
  config::Config config = Sharing({Entry(2)});
  config.flags.mig_strategy = config::MigStrategy::kSingle;
  const Node node(TestNode({TestMigGpu(0, {"1g.5gb", "1g.5gb"})}), config);
  EXPECT_THAT(node.Choose(AllocationPolicy::kDistributed, 2),
              ElementsAre(MigUuid(0, 0) + "::0", MigUuid(0, 1) + "::0"));
  EXPECT_THAT(node.Choose(AllocationPolicy::kPacked, 2),
              ElementsAre(MigUuid(0, 0) + "::0", MigUuid(0, 0) + "::1"));
}

TEST(Preferred, SharesOfOneContainerComeFromOneGpu) {
  Node node(TestNode(3), Isolated(4));
  node.Use(0, 3).Use(1, 1);
  EXPECT_THAT(node.Choose(AllocationPolicy::kPacked, 3), ElementsAre(R(1, 1), R(1, 2), R(1, 3)));
  EXPECT_THAT(node.Choose(AllocationPolicy::kDistributed, 3),
              ElementsAre(R(2, 0), R(2, 1), R(2, 2)));
  EXPECT_THAT(node.Choose(AllocationPolicy::kSpread, 2, {R(1, 2)}), ElementsAre(R(1, 2), R(1, 1)));
}

TEST(Preferred, SharesThatFitOnNoGpuAreRefused) {
  Node node(TestNode(2), Isolated(4));
  node.Use(0, 2).Use(1, 1);
  const Result<Ids> asked = node.Ask(AllocationPolicy::kPacked, 4);
  ASSERT_FALSE(asked.ok());
  EXPECT_EQ(asked.error().code, Code::kResourceExhausted);
  EXPECT_THAT(asked.error().message, HasSubstr("has 4 replicas left (at most 3)"));
  EXPECT_EQ(node.Ask(AllocationPolicy::kPacked, 2, {R(0, 2), R(1, 2)}).error().code,
            Code::kInvalidArgument);
}

TEST(Preferred, WholeGpusBesideSharesAreTakenOnlyTogether) {
  config::Config config = Sharing({Entry(3, config::DeviceRefs{{"0"}})}, true);
  config.sharing.isolation = Isolated(2).sharing.isolation;
  Node node(TestNode(3), config);
  EXPECT_THAT(node.Choose(AllocationPolicy::kPacked, 2), ElementsAre(R(0, 0), R(0, 1)));
  node.Use(0, 2);
  EXPECT_THAT(node.Choose(AllocationPolicy::kPacked, 2), ElementsAre(GpuUuid(1), GpuUuid(2)));
  EXPECT_FALSE(node.Ask(AllocationPolicy::kPacked, 3).ok());
}

TEST(Preferred, ImpossibleQuestionsAreRefused) {
  Node node(TestNode(2), Sharing({Entry(2)}));
  node.Use(0, 1);
  const auto policy = AllocationPolicy::kDistributed;
  EXPECT_THAT(node.Choose(policy, 0), IsEmpty());
  EXPECT_EQ(node.Ask(policy, -1).error().code, Code::kInvalidArgument);
  EXPECT_EQ(node.Ask(policy, 1, {R(1, 0), R(1, 1)}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(node.Ask(policy, 1, {R(0, 0)}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(node.Ask(policy, 1, {"GPU-other"}).error().code, Code::kInvalidArgument);
  const Result<Ids> asked = node.Ask(policy, 4);
  ASSERT_FALSE(asked.ok());
  EXPECT_EQ(asked.error().code, Code::kResourceExhausted);
  EXPECT_THAT(asked.error().message, HasSubstr("not enough available devices"));
}

TEST(Preferred, UnknownAndRepeatedOffersAreHarmless) {
  const gpu::Inventory inventory = TestNode(2);
  const Plan plan = BuildPlan(inventory, Sharing({Entry(2)}));
  const Ids offered = {"GPU-gone::1", R(1, 0), R(1, 0)};
  const Result<Ids> one = PreferredAllocation(plan.resources[0], inventory,
                                              AllocationPolicy::kPacked, {offered, {}, 1});
  ASSERT_TRUE(one.ok());
  EXPECT_THAT(*one, ElementsAre(R(1, 0)));
  EXPECT_FALSE(
      PreferredAllocation(plan.resources[0], inventory, AllocationPolicy::kPacked, {offered, {}, 2})
          .ok());
}

}  // namespace
}  // namespace aliquot::share
