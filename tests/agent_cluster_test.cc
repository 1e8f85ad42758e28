// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// What a running agent makes of what the cluster says: policies, ConfigMaps, node labels, and an
// API server that comes and goes.
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "agent/json_path.h"
#include "base/file.h"
#include "labels/node_keys.h"
#include "tests/cluster_fixture.h"

namespace aliquot::tests {
namespace {

namespace json = boost::json;

constexpr char kConfigLabel[] = "nvidia.com/device-plugin.config";
const std::string kRefused(labels::kConfigRefused);

class AgentClusterTest : public ClusterAgentTest {
 protected:
  // The story's beginning: ten replicas of one GPU by ConfigMap and policy.
  void StartWithTen() {
    PutConfigMap({{"any", SharedBy(10)}, {"other", SharedBy(4)}});
    ChooseDefault("any");
    StartInCluster();
    ASSERT_TRUE(Shows(10));
  }
  // Whether there is such an Event on the Node.
  bool HasEvent(const std::string& type, const std::string& reason, const std::string& message) {
    const auto events = cluster_.List({kube::kEvents, "default", "", ""});
    if (!events.ok()) return false;
    return std::any_of(events->items.begin(), events->items.end(), [&](const auto& event) {
      return agent::FindText(event, {"type"}) == type &&
             agent::FindText(event, {"reason"}) == reason &&
             agent::FindText(event, {"message"}) == message &&
             agent::FindText(event, {"involvedObject", "kind"}) == "Node" &&
             agent::FindText(event, {"involvedObject", "name"}) == kNode;
    });
  }
  // Nothing changed for the kubelet: one registration, `lists` lists, `devices` devices.
  void StillServes(std::size_t devices, std::size_t lists) {
    EXPECT_EQ(Resource().devices.size(), devices);
    EXPECT_EQ(Resource().lists, lists);
    EXPECT_EQ(Resource().registrations, 1u);
    EXPECT_TRUE(pages_.AwaitStatus("/ready", true));
  }
};

TEST_F(AgentClusterTest, FollowsPolicyConfigMapAndLabelLive) {
  StartInCluster();
  ASSERT_TRUE(Shows(1));
  PutConfigMap({{"any", SharedBy(10)}});
  PutPolicy("{}");
  ChooseDefault("any");
  ASSERT_TRUE(Shows(10));
  PutConfigMap({{"any", SharedBy(4)}, {"other", SharedBy(6)}});
  ASSERT_TRUE(Shows(4));
  LabelNode(kConfigLabel, "other");
  ASSERT_TRUE(Shows(6));
  UnlabelNode(kConfigLabel);
  ASSERT_TRUE(Shows(4));
  PutConfigMap({{"new", SharedBy(3)}}, "another");
  PutPolicy(R"({"devicePlugin": {"config": {"name": "another", "default": "new"}}})");
  ASSERT_TRUE(Shows(3));
  PutPolicy("{}");
  ASSERT_TRUE(Shows(1));
  EXPECT_EQ(Resource().registrations, 1u);
  EXPECT_EQ(cluster_.watches(), 2u);  // no ConfigMap is named, none is watched
}

TEST_F(AgentClusterTest, ALabelThatIsNoKeyIsRefused) {
  StartWithTen();
  LabelNode(kConfigLabel, "othr");
  ASSERT_TRUE(Refused("ConfigKeyNotFound", {"worker-1", kConfigLabel, "othr",
                                            "gpu-operator/time-slicing-config", "any", "other"}));
  StillServes(10, 1);
  LabelNode(kConfigLabel, "other");
  ASSERT_TRUE(Shows(4));
  EXPECT_TRUE(pages_.AwaitStatus("/config/newestRefused", false));
}

TEST_F(AgentClusterTest, ADefaultThatIsNoKeyIsRefusedByName) {
  StartWithTen();
  ChooseDefault("ayn");
  ASSERT_TRUE(Refused("DefaultConfigNotFound", {"cluster-policy", "ayn", "any"}));
  StillServes(10, 1);
}

TEST_F(AgentClusterTest, ADeletedConfigMapChangesNothing) {
  StartWithTen();
  DeleteConfigMap();
  ASSERT_TRUE(Refused("ConfigMapNotFound", {"gpu-operator/time-slicing-config", "cluster-policy"}));
  StillServes(10, 1);
  PutConfigMap({{"any", SharedBy(5)}});
  ASSERT_TRUE(Shows(5));
  PutConfigMap({});
  ASSERT_TRUE(Refused("ConfigMapEmpty", {"time-slicing-config"}));
  StillServes(5, 2);
}

TEST_F(AgentClusterTest, ABadContentIsRefusedWithItsPlace) {
  StartWithTen();
  PutConfigMap({{"any", "sharing: ["}});
  ASSERT_TRUE(Refused("ConfigInvalid", {}));
  EXPECT_NE(Log().find("configmap gpu-operator/time-slicing-config (key any):1:"),
            std::string::npos);
  PutConfigMap({{"any", "version: v2\n"}});
  ASSERT_TRUE(Refused("ConfigInvalid", {"v2"}));
  StillServes(10, 1);
  PutConfigMap({{"any", SharedBy(2)}});
  ASSERT_TRUE(Shows(2));
}

TEST_F(AgentClusterTest, NothingIsServedBeforeAFirstGoodConfiguration) {
  ChooseDefault("any");
  StartInCluster();
  ASSERT_TRUE(Refused("ConfigMapNotFound", {}));
  EXPECT_TRUE(kubelet_->state().resources.empty());
  EXPECT_EQ(pages_.Get("/readyz").status, 503);
  PutConfigMap({{"any", SharedBy(2)}});
  ASSERT_TRUE(Shows(2));
}

TEST_F(AgentClusterTest, TheOldestPolicyCounts) {
  PutConfigMap({{"any", SharedBy(10)}});
  ChooseDefault("any");
  StartInCluster();
  ASSERT_TRUE(Shows(10));
  PutPolicy("{}", "younger");
  ASSERT_TRUE(pages_.AwaitStatus("/cluster/watches/1/synced", true));
  EXPECT_EQ(Resource().lists, 1u);
  ASSERT_TRUE(cluster_.Delete({kube::kClusterPolicies, "", "cluster-policy", ""}).ok());
  ASSERT_TRUE(Shows(1));
  EXPECT_TRUE(pages_.AwaitStatus("/cluster/policy", "younger"));
}

TEST_F(AgentClusterTest, ThePolicysEnvironmentBeatsTheFileAndTheProcess) {
  options_.sources.environment["GFD_MIG_STRATEGY"] = "none";
  PutConfigMap({{"any", "flags: {migStrategy: single}\n"}});
  ChooseDefault("any");
  StartInCluster("a100-40gb-x8-mig");
  ASSERT_TRUE(Shows(8));
  const std::string config = R"("config": {"name": "time-slicing-config", "default": "any"})";
  PutPolicy("{\"mig\": {\"strategy\": \"mixed\"}, \"devicePlugin\": {" + config + "}}");
  ASSERT_TRUE(Shows(1, 1, "nvidia.com/mig-7g.40gb"));
  PutPolicy("{\"mig\": {\"strategy\": \"both\"}, \"devicePlugin\": {" + config + "}}");
  ASSERT_TRUE(Refused("ConfigInvalid", {"MIG_STRATEGY of clusterpolicy cluster-policy", "both"}));
  EXPECT_TRUE(Shows(1, 1, "nvidia.com/mig-7g.40gb"));
  PutPolicy(R"({"devicePlugin": {"env": [{"name": "PASS_DEVICE_SPECS", "value": "true"},
                                         {"name": "NODE_NAME", "value": "elsewhere"}]}})");
  ASSERT_TRUE(pages_.AwaitStatus("/config/effective/flags/plugin/passDeviceSpecs", true));
  EXPECT_TRUE(Eventually([&] { return Log().find("NODE_NAME") != std::string::npos; }));
}

