// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/containers.h"

#include <map>
#include <utility>

namespace aliquot::agent {

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

void Containers::SetInventory(std::shared_ptr<const gpu::Inventory> inventory) {
  inventory_ = std::move(inventory);
  PublishMetrics();
}

void Containers::AskAfter(Clock::Duration delay) {
  dependencies_.executor.Cancel(timer_);
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
  AskAfter(ask_again_ ? kAfterAllocate : kInterval);
  if (!answer.ok()) {
    if (error_ != answer.error().message) {
      dependencies_.log.Info("the kubelet does not say who holds what",
                             {{"error", answer.error().message}});
    }
    error_ = answer.error().message;
    held_.reset();
  } else {
    error_.clear();
    held_ = std::make_shared<const Held>(*std::move(answer));
  }
  PublishMetrics();
  if (dependencies_.changed) dependencies_.changed();
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
