// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/status_page.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json.hpp>

#include "agent/containers.h"
#include "config/effective.h"
#include "config/names.h"

namespace aliquot::agent {
namespace {

namespace json = boost::json;

std::string Rfc3339(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

json::value OrNull(const std::optional<std::chrono::system_clock::time_point>& time) {
  return time ? json::value(Rfc3339(*time)) : json::value(nullptr);
}

json::value OrNull(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

json::object ConfigToJson(const ConfigKeeper::View& view) {
  json::value effective = nullptr;
  if (view.serving) effective = config::ToJson(*view.serving);
  return {{"file", OrNull(view.path)},
          {"origin", view.origin},
          {"withdrawnBecause", OrNull(view.withdrawn)},
          {"generation", view.generation},
          {"appliedAt", OrNull(view.applied_at)},
          {"newestRefused", view.failing},
          {"refusal", OrNull(view.reason)},
          {"problems", config::ToJson(view.diagnostics)},
          {"effective", std::move(effective)}};
}

json::object DriverToJson(const AgentStatus& status) {
  json::value hang = nullptr;
  if (status.hang) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(status.hang->duration);
    hang = {{"call", status.hang->call}, {"seconds", seconds.count()}};
  }
  const gpu::Inventory* inventory = status.inventory.get();
  return {{"up", status.driver_error.empty() && inventory != nullptr},
          {"error", OrNull(status.driver_error)},
          {"hangingCall", std::move(hang)},
          {"version",
           inventory == nullptr ? json::value(nullptr) : json::value(inventory->driver_version)}};
}

json::array GpusToJson(const gpu::Inventory& inventory) {
  json::array gpus;
  for (const gpu::Gpu& gpu : inventory.gpus) {
    json::array migs;
    for (const gpu::MigDevice& mig : gpu.mig_devices) {
      migs.push_back({{"uuid", mig.uuid}, {"profile", mig.profile}});
    }
    gpus.push_back({{"index", gpu.index},
                    {"uuid", gpu.uuid},
                    {"name", gpu.name},
                    {"migEnabled", gpu.mig_enabled},
                    {"migDevices", std::move(migs)}});
  }
  return gpus;
}

json::array BrokenToJson(const gpu::Inventory& inventory) {
  json::array broken;
  for (const gpu::BrokenGpu& gpu : inventory.broken) {
    broken.push_back({{"index", gpu.index}, {"uuid", gpu.uuid}, {"reason", gpu.reason}});
  }
  return broken;
}

json::object HealthToJson(const gpu::HealthSnapshot& health) {
  json::object unhealthy;
  for (const auto& [uuid, state] : health.unhealthy) {
    unhealthy[uuid] = {{"reason", state.reason}, {"since", Rfc3339(state.since)}};
  }
  json::array xids;
  for (const auto& [event, count] : health.xid_events) {
    xids.push_back({{"gpu", event.first}, {"xid", event.second}, {"count", count}});
  }
  return {{"unhealthy", std::move(unhealthy)}, {"xidEvents", std::move(xids)}};
}

json::object PlanToJson(const share::Plan& plan) {
  json::array resources;
  for (const share::PlannedResource& resource : plan.resources) {
    resources.push_back({{"name", resource.name},
                         {"devices", resource.devices.size()},
                         {"shared", resource.shared}});
  }
  json::array conditions;
  for (const share::Condition& condition : plan.conditions) {
    const bool error = condition.severity == share::Condition::Severity::kError;
    conditions.push_back({{"severity", error ? "error" : "warning"},
                          {"object", condition.object},
                          {"message", condition.message}});
  }
  return {{"resources", std::move(resources)}, {"conditions", std::move(conditions)}};
}

// By device, then by container.
json::object HoldersToJson(const std::vector<rpc::HeldDevices>& held) {
  json::object devices;
  for (const rpc::HeldDevices& each : held) {
    std::map<std::string, json::array> ids;
    for (const std::string& id : each.ids) ids[DeviceOf(id)].emplace_back(id);
    for (auto& [device, list] : ids) {
      json::value& holders = devices[device];
      if (holders.is_null()) holders = json::array();
      holders.get_array().push_back({{"namespace", each.pod_namespace},
                                     {"pod", each.pod},
                                     {"container", each.container},
                                     {"resource", each.resource},
                                     {"ids", std::move(list)}});
    }
  }
  return devices;
}

json::array PluginsToJson(const deviceplugin::ManagerStatus& manager) {
  json::array plugins;
  for (const deviceplugin::PluginStatus& plugin : manager.plugins) {
    plugins.push_back({{"resource", plugin.name},
                       {"socket", OrNull(plugin.socket)},
                       {"registeredAt", OrNull(plugin.registered_at)},
                       {"registrationError", OrNull(plugin.registration_error)},
                       {"error", OrNull(plugin.error)},
                       {"streams", plugin.streams},
                       {"devices", plugin.devices},
                       {"unhealthy", plugin.unhealthy},
                       {"lastSentAt", OrNull(plugin.last_sent)}});
  }
  return plugins;
}

json::object MigToJson(const MigStatus& mig) {
  return {{"config", OrNull(mig.label)},
          {"state", OrNull(mig.state)},
          {"since", OrNull(mig.since)},
          {"reason", OrNull(mig.reason)},
          {"phase", mig.phase},
          {"configurationsFrom", OrNull(mig.layouts)},
          {"gpusWithheld", json::array(mig.withheld.begin(), mig.withheld.end())}};
}

json::array SharesToJson(const std::vector<grants::GrantRow>& rows) {
  json::array out;
  for (const grants::GrantRow& row : rows) {
    json::value holder = nullptr;
    if (row.grant.holder) {
      holder = {{"namespace", row.grant.holder->pod_namespace},
                {"pod", row.grant.holder->pod},
                {"container", OrNull(row.grant.holder->container)}};
    }
    json::value limit = nullptr;
    if (row.limit_bytes) limit = *row.limit_bytes;
    out.push_back({{"grant", row.grant.id},
                   {"since", Rfc3339(row.grant.created_at)},
                   {"holder", std::move(holder)},
                   {"resource", row.grant.resource},
                   {"device", row.device.uuid},
                   {"replicas", row.device.held},
                   {"of", row.device.of},
                   {"tier", "interposer"},
                   {"class", config::ToWord(row.tenant_class)},
                   {"memoryLimitBytes", std::move(limit)},
                   {"memoryChargedBytes", row.use.charged_bytes},
                   {"memoryDriverBytes", row.seen_bytes},
                   {"processes", row.sessions}});
  }
  return out;
}

}  // namespace

std::string AgentStatus::NotReady() const {
  if (idle || !config.withdrawn.empty()) return {};
  if (!config.serving) {
    std::string why = "no valid configuration yet";
    if (!cluster) return why;
    if (!cluster->silent.empty()) return why + ": " + cluster->silent;
    for (const config::Diagnostic& problem : config.diagnostics) {
      if (problem.severity != config::Severity::kError) continue;
      return why + ": " + Format(problem, config.path);
    }
    return why;
  }
  if (!inventory || !driver_error.empty()) {
    if (!config.serving->flags.fail_on_init_error) return {};
    return driver_error.empty() ? "the driver has not answered yet" : driver_error;
  }
  if (!plugins.ready()) {
    for (const deviceplugin::PluginStatus& plugin : plugins.plugins) {
      const std::string& why = plugin.error.empty() ? plugin.registration_error : plugin.error;
      if (!plugin.registered_at || !why.empty()) {
        return fmt::format("{} is not registered with the kubelet{}{}", plugin.name,
                           why.empty() ? "" : ": ", why);
      }
    }
    return "the kubelet is away";
  }
  return {};
}

json::value ToJson(const AgentStatus& status, const std::vector<std::string>& recent) {
  json::object page;
  page["version"] = status.version;
  page["startedAt"] = Rfc3339(status.started_at);
  page["ready"] = status.NotReady().empty();
  page["notReadyBecause"] = OrNull(status.NotReady());
  page["idle"] = status.idle;
  page["simulated"] = status.inventory && status.inventory->simulated();
  page["config"] = ConfigToJson(status.config);
  if (status.cluster) page["cluster"] = ToJson(*status.cluster);
  page["driver"] = DriverToJson(status);
  if (status.inventory) {
    page["gpus"] = GpusToJson(*status.inventory);
    page["brokenGpus"] = BrokenToJson(*status.inventory);
  }
  if (status.health) page["health"] = HealthToJson(*status.health);
  if (status.plan) page["plan"] = PlanToJson(*status.plan);
  if (status.mig) page["mig"] = MigToJson(*status.mig);
  page["holders"] = status.held ? json::value(HoldersToJson(*status.held)) : json::value(nullptr);
  page["holdersError"] = OrNull(status.held_error);
  page["cdiError"] = OrNull(status.cdi_error);
  page["kubelet"] = {{"registrationEnabled", status.plugins.registration_enabled},
                     {"present", status.plugins.kubelet_present},
                     {"plugins", PluginsToJson(status.plugins)}};
  page["shares"] = {{"error", OrNull(status.shares_error)},
                    {"grants", SharesToJson(status.shares)}};
  page["recentProblems"] = json::value_from(recent);
  return page;
}

}  // namespace aliquot::agent
