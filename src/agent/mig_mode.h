// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/file_watch.h"
#include "agent/mig_host.h"
#include "agent/mig_node.h"
#include "base/fd_poller.h"
#include "rpc/pod_resources_client.h"

namespace aliquot::agent {

// The MIG node flow as an agent is started with it.
struct MigAgentOptions {
  MigOptions node;  // node name and namespace are those of the cluster
  HostPrograms::Options host;
  // Where the cluster's policy says nothing.
  bool allow_reboot = false;
  bool stop_host_clients = false;
  std::string config_map;
};

// MigNode with what it stands on. Confined to the executor, construction and destruction included.
class MigMode {
 public:
  // Those that only the agent can provide; see MigNode::Dependencies.
  struct Agent {
    Executor& executor;
    const Clock& clock;
    const Logger& log;
    kube::Client& client;
    rpc::PodResourcesClient* pods;  // null: who was given what is not asked
    std::function<bool(gpu::DriverJob)> drive;
    std::function<void(const WithheldGpus&)> withhold;
    std::function<bool()> lists_sent;
    std::function<void()> changed;
  };

  MigMode(MigAgentOptions options, Agent agent);

  // Follows changes of the file with layout configurations, if one is named. `poller` must outlive
  // this.
  Status WatchFile(FdPoller& poller);
  // What the policy wants, with the options where it says nothing.
  void SetWish(MigWish wish);
  MigNode& node() { return node_; }

 private:
  MigNode::Dependencies Connect(Agent agent);

  const MigAgentOptions options_;
  Executor& executor_;
  const std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // seen by late tasks
  HostPrograms host_;
  MigNode node_;
  std::unique_ptr<FileWatch> watch_;
};

}  // namespace aliquot::agent
