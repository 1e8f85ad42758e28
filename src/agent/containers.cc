// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/containers.h"

#include <algorithm>
#include <map>
#include <utility>

namespace aliquot::agent {
namespace {

// The ids say which devices are ours; resources may have any name.
bool IsGpu(const std::string& id) { return id.starts_with("GPU-") || id.starts_with("MIG-"); }

}  // namespace

std::string DeviceOf(const std::string& id) { return id.substr(0, id.find("::")); }

Containers::Containers(Dependencies dependencies) : dependencies_(std::move(dependencies)) {
  Ask();
}

Containers::~Containers() {
  *alive_ = false;
  dependencies_.executor.Cancel(timer_);
}

void Containers::OnAllocated() {
  ask_again_ = asking_;
  if (!asking_) AskAfter(kAfterAllocate);
}

void Containers::AskEvery(Clock::Duration interval) {
  interval_ = interval > Clock::Duration::zero() ? std::min<Clock::Duration>(interval, kInterval)
                                                 : kInterval;
  const Clock::Duration least = error_.empty() ? Clock::Duration::zero() : kRetry;
  const Clock::Duration delay = std::max(interval_, least);
  if (!asking_ && dependencies_.clock.Now() + delay < ask_at_) AskAfter(delay);
}

void Containers::SetInventory(std::shared_ptr<const gpu::Inventory> inventory) {
  inventory_ = std::move(inventory);
  PublishMetrics();
}

void Containers::AskAfter(Clock::Duration delay) {
  dependencies_.executor.Cancel(timer_);
  ask_at_ = dependencies_.clock.Now() + delay;
  timer_ = dependencies_.executor.PostAfter(delay, [this] { Ask(); });
}

void Containers::Ask() {
  asking_ = true;
  ask_again_ = false;
  Executor& executor = dependencies_.executor;
  dependencies_.list([this, &executor, alive = alive_](Result<Held> answer) {
    executor.Post([this, alive, answer = std::move(answer)]() mutable {
      if (*alive) OnAnswer(std::move(answer));
    });
  });
}

void Containers::OnAnswer(Result<Held> answer) {
  asking_ = false;
  const Clock::Duration interval =
      answer.ok() ? interval_ : std::max<Clock::Duration>(interval_, kRetry);
  AskAfter(ask_again_ ? kAfterAllocate : interval);
  if (!answer.ok()) {
    if (error_ != answer.error().message) {
      dependencies_.log.Info("the kubelet does not say who holds what",
                             {{"error", answer.error().message}});
    }
    error_ = answer.error().message;
    held_.reset();
  } else {
    error_.clear();
    std::erase_if(*answer, [](const rpc::HeldDevices& each) {
      return std::none_of(each.ids.begin(), each.ids.end(), IsGpu);
    });
    held_ = std::make_shared<const Held>(*std::move(answer));
  }
  PublishMetrics();
  dependencies_.answered();
}

void Containers::PublishMetrics() {
  metrics::ClusterMetrics& metrics = dependencies_.metrics;
  if (!held_) {
    if (!error_.empty()) metrics.pod_resources_up.Set(0);
    metrics.container_replicas.Replace({});
    metrics.container_rows_dropped.Replace({});
    return;
  }
  std::map<std::string, std::string> gpus;  // by the UUID of a device
  if (inventory_) {
    for (const gpu::Gpu& gpu : inventory_->gpus) {
      gpus[gpu.uuid] = gpu.uuid;
      for (const gpu::MigDevice& mig : gpu.mig_devices) gpus[mig.uuid] = gpu.uuid;
    }
  }
  metrics::Gauge::Samples rows;
  for (const rpc::HeldDevices& each : *held_) {
    for (const std::string& id : each.ids) {
      const std::string device = DeviceOf(id);
      const auto gpu = gpus.find(device);
      rows[{each.pod_namespace, each.pod, each.container, each.resource, device,
            gpu == gpus.end() ? "" : gpu->second}] += 1;
    }
  }
  const std::size_t dropped = rows.size() > kMostRows ? rows.size() - kMostRows : 0;
  if (dropped > 0) rows.erase(std::next(rows.begin(), kMostRows), rows.end());
  metrics.pod_resources_up.Set(1);
  metrics.container_replicas.Replace(std::move(rows));
  metrics.container_rows_dropped.Set(static_cast<double>(dropped));
}

}  // namespace aliquot::agent