TEST_F(AgentClusterTest, ASwitchedOffPluginWithdrawsAndComesBack) {
  StartWithTen();
  LabelNode("nvidia.com/gpu.deploy.device-plugin", "paused-for-driver-upgrade");
  ASSERT_TRUE(Shows(0));
  EXPECT_TRUE(pages_.AwaitStatus(
      "/config/withdrawnBecause",
      "the node is labelled nvidia.com/gpu.deploy.device-plugin=paused-for-driver-upgrade"));
  EXPECT_TRUE(pages_.AwaitStatus("/ready", true));
  LabelNode("nvidia.com/gpu.deploy.device-plugin", "true");
  ASSERT_TRUE(Shows(10));
  PutPolicy(R"({"devicePlugin": {"enabled": false}})");
  ASSERT_TRUE(Shows(0));
  ChooseDefault("any");
  ASSERT_TRUE(Shows(10));
}

TEST_F(AgentClusterTest, AnApiServerThatGoesChangesNothing) {
  StartWithTen();
  client_->SetUnavailable();
  ASSERT_TRUE(pages_.AwaitStatus("/cluster/watches/0/error", "watch nodes: connection refused"));
  StillServes(10, 1);
  PutConfigMap({{"any", SharedBy(3)}});
  client_->SetAvailable();
  ASSERT_TRUE(Shows(3));
}

