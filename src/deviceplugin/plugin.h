// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "deviceplugin/plugin_manager.h"

namespace aliquot::deviceplugin {

// What all plugins of a manager share; owned by the manager and touched only on the executor.
struct PluginContext {
  PluginManager::Dependencies dependencies;
  PluginSettings settings;
  std::map<std::string, std::string> unhealthy;  // device or GPU UUID → reason
  std::optional<SocketIdentity> kubelet;         // nothing while it is away
};

// One resource: its list, its registration and its answers. Confined to the executor.
class Plugin : public std::enable_shared_from_this<Plugin> {
 public:
  Plugin(PluginContext& context, std::string name);
  ~Plugin();

  // Takes over what `plan` says; `resource` is in it.
  void Update(std::shared_ptr<const share::Plan> plan, const share::PlannedResource& resource);
  // The context's health changed.
  void HealthChanged();
  // The context's kubelet changed.
  void KubeletChanged();
  // Brings about whatever is missing: the server, the socket's file, the registration.
  void Check();
  // The resource left the plan: tells the kubelet that nothing is left, so that the node's capacity
  // does not show it for five more minutes.
  void Withdraw();
  PluginStatus status() const;
  // Whether the newest list was sent, or nobody is served any.
  bool list_sent() const { return !list_changed_ || !endpoint_; }

  Result<std::vector<rpc::ContainerAllocation>> Allocate(
      const std::vector<std::vector<std::string>>& containers, Clock::TimePoint arrival);
  Result<std::vector<std::vector<std::string>>> PreferredAllocation(
      const std::vector<rpc::PreferredRequest>& containers, Clock::TimePoint arrival);

 private:
  const share::PlannedDevice* Find(std::string_view id) const;
  Status Validate(const std::vector<std::string>& ids) const;
  std::string UnknownDevice(const std::string& id) const;
  bool IsUnhealthy(const share::PlannedDevice& device) const;
  void Adopt(std::shared_ptr<const share::Plan> plan, const share::PlannedResource& resource);
  Status Serve();
  // Sends at `due`, or now if that has passed; an earlier appointment stays.
  void SendAt(Clock::TimePoint due);
  void Send();
  void RegisterAnew();
  void Register();
  void OnRegistered(std::uint64_t generation, const Status& result);
  void SetError(std::string& which, std::string error);

  PluginContext& context_;
  const std::string name_;
  std::shared_ptr<const share::Plan> plan_;           // owns *resource_
  const share::PlannedResource* resource_ = nullptr;  // what is served; null before the first
  std::vector<std::uint32_t> by_id_;                  // positions in resource_->devices, by id
  std::unordered_set<std::size_t> withdrawn_;         // hashes of ids the last change took away
  rpc::PluginOptions options_;
  std::unique_ptr<rpc::PluginEndpoint> endpoint_;
  std::string plan_error_;     // the newest plan is not served, a former one may be
  std::string serving_error_;  // the server or its socket cannot be made

  bool list_changed_ = false;                  // since the last Send
  std::set<std::string> published_unhealthy_;  // ids, as of the last Send
  std::optional<Clock::TimePoint> last_sent_;
  std::optional<WallTime> last_sent_wall_;
  Clock::TimePoint paid_until_;  // every Send moves this on by what it costs
  Executor::TimerId send_timer_ = 0;
  Clock::TimePoint send_due_;

  // Registration: `wanted_` counts the reasons to register, `registered_` is the count that the
  // kubelet has confirmed. Equal = registered.
  std::uint64_t wanted_ = 1;
  std::uint64_t registered_ = 0;
  bool registering_ = false;
  Clock::Duration back_off_;
  Executor::TimerId register_timer_ = 0;
  std::optional<Clock::TimePoint> registered_since_;
  std::optional<WallTime> registered_at_;
  std::string registration_error_;
};

}  // namespace aliquot::deviceplugin
