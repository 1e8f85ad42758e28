// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "metrics/grant_metrics.h"

#include <utility>

namespace aliquot::metrics {
namespace {

std::vector<std::string> ContainerLabels() {
  return {"grant", "namespace", "pod", "container", "device"};
}

Descriptor OfContainer(const char* name, const char* help) {
  return {name, help, ContainerLabels()};
}

}  // namespace

GrantMetrics::GrantMetrics(Registry& registry)
    : info_(registry.AddGauge(
          {"aliquot_grant_info",
           "Always 1; a container with an enforced share, and what enforces it.",
           {"grant", "namespace", "pod", "container", "resource", "device", "gpu", "tier"}})),
      weight_(registry.AddGauge(OfContainer("aliquot_grant_weight_ratio",
                                            "Part of the device's time that was promised."))),
      limit_(
          registry.AddGauge(OfContainer("aliquot_grant_memory_limit_bytes",
                                        "Most device memory the container may hold, in bytes."))),
      charged_(registry.AddGauge(OfContainer("aliquot_grant_memory_charged_bytes",
                                             "Device memory charged to the container, in bytes."))),
      peak_(registry.AddGauge(
          OfContainer("aliquot_grant_memory_peak_bytes", "Most that was ever charged, in bytes."))),
      driver_(registry.AddGauge(
          OfContainer("aliquot_grant_memory_driver_bytes",
                      "Memory that the container's processes hold as the driver says, in bytes."))),
      sessions_(registry.AddGauge(
          OfContainer("aliquot_grant_sessions", "Processes of the container that are connected."))),
      foreign_(registry.AddGauge(
          {"aliquot_shared_device_foreign_memory_bytes",
           "Memory on a device with enforced shares that processes of no share hold, in bytes.",
           {"device"}})),
      denied_(registry.AddCounter(OfContainer("aliquot_grant_denied_allocations_total",
                                              "Allocations refused because of the limit."))),
      used_(registry.AddCounter(
          OfContainer("aliquot_grant_gpu_seconds_total", "GPU time used, in seconds."))),
      granted_(registry.AddCounter(
          OfContainer("aliquot_grant_granted_seconds_total",
                      "Time in which the container had work and was let through, in seconds."))),
      waited_(registry.AddCounter(
          OfContainer("aliquot_grant_waited_seconds_total",
                      "Time in which the container had work and was held back, in seconds."))),
      violations_(
          registry.AddCounter({"aliquot_grant_violations_total",
                               "Findings of the audit: processes that went around the enforcement.",
                               {"namespace", "pod", "container", "device", "kind", "outcome"}})),
      events_(registry.AddCounter({"aliquot_arbiter_events_total",
                                   "What processes with an enforced share reported or did.",
                                   {"kind"}})) {}

void GrantMetrics::Set(const std::vector<GrantSample>& samples,
                       const std::map<std::string, std::uint64_t>& foreign) {
  Gauge::Samples info, weight, limit, charged, peak, driver, sessions, others;
  std::set<LabelValues> counted;
  for (const GrantSample& one : samples) {
    const LabelValues labels = {one.grant, one.pod_namespace, one.pod, one.container, one.device};
    info[{one.grant, one.pod_namespace, one.pod, one.container, one.resource, one.device, one.gpu,
          one.tier}] = 1;
    weight[labels] = one.weight_ratio;
    if (one.limit_bytes) limit[labels] = static_cast<double>(*one.limit_bytes);
    charged[labels] = static_cast<double>(one.charged_bytes);
    peak[labels] = static_cast<double>(one.peak_bytes);
    driver[labels] = static_cast<double>(one.driver_bytes);
    sessions[labels] = static_cast<double>(one.sessions);
    denied_.SetTotal(static_cast<double>(one.denied), labels);
    used_.SetTotal(one.used_seconds, labels);
    granted_.SetTotal(one.granted_seconds, labels);
    waited_.SetTotal(one.waited_seconds, labels);
    counted.insert(labels);
  }
  for (const LabelValues& labels : counted_) {
    if (counted.contains(labels)) continue;
    for (Counter* counter : {&denied_, &used_, &granted_, &waited_}) counter->Remove(labels);
  }
  counted_ = std::move(counted);
  for (const auto& [device, bytes] : foreign) others[{device}] = static_cast<double>(bytes);
  info_.Replace(std::move(info));
  weight_.Replace(std::move(weight));
  limit_.Replace(std::move(limit));
  charged_.Replace(std::move(charged));
  peak_.Replace(std::move(peak));
  driver_.Replace(std::move(driver));
  sessions_.Replace(std::move(sessions));
  foreign_.Replace(std::move(others));
}

void GrantMetrics::CountViolation(const std::string& pod_namespace, const std::string& pod,
                                  const std::string& container, const std::string& device,
                                  const std::string& kind, const std::string& outcome) {
  violations_.Increment({pod_namespace, pod, container, device, kind, outcome});
}

void GrantMetrics::CountEvent(const std::string& kind) { events_.Increment({kind}); }

}  // namespace aliquot::metrics