TEST_F(AgentClusterTest, TheLastGoodConfigurationServesUntilTheApiServerAnswers) {
  StartWithTen();
  StopAgent();
  options_.cluster->connect = [this]() -> Result<std::unique_ptr<kube::Client>> {
    auto client = std::make_unique<kube::FakeClient>(cluster_);
    client_ = client.get();
    client->SetUnavailable();
    return std::unique_ptr<kube::Client>(std::move(client));
  };
  StartAgentOnly();
  ASSERT_TRUE(Shows(10));
  EXPECT_TRUE(pages_.AwaitStatus("/config/origin", "last good of the cluster"));
  EXPECT_TRUE(pages_.AwaitStatus("/cluster/noAnswerYet", "watch nodes: connection refused"));
  PutConfigMap({{"any", SharedBy(7)}});
  client_->SetAvailable();
  ASSERT_TRUE(Shows(7));
  EXPECT_TRUE(pages_.AwaitStatus("/config/origin", "configmap"));
}

// Defaults might be more than the administrator wants to give.
TEST_F(AgentClusterTest, AFreshNodeOffersNothingUntilTheApiServerAnswers) {
  options_.cluster->connect = [this]() -> Result<std::unique_ptr<kube::Client>> {
    auto client = std::make_unique<kube::FakeClient>(cluster_);
    client_ = client.get();
    client->SetUnavailable();
    return std::unique_ptr<kube::Client>(std::move(client));
  };
  StartInCluster();
  ASSERT_TRUE(Eventually([&] {
    return pages_.Get("/readyz").body ==
           "no valid configuration yet: watch nodes: connection refused\n";
  })) << pages_.Get("/readyz").body;
  EXPECT_TRUE(kubelet_->state().resources.empty());
  client_->SetAvailable();
  ASSERT_TRUE(Shows(1));
}

TEST_F(AgentClusterTest, TheNodeShowsWhatBecameOfTheConfiguration) {
  StartWithTen();
  EXPECT_TRUE(Eventually([&] { return Condition("status") == "True"; }));
  EXPECT_EQ(Condition("reason"), "ConfigApplied");
  EXPECT_TRUE(Eventually([&] { return NodeLabel("nvidia.com/gpu.present") == "true"; }));
  LabelNode(kConfigLabel, "othr");
  ASSERT_TRUE(Eventually([&] { return Condition("status") == "False"; }));
  EXPECT_EQ(Condition("reason"), "ConfigKeyNotFound");
  const std::string message =
      "node worker-1, label nvidia.com/device-plugin.config: error: \"othr\" is not a key of "
      "configmap gpu-operator/time-slicing-config (valid keys: \"any\", \"other\"); the last good "
      "configuration stays in use";
  EXPECT_EQ(Condition("message"), message);
  EXPECT_TRUE(
      Eventually([&] { return NodeAnnotation(kRefused) == "ConfigKeyNotFound: " + message; }));
  EXPECT_TRUE(pages_.AwaitMetric("aliquot_config_refusals_total{reason=\"ConfigKeyNotFound\"}", 1));
  EXPECT_TRUE(Eventually([&] { return HasEvent("Warning", "ConfigKeyNotFound", message); }));
  LabelNode(kConfigLabel, "other");
  ASSERT_TRUE(Eventually([&] { return Condition("status") == "True"; }));
  EXPECT_TRUE(Eventually([&] {
    return HasEvent("Normal", "ConfigApplied",
                    "configmap gpu-operator/time-slicing-config (key other) is in use");
  }));
  EXPECT_TRUE(Eventually([&] { return NodeAnnotation(kRefused) == "<none>"; }));
}

