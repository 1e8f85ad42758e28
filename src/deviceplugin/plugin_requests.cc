// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// How a plugin answers the kubelet's questions; what it tells by itself is in plugin.cc.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "base/text.h"
#include "deviceplugin/plugin.h"

namespace aliquot::deviceplugin {

const share::PlannedDevice* Plugin::Find(std::string_view id) const {
  const auto it = std::lower_bound(by_id_.begin(), by_id_.end(), id,
                                   [this](std::uint32_t position, std::string_view wanted) {
                                     return resource_->devices[position].id < wanted;
                                   });
  if (it == by_id_.end() || resource_->devices[*it].id != id) return nullptr;
  return &resource_->devices[*it];
}

std::string Plugin::UnknownDevice(const std::string& id) const {
  std::string text = fmt::format("unknown device: {}", id);
  if (withdrawn_.contains(std::hash<std::string>()(id))) {
    text += " (the node's configuration or hardware just changed and took it away)";
  }
  return text;
}

Status Plugin::Validate(const std::vector<std::string>& ids) const {
  bool shared = false;
  std::string problem;
  for (const std::string& id : ids) {
    const share::PlannedDevice* device = Find(id);
    if (device == nullptr) {
      problem = UnknownDevice(id);
      break;
    }
    shared = shared || device->replica.has_value();
  }
  if (problem.empty() && shared && resource_->max_request && ids.size() > *resource_->max_request) {
    problem = fmt::format("maximum request size for shared resources is {}; found {}",
                          *resource_->max_request, ids.size());
  }
  if (problem.empty()) return {};
  // Words and code (Unknown) are NVIDIA k8s-device-plugin's, since they show up in pod events.
  return Error{Code::kUnknown, fmt::format("invalid allocation request for \"{}\": "
                                           "invalid request: {}",
                                           name_, problem)};
}

Result<std::vector<rpc::ContainerAllocation>> Plugin::Allocate(
    const std::vector<std::vector<std::string>>& containers, Clock::TimePoint arrival) {
  std::vector<rpc::ContainerAllocation> allocations;
  for (const std::vector<std::string>& ids : containers) {
    Status failure = Validate(ids);
    if (failure.ok()) {
      std::vector<std::string> distinct;
      for (const std::string& id : ids) {
        if (std::find(distinct.begin(), distinct.end(), id) == distinct.end()) {
          distinct.push_back(id);
        }
      }
      Result<rpc::ContainerAllocation> allocation =
          context_.settings.allocate(*resource_, distinct);
      if (allocation.ok()) {
        allocations.push_back(*std::move(allocation));
      } else {
        failure = allocation.error().In(fmt::format("cannot allocate \"{}\"", name_));
      }
    }
    const bool ok = failure.ok();
    if (context_.dependencies.observer != nullptr) {
      context_.dependencies.observer->OnAllocate(name_, ids,
                                                 context_.dependencies.clock.Now() - arrival, ok);
    }
    if (!ok) {
      context_.dependencies.log.Warning("allocation refused",
                                        {{"resource", name_}, {"error", failure.error().message}});
      return failure.error();
    }
    context_.dependencies.log.Info("devices allocated",
                                   {{"resource", name_}, {"ids", Join(ids, ",")}});
  }
  return allocations;
}

Result<std::vector<std::vector<std::string>>> Plugin::PreferredAllocation(
    const std::vector<rpc::PreferredRequest>& containers, Clock::TimePoint arrival) {
  std::vector<std::vector<std::string>> chosen;
  Status failure;
  for (const rpc::PreferredRequest& request : containers) {
    Result<std::vector<std::string>> ids = context_.settings.preferred(*resource_, request);
    if (!ids.ok()) {
      failure = ids.error().In("error getting list of preferred allocation devices");
      context_.dependencies.log.Warning("preferred allocation failed",
                                        {{"resource", name_}, {"error", failure.error().message}});
      break;
    }
    chosen.push_back(*std::move(ids));
  }
  if (context_.dependencies.observer != nullptr) {
    context_.dependencies.observer->OnPreferredAllocation(
        name_, context_.dependencies.clock.Now() - arrival, failure.ok());
  }
  if (!failure.ok()) return failure.error();
  return chosen;
}

}  // namespace aliquot::deviceplugin
