// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/controller.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <optional>

#include "base/executor_fake.h"
#include "controller/json_path.h"
#include "controller/test_objects.h"
#include "kube/client_fake.h"

namespace aliquot::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;

class ControllerTest : public testing::Test {
 protected:
  void StartController() {
    controller_.emplace(
        ControllerOptions{.ns = "gpu-operator"},
        Controller::Dependencies{client_, executor_, clock_, log_, metrics_,
                                 [this](const Notice& notice) { told_.push_back(notice); },
                                 [this](const ControllerStatus& status) { status_ = status; }});
    Settle();
  }
  void Settle(Clock::Duration by = seconds(6)) { executor_.Advance(by); }

  void Put(const kube::Resource& resource, kube::Object object) {
    ASSERT_TRUE(cluster_.Put(resource, std::move(object)).ok());
  }
  void PutNode(const std::string& name, const LabelMap& labels = {}, bool ready = true) {
    Put(kube::kNodes, TestNode(name, labels, ready));
  }
  // A GPU node with its agent.
  void PutServing(const std::string& name) {
    PutNode(name, {{"nvidia.com/gpu.present", "true"}});
    Put(kube::kPods, TestPod("agent-" + name, name));
  }
  void CreatePolicy(const std::string& name, const std::string& spec = "{}") {
    ASSERT_TRUE(cluster_.Create(kube::kClusterPolicies, "", TestPolicy(name, spec)).ok());
  }
  void PatchPolicy(const std::string& name, const std::string& patch) {
    ASSERT_TRUE(cluster_
                    .Patch({kube::kClusterPolicies, "", name, ""}, kube::PatchType::kMerge,
                           boost::json::parse(patch))
                    .ok());
  }
  kube::Object GetPolicy(const std::string& name = "cluster-policy") {
    return *cluster_.Get({kube::kClusterPolicies, "", name, ""});
  }
  std::string State(const std::string& name = "cluster-policy") {
    return TextAt(GetPolicy(name), {"status", "state"});
  }
  std::string Condition(const std::string& type, const char* key,
                        const std::string& name = "cluster-policy") {
    const kube::Object policy = GetPolicy(name);
    const boost::json::value* list = Find(policy, {"status", "conditions"});
    if (list == nullptr) return "no conditions";
    for (const auto& item : list->as_array()) {
      if (Member(item.as_object(), "type") == type) return TextAt(item.as_object(), {key});
    }
    return "no such condition";
  }
  std::string Label(const std::string& node, const std::string& key) {
    const kube::Object object = *cluster_.Get({kube::kNodes, "", node, ""});
    const boost::json::object& labels = ObjectAt(object, {"metadata", "labels"});
    return labels.contains(key) ? std::string(Member(labels, key)) : "absent";
  }
  // How often the policy was looked at.
  double Plans() {
    const std::string page = registry_.Text();
    const std::string name = "\ngpu_operator_reconciliation_total ";
    return std::stod(page.substr(page.find(name) + name.size()));
  }
  std::size_t Writes() { return client_.Count("patch", "*") + client_.Count("update", "*"); }

  FakeClock clock_;
  FakeExecutor executor_{clock_};
  Logger log_{clock_, Logger::NullSink()};
  metrics::Registry registry_;
  ControllerMetrics metrics_{registry_};
  kube::FakeCluster cluster_{clock_};
  kube::FakeClient client_{cluster_, "aliquot-controller"};
  std::vector<Notice> told_;
  ControllerStatus status_;
  std::optional<Controller> controller_;
};

