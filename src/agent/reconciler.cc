// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/reconciler.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "cdi/host_devices.h"
#include "deviceplugin/add_share.h"
#include "deviceplugin/allocate.h"
#include "share/planner.h"
#include "share/preferred.h"

namespace aliquot::agent {
namespace {

// What answers to the kubelet are made from; shared by the two functions of PluginSettings and kept
// alive by them.
struct AnswerContext {
  std::shared_ptr<const config::Config> config;
  std::shared_ptr<const gpu::Inventory> inventory;
  cdi::HostDevices host;
  cdi::Roots roots;
  cdi::PublishedDevices cdi_devices;
  std::map<std::string, share::PreferredAllocator> allocators;  // by resource
};

// How the shares of each resource are enforced; resources of whole GPUs have none.
std::map<std::string, std::string> Tiers(const share::Plan& plan) {
  std::map<std::string, std::string> tiers;
  for (const share::PlannedResource& resource : plan.resources) {
    const bool promised =
        std::any_of(resource.devices.begin(), resource.devices.end(),
                    [](const share::PlannedDevice& d) { return d.share != share::Share{}; });
    if (resource.shared) {
      tiers[resource.name] = promised ? "interposer" : "none";
    } else if (!resource.devices.empty() && resource.devices.front().mig_uuid) {
      tiers[resource.name] = "mig";
    }
  }
  return tiers;
}

std::map<std::string, std::string> Reasons(const gpu::HealthSnapshot* health) {
  std::map<std::string, std::string> reasons;
  if (health == nullptr) return reasons;
  for (const auto& [uuid, state] : health->unhealthy) reasons[uuid] = state.reason;
  return reasons;
}

std::set<std::string> DeviceUuids(const gpu::Inventory& inventory) {
  std::set<std::string> uuids;
  for (const gpu::Gpu& gpu : inventory.gpus) {
    uuids.insert(gpu.uuid);
    for (const gpu::MigDevice& mig : gpu.mig_devices) uuids.insert(mig.uuid);
  }
  return uuids;
}

// Whether both have the same GPUs, with MIG on in the same ones, and the same MIG devices.
bool SameDevices(const gpu::Inventory& a, const gpu::Inventory& b) {
  const auto modes = [](const gpu::Inventory& inventory) {
    std::set<std::string> with_mig;
    for (const gpu::Gpu& gpu : inventory.gpus) {
      if (gpu.mig_enabled) with_mig.insert(gpu.uuid);
    }
    return with_mig;
  };
  return DeviceUuids(a) == DeviceUuids(b) && modes(a) == modes(b);
}

// A resource that cannot be offered as it is configured now keeps what it offered before, as long
// as its devices are there and not offered elsewhere: a slip in the configuration must not empty
// the node.
void KeepRefused(const share::Plan& former, const gpu::Inventory& inventory, share::Plan& plan) {
  std::set<std::string> free = DeviceUuids(inventory);
  std::set<std::string> names;
  for (const share::PlannedResource& resource : plan.resources) {
    names.insert(resource.name);
    for (const share::PlannedDevice& device : resource.devices) free.erase(device.device_uuid);
  }
  for (share::Condition& condition : plan.conditions) {
    if (condition.severity != share::Condition::Severity::kError) continue;
    const auto kept = std::find_if(
        former.resources.begin(), former.resources.end(),
        [&](const share::PlannedResource& resource) { return resource.name == condition.object; });
    if (kept == former.resources.end() || names.contains(kept->name)) continue;
    const bool possible = std::all_of(
        kept->devices.begin(), kept->devices.end(),
        [&](const share::PlannedDevice& device) { return free.contains(device.device_uuid); });
    if (!possible) continue;
    condition.message += "; what was offered before stays";
    plan.resources.push_back(*kept);
  }
  std::sort(plan.resources.begin(), plan.resources.end(),
            [](const share::PlannedResource& a, const share::PlannedResource& b) {
              return a.name < b.name;
            });
}

void Withhold(const WithheldGpus& withheld, share::Plan& plan) {
  for (share::PlannedResource& resource : plan.resources) {
    std::erase_if(resource.devices, [&](const share::PlannedDevice& device) {
      const auto gpu = withheld.find(device.gpu_uuid);
      return gpu != withheld.end() && !gpu->second.contains(device.device_uuid);
    });
  }
  std::erase_if(plan.resources, [](const auto& resource) { return resource.devices.empty(); });
}

}  // namespace

void Reconciler::SetConfig(std::shared_ptr<const config::Config> config, cdi::Options cdi_options) {
  config_ = std::move(config);
  cdi_options_ = std::move(cdi_options);
  Reconcile();
}

void Reconciler::SetWithdrawn(std::string why) {
  if (withdrawn_ == why) return;
  withdrawn_ = std::move(why);
  Reconcile();
}

void Reconciler::SetInventory(std::shared_ptr<const gpu::Inventory> inventory) {
  inventory_ = std::move(inventory);
  dependencies_.metrics.SetInventory(*inventory_, ++inventory_generation_);
  Reconcile();
}

void Reconciler::ForgetDevices() {
  inventory_.reset();
  health_.reset();
}

void Reconciler::SetHealth(std::shared_ptr<const gpu::HealthSnapshot> health) {
  const auto before = std::exchange(health_, std::move(health));
  for (const auto& [event, count] : health_->xid_events) {
    std::uint64_t known = 0;
    if (before) {
      const auto it = before->xid_events.find(event);
      if (it != before->xid_events.end()) known = it->second;
    }
    for (; known < count; ++known) dependencies_.metrics.CountXid(event.first, event.second);
  }
  dependencies_.plugins.SetHealth(Reasons(health_.get()));
  PublishMetrics();
}

void Reconciler::SetWithheld(WithheldGpus withheld) {
  if (withheld_ == withheld) return;
  withheld_ = std::move(withheld);
  Reconcile();
}

void Reconciler::Reconcile() {
  if (!config_ || !inventory_) return;
  share::Plan built = share::BuildPlan(*inventory_, *config_);
  whole_plan_.reset();
  if (!withdrawn_.empty()) {
    whole_plan_ = std::make_shared<const share::Plan>(built);
    built.resources.clear();
    built.conditions = {{share::Condition::Severity::kWarning, "node",
                         fmt::format("nothing is advertised: {}", withdrawn_)}};
  }
  // Over a change of the configuration only: other devices may make the former offer wrong.
  if (plan_ && withdrawn_.empty() && SameDevices(*planned_inventory_, *inventory_)) {
    KeepRefused(*plan_, *inventory_, built);
  }
  Withhold(withheld_, built);
  planned_inventory_ = inventory_;
  auto plan = std::make_shared<const share::Plan>(std::move(built));
  const cdi::Roots roots = cdi::ResolveRoots(config_->flags);
  cdi::HostDevices host = cdi::ReadHostDevices(roots.dev);
  cdi::PublishedDevices cdi_devices = WriteCdiFiles(host, roots);
  LogConditions(*plan);
  plan_ = plan;
  if (!whole_plan_) whole_plan_ = plan_;
  dependencies_.plugins.Apply(plan_, Answers(std::move(host), roots, std::move(cdi_devices)));
  PublishMetrics();
}

cdi::PublishedDevices Reconciler::WriteCdiFiles(const cdi::HostDevices& host,
                                                const cdi::Roots& roots) {
  const std::string former_error = std::exchange(cdi_error_, {});
  auto specs = cdi::BuildSpecs(*config_, *inventory_, host, roots, cdi_options_);
  Status result = specs.status();
  if (specs.ok()) {
    for (const std::string& warning : specs->warnings) {
      dependencies_.log.Warning("cdi warning", {{"problem", warning}});
    }
    const auto report = dependencies_.cdi_files.Apply(specs->specs);
    result = report.status();
    if (report.ok() && (!report->written.empty() || !report->removed.empty())) {
      dependencies_.log.Info("cdi files changed",
                             {{"written", fmt::to_string(report->written.size())},
                              {"removed", fmt::to_string(report->removed.size())}});
    }
  }
  if (result.ok()) return specs->Devices();
  cdi_error_ = result.error().message;
  if (cdi_error_ != former_error) {
    dependencies_.log.Error("cdi files not written", {{"error", cdi_error_}});
  }
  return {};
}

deviceplugin::PluginSettings Reconciler::Answers(cdi::HostDevices host, cdi::Roots roots,
                                                 cdi::PublishedDevices cdi_devices) const {
  auto context = std::make_shared<AnswerContext>();
  context->config = config_;
  context->inventory = inventory_;
  context->host = std::move(host);
  context->roots = std::move(roots);
  context->cdi_devices = std::move(cdi_devices);
  for (const share::PlannedResource& resource : plan_->resources) {
    context->allocators.try_emplace(resource.name, resource, *inventory_);
  }
  deviceplugin::PluginSettings settings;
  settings.allocate = [context, &shares = dependencies_.shares](
                          const share::PlannedResource& resource,
                          const std::vector<std::string>& ids) -> Result<rpc::ContainerAllocation> {
    const deviceplugin::AllocateInput input{*context->config,    resource,      ids,
                                            *context->inventory, context->host, context->roots,
                                            context->cdi_devices};
    auto answer = deviceplugin::Allocate(input);
    if (!answer.ok()) return answer;
    const auto injection = shares.Issue(resource, ids, *context->inventory,
                                        deviceplugin::LibrariesLieOverDriver(input));
    if (!injection.ok()) return injection.error();
    if (!injection->has_value()) return answer;
    if (Status added = deviceplugin::AddShare(input, **injection, *answer); !added.ok()) {
      return added.error();
    }
    return answer;
  };
  settings.preferred =
      [context](const share::PlannedResource& resource,
                const rpc::PreferredRequest& request) -> Result<std::vector<std::string>> {
    const share::PreferredArgs args{request.available, request.must_include, request.size};
    const auto policy = context->config->flags.allocation_policy;
    const auto it = context->allocators.find(resource.name);
    // A resource whose new list was refused is still served by a former plan.
    if (it == context->allocators.end()) {
      return share::PreferredAllocation(resource, *context->inventory, policy, args);
    }
    return it->second.Choose(policy, args);
  };
  return settings;
}

void Reconciler::LogConditions(const share::Plan& plan) {
  for (const share::Condition& condition : plan.conditions) {
    if (std::find(logged_conditions_.begin(), logged_conditions_.end(), condition) !=
        logged_conditions_.end()) {
      continue;
    }
    if (condition.severity == share::Condition::Severity::kError) {
      dependencies_.log.Error("not served as asked",
                              {{"object", condition.object}, {"problem", condition.message}});
    } else {
      dependencies_.log.Warning("not as asked",
                                {{"object", condition.object}, {"problem", condition.message}});
    }
  }
  logged_conditions_ = plan.conditions;
}

void Reconciler::PublishMetrics() {
  if (plan_) dependencies_.metrics.SetPlan(*plan_, Reasons(health_.get()), Tiers(*plan_));
}

}  // namespace aliquot::agent
