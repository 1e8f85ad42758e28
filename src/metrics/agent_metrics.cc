// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "metrics/agent_metrics.h"

#include <fmt/format.h>

namespace aliquot::metrics {
namespace {

// Allocate takes some tens of microseconds when all is well; the kubelet gives up after seconds.
std::vector<double> DurationBuckets() {
  return {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1};
}

}  // namespace

AgentMetrics::AgentMetrics(Registry& registry)
    : registrations(registry.AddCounter({"aliquot_registrations_total",
                                         "Registrations of a resource with the kubelet.",
                                         {"resource", "result"}})),
      list_updates(registry.AddCounter({"aliquot_device_list_updates_total",
                                        "Device lists sent to the kubelet.",
                                        {"resource"}})),
      driver_up(
          registry.AddGauge({"aliquot_driver_up", "1 if the GPU driver answers, else 0.", {}})),
      nvml_hang(registry.AddGauge(
          {"aliquot_nvml_hang_seconds",
           "How long the NVML call in progress has been blocked, in seconds; 0 if none is.",
           {}})),
      build_info_(registry.AddGauge(
          {"aliquot_build_info", "Always 1; the labels describe the program.", {"version"}})),
      node_simulated_(registry.AddGauge(
          {"aliquot_node_simulated", "1 if the node's GPUs are simulated, else 0.", {}})),
      driver_info_(registry.AddGauge({"aliquot_driver_info",
                                      "Always 1; the labels describe the GPU driver.",
                                      {"driver_version", "cuda_version"}})),
      gpus_(registry.AddGauge(
          {"aliquot_gpus", "GPUs of the node, by whether they can be offered.", {"state"}})),
      inventory_generation_(
          registry.AddGauge({"aliquot_inventory_generation",
                             "Number of changes of the inventory since the agent started.",
                             {}})),
      devices_(registry.AddGauge({"aliquot_devices",
                                  "Devices and replicas advertised to the kubelet.",
                                  {"resource", "health"}})),
      device_unhealthy_(registry.AddGauge({"aliquot_device_unhealthy",
                                           "1 for each device that is unhealthy, with the reason.",
                                           {"resource", "device", "gpu", "reason"}})),
      device_replicas_(registry.AddGauge({"aliquot_device_replicas",
                                          "Replicas a device is advertised as; 1 if not shared.",
                                          {"resource", "device", "gpu"}})),
      share_memory_(registry.AddGauge({"aliquot_share_memory_bytes",
                                       "Device memory promised to one replica, in bytes.",
                                       {"resource", "device", "gpu"}})),
      share_compute_(registry.AddGauge({"aliquot_share_compute_permille",
                                        "Compute weight of one replica, of 1000 for the device.",
                                        {"resource", "device", "gpu"}})),
      resource_tier_(registry.AddGauge({"aliquot_resource_tier",
                                        "Always 1; the tier that enforces a resource's shares.",
                                        {"resource", "tier"}})),
      plan_conditions_(registry.AddGauge(
          {"aliquot_plan_conditions",
           "Problems of the node or its configuration, by severity; the rest is served.",
           {"severity"}})),
      allocations_(registry.AddCounter({"aliquot_allocations_total",
                                        "Container requests of Allocate calls.",
                                        {"resource", "result"}})),
      allocation_duration_(registry.AddHistogram(
          {"aliquot_allocation_duration_seconds", "Time to answer Allocate, in seconds.", {}},
          DurationBuckets())),
      config_reloads_(registry.AddCounter(
          {"aliquot_config_reloads_total", "Attempts to apply a configuration.", {"result"}})),
      config_last_success_(registry.AddGauge(
          {"aliquot_config_last_success_timestamp_seconds",
           "When the configuration in use was applied, seconds since the Unix epoch.",
           {}})),
      config_last_failed_(registry.AddGauge(
          {"aliquot_config_last_reload_failed",
           "1 if the newest configuration was refused and an older one is in use, else 0.",
           {}})),
      xid_events_(registry.AddCounter(
          {"aliquot_xid_events_total", "XID errors the driver reported.", {"gpu", "xid"}})) {
  for (const char* result : {"ok", "failed"}) config_reloads_.Increment({result}, 0);
  nvml_hang.Set(0);
  driver_up.Set(0);
}

void AgentMetrics::SetBuild(const std::string& version) { build_info_.Set(1, {version}); }

void AgentMetrics::SetInventory(const gpu::Inventory& inventory, std::uint64_t generation) {
  node_simulated_.Set(inventory.simulated() ? 1 : 0);
  driver_info_.Replace(
      {{{inventory.driver_version,
         fmt::format("{}.{}", inventory.cuda_version / 1000, inventory.cuda_version % 1000 / 10)},
        1}});
  gpus_.Set(static_cast<double>(inventory.gpus.size()), {"ok"});
  gpus_.Set(static_cast<double>(inventory.broken.size()), {"broken"});
  inventory_generation_.Set(static_cast<double>(generation));
}

void AgentMetrics::SetPlan(const share::Plan& plan,
                           const std::map<std::string, std::string>& unhealthy,
                           const std::map<std::string, std::string>& tiers) {
  Gauge::Samples devices, reasons, replicas, memory, compute, tier;
  for (const share::PlannedResource& resource : plan.resources) {
    devices[{resource.name, "healthy"}] = 0;
    devices[{resource.name, "unhealthy"}] = 0;
    const auto found = tiers.find(resource.name);
    tier[{resource.name, found == tiers.end() ? "none" : found->second}] = 1;
    for (const share::PlannedDevice& device : resource.devices) {
      const LabelValues labels = {resource.name, device.device_uuid, device.gpu_uuid};
      const auto bad = unhealthy.find(device.device_uuid);
      devices[{resource.name, bad == unhealthy.end() ? "healthy" : "unhealthy"}] += 1;
      if (bad != unhealthy.end()) {
        reasons[{resource.name, device.device_uuid, device.gpu_uuid, bad->second}] = 1;
      }
      replicas[labels] = device.replicas;
      if (device.share.memory_bytes) {
        memory[labels] = static_cast<double>(*device.share.memory_bytes);
      }
      if (device.share.compute_permille) compute[labels] = *device.share.compute_permille;
    }
  }
  Gauge::Samples conditions = {{{"warning"}, 0}, {{"error"}, 0}};
  for (const share::Condition& condition : plan.conditions) {
    const bool error = condition.severity == share::Condition::Severity::kError;
    conditions[{error ? "error" : "warning"}] += 1;
  }
  devices_.Replace(std::move(devices));
  device_unhealthy_.Replace(std::move(reasons));
  device_replicas_.Replace(std::move(replicas));
  share_memory_.Replace(std::move(memory));
  share_compute_.Replace(std::move(compute));
  resource_tier_.Replace(std::move(tier));
  plan_conditions_.Replace(std::move(conditions));
}

void AgentMetrics::CountAllocation(const std::string& resource, bool ok,
                                   std::chrono::nanoseconds took) {
  allocations_.Increment({resource, ok ? "ok" : "failed"});
  allocation_duration_.Observe(std::chrono::duration<double>(took).count());
}

void AgentMetrics::CountConfigReload(bool ok, std::chrono::system_clock::time_point now) {
  config_reloads_.Increment({ok ? "ok" : "failed"});
  config_last_failed_.Set(ok ? 0 : 1);
  if (ok) {
    config_last_success_.Set(std::chrono::duration<double>(now.time_since_epoch()).count());
  }
}

void AgentMetrics::CountXid(const std::string& gpu, unsigned long long xid) {
  xid_events_.Increment({gpu, fmt::to_string(xid)});
}

}  // namespace aliquot::metrics
