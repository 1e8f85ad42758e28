// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// From the label of a Node to the MIG devices of the simulated driver.
#include "agent/mig_node_test.h"

#include <gmock/gmock.h>

namespace aliquot::agent {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

TEST_F(MigNodeTest, ALabelBecomesALayout) {
  Simulate(kOneA100);
  PutNode({{kMigConfigLabel, "all-balanced"},
           {"nvidia.com/gpu.deploy.dcgm", "true"},
           {"nvidia.com/gpu.deploy.nvsm", "false"},
           {"nvidia.com/gpu.deploy.device-plugin", "true"}});
  PutPod("dcgm-x", "nvidia.com/gpu.deploy.dcgm");
  Start();
  EXPECT_EQ(State(), "pending");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), kPausedForMig);
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.nvsm"), "false");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.device-plugin"), "true") << "that is this agent";
  Pass(seconds(10));
  EXPECT_EQ(Layout(), "off") << "dcgm is still there";
  ASSERT_TRUE(cluster_.Delete({kube::kPods, "gpu", "dcgm-x", ""}).ok());
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.nvsm"), "false");
  EXPECT_EQ(Layout(), "on: 2g.10gb at 0, 1g.5gb at 2, 1g.5gb at 3, 3g.20gb at 4");
  EXPECT_EQ(host_.trace_,
            (std::vector<std::string>{"withhold", "stop for a mode", "change", "start", "offer"}));
  const auto events = Events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_THAT(events, Contains(AllOf(HasSubstr("MigConfigPending: MIG configuration \"all-bal"),
                                     HasSubstr("resets the GPU"))));
  EXPECT_THAT(events, Contains(HasSubstr("MigConfigApplied")));
  EXPECT_EQ(node_->status().state, "success");
  EXPECT_EQ(node_->status().layouts, "derived from the GPUs");
}

TEST_F(MigNodeTest, OnlyDevicesThatGoAreWithheld) {
  Simulate("a100-40gb-x8-mig");
  PutConfigMap(
      "version: v1\nmig-configs:\n  small:\n  - devices: [3]\n    mig-enabled: true\n"
      "    mig-devices: {3g.20gb: 1, 1g.5gb: 4}\n");
  PutNode({{kMigConfigLabel, "small"}});
  const mig::GpuMigState before = sim_->Look(3);
  Start();
  ASSERT_EQ(withheld_.size(), 1u);
  ASSERT_TRUE(withheld_.contains(before.uuid));
  EXPECT_EQ(withheld_[before.uuid].size(), 3u) << "of four devices one goes";
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_TRUE(withheld_.empty());
}

// A label that the reference's stale list would not have is told what there is.
TEST_F(MigNodeTest, AnUnknownLabelIsToldTheKnownOnes) {
  Simulate(kOneA100);
  PutNode({{kMigConfigLabel, "all-1g.6gb"}});
  Start();
  EXPECT_EQ(State(), "failed");
  ASSERT_EQ(Events().size(), 1u);
  EXPECT_THAT(Events()[0],
              HasSubstr("MigConfigFailed: MIG configuration \"all-1g.6gb\": there is no MIG "
                        "configuration \"all-1g.6gb\"; this node has all-1g.10gb, all-1g.5gb"));
  Pass(minutes(30));
  EXPECT_EQ(Events().size(), 1u) << "the same failure again is no news";
  Want("all-7g.40gb");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
}

TEST_F(MigNodeTest, AConfigMapIsFollowed) {
  Simulate("a100-40gb-x8-mig");
  wish_.config_map = "layouts";
  PutNode({{kMigConfigLabel, "mine"}});
  Start();
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("configmap gpu/layouts"));
  PutConfigMap("version: v1", "config");
  Settle();
  EXPECT_THAT(node_->status().reason, HasSubstr("no key \"config.yaml\""));
  const std::string head =
      "version: v1\nmig-configs:\n  mine:\n  - devices: [0]\n"
      "    mig-enabled: true\n    mig-devices: ";
  PutConfigMap(head + "{7g.40gb: 1}\n");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Layout(), "on: 7g.40gb at 0");
  // Editing it is as good as another label.
  PutConfigMap(head + "{3g.20gb: 2}\n");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
  // A mistake changes nothing but the state.
  PutConfigMap(head + "{3g.20gb: many}\n");
  Pass(seconds(5));
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("configmap gpu/layouts:6:"));
  EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
  // What the ConfigMap has not, the GPUs have.
  PutConfigMap(head + "{3g.20gb: 2}\n");
  Want("all-disabled");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Layout(), "off");
}