TEST_F(AgentClusterTest, WithoutTheKindThereIsNoPolicy) {
  cluster_.Unregister(kube::kClusterPolicies);
  StartInCluster();
  ASSERT_TRUE(Shows(1));
}

// A process that goes around its share, as kubectl describe shows it on the pod.
TEST_F(AgentClusterTest, APodIsToldThatItBreaksItsShare) {
  constexpr char kUid[] = "01234567-89ab-cdef-0123-456789abcdef";
  const std::string proc = Path("proc/4242");
  std::filesystem::create_directories(proc);
  std::filesystem::create_directories(Path("lib"));
  for (const char* name : {"libaliquot-cuda.so", "libaliquot-nvml.so"}) {
    ASSERT_TRUE(WriteFileAtomically(Path("lib/") + name, name).ok());
  }
  options_.shares = {Path("state"), Path("run"), Path("lib"), Path("proc")};
  options_.pod_resources_socket = Path("pod-resources/kubelet.sock");
  PutConfigMap({{"any",
                 "version: v1\nsharing:\n  timeSlicing:\n    resources:\n"
                 "    - {name: nvidia.com/gpu, replicas: 4}\n    isolation: {memory: share}\n"}});
  ChooseDefault("any");
  StartInCluster();
  ASSERT_TRUE(Shows(4));
  ASSERT_TRUE(kubelet_->Place("train", "main", kGpu, 1).ok());
  ASSERT_TRUE(pages_.AwaitStatus("/shares/grants/0/holder/pod", "train"));
  const std::string grant =
      pages_.Status().at("shares").at("grants").at(0).at("grant").as_string().c_str();
  struct stat live{};
  ASSERT_EQ(::stat(Path("run/grants").c_str(), &live), 0);
  std::string stat = "4242 (a) S 1";
  for (int field = 5; field < 22; ++field) stat += " 0";
  ASSERT_TRUE(WriteFileAtomically(proc + "/stat", stat + " 7 0\n").ok());
  ASSERT_TRUE(
      WriteFileAtomically(proc + "/cgroup", std::string("0::/kubepods/pod") + kUid + "/c\n").ok());
  ASSERT_TRUE(WriteFileAtomically(proc + "/mountinfo",
                                  fmt::format("1 2 {}:{} /grants/{} /run/aliquot/grant ro\n",
                                              major(live.st_dev), minor(live.st_dev), grant))
                  .ok());
  sim::ProcessOptions process;
  process.pid = 4242;
  ASSERT_TRUE(sim().AddProcess(process, 1 << 20).ok());
  EXPECT_TRUE(Eventually([&] {
    const auto events = cluster_.List({kube::kEvents, "default", "", ""});
    return events.ok() && std::any_of(events->items.begin(), events->items.end(), [&](auto& event) {
             return agent::FindText(event, {"reason"}) == "GpuShareViolated" &&
                    agent::FindText(event, {"involvedObject", "kind"}) == "Pod" &&
                    agent::FindText(event, {"involvedObject", "name"}) == "train" &&
                    agent::FindText(event, {"involvedObject", "uid"}) == kUid &&
                    agent::FindText(event, {"message"}).starts_with("process 4242 of container");
           });
  }));
}

}  // namespace
}  // namespace aliquot::tests
