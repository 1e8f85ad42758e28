// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/log.h"
#include "kube/client_fake.h"
#include "kube/fake_cluster.h"
#include "tests/agent_fixture.h"

namespace aliquot::tests {

inline constexpr char kNode[] = "worker-1";
inline constexpr char kNamespace[] = "gpu-operator";
inline constexpr char kConfigMap[] = "time-slicing-config";

// An agent inside the test's process that takes its configuration from a cluster in memory; beside
// it, as for AgentTest, a simulated node and a kubelet stand-in. When a test fails, the log is
// printed.
class ClusterAgentTest : public AgentTest {
 protected:
  ClusterAgentTest();
  ~ClusterAgentTest() override;

  // Starts kubelet and agent on the simulated node `sim_node`.
  void StartInCluster(const std::string& sim_node = "t4-x1");
  void StartAgentOnly();
  void StopAgent() { running_.reset(); }

  // What an administrator does.
  void PutConfigMap(const std::map<std::string, std::string>& data,
                    const std::string& name = kConfigMap);
  void DeleteConfigMap(const std::string& name = kConfigMap);
  // Creates or replaces the policy with this spec, as JSON.
  void PutPolicy(const std::string& spec, const std::string& name = "cluster-policy");
  // A policy that names kConfigMap with this default.
  void ChooseDefault(const std::string& key);
  void LabelNode(const std::string& label, const std::string& value);
  void UnlabelNode(const std::string& label);

  // The Node as it is now.
  kube::Object Node() const;
  // A label of it; "<none>" if absent.
  std::string NodeLabel(const std::string& label) const;
  std::string NodeAnnotation(const std::string& annotation) const;
  // A field of the Node's condition AliquotConfigured; empty if there is none.
  std::string Condition(const std::string& field) const;
  // Waits until the newest configuration was refused for this reason, with a message of `words`.
  bool Refused(const std::string& reason, const std::vector<std::string>& words);
  std::string Log() const;

  agent::AgentOptions options_;
  SystemClock clock_;
  kube::FakeCluster cluster_{clock_};
  kube::FakeClient* client_ = nullptr;  // the running agent's
  AgentPages pages_;

 private:
  mutable std::mutex mutex_;  // guards log_text_: written by the agent's threads
  std::string log_text_;

 protected:
  agent::RecentLog recent_{50};
  Logger log_;
  std::unique_ptr<agent::Agent> running_;
};

}  // namespace aliquot::tests