// migManager.gpuClientsConfig of the policy: what it names is stopped, and without it nothing is
// begun.
TEST_F(MigNodeTest, TheHostsClientsAreThoseOfTheConfigMap) {
  Simulate(kOneA100);
  options_.host_clients = {"of-the-options.service"};
  wish_.clients_map = "clients";
  wish_.stop_host_clients = true;
  PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
  Start();
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(Events(), Contains(HasSubstr("configmap gpu/clients with the GPU clients does not")));
  PutConfigMap("version: v1", "clients", "clients");
  Pass(minutes(1));
  EXPECT_THAT(node_->status().reason, HasSubstr("has no key \"clients.yaml\""));
  PutConfigMap("systemd-services: [--now]", "clients.yaml", "clients");
  Pass(minutes(2));
  EXPECT_THAT(node_->status().reason, HasSubstr("configmap gpu/clients: "));
  EXPECT_TRUE(host_.trace_.empty()) << "nobody was disturbed";
  PutConfigMap("version: v1\nsystemd-services: [a.service, b.service]", "clients.yaml", "clients");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success") << "at once, not when the next try is due";
  EXPECT_THAT(host_.trace_, Contains("stop for a mode a.service b.service"));
  // Others that are stopped from now on, and then none.
  wish_.clients_map.clear();
  node_->SetWish(wish_);
  Want("all-7g.40gb");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_THAT(host_.trace_, Contains("stop of-the-options.service"));
  wish_.stop_host_clients = false;
  node_->SetWish(wish_);
  Want("all-3g.20gb");
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
  EXPECT_THAT(host_.trace_, Contains("stop"));
}

TEST_F(MigNodeTest, WhoIsInTheWayIsNamedAndWaitedFor) {
  Simulate("a100-40gb-x8-mig");
  const mig::GpuMigState gpu = sim_->Look(3);
  const mig::GpuInstance& instance = gpu.instances.front();
  sim_->Hold(3, instance.id, 0, 4711, "python");
  pods_->emplace(instance.compute.front().uuid, std::vector<std::string>{"ml/train-0"});
  PutNode({{kMigConfigLabel, "all-disabled"}, {"nvidia.com/gpu.deploy.dcgm", "true"}});
  Start();
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("is in use by pod ml/train-0, pid 4711 python"));
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true") << "nobody is disturbed in vain";
  EXPECT_TRUE(host_.trace_.empty());
  // The process ends, but the pod still has the device: without the kubelet's word that would be
  // the end of it.
  ASSERT_TRUE(sim_->control().RemoveProcess(4711).ok());
  Pass(minutes(1));
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("is in use by pod ml/train-0"));
  pods_->clear();
  Pass(seconds(20));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Layout(3), "off");
}

// Someone is given a device between the first look and its withdrawal.
TEST_F(MigNodeTest, AnAllocationAtTheLastMomentWins) {
  Simulate("a100-40gb-x8-mig");
  lists_sent_ = false;
  PutNode({{kMigConfigLabel, "all-disabled"}});
  Start();
  EXPECT_EQ(State(), "pending");
  pods_->emplace(sim_->Look(3).instances.front().compute.front().uuid,
                 std::vector<std::string>{"ml/quick"});
  lists_sent_ = true;
  node_->OnListSent();
  Pass(seconds(2));
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("pod ml/quick"));
  EXPECT_EQ(host_.trace_, (std::vector<std::string>{"withhold", "offer"}));
}

TEST_F(MigNodeTest, LabelsFlipFasterThanApplies) {
  Simulate("a100-40gb-x8-mig");
  PutNode({});
  Start();
  EXPECT_EQ(State(), "");
  for (const char* label : {"all-1g.5gb", "all-disabled", "all-7g.40gb", "all-2g.10gb"}) {
    Want(label);
    executor_.RunReady();
  }
  EXPECT_EQ(jobs_.size(), 1u);
  Settle();
  for (const char* label : {"all-3g.20gb", "all-enabled", "all-4g.20gb", "all-3g.20gb"}) {
    Want(label);
    executor_.Advance(std::chrono::milliseconds(1100));
    EXPECT_LE(jobs_.size(), 1u);
    RunJob();
  }
  Pass(seconds(10));
  EXPECT_EQ(State(), "success");
  EXPECT_EQ(Layout(), "on: 3g.20gb at 0, 3g.20gb at 4");
}

TEST_F(MigNodeTest, ADriverThatIsAwayIsWaitedFor) {
  Simulate(kOneA100);
  driver_error_ = Error{Code::kUnavailable, "the driver is not loaded"};
  PutNode({{kMigConfigLabel, "all-7g.40gb"}, {"nvidia.com/gpu.deploy.dcgm", kPausedForMig}});
  Start();
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(node_->status().reason, HasSubstr("the driver is not loaded"));
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
  driver_error_.reset();
  node_->OnGpusChanged();
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
}

TEST_F(MigNodeTest, WithoutALabelNobodyStaysPaused) {
  Simulate(kOneA100);
  PutNode({{"nvidia.com/gpu.deploy.dcgm", kPausedForMig}, {kMigStateLabel, "pending"}});
  Start();
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true");
  EXPECT_EQ(State(), "");
  EXPECT_EQ(Layout(), "off");
}

TEST_F(MigNodeTest, ThePolicyOfTheClusterIsFollowed) {
  Simulate("a100-40gb-x8-mig");
  PutNode({{kMigConfigLabel, "all-3g.20gb"}, {"nvidia.com/gpu.deploy.dcgm", kPausedForMig}});
  wish_.enabled = false;
  Start();
  EXPECT_EQ(Label("nvidia.com/gpu.deploy.dcgm"), "true") << "nobody stays paused all the same";
  Pass(minutes(1));
  EXPECT_EQ(State(), "");
  node_->SetWish({.enabled = true, .allow_reboot = true, .config_map = ""});
  Pass(seconds(5));
  EXPECT_EQ(State(), "success");
}

}  // namespace
}  // namespace aliquot::agent
