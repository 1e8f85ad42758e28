// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// The agent's process as it runs in a cluster, on an API server over HTTPS.
#include <boost/json.hpp>
#include <chrono>

#include "tests/api_fixture.h"

namespace aliquot::tests {
namespace {

namespace json = boost::json;

class AgentApiTest : public ApiAgentTest {
 protected:
  void PutConfigMap(int replicas) {
    ASSERT_TRUE(cluster_
                    .Put(kube::kConfigMaps,
                         {{"metadata", {{"name", "sharing"}, {"namespace", "gpu-operator"}}},
                          {"data", {{"any", SharedBy(replicas)}}}})
                    .ok());
  }
  void PutPolicy() {
    ASSERT_TRUE(
        cluster_
            .Put(kube::kClusterPolicies,
                 {{"metadata", {{"name", "cluster-policy"}}},
                  {"spec",
                   {{"devicePlugin", {{"config", {{"name", "sharing"}, {"default", "any"}}}}}}}})
            .ok());
  }
  void StartAll() {
    Simulate("t4-x1");
    StartKubelet();
    StartInCluster("t4-x1");
  }
};

TEST_F(AgentApiTest, ServesWhatTheClusterSaysAndLabelsItsNode) {
  PutConfigMap(10);
  PutPolicy();
  StartAll();
  ASSERT_TRUE(Shows(10));
  const auto start = std::chrono::steady_clock::now();
  PutConfigMap(4);
  ASSERT_TRUE(Shows(4));
  const auto took = std::chrono::steady_clock::now() - start;
  RecordProperty("configmap_to_list_us",
                 std::to_string(took / std::chrono::microseconds(1)));  // no bound: CI is busy
  EXPECT_TRUE(agent_.AwaitStatus("/cluster/labels/target", "node worker-1"));
  EXPECT_TRUE(agent_.AwaitStatus("/cluster/labels/error", nullptr));
  EXPECT_TRUE(Eventually([&] {
    const auto node = cluster_.Get({kube::kNodes, "", "worker-1", ""});
    return node.ok() &&
           json::serialize(*node).find(R"("nvidia.com/gpu.replicas":"4")") != std::string::npos;
  }));
  EXPECT_EQ(server_.CountRequests("GET /api/v1/configmaps"), 0u);
  EXPECT_EQ(cluster_.watches(), 3u);
  EXPECT_EQ(Resource().registrations, 1u);
}

TEST_F(AgentApiTest, WithoutAPolicyTheFileCounts) {
  Configure(SharedBy(3));
  StartAll();
  ASSERT_TRUE(Shows(3));
  EXPECT_TRUE(agent_.AwaitStatus("/config/origin", "file"));
  Configure(SharedBy(2));
  ASSERT_TRUE(Shows(2));
  PutConfigMap(6);
  PutPolicy();
  ASSERT_TRUE(Shows(6));
}

TEST_F(AgentApiTest, AServerThatRestartsIsPickedUpAgain) {
  PutConfigMap(10);
  PutPolicy();
  StartAll();
  ASSERT_TRUE(Shows(10));
  server_.Stop();
  PutConfigMap(5);
  server_.Start();
  ASSERT_TRUE(Shows(5));
  EXPECT_EQ(Resource().registrations, 1u);
}

TEST_F(AgentApiTest, WhatIsMissingForTheClusterEndsTheProcess) {
  const auto status = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"agent", "--listen=", "--cluster=on"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto child = cli::ChildProcess::Start(arguments, {}, Path("usage.log"), ALIQUOT_PROGRAM);
    return child.ok() ? (*child)->Wait() : -1;
  };
  EXPECT_EQ(status({"--kubeconfig=" + Path("nowhere"), "--node-name=worker-1"}), 2);
  EXPECT_EQ(status({"--kubeconfig=" + Path("kubeconfig")}), 2);
  EXPECT_EQ(status({"--kubeconfig=" + Path("kubeconfig"), "--node-name=worker-1",
                    "--fallback-strategies=first"}),
            2);
}

}  // namespace
}  // namespace aliquot::tests
