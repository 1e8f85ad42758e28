// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/mig_mode.h"

#include <algorithm>
#include <utility>

#include "agent/containers.h"

namespace aliquot::agent {
namespace {

// A burst of file events is one change.
constexpr std::chrono::milliseconds kSettle{20};

PodsByDevice ByDevice(const std::vector<rpc::HeldDevices>& held) {
  PodsByDevice pods;
  for (const rpc::HeldDevices& container : held) {
    const std::string pod = container.pod_namespace + "/" + container.pod;
    for (const std::string& id : container.ids) {
      std::vector<std::string>& names = pods[DeviceOf(id)];
      if (std::find(names.begin(), names.end(), pod) == names.end()) names.push_back(pod);
    }
  }
  return pods;
}

}  // namespace

MigMode::MigMode(MigAgentOptions options, Agent agent)
    : options_(std::move(options)),
      executor_(agent.executor),
      host_(options_.host, agent.log),
      node_(options_.node, Connect(std::move(agent))) {}

MigNode::Dependencies MigMode::Connect(Agent agent) {
  MigNode::Dependencies dependencies{agent.executor,
                                     agent.clock,
                                     agent.log,
                                     agent.client,
                                     host_,
                                     std::move(agent.drive),
                                     std::move(agent.withhold),
                                     std::move(agent.lists_sent),
                                     {},
                                     std::move(agent.changed)};
  if (rpc::PodResourcesClient* pods = agent.pods) {
    // The ids say which devices are ours; resources may have any name.
    dependencies.list_pods = [pods](std::function<void(Result<PodsByDevice>)> done) {
      pods->List("", [done = std::move(done)](Result<std::vector<rpc::HeldDevices>> held) {
        if (!held.ok()) return done(held.error());
        done(ByDevice(*held));
      });
    };
  }
  return dependencies;
}

Status MigMode::WatchFile(FdPoller& poller) {
  const std::string& path = options_.node.layouts.file;
  if (path.empty()) return {};
  auto watch = FileWatch::Start(poller, path, [this] {
    executor_.PostAfter(kSettle, [this, alive = std::weak_ptr<int>(alive_)] {
      if (alive.lock()) node_.ReloadFile();
    });
  });
  if (!watch.ok()) return watch.error();
  watch_ = std::move(*watch);
  return {};
}

void MigMode::SetWish(MigWish wish) {
  wish.allow_reboot = wish.allow_reboot || options_.allow_reboot;
  if (wish.config_map.empty()) wish.config_map = options_.config_map;
  if (!wish.stop_host_clients) {
    wish.stop_host_clients = options_.stop_host_clients || !wish.clients_map.empty();
  }
  // A simulated node has no services, and those of the machine it runs on are none of its business.
  if (!options_.host.on_host) wish.stop_host_clients = false;
  node_.SetWish(wish);
}

}  // namespace aliquot::agent
