// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/executor.h"
#include "base/fd_poller.h"
#include "base/log.h"
#include "deviceplugin/directory_watch.h"
#include "deviceplugin/plugin_manager.h"
#include "rpc/device_plugin_server.h"
#include "rpc/kubelet_client.h"
#include "rpc/socket_path.h"

// The plugin manager with the real gRPC, inotify and threads under it, as the agent wires them.
// For contract tests and benchmarks.
namespace aliquot::deviceplugin {

class ServingNode {
 public:
  explicit ServingNode(const std::string& directory)
      : log_(clock_, Logger::NullSink()),
        poller_(*FdPoller::Create()),
        directory_(*InotifyDirectory::Open(*poller_, directory + "/kubelet.sock", directory)),
        transport_(*poller_, directory, rpc::NewInstanceId()),
        registrar_(directory + "/kubelet.sock") {
    rpc::RemoveStaleSockets(directory);
    On([this] {
      manager_ = std::make_unique<PluginManager>(PluginManager::Dependencies{
          executor_, clock_, log_, transport_, &registrar_, *directory_, nullptr});
    });
  }
  ~ServingNode() {
    On([this] { manager_.reset(); });
  }

  // Runs `task` on the executor and waits for it.
  void On(const std::function<void()>& task) {
    std::promise<void> done;
    executor_.Post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  void Apply(share::Plan plan, PluginSettings settings = SimpleSettings()) {
    auto shared = std::make_shared<const share::Plan>(std::move(plan));
    On([&] { manager_->Apply(std::move(shared), std::move(settings)); });
  }
  void SetHealth(const std::map<std::string, std::string>& unhealthy) {
    On([&] { manager_->SetHealth(unhealthy); });
  }
  ManagerStatus status() {
    ManagerStatus status;
    On([&] { status = manager_->status(); });
    return status;
  }

  // `gpus` GPUs, each offered `replicas` times.
  static share::PlannedResource Resource(std::string name, int gpus, unsigned replicas) {
    share::PlannedResource resource;
    resource.name = std::move(name);
    resource.shared = replicas > 1;
    for (int gpu = 0; gpu < gpus; ++gpu) {
      for (unsigned replica = 0; replica < replicas; ++replica) {
        share::PlannedDevice& device = resource.devices.emplace_back();
        device.gpu_uuid = fmt::format("GPU-{:08x}-5bad-4f1e-9d6c-0123456789ab", gpu);
        device.device_uuid = device.gpu_uuid;
        device.id = device.gpu_uuid;
        device.numa_node = gpu % 2;
        if (replicas == 1) continue;
        device.replica = replica;
        device.replicas = replicas;
        device.id += fmt::format("::{}", replica);
      }
    }
    return resource;
  }
  static PluginSettings SimpleSettings() {
    PluginSettings settings;
    settings.allocate =
        [](const share::PlannedResource&,
           const std::vector<std::string>& ids) -> Result<rpc::ContainerAllocation> {
      rpc::ContainerAllocation allocation;
      std::string& visible = allocation.envs["NVIDIA_VISIBLE_DEVICES"];
      for (const std::string& id : ids) {
        visible += (visible.empty() ? "" : ",") + id.substr(0, id.find("::"));
      }
      return allocation;
    };
    settings.preferred =
        [](const share::PlannedResource&,
           const rpc::PreferredRequest& request) -> Result<std::vector<std::string>> {
      // The last ones, which a kubelet left to itself would not take.
      return std::vector<std::string>(request.available.end() - request.size,
                                      request.available.end());
    };
    return settings;
  }

 private:
  SystemClock clock_;
  Logger log_;
  ThreadExecutor executor_;  // outlives all that posts to it
  std::unique_ptr<FdPoller> poller_;
  std::unique_ptr<InotifyDirectory> directory_;
  rpc::DevicePluginServers transport_;
  rpc::KubeletClient registrar_;
  std::unique_ptr<PluginManager> manager_;
};

}  // namespace aliquot::deviceplugin
