// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/cluster_source.h"
#include "agent/cluster_status.h"
#include "agent/config_keeper.h"
#include "agent/enforced_shares.h"
#include "agent/label_publisher.h"
#include "agent/node_reporter.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/log.h"
#include "config/config.h"
#include "gpu/inventory.h"
#include "kube/client.h"
#include "kube/events.h"
#include "metrics/cluster_metrics.h"
#include "share/plan.h"

namespace aliquot::agent {

// What a cluster's agent needs to know about itself.
struct ClusterOptions {
  // Makes the way to the API server. Called on the executor, when there is something to ask; must
  // not wait for the server.
  std::function<Result<std::unique_ptr<kube::Client>>()> connect;
  WishOptions wish;       // with the node's name and the namespace
  std::string host_root;  // where the host's /proc and /sys are; empty = /
};

// What the agent does in a cluster beside serving devices. Confined to the executor.
class ClusterMode final : private ClusterListener {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // The cluster wants another configuration, or nothing to be advertised.
    virtual void OnOffer(const ConfigOffer& offer) = 0;
    // Labels are to be published from now on, or no more: needs_labels() changed.
    virtual void OnLabelsSwitched() = 0;
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
    metrics::ClusterMetrics& metrics;
    Listener& listener;
  };

  ClusterMode(Dependencies dependencies, std::unique_ptr<kube::Client> client,
              const ClusterOptions& options);

  // What became of the newest offer; tells the cluster.
  void OnConfigTried(const ConfigKeeper::View& view);
  // What labels are made from; nulls while it is not known, and then labels stay as they are.
  void OnDevices(const std::shared_ptr<const gpu::Inventory>& inventory,
                 const std::shared_ptr<const share::Plan>& plan, const ConfigKeeper::View& view);

  // Records a warning on the pod.
  void TellPod(const PodNews& news);

  // Whether labels are to be published, for which the driver is needed.
  bool needs_labels() const { return wish_ && wish_->labels == LabelMode::kPublish; }
  kube::Client& client() { return *client_; }
  void PublishMetrics();
  ClusterStatus status() const;

 private:
  void OnWish(const Wish& wish) override;
  void OnNode(const kube::Object* node) override;
  void OnClusterSilent(const std::string& why) override;
  void RecordEvent(bool warning, const std::string& reason, const std::string& message);
  void PublishLabels();

  const Dependencies dependencies_;
  const WishOptions options_;
  const std::string host_root_;
  const std::unique_ptr<kube::Client> client_;
  std::optional<Wish> wish_;
  std::string silent_;
  std::optional<ConfigReport> report_;
  std::optional<LabelPublisher::Labels> labels_;  // absent while devices are not known
  bool use_node_feature_ = true;
  kube::EventRecorder events_;
  NodeReporter reporter_;
  LabelPublisher publisher_;
  ClusterSource source_;
};

}  // namespace aliquot::agent