TEST_F(ControllerTest, MakesThePolicyReadyAndLabelsTheNode) {
  Put(kube::kDaemonSets, TestDaemonSet(2));
  PutServing("gpu-1");
  PutNode("plain");
  Put(kube::kPods, TestPod("agent-plain", "plain"));
  CreatePolicy("cluster-policy", R"({"driver":{"enabled":false},"toolkit":{"enabled":false}})");
  StartController();
  EXPECT_EQ(State(), "ready");
  EXPECT_EQ(TextAt(GetPolicy(), {"status", "namespace"}), "gpu-operator");
  EXPECT_EQ(Condition("Ready", "status"), "True");
  EXPECT_EQ(Condition("Ready", "reason"), "Reconciled");
  EXPECT_EQ(Condition("Ready", "message"), "1 node with GPUs served");
  EXPECT_EQ(Condition("Error", "status"), "False");
  EXPECT_EQ(Condition("Error", "reason"), "Ready");
  EXPECT_EQ(Condition("SpecFieldsIgnored", "status"), "False");
  EXPECT_EQ(Label("gpu-1", "nvidia.com/gpu.deploy.device-plugin"), "true");
  EXPECT_EQ(Label("gpu-1", "nvidia.com/gpu.deploy.mig-manager"), "absent");
  EXPECT_EQ(Label("plain", "nvidia.com/gpu.deploy.device-plugin"), "absent");
}

TEST_F(ControllerTest, AtRestItSendsNothing) {
  Put(kube::kDaemonSets, TestDaemonSet(1));
  PutServing("gpu-1");
  CreatePolicy("cluster-policy");
  StartController();
  const std::size_t requests = client_.Count("*", "*");
  Settle(minutes(60));
  EXPECT_EQ(client_.Count("*", "*"), requests);
  // A heartbeat changes nothing that matters.
  ASSERT_TRUE(cluster_
                  .Patch({kube::kNodes, "", "gpu-1", "status"}, kube::PatchType::kMerge,
                         boost::json::parse(R"({"status":{"beat":1}})"))
                  .ok());
  Settle();
  EXPECT_EQ(client_.Count("*", "*"), requests);
}

TEST_F(ControllerTest, TheOlderPolicyIsInEffect) {
  Put(kube::kDaemonSets, TestDaemonSet(1));
  PutServing("gpu-1");
  CreatePolicy("z-first");
  clock_.Advance(seconds(5));
  CreatePolicy("a-second");
  StartController();
  EXPECT_EQ(State("z-first"), "ready");
  EXPECT_EQ(State("a-second"), "ignored");
  EXPECT_THAT(Condition("Ready", "message", "a-second"), HasSubstr("z-first"));
  ASSERT_TRUE(cluster_.Delete({kube::kClusterPolicies, "", "z-first", ""}).ok());
  Settle();
  EXPECT_EQ(State("a-second"), "ready");
}

TEST_F(ControllerTest, TheTimeSlicingPatchIsJudgedAgainstTheConfigMap) {
  Put(kube::kDaemonSets, TestDaemonSet(1));
  PutServing("gpu-1");
  CreatePolicy("cluster-policy");
  StartController();
  PatchPolicy("cluster-policy",
              R"({"spec":{"devicePlugin":{"config":{"name":"time-slicing-config",
                                                    "default":"any"}}}})");
  Settle();
  EXPECT_EQ(State(), "notReady");
  EXPECT_EQ(Condition("Error", "reason"), "ReconcileFailed");
  EXPECT_THAT(Condition("Error", "message"),
              HasSubstr("ConfigMap gpu-operator/time-slicing-config does not exist"));
  ASSERT_EQ(told_.back().reason, "ReconcileFailed");

  Put(kube::kConfigMaps, TestConfigMap("time-slicing-config", {{"other", kTenReplicas}}));
  Settle();
  EXPECT_THAT(Condition("Error", "message"), HasSubstr("has no key \"any\"; it has other"));

  Put(kube::kConfigMaps, TestConfigMap("time-slicing-config", {{"any", "version: v1\nfoo: ["}}));
  Settle();
  EXPECT_THAT(Condition("Error", "message"), HasSubstr("key \"any\": line 2"));

  Put(kube::kConfigMaps, TestConfigMap("time-slicing-config", {{"any", kTenReplicas}}));
  Settle();
  EXPECT_EQ(State(), "ready");
  EXPECT_EQ(Condition("Error", "status"), "False");

  PutNode("gpu-1",
          {{"nvidia.com/gpu.present", "true"}, {"nvidia.com/device-plugin.config", "mistyped"}});
  Settle();
  EXPECT_EQ(Condition("Error", "reason"), "OperandNotReady");
  EXPECT_THAT(Condition("Error", "message"),
              AllOf(HasSubstr("states not ready: [state-device-plugin]"),
                    HasSubstr("node gpu-1: label nvidia.com/device-plugin.config"),
                    HasSubstr("it has any")));
}

