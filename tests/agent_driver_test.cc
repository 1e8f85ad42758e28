// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Drivers that come late, go and come back, and GPUs that break and recover.
#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "base/file.h"
#include "tests/agent_fixture.h"

namespace aliquot::tests {
namespace {

namespace json = boost::json;

// The NVML return code NVML_ERROR_UNKNOWN.
constexpr int kUnknownError = 999;

class AgentDriverTest : public AgentTest {
 protected:
  // Waits until exactly these GPUs or MIG devices are unhealthy by /statusz.
  bool Unhealthy(const std::set<std::string>& uuids) {
    return Eventually([&] {
      const json::value status = agent_.Status();
      std::error_code missing;
      const json::value* unhealthy = status.find_pointer("/health/unhealthy", missing);
      std::set<std::string> found;
      if (unhealthy != nullptr) {
        for (const auto& entry : unhealthy->as_object()) found.insert(entry.key());
      }
      return found == uuids;
    });
  }
  std::string UuidOfMig(unsigned gpu, unsigned gi, unsigned ci) {
    return sim::MigUuid(sim().node().gpus.at(gpu), gi, ci);
  }
};

TEST_F(AgentDriverTest, NoDriverAtStartIsWaitedForAndNotReady) {
  Simulate().Unload();
  StartKubelet();
  StartAgent();
  ASSERT_TRUE(agent_.AwaitLog("driver unavailable"));
  EXPECT_EQ(agent_.Get("/readyz").status, 503);
  EXPECT_EQ(agent_.Get("/healthz").status, 200);
  const json::value status = agent_.Status();
  EXPECT_FALSE(status.at_pointer("/driver/up").as_bool());
  EXPECT_TRUE(status.at_pointer("/driver/error").is_string());
  EXPECT_EQ(agent_.Metric("aliquot_driver_up"), 0);
  EXPECT_TRUE(kubelet_->state().resources.empty());
  ASSERT_TRUE(sim().Load("").ok());
  ASSERT_TRUE(Shows(4));
  EXPECT_TRUE(Eventually([&] { return agent_.Get("/readyz").status == 200; }));
  EXPECT_EQ(agent_.Metric("aliquot_driver_up"), 1);
}

TEST_F(AgentDriverTest, WithoutFailOnInitErrorANodeWithoutDriverIsReady) {
  Simulate().Unload();
  Configure("flags: {failOnInitError: false}\n");
  StartKubelet();
  StartAgent();
  ASSERT_TRUE(agent_.AwaitLog("driver unavailable"));
  EXPECT_EQ(agent_.Get("/readyz").status, 200);
  ASSERT_TRUE(sim().Load("").ok());
  EXPECT_TRUE(Shows(4));
}

TEST_F(AgentDriverTest, ADriverReloadNeedsNoRestartAndNoRegistration) {
  StartAll(4);
  sim().Unload();
  ASSERT_TRUE(Shows(4, 0));
  EXPECT_TRUE(agent_.AwaitStatus("/driver/up", false));
  ASSERT_TRUE(sim().Load("590.44.01").ok());
  ASSERT_TRUE(Shows(4));
  EXPECT_TRUE(agent_.AwaitStatus("/driver/version", "590.44.01"));
  EXPECT_EQ(Resource().registrations, 1u);
}

// Nobody sees this driver gone: between two looks it is another one.
TEST_F(AgentDriverTest, AQuickDriverReloadIsNoticed) {
  StartAll(4);
  ASSERT_TRUE(sim().Reload("590.44.01").ok());
  EXPECT_TRUE(agent_.AwaitStatus("/driver/version", "590.44.01"));
  ASSERT_TRUE(Shows(4));
  ASSERT_TRUE(sim().RaiseXid(1, 63, {}, {}).ok());
  EXPECT_TRUE(Shows(4, 3)) << "events of the new driver are watched";
}

TEST_F(AgentDriverTest, ALostGpuTakesOnlyItsReplicasAway) {
  Configure(SharedBy(10));
  StartAll(40);
  ASSERT_TRUE(sim().Lose(2).ok());
  ASSERT_TRUE(Shows(40, 30));
  for (const std::string& id : Healthy()) EXPECT_FALSE(id.starts_with(GpuUuid(2))) << id;
  for (int i = 0; i < 15; ++i) {
    const auto placed = kubelet_->Place("pod-" + std::to_string(i), "main", kGpu, 2);
    ASSERT_TRUE(placed.ok()) << placed.error().message;
    EXPECT_EQ(placed->allocation.envs.at("NVIDIA_VISIBLE_DEVICES").find(GpuUuid(2)),
              std::string::npos);
  }
  EXPECT_FALSE(kubelet_->Place("late", "main", kGpu, 1).ok());
  ASSERT_TRUE(sim().Restore(2).ok());
  ASSERT_TRUE(Shows(40));
  EXPECT_TRUE(kubelet_->Place("late", "main", kGpu, 10).ok());
  EXPECT_EQ(Resource().registrations, 1u);
}

TEST_F(AgentDriverTest, AGpuThatBreaksLaterIsUnhealthyWithTheReason) {
  StartAll(4);
  ASSERT_TRUE(sim().FailCall("nvmlDeviceGetMemoryInfo", kUnknownError, 1, 0).ok());
  ASSERT_TRUE(Shows(4, 3));
  const std::string pointer = "/health/unhealthy/" + GpuUuid(1) + "/reason";
  std::string reason;
  ASSERT_TRUE(Eventually([&] {
    const json::value status = agent_.Status();
    std::error_code missing;
    const json::value* found = status.find_pointer(pointer, missing);
    if (found != nullptr) reason = json::value_to<std::string>(*found);
    return found != nullptr;
  }));
  EXPECT_NE(reason.find("nvmlDeviceGetMemoryInfo"), std::string::npos) << reason;
  sim().Reset();
  EXPECT_TRUE(Shows(4));
}

TEST_F(AgentDriverTest, AGpuBrokenFromTheStartIsLeftOutWithTheReason) {
  ASSERT_TRUE(Simulate().Lose(1).ok());
  StartAll(3);
  const json::value status = agent_.Status();
  const json::array& broken = status.at("brokenGpus").as_array();
  ASSERT_EQ(broken.size(), 1u);
  EXPECT_EQ(broken[0].at("index").to_number<int>(), 1);
  EXPECT_FALSE(broken[0].at("reason").as_string().empty());
  EXPECT_EQ(agent_.Metric("aliquot_gpus{state=\"broken\"}"), 1);
  EXPECT_EQ(agent_.Metric("aliquot_gpus{state=\"ok\"}"), 3);
  EXPECT_TRUE(kubelet_->Place("pod", "main", kGpu, 3).ok());
  ASSERT_TRUE(sim().Restore(1).ok());
  ASSERT_TRUE(Shows(4));
  EXPECT_EQ(Resource().registrations, 1u);
}

TEST_F(AgentDriverTest, AnXidTakesAllReplicasOfItsGpuInOneList) {
  Simulate("t4-x1");
  Configure(SharedBy(10));
  StartAll(10);
  const std::size_t lists = Resource().lists;
  ASSERT_TRUE(sim().RaiseXid(0, 63, {}, {}).ok());
  ASSERT_TRUE(Shows(10, 0));
  EXPECT_EQ(Resource().lists, lists + 1);
  EXPECT_EQ(agent_.Metric("aliquot_xid_events_total{gpu=\"" + GpuUuid(0) + "\",xid=\"63\"}"), 1);
  ASSERT_TRUE(Shows(10));  // after the settle time
  EXPECT_EQ(Resource().lists, lists + 2);
}

TEST_F(AgentDriverTest, AStormOfXidsIsFewLists) {
  Configure(SharedBy(10));
  StartAll(40);
  const std::size_t lists = Resource().lists;
  for (unsigned i = 0; i < 200; ++i) ASSERT_TRUE(sim().RaiseXid(i % 4, 63, {}, {}).ok());
  ASSERT_TRUE(Shows(40, 0));
  ASSERT_TRUE(Shows(40));
  EXPECT_LE(Resource().lists, lists + 12);
}

TEST_F(AgentDriverTest, AnXidOfAnInstanceHitsThatDeviceAlone) {
  Simulate("a100-40gb-x8-mig");
  Configure("flags: {migStrategy: mixed}\n");
  StartAll(3);
  ASSERT_TRUE(Shows(9, 9, "nvidia.com/mig-1g.5gb"));
  ASSERT_TRUE(Shows(1, 1, "nvidia.com/mig-2g.10gb"));
  // GPU 2 has seven instances of the same kind: 7 to 13 by their placement.
  const std::string hit = UuidOfMig(2, 9, 0);
  ASSERT_TRUE(sim().RaiseXid(2, 63, 9, 0).ok());
  ASSERT_TRUE(Shows(9, 8, "nvidia.com/mig-1g.5gb"));
  const std::vector<std::string> left = Healthy("nvidia.com/mig-1g.5gb");
  EXPECT_EQ(std::count(left.begin(), left.end(), hit), 0);
  EXPECT_EQ(Resource().allocatable(), 3u);
  EXPECT_EQ(Resource("nvidia.com/mig-2g.10gb").lists, 1u);
  ASSERT_TRUE(Shows(9, 9, "nvidia.com/mig-1g.5gb"));
}

TEST_F(AgentDriverTest, AnXidOfAMigGpuHitsAllItsDevices) {
  Simulate("a100-40gb-x8-mig");
  Configure("flags: {migStrategy: mixed}\n");
  StartAll(3);
  ASSERT_TRUE(Shows(3, 3, "nvidia.com/mig-3g.20gb"));
  ASSERT_TRUE(Shows(1, 1, "nvidia.com/mig-2g.10gb"));
  ASSERT_TRUE(sim().RaiseXid(3, 63, {}, {}).ok());  // 3g.20gb, 2g.10gb, 1g.5gb, 1g.5gb
  EXPECT_TRUE(Shows(3, 2, "nvidia.com/mig-3g.20gb"));
  EXPECT_TRUE(kubelet_->WaitFor([](const rpc::StandinState& state) {
    return state.resources.at("nvidia.com/mig-2g.10gb").lists > 1;
  }));
  EXPECT_EQ(Resource().lists, 1u);
  EXPECT_TRUE(Shows(9, 9, "nvidia.com/mig-1g.5gb"));
}

// `aliquot mig apply` beside the running agent: GPU 7 gets seven small MIG devices.
class AgentMigTest : public AgentDriverTest {
 protected:
  void SplitGpu7() {
    const std::string layout = Path("mig.yaml");
    ASSERT_TRUE(WriteFileAtomically(layout,
                                    "version: v1\nmig-configs:\n  split:\n  - devices: [7]\n"
                                    "    mig-enabled: true\n    mig-devices: {1g.5gb: 7}\n")
                    .ok());
    auto apply = cli::ChildProcess::Start({"mig", "apply", "-f", layout, "--state", Path("sim")},
                                          {}, Path("mig.log"), ALIQUOT_PROGRAM);
    ASSERT_TRUE(apply.ok()) << apply.error().message;
    ASSERT_EQ((*apply)->Wait(), 0) << ReadFile(Path("mig.log")).value();
  }
};

TEST_F(AgentMigTest, ANewLayoutOfOneGpuLeavesTheOthersServing) {
  Simulate("a100-40gb-x8");
  Configure("flags: {migStrategy: mixed}\n");
  StartAll(8);
  SplitGpu7();
  EXPECT_TRUE(Shows(7));
  EXPECT_TRUE(Shows(7, 7, "nvidia.com/mig-1g.5gb"));
  EXPECT_EQ(Resource().registrations, 1u);
}

// Whole GPUs and MIG devices cannot share a name, and a GPU with MIG on is of no use as a whole, so
// what was offered before must not stay.
TEST_F(AgentMigTest, UnderSingleAMixedNodeIsWithdrawn) {
  Simulate("a100-40gb-x8");
  Configure("flags: {migStrategy: single}\n");
  StartAll(8);
  SplitGpu7();
  EXPECT_TRUE(Shows(0));
}

TEST_F(AgentDriverTest, XidsOfApplicationsDoNothing) {
  StartAll(4);
  for (const std::uint64_t xid : {13u, 31u, 43u, 45u, 68u, 109u}) {
    ASSERT_TRUE(sim().RaiseXid(0, xid, {}, {}).ok());
  }
  ASSERT_TRUE(
      agent_.AwaitMetric("aliquot_xid_events_total{gpu=\"" + GpuUuid(0) + "\",xid=\"109\"}", 1));
  EXPECT_EQ(Resource().lists, 1u);
  EXPECT_TRUE(Unhealthy({}));
}

TEST_F(AgentDriverTest, DisabledHealthChecksIgnoreXids) {
  StartAll(4, {}, {{"DP_DISABLE_HEALTHCHECKS", "xids"}, {"DP_ENABLE_HEALTHCHECKS", "48"}});
  ASSERT_TRUE(sim().RaiseXid(0, 63, {}, {}).ok());
  ASSERT_TRUE(
      agent_.AwaitMetric("aliquot_xid_events_total{gpu=\"" + GpuUuid(0) + "\",xid=\"63\"}", 1));
  EXPECT_EQ(Resource().lists, 1u);
  ASSERT_TRUE(sim().RaiseXid(1, 48, {}, {}).ok());
  EXPECT_TRUE(Shows(4, 3));
}

TEST_F(AgentDriverTest, AnEnabledXidCountsThoughIgnoredByDefault) {
  StartAll(4, {}, {{"DP_ENABLE_HEALTHCHECKS", "31"}});
  ASSERT_TRUE(sim().RaiseXid(0, 31, {}, {}).ok());
  EXPECT_TRUE(Shows(4, 3));
}

// Failing to wait for events says nothing about any one GPU.
TEST_F(AgentDriverTest, EventErrorsMarkNobody) {
  StartAll(4);
  ASSERT_TRUE(sim().FailCall("nvmlEventSetWait", kUnknownError, {}, 3).ok());
  ASSERT_TRUE(agent_.AwaitLog("gpu event wait failed"));
  EXPECT_EQ(Resource().lists, 1u);
  // Watched again afterwards; an event in between is nobody's.
  EXPECT_TRUE(Eventually([&] {
    EXPECT_TRUE(sim().RaiseXid(0, 63, {}, {}).ok());
    return Resource().allocatable() == 3;
  }));
}

}  // namespace
}  // namespace aliquot::tests
