// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/log.h"
#include "base/status.h"
#include "gpu/inventory.h"
#include "metrics/cluster_metrics.h"
#include "rpc/pod_resources_client.h"

namespace aliquot::agent {

// Which container holds which GPUs, as the kubelet says: asked soon after an allocation and at
// intervals, once for all who want to know. What is not known is absent; an old answer is never
// shown as if it were true. Confined to the executor.
class Containers {
 public:
  // The kubelet lists a container once it is admitted, a moment after Allocate was answered.
  static constexpr std::chrono::seconds kAfterAllocate{1};
  static constexpr std::chrono::seconds kInterval{30};
  // A kubelet that did not answer is given this much time, whoever waits.
  static constexpr std::chrono::seconds kRetry{10};
  // A kubelet runs 110 pods unless told otherwise; this bounds what one node costs a scraper.
  static constexpr std::size_t kMostRows = 2000;

  using Held = std::vector<rpc::HeldDevices>;
  struct Dependencies {
    Executor& executor;
    const Clock& clock;
    const Logger& log;
    metrics::ClusterMetrics& metrics;
    // Asks the kubelet about all resources; `done` is called once, on any thread.
    std::function<void(std::function<void(Result<Held>)> done)> list;
    std::function<void()> answered;  // or failed to; held() and error() say what
  };

  // Asks at once.
  explicit Containers(Dependencies dependencies);
  ~Containers();
  Containers(const Containers&) = delete;
  Containers& operator=(const Containers&) = delete;

  void OnAllocated();
  // Asks at least so often from now on; zero = kInterval will do.
  void AskEvery(Clock::Duration interval);
  // For the column `gpu`.
  void SetInventory(std::shared_ptr<const gpu::Inventory> inventory);

  // Holders of GPUs; absent while the kubelet does not answer.
  const std::shared_ptr<const Held>& held() const { return held_; }
  const std::string& error() const { return error_; }

 private:
  void AskAfter(Clock::Duration delay);
  void Ask();
  void OnAnswer(Result<Held> answer);
  void PublishMetrics();

  const Dependencies dependencies_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // seen by late answers
  Executor::TimerId timer_ = 0;
  Clock::TimePoint ask_at_;
  Clock::Duration interval_ = kInterval;
  bool asking_ = false;
  bool ask_again_ = false;  // an allocation while asking
  std::shared_ptr<const gpu::Inventory> inventory_;
  std::shared_ptr<const Held> held_;
  std::string error_;
};

// The UUID of the device that an id stands for: the id without the replica.
std::string DeviceOf(const std::string& id);

}  // namespace aliquot::agent