TEST_F(ControllerTest, ARefusalThatTheAgentReportsIsShown) {
  Put(kube::kDaemonSets, TestDaemonSet(1));
  PutServing("gpu-1");
  Put(kube::kNodes, TestNode("gpu-1", {{"nvidia.com/gpu.present", "true"}}, true,
                             {{"aliquot.dev/config-refused", "sharing.mps is not there yet"}}));
  CreatePolicy("cluster-policy");
  StartController();
  EXPECT_EQ(State(), "notReady");
  EXPECT_THAT(Condition("Error", "message"), HasSubstr("node gpu-1: sharing.mps is not there yet"));
}

TEST_F(ControllerTest, ANodeThatIsDownDoesNotHoldUpThePolicy) {
  Put(kube::kDaemonSets, TestDaemonSet(2));
  PutServing("gpu-1");
  PutNode("gpu-2", {{"nvidia.com/gpu.present", "true"}}, false);
  CreatePolicy("cluster-policy");
  StartController();
  EXPECT_EQ(State(), "ready");
  EXPECT_THAT(Condition("Ready", "message"), HasSubstr("1 not counted"));
}

TEST_F(ControllerTest, WithoutGpusItWaitsForEveryAgentToHaveLooked) {
  Put(kube::kDaemonSets, TestDaemonSet(2));
  PutNode("a");
  PutNode("b");
  Put(kube::kPods, TestPod("agent-a", "a"));
  Put(kube::kPods, TestPod("agent-b", "b", false, "ImagePullBackOff"));
  CreatePolicy("cluster-policy");
  StartController();
  EXPECT_EQ(State(), "notReady");
  EXPECT_THAT(Condition("Error", "message"), HasSubstr("1 of 2 agents"));
  Put(kube::kPods, TestPod("agent-b", "b"));
  Settle();
  EXPECT_EQ(State(), "ready");
  EXPECT_EQ(Condition("Ready", "reason"), "NoGPUNodes");
}

TEST_F(ControllerTest, AManualOptOutIsKept) {
  Put(kube::kDaemonSets, TestDaemonSet(1));
  PutServing("gpu-1");
  CreatePolicy("cluster-policy");
  StartController();
  PutNode("gpu-1", {{"nvidia.com/gpu.present", "true"},
                    {"nvidia.com/gpu.deploy.dcgm", "false"},
                    {"nvidia.com/gpu.deploy.device-plugin", "paused-for-mig-change"}});
  Settle();
  EXPECT_EQ(Label("gpu-1", "nvidia.com/gpu.deploy.dcgm"), "false");
  EXPECT_EQ(Label("gpu-1", "nvidia.com/gpu.deploy.device-plugin"), "paused-for-mig-change");
  EXPECT_EQ(Label("gpu-1", "nvidia.com/gpu.deploy.client"), "true");
}

TEST_F(ControllerTest, AWriteFromAnOldStateIsRefusedAndPlannedAgain) {
  Put(kube::kDaemonSets, TestDaemonSet(1));
  CreatePolicy("cluster-policy");
  StartController();
  client_.FailNext("patch", "nodes", {Code::kAborted, "the object has been modified"});
  PutServing("gpu-1");
  executor_.Advance(milliseconds(60));
  EXPECT_EQ(client_.Count("patch", "nodes"), 1u);
  // News of the change that was in the way.
  Put(kube::kNodes, TestNode("gpu-1", {{"nvidia.com/gpu.present", "true"},
                                       {"nvidia.com/gpu.deploy.dcgm", "false"}}));
  Settle();
  EXPECT_EQ(Label("gpu-1", "nvidia.com/gpu.deploy.dcgm"), "false");
  EXPECT_EQ(Label("gpu-1", "nvidia.com/gpu.deploy.device-plugin"), "true");
}

