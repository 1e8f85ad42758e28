// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "deviceplugin/plugin_manager.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "deviceplugin/plugin.h"
#include "share/list_size.h"

namespace aliquot::deviceplugin {
namespace {

// In case the directory's watch missed something, as it may with symbolic links and bind mounts.
constexpr std::chrono::seconds kPeriod{10};

}  // namespace

bool ManagerStatus::ready() const {
  return std::all_of(plugins.begin(), plugins.end(), [this](const PluginStatus& plugin) {
    return !plugin.socket.empty() && (!registration_enabled || plugin.registered_at);
  });
}

Status CheckListSizes(const share::Plan& plan) {
  for (const share::PlannedResource& resource : plan.resources) {
    const std::size_t bytes = share::EncodedListBytes(resource);
    if (bytes > share::kMaxListBytes) {
      return Error{
          Code::kResourceExhausted,
          fmt::format("resource \"{}\" has {} devices, a list of {} bytes, but the kubelet "
                      "takes 4 MiB and we stop at {}; lower its replicas",
                      resource.name, resource.devices.size(), bytes, share::kMaxListBytes)};
    }
  }
  return {};
}

PluginManager::PluginManager(Dependencies dependencies)
    : context_(new PluginContext{dependencies, {}, {}, {}}),
      self_(std::make_shared<PluginManager*>(this)) {
  // Several changes while a check waits for its turn are one check.
  auto waiting = std::make_shared<std::atomic<bool>>(false);
  dependencies.directory.Watch(
      [waiting, weak = std::weak_ptr(self_), &executor = dependencies.executor] {
        if (waiting->exchange(true)) return;
        executor.Post([waiting, weak] {
          waiting->store(false);
          if (const auto self = weak.lock()) (*self)->Check();
        });
      });
  Check();
  SchedulePeriodicCheck();
}

PluginManager::~PluginManager() {
  context_->dependencies.directory.Unwatch();
  context_->dependencies.executor.Cancel(periodic_);
}

void PluginManager::SchedulePeriodicCheck() {
  periodic_ = context_->dependencies.executor.PostAfter(kPeriod, [weak = std::weak_ptr(self_)] {
    const auto self = weak.lock();
    if (!self) return;
    (*self)->Check();
    (*self)->SchedulePeriodicCheck();
  });
}

void PluginManager::Check() {
  const std::optional<SocketIdentity> kubelet = context_->dependencies.directory.LookAtKubelet();
  if (kubelet != context_->kubelet) {
    context_->kubelet = kubelet;
    context_->dependencies.log.Info(kubelet ? "kubelet is there" : "kubelet is away");
    for (const auto& [name, plugin] : plugins_) plugin->KubeletChanged();
  }
  for (const auto& [name, plugin] : plugins_) plugin->Check();
}

void PluginManager::Apply(std::shared_ptr<const share::Plan> plan, PluginSettings settings) {
  context_->settings = std::move(settings);
  std::erase_if(plugins_, [&](const auto& entry) {
    const bool stays = std::any_of(
        plan->resources.begin(), plan->resources.end(),
        [&](const share::PlannedResource& resource) { return resource.name == entry.first; });
    if (!stays) entry.second->Withdraw();
    return !stays;
  });
  for (const share::PlannedResource& resource : plan->resources) {
    std::shared_ptr<Plugin>& plugin = plugins_[resource.name];
    const bool added = !plugin;
    if (added) plugin = std::make_shared<Plugin>(*context_, resource.name);
    plugin->Update(plan, resource);
    if (added) plugin->Check();
  }
}

void PluginManager::SetHealth(std::map<std::string, std::string> unhealthy) {
  context_->unhealthy = std::move(unhealthy);
  for (const auto& [name, plugin] : plugins_) plugin->HealthChanged();
}

bool PluginManager::lists_sent() const {
  return std::all_of(plugins_.begin(), plugins_.end(),
                     [](const auto& plugin) { return plugin.second->list_sent(); });
}

ManagerStatus PluginManager::status() const {
  ManagerStatus status;
  status.registration_enabled = context_->dependencies.registrar != nullptr;
  status.kubelet_present = context_->kubelet.has_value();
  for (const auto& [name, plugin] : plugins_) status.plugins.push_back(plugin->status());
  return status;
}

}  // namespace aliquot::deviceplugin
