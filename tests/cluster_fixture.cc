// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/cluster_fixture.h"

#include <boost/json.hpp>
#include <cstdlib>
#include <iostream>

#include "agent/json_path.h"
#include "gpu/driver_source.h"

namespace aliquot::tests {

namespace json = boost::json;

ClusterAgentTest::ClusterAgentTest()
    : log_(clock_, [this](std::string_view line) {
        recent_.Observe(line);
        std::lock_guard lock(mutex_);
        log_text_ += line;
      }) {
  EXPECT_TRUE(cluster_.Put(kube::kNodes, {{"metadata", {{"name", kNode}}}}).ok());
  options_.sources.environment["KUBELET_SOCKET"] = Path("device-plugins/kubelet.sock");
  options_.state_dir = Path("state");
  options_.cdi_root = Path("cdi");
  options_.monitor.observer.poll_interval = std::chrono::milliseconds(100);
  options_.monitor.event_wait = std::chrono::milliseconds(50);
  options_.open_driver = [](const std::string&) {
    return std::make_unique<gpu::FileDriverSource>(ALIQUOT_SIM_NVML);
  };
  agent::ClusterOptions cluster;
  cluster.connect = [this]() -> Result<std::unique_ptr<kube::Client>> {
    auto client = std::make_unique<kube::FakeClient>(cluster_);
    client_ = client.get();
    return std::unique_ptr<kube::Client>(std::move(client));
  };
  cluster.wish.node = kNode;
  cluster.wish.ns = kNamespace;
  options_.cluster = std::move(cluster);
}

ClusterAgentTest::~ClusterAgentTest() {
  running_.reset();
  if (HasFailure()) std::cerr << "--- the agent's log ---\n" << Log() << "---\n";
}

void ClusterAgentTest::StartInCluster(const std::string& sim_node) {
  Simulate(sim_node);
  StartKubelet();
  StartAgentOnly();
}

void ClusterAgentTest::StartAgentOnly() {
  ::setenv("ALIQUOT_SIM_NODE", sim().node().name.c_str(), 1);
  ::setenv("ALIQUOT_SIM_STATE", Path("sim").c_str(), 1);
  auto started = agent::Agent::Start(options_, clock_, log_, recent_);
  ASSERT_TRUE(started.ok()) << started.error().message;
  running_ = *std::move(started);
  pages_.SetPort(running_->port());
}

void ClusterAgentTest::PutConfigMap(const std::map<std::string, std::string>& data,
                                    const std::string& name) {
  ASSERT_TRUE(
      cluster_
          .Put(kube::kConfigMaps, {{"metadata", {{"name", name}, {"namespace", kNamespace}}},
                                   {"data", json::value_from(data)}})
          .ok());
}

void ClusterAgentTest::DeleteConfigMap(const std::string& name) {
  ASSERT_TRUE(cluster_.Delete({kube::kConfigMaps, kNamespace, name, ""}).ok());
}

void ClusterAgentTest::PutPolicy(const std::string& spec, const std::string& name) {
  ASSERT_TRUE(cluster_
                  .Put(kube::kClusterPolicies,
                       {{"metadata", {{"name", name}}}, {"spec", json::parse(spec)}})
                  .ok());
}

void ClusterAgentTest::ChooseDefault(const std::string& key) {
  PutPolicy(json::serialize(
      json::value{{"devicePlugin", {{"config", {{"name", kConfigMap}, {"default", key}}}}}}));
}

void ClusterAgentTest::LabelNode(const std::string& label, const std::string& value) {
  const json::value patch = {{"metadata", {{"labels", {{label, value}}}}}};
  ASSERT_TRUE(
      cluster_.Patch({kube::kNodes, "", kNode, ""}, kube::PatchType::kMerge, patch, "kubectl-label")
          .ok());
}

void ClusterAgentTest::UnlabelNode(const std::string& label) {
  const json::value patch = {{"metadata", {{"labels", {{label, nullptr}}}}}};
  ASSERT_TRUE(
      cluster_.Patch({kube::kNodes, "", kNode, ""}, kube::PatchType::kMerge, patch, "kubectl-label")
          .ok());
}

kube::Object ClusterAgentTest::Node() const {
  auto node = cluster_.Get({kube::kNodes, "", kNode, ""});
  return node.ok() ? *std::move(node) : kube::Object();
}

std::string ClusterAgentTest::NodeLabel(const std::string& label) const {
  const kube::Object node = Node();
  const json::value* value = agent::Find(node, {"metadata", "labels", label});
  return value == nullptr ? "<none>" : std::string(value->as_string());
}

std::string ClusterAgentTest::NodeAnnotation(const std::string& annotation) const {
  const kube::Object node = Node();
  const json::value* value = agent::Find(node, {"metadata", "annotations", annotation});
  return value == nullptr ? "<none>" : std::string(value->as_string());
}

std::string ClusterAgentTest::Condition(const std::string& field) const {
  const kube::Object node = Node();
  const json::value* conditions = agent::Find(node, {"status", "conditions"});
  if (conditions == nullptr) return {};
  for (const json::value& condition : conditions->as_array()) {
    if (condition.at("type") == "AliquotConfigured") {
      return std::string(condition.at(field).as_string());
    }
  }
  return {};
}

bool ClusterAgentTest::Refused(const std::string& reason, const std::vector<std::string>& words) {
  return Eventually([&] {
    const json::value status = pages_.Status();
    if (!status.at_pointer("/config/newestRefused").as_bool()) return false;
    if (status.at_pointer("/config/refusal") != json::value(reason)) return false;
    const std::string problems = json::serialize(status.at_pointer("/config/problems"));
    for (const std::string& word : words) {
      if (problems.find(word) == std::string::npos) return false;
    }
    return true;
  });
}

std::string ClusterAgentTest::Log() const {
  std::lock_guard lock(mutex_);
  return log_text_;
}

}  // namespace aliquot::tests