TEST_F(ControllerTest, FailingWritesBackOffAndShowUp) {
  Put(kube::kDaemonSets, TestDaemonSet(1));
  CreatePolicy("cluster-policy");
  PutServing("gpu-1");
  client_.FailNext("patch", "nodes", {Code::kPermissionDenied, "forbidden"}, 100);
  StartController();
  Settle(minutes(2));
  EXPECT_EQ(Condition("Error", "reason"), "ReconcileFailed");
  EXPECT_THAT(Condition("Error", "message"), HasSubstr("patch node gpu-1: forbidden"));
  EXPECT_LT(client_.Count("patch", "nodes"), 15u);
  Settle(minutes(60));
  EXPECT_EQ(State(), "ready");
  EXPECT_EQ(Label("gpu-1", "nvidia.com/gpu.deploy.device-plugin"), "true");
}

TEST_F(ControllerTest, AFailureOfWhatIsNotWantedAnyMoreIsForgotten) {
  Put(kube::kDaemonSets, TestDaemonSet(1));
  CreatePolicy("cluster-policy");
  PutServing("gpu-1");
  client_.FailNext("patch", "nodes", {Code::kPermissionDenied, "forbidden"}, 1000);
  StartController();
  EXPECT_EQ(Condition("Error", "reason"), "ReconcileFailed");
  // Somebody else writes what could not be written.
  LabelMap labels = {{"nvidia.com/gpu.present", "true"}};
  for (const std::string_view part : kParts) {
    if (part != "mig-manager") labels[std::string(kDeployPrefix) + std::string(part)] = "true";
  }
  PutNode("gpu-1", labels);
  Settle(minutes(1));
  EXPECT_EQ(State(), "ready");
  const double plans = Plans();
  Settle(minutes(10));
  EXPECT_EQ(Plans(), plans);
}

TEST_F(ControllerTest, SurvivesOutagesAndExpiredWatches) {
  Put(kube::kDaemonSets, TestDaemonSet(1));
  PutServing("gpu-1");
  CreatePolicy("cluster-policy");
  StartController();
  client_.SetUnavailable();
  Settle();
  EXPECT_FALSE(status_.outages.empty());
  PutServing("gpu-2");
  client_.SetAvailable();
  Settle();
  EXPECT_TRUE(status_.outages.empty());
  EXPECT_EQ(Label("gpu-2", "nvidia.com/gpu.deploy.client"), "true");
  ASSERT_TRUE(cluster_.Delete({kube::kNodes, "", "gpu-2", ""}).ok());
  client_.ExpireWatches();
  Settle();
  EXPECT_EQ(status_.nodes, 1u);
  EXPECT_EQ(State(), "ready");
}

TEST_F(ControllerTest, ManyNodesConvergeWithFewStatusWrites) {
  Put(kube::kDaemonSets, TestDaemonSet(300));
  CreatePolicy("cluster-policy");
  for (int i = 0; i < 300; ++i) PutServing(fmt::format("gpu-{:03}", i));
  StartController();
  EXPECT_EQ(State(), "ready");
  EXPECT_EQ(client_.Count("patch", "nodes"), 300u);
  EXPECT_LE(client_.Count("patch", "clusterpolicies"), 3u);
  EXPECT_EQ(status_.writes_pending, 0u);
}

TEST_F(ControllerTest, WithoutAPolicyNodesAreLeftAlone) {
  Put(kube::kDaemonSets, TestDaemonSet(1));
  PutServing("gpu-1");
  StartController();
  EXPECT_EQ(Writes(), 0u);
}

}  // namespace
}  // namespace aliquot::controller
