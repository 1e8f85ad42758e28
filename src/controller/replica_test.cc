// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/replica.h"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "base/executor_fake.h"
#include "controller/json_path.h"
#include "controller/test_objects.h"
#include "kube/client_fake.h"

namespace aliquot::controller {
namespace {

using std::chrono::seconds;

// A replica with everything of a process of its own, except the clock.
struct Process {
  Process(const std::string& identity, kube::FakeCluster& cluster, FakeExecutor& executor,
          FakeClock& clock, const std::string& lease = "aliquot-controller")
      : log(clock, Logger::NullSink()), client(cluster, "aliquot-controller") {
    ReplicaOptions options;
    options.controller.ns = "gpu-operator";
    options.identity = identity;
    options.lease = lease;
    auto started = Replica::Start(options, {client, executor, clock, log, metrics,
                                            [this](const ServiceStatus& s) { status = s; }});
    EXPECT_TRUE(started.ok());
    if (started.ok()) replica = *std::move(started);
  }

  Logger log;
  metrics::Registry registry;
  ControllerMetrics metrics{registry};
  kube::FakeClient client;
  ServiceStatus status;
  std::unique_ptr<Replica> replica;
};

class ReplicaTest : public testing::Test {
 protected:
  ReplicaTest() {
    EXPECT_TRUE(cluster_.Put(kube::kDaemonSets, TestDaemonSet(0)).ok());
    EXPECT_TRUE(cluster_.Create(kube::kClusterPolicies, "", TestPolicy("cluster-policy")).ok());
  }
  void AddGpuNode(const std::string& name) {
    EXPECT_TRUE(
        cluster_.Put(kube::kNodes, TestNode(name, {{"nvidia.com/gpu.present", "true"}})).ok());
  }
  bool Labelled(const std::string& name) {
    const kube::Object node = *cluster_.Get({kube::kNodes, "", name, ""});
    return ObjectAt(node, {"metadata", "labels"}).contains("nvidia.com/gpu.deploy.client");
  }

  FakeClock clock_;
  FakeExecutor executor_{clock_};
  kube::FakeCluster cluster_{clock_};
};

TEST_F(ReplicaTest, OnlyOneOfTwoWatchesAndActs) {
  Process first("a", cluster_, executor_, clock_);
  executor_.Advance(seconds(3));
  Process second("b", cluster_, executor_, clock_);
  AddGpuNode("gpu-1");
  executor_.Advance(seconds(30));
  EXPECT_TRUE(first.status.leading);
  EXPECT_FALSE(second.status.leading);
  EXPECT_EQ(second.status.leader, "a");
  EXPECT_TRUE(Labelled("gpu-1"));
  EXPECT_EQ(second.client.Count("watch", "*"), 0u);
  EXPECT_EQ(second.client.Count("patch", "nodes"), 0u);
  EXPECT_NE(first.registry.Text().find("aliquot_controller_leader 1"), std::string::npos);
  EXPECT_NE(second.registry.Text().find("aliquot_controller_leader 0"), std::string::npos);
}

TEST_F(ReplicaTest, TheOtherTakesOverFromOneThatDied) {
  auto first = std::make_unique<Process>("a", cluster_, executor_, clock_);
  executor_.Advance(seconds(3));
  Process second("b", cluster_, executor_, clock_);
  executor_.Advance(seconds(5));
  ASSERT_TRUE(first->status.leading);
  first.reset();
  AddGpuNode("gpu-1");
  // The lease's 15 s from what the other saw last, at most two waits of 4.4 s before and after.
  executor_.Advance(seconds(25));
  EXPECT_TRUE(second.status.leading);
  EXPECT_TRUE(Labelled("gpu-1"));
}

TEST_F(ReplicaTest, AnOrderlyEndHandsOverWithoutAWait) {
  Process first("a", cluster_, executor_, clock_);
  executor_.Advance(seconds(3));
  Process second("b", cluster_, executor_, clock_);
  executor_.Advance(seconds(5));
  bool released = false;
  first.replica->Stop([&] { released = true; });
  executor_.Advance(seconds(4));
  EXPECT_TRUE(released);
  EXPECT_FALSE(first.status.leading);
  EXPECT_TRUE(second.status.leading);
}

TEST_F(ReplicaTest, ALeaderThatIsCutOffStopsActing) {
  Process first("a", cluster_, executor_, clock_);
  executor_.Advance(seconds(3));
  ASSERT_TRUE(first.status.leading);
  first.client.SetUnavailable();
  executor_.Advance(seconds(14));
  EXPECT_FALSE(first.status.leading);
  EXPECT_FALSE(first.status.controller);
  EXPECT_EQ(first.registry.Text().find("gpu_operator_gpu_nodes_total 0"), std::string::npos);
  first.client.SetAvailable();
  executor_.Advance(seconds(20));
  EXPECT_TRUE(first.status.leading);
}

TEST_F(ReplicaTest, WithoutALeaseItActsAtOnce) {
  AddGpuNode("gpu-1");
  Process only("a", cluster_, executor_, clock_, "");
  executor_.Advance(seconds(1));
  EXPECT_TRUE(only.status.leading);
  EXPECT_TRUE(Labelled("gpu-1"));
  EXPECT_EQ(only.client.Count("*", "leases"), 0u);
}

TEST_F(ReplicaTest, TellsTroubleAsEvents) {
  Process only("a", cluster_, executor_, clock_);
  ASSERT_TRUE(cluster_
                  .Patch({kube::kClusterPolicies, "", "cluster-policy", ""},
                         kube::PatchType::kMerge,
                         boost::json::parse(R"({"spec":{"mig":{"strategy":"double"}}})"))
                  .ok());
  executor_.Advance(seconds(10));
  const auto events = cluster_.List({kube::kEvents, "default", "", ""});
  ASSERT_TRUE(events.ok());
  ASSERT_EQ(events->items.size(), 1u);
  const kube::Object& event = events->items[0];
  EXPECT_EQ(TextAt(event, {"involvedObject", "name"}), "cluster-policy");
  EXPECT_EQ(TextAt(event, {"reason"}), "ReconcileFailed");
  EXPECT_EQ(TextAt(event, {"type"}), "Warning");
}

TEST_F(ReplicaTest, TheStatusPageIsWholeAtAnyTime) {
  EXPECT_EQ(ToJson({}).at("leading"), false);
  AddGpuNode("gpu-1");
  Process only("a", cluster_, executor_, clock_);
  executor_.Advance(seconds(10));
  const boost::json::value page = ToJson(only.status);
  EXPECT_EQ(page.at("leader"), "a");
  EXPECT_EQ(page.at("controller").at("activePolicy"), "cluster-policy");
  EXPECT_EQ(page.at("controller").at("state"), "notReady");
  EXPECT_EQ(page.at("controller").at("gpuNodes").at("starting"), 1);
  EXPECT_EQ(page.at("controller").at("gpuNodes").at("unreachable"), 0);
}

}  // namespace
}  // namespace aliquot::controller
