// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/planner.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "mig/placement.h"
#include "mig/testing/driver_fake.h"
#include "mig/testing/layouts.h"
#include "mig/testing/products.h"

namespace aliquot::mig {
namespace {

using testing::FakeMigDriver;
using testing::MakeGpu;

DesiredGpu Desired(const std::vector<std::pair<std::string, unsigned>>& devices) {
  DesiredGpu desired{true, {}};
  for (const auto& [text, count] : devices) {
    const auto name = ParseProfileName(text);
    EXPECT_TRUE(name.ok());
    desired.devices[*name] += count;
  }
  return desired;
}

// A GPU of the product with these devices, placed as an empty GPU would get them.
GpuMigState With(const std::string& product,
                 const std::vector<std::pair<std::string, unsigned>>& devices) {
  FakeMigDriver driver;
  driver.Add(MakeGpu(product));
  const std::string uuid = MakeGpu(product).uuid;
  const auto plan = PlanGpu(driver.Look(uuid), Desired(devices));
  EXPECT_TRUE(plan.ok()) << plan.error().message;
  testing::Establish(driver, uuid, plan->after);
  return driver.Look(uuid);
}

std::vector<std::string> Steps(const GpuPlan& plan) {
  std::vector<std::string> steps;
  for (const Step& step : plan.steps) steps.push_back(Describe(plan.gpu, step));
  return steps;
}

using Lines = std::vector<std::string>;

TEST(Planner, LeavesAGpuAloneThatIsAsWanted) {
  const GpuMigState gpu = With("a100-40gb", {{"3g.20gb", 1}, {"2g.10gb", 1}, {"1g.5gb", 2}});
  for (const auto& same : {Desired({{"1g.5gb", 2}, {"2g.10gb", 1}, {"3g.20gb", 1}}),
                           Desired({{"1c.1g.5gb", 2}, {"2c.2g.10gb", 1}, {"3g.19gb", 1}})}) {
    const auto plan = PlanGpu(gpu, same);
    ASSERT_TRUE(plan.ok());
    EXPECT_FALSE(plan->changes());
  }
  EXPECT_EQ(
      Explain(*PlanGpu(gpu, Desired({{"1g.5gb", 2}, {"2g.10gb", 1}, {"3g.20gb", 1}}))),
      Lines{"GPU 0 (GPU-00000000-0000-4000-8000-000000000000): nothing to do, MIG on: 2g.10gb "
            "at 0, 1g.5gb at 2, 1g.5gb at 3, 3g.20gb at 4"});
}

TEST(Planner, FillsAnEmptyGpuAsTheDriverWould) {
  GpuMigState gpu = MakeGpu("a100-40gb");
  const auto plan = PlanGpu(gpu, Desired({{"1g.5gb", 2}, {"2g.10gb", 1}, {"3g.20gb", 1}}));
  ASSERT_TRUE(plan.ok());
  EXPECT_TRUE(plan->needs_reset);
  EXPECT_EQ(
      Steps(*plan),
      (Lines{"turn MIG mode on", "create GPU instance 3g.20gb at 4",
             "create GPU instance 2g.10gb at 0", "create GPU instance 1g.5gb at 2",
             "create GPU instance 1g.5gb at 3", "create device 3g.20gb in the GPU instance at 4",
             "create device 2g.10gb in the GPU instance at 0",
             "create device 1g.5gb in the GPU instance at 2",
             "create device 1g.5gb in the GPU instance at 3"}));
}

TEST(Planner, KeepsWhatItCan) {
  const GpuMigState gpu = With("a100-40gb", {{"3g.20gb", 2}});  // at 4 and 0
  const auto plan = PlanGpu(gpu, Desired({{"3g.20gb", 1}, {"2g.10gb", 1}, {"1g.5gb", 1}}));
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(
      Steps(*plan),
      (Lines{"destroy device 3g.20gb (GPU instance 2, compute instance 0)",
             "destroy GPU instance 2 (3g.20gb at 4)", "create GPU instance 2g.10gb at 4",
             "create GPU instance 1g.5gb at 6", "create device 2g.10gb in the GPU instance at 4",
             "create device 1g.5gb in the GPU instance at 6"}));
}

TEST(Planner, PrefersToDestroyWhatIsIdle) {
  for (const unsigned held : {1u, 2u}) {
    GpuMigState gpu = With("a100-40gb", {{"3g.20gb", 2}});
    for (GpuInstance& instance : gpu.instances) {
      if (instance.id == held) instance.compute[0].holders = {{4711, "python", "ml/train-0"}};
    }
    const auto plan = PlanGpu(gpu, Desired({{"3g.20gb", 1}, {"1g.5gb", 2}}));
    ASSERT_TRUE(plan.ok());
    EXPECT_TRUE(plan->blockers.empty());
    EXPECT_EQ(plan->steps.front().gpu_instance_id, 3 - held);
  }
}

TEST(Planner, NamesTheHoldersOfWhatIsInTheWay) {
  GpuMigState gpu = With("a100-40gb", {{"3g.20gb", 2}});
  gpu.instances[0].compute[0].holders = {{4711, "python", "ml/train-0"}, {4712, "", ""}};
  gpu.instances[1].compute[0].holders = {{{}, "", "ml/idle-1"}};
  const auto plan = PlanGpu(gpu, Desired({{"7g.40gb", 1}}));
  ASSERT_TRUE(plan.ok());
  ASSERT_EQ(plan->blockers.size(), 2u);
  EXPECT_EQ(DescribeBlockers(*plan),
            "device 3g.20gb (GPU instance 1, compute instance 0) is in use by pod ml/train-0 (pid "
            "4711 python), pid 4712; device 3g.20gb (GPU instance 2, compute instance 0) is in use "
            "by pod ml/idle-1");
}

TEST(Planner, AModeChangeIsBlockedByClientsOfTheGpu) {
  GpuMigState gpu = MakeGpu("h100-80gb");
  gpu.holders = {{99, "dcgm", ""}};
  const auto plan = PlanGpu(gpu, Desired({{"7g.80gb", 1}}));
  ASSERT_TRUE(plan.ok());
  EXPECT_FALSE(plan->needs_reset);
  EXPECT_EQ(DescribeBlockers(*plan), "the GPU is in use by pid 99 dcgm");
  // With MIG on already they are in nobody's way.
  gpu.mode_on = gpu.pending_mode_on = true;
  EXPECT_TRUE(PlanGpu(gpu, Desired({{"7g.80gb", 1}}))->blockers.empty());
}

TEST(Planner, TakesBackAModeThatWaitsForAReset) {
  GpuMigState gpu = MakeGpu("a100-40gb");
  gpu.pending_mode_on = true;
  const auto plan = PlanGpu(gpu, DesiredGpu{});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(Steps(*plan), Lines{"turn MIG mode off"});
  EXPECT_FALSE(plan->needs_reset);
}

TEST(Planner, SharesAGpuInstanceAmongSmallerDevices) {
  const GpuMigState gpu = With("a100-40gb", {{"3g.20gb", 2}});
  const auto plan = PlanGpu(gpu, Desired({{"3g.20gb", 1}, {"1c.3g.20gb", 1}, {"2c.3g.20gb", 1}}));
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(Steps(*plan), (Lines{"destroy device 3g.20gb (GPU instance 2, compute instance 0)",
                                 "create device 2c.3g.20gb in the GPU instance at 4",
                                 "create device 1c.3g.20gb in the GPU instance at 4"}));
}

TEST(Planner, AddsAndRemovesDevicesWithinAGpuInstance) {
  const GpuMigState gpu = With("a100-40gb", {{"1c.3g.20gb", 2}});
  ASSERT_EQ(gpu.instances.size(), 1u);
  EXPECT_EQ(Steps(*PlanGpu(gpu, Desired({{"1c.3g.20gb", 3}}))),
            Lines{"create device 1c.3g.20gb in the GPU instance at 4"});
  EXPECT_EQ(PlanGpu(gpu, Desired({{"1c.3g.20gb", 1}}))->steps.size(), 1u);
  // Two with one device each are as good as one with two.
  EXPECT_EQ(Steps(*PlanGpu(gpu, Desired({{"1c.3g.20gb", 2}}))), Lines{});
}

TEST(Planner, RemovesGpuInstancesWithoutDevices) {
  GpuMigState gpu = With("a100-40gb", {{"2g.10gb", 1}});
  gpu.instances[0].compute.clear();
  EXPECT_EQ(Steps(*PlanGpu(gpu, Desired({}))), Lines{"destroy GPU instance 5 (2g.10gb at 4)"});
  EXPECT_EQ(Steps(*PlanGpu(gpu, Desired({{"2g.10gb", 1}}))),
            Lines{"create device 2g.10gb in the GPU instance at 4"});
}

TEST(Planner, ReplacesTheSmallDoubleMemoryDeviceUnlessItIsInUse) {
  GpuMigState gpu = With("h200", {{"1g.35gb", 1}});
  ASSERT_EQ(gpu.instances[0].compute[0].profile, 7u);
  gpu.instances[0].compute[0].profile = 0;
  const auto idle = PlanGpu(gpu, Desired({{"1g.35gb", 1}}));
  ASSERT_EQ(idle->steps.size(), 2u);
  EXPECT_EQ(idle->steps[1].compute_profile, 7u);
  gpu.instances[0].compute[0].holders = {{1, "", ""}};
  const auto busy = PlanGpu(gpu, Desired({{"1g.35gb", 1}}));
  EXPECT_TRUE(busy->steps.empty());
  ASSERT_EQ(busy->warnings.size(), 1u);
  EXPECT_NE(busy->warnings[0].find("has 16 of 26 multiprocessors"), std::string::npos);
}

TEST(Planner, SaysWhatDoesNotFit) {
  const auto message = [](const std::vector<std::pair<std::string, unsigned>>& devices) {
    const auto plan = PlanGpu(MakeGpu("a100-40gb"), Desired(devices));
    EXPECT_FALSE(plan.ok());
    return plan.ok() ? "" : plan.error().message;
  };
  EXPECT_NE(message({{"3g.20gb", 3}})
                .find("1 x 3g.20gb does not fit beside 2 x 3g.20gb; nothing "
                      "more would"),
            std::string::npos);
  EXPECT_NE(message({{"2c.3g.20gb", 3}}).find("1 x 3g.20gb does not fit beside 2 x 3g.20gb"),
            std::string::npos)
      << message({{"2c.3g.20gb", 3}});
  EXPECT_NE(message({{"1g.5gb", 4000000000u}}).find("4000000000 x 1g.5gb: at most 7 fit"),
            std::string::npos);
  EXPECT_NE(message({{"1g.10gb", 1}, {"1g.5gb", 7}}).find("do"), std::string::npos);
}

TEST(Planner, ReportsEveryGpuThatCannotBePlanned) {
  GpuMigState t4 = MakeGpu("a100-40gb", 1);
  t4.mig_capable = false;
  t4.name = "Tesla T4";
  const DesiredGpu desired = Desired({{"2g.99gb", 1}});
  const auto plan = PlanNode({MakeGpu("a100-40gb", 0), t4}, {desired, desired});
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.error().message.find("GPU 0"), std::string::npos);
  EXPECT_NE(plan.error().message.find("(Tesla T4) cannot do MIG"), std::string::npos);
  const auto off = PlanNode({t4}, {DesiredGpu{}});
  ASSERT_TRUE(off.ok());
  EXPECT_FALSE(off->changes());
  EXPECT_TRUE(PlanNode({t4}, {std::nullopt})->gpus.empty());
}

TEST(Planner, RefusesALayoutMadeForAnotherGpu) {
  const GpuMigState gpu = MakeGpu("a30");
  EXPECT_FALSE(PlanLayout(gpu, {true, {{0x4, {0, 8}, {}}}}).ok());
  EXPECT_FALSE(PlanLayout(gpu, {true, {{0x1, {1, 2}, {}}}}).ok());
  EXPECT_FALSE(PlanLayout(gpu, {true, {{0x1, {0, 2}, {}}, {0x0, {1, 1}, {}}}}).ok());
  EXPECT_FALSE(PlanLayout(gpu, {true, {{0x1, {0, 2}, {{7, {0, 1}}}}}}).ok());
  EXPECT_FALSE(PlanLayout(gpu, {true, {{0x7, {0, 1}, {}}, {0x7, {1, 1}, {}}}}).ok());
  EXPECT_TRUE(PlanLayout(gpu, {true, {{0x1, {0, 2}, {{1, {0, 2}}}}}}).ok());
}

// Of every layout an A100 can have to every other, the planner destroys the fewest devices that
// have to go: checked against trying every set of devices to keep.
TEST(Planner, DestroysTheFewestOverAllPairsOfLayouts) {
  const GpuMigState gpu = MakeGpu("a100-40gb");
  const Placer placer(gpu.profiles);
  const std::vector<Layout> layouts = testing::MaximalLayouts(gpu);
  ASSERT_EQ(layouts.size(), 19u);
  for (const Layout& from : layouts) {
    FakeMigDriver driver;
    driver.Add(gpu);
    testing::Establish(driver, gpu.uuid, from);
    const GpuMigState& state = driver.Look(gpu.uuid);
    for (const Layout& to : layouts) {
      std::size_t most_kept = 0;
      for (unsigned mask = 0; mask < 1u << from.instances.size(); ++mask) {
        std::vector<PlacedProfile> kept;
        std::vector<const InstanceProfile*> add;
        for (const InstanceTarget& instance : to.instances) {
          add.push_back(FindProfile(gpu, instance.profile));
        }
        bool possible = true;
        for (std::size_t i = 0; i < from.instances.size(); ++i) {
          if ((mask >> i & 1) == 0) continue;
          const auto* profile = FindProfile(gpu, from.instances[i].profile);
          const auto wanted = std::find(add.begin(), add.end(), profile);
          possible = possible && wanted != add.end();
          if (!possible) break;
          add.erase(wanted);
          kept.push_back({profile, from.instances[i].placement});
        }
        if (possible && placer.Place(kept, add)) most_kept = std::max(most_kept, kept.size());
      }
      const auto plan = PlanGpu(state, testing::DesiredOf(gpu, to));
      ASSERT_TRUE(plan.ok());
      const auto destroyed = static_cast<std::size_t>(std::count_if(
          plan->steps.begin(), plan->steps.end(),
          [](const Step& step) { return step.kind == Step::Kind::kDestroyGpuInstance; }));
      EXPECT_EQ(destroyed, from.instances.size() - most_kept)
          << Describe(gpu, from) << " -> " << Describe(gpu, to);
    }
  }
}

}  // namespace
}  // namespace aliquot::mig
