// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/cluster_source.h"
#include "agent/config_keeper.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/log.h"
#include "kube/client.h"

namespace aliquot::agent {

// What a cluster's agent needs to know about itself.
struct ClusterOptions {
  // Makes the way to the API server. Called once on the executor, when there is something to ask;
  // must not wait for the server.
  std::function<Result<std::unique_ptr<kube::Client>>()> connect;
  WishOptions wish;  // with the node's name and the namespace
};

// What the status page tells about the cluster. A plain value.
struct ClusterStatus {
  std::string node;
  std::string policy;  // the active ClusterPolicy; empty: none
  std::vector<std::string> policy_problems;
  std::vector<ClusterSource::WatchStatus> watches;
  std::string silent;  // why there was no first answer; empty once there was one
};

// What the agent does in a cluster beside serving devices. Confined to the executor.
class ClusterMode final : private ClusterListener {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // The cluster wants another configuration, or none to be advertised.
    virtual void OnOffer(const ConfigOffer& offer) = 0;
    // The cluster does not answer yet; what it said before the start counts meanwhile.
    virtual void OnClusterSilent() = 0;
    // The agent's Node changed; null if it does not exist.
    virtual void OnNode(const kube::Object* node) = 0;
    // The cluster wants this of the MIG node flow. Comes with the first offer.
    virtual void OnMigWish(const MigWish& wish) = 0;
  };
  struct Dependencies {
    Executor& executor;
    const Clock& clock;
    const Logger& log;
    Listener& listener;
  };

  ClusterMode(Dependencies dependencies, std::unique_ptr<kube::Client> client, WishOptions options);

  kube::Client& client() { return *client_; }
  ClusterStatus status() const;

 private:
  void OnWish(const Wish& wish) override;
  void OnNode(const kube::Object* node) override;
  void OnClusterSilent(const std::string& why) override;

  const Dependencies dependencies_;
  const WishOptions options_;
  const std::unique_ptr<kube::Client> client_;
  std::optional<Wish> wish_;
  std::string silent_;
  ClusterSource source_;
};

}  // namespace aliquot::agent
