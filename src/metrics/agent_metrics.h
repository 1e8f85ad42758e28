// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "gpu/inventory.h"
#include "metrics/registry.h"
#include "share/plan.h"

namespace aliquot::metrics {

// Every metric of the agent, declared in one place. docs/metrics.md describes each; a test compares
// the two. Thread-safe as the families are. `registry` must outlive it.
class AgentMetrics {
 public:
  explicit AgentMetrics(Registry& registry);

  void SetBuild(const std::string& version);
  // What the node is and has. `generation` counts changes of the inventory.
  void SetInventory(const gpu::Inventory& inventory, std::uint64_t generation);
  // What is advertised. `unhealthy` maps the UUIDs of devices to why they are; `tiers` maps
  // resource names to how shares are enforced (mig, kernel, mps, interposer, none). What the plan
  // lacks goes from the page.
  void SetPlan(const share::Plan& plan, const std::map<std::string, std::string>& unhealthy,
               const std::map<std::string, std::string>& tiers);
  // One Allocate call, per container request.
  void CountAllocation(const std::string& resource, bool ok, std::chrono::nanoseconds took);
  // `now` is the wall clock.
  void CountConfigReload(bool ok, std::chrono::system_clock::time_point now);
  // `xid` as the driver reported it; `gpu` is a UUID.
  void CountXid(const std::string& gpu, unsigned long long xid);

  Counter& registrations;  // resource, result: ok | failed
  Counter& list_updates;   // resource
  Gauge& driver_up;        // 1 while NVML answers
  Gauge& nvml_hang;        // seconds the call in progress has been blocked; 0 if none

 private:
  Gauge& build_info_;
  Gauge& node_simulated_;
  Gauge& driver_info_;
  Gauge& gpus_;
  Gauge& inventory_generation_;
  Gauge& devices_;
  Gauge& device_unhealthy_;
  Gauge& device_replicas_;
  Gauge& share_memory_;
  Gauge& share_compute_;
  Gauge& resource_tier_;
  Gauge& plan_conditions_;
  Counter& allocations_;
  Histogram& allocation_duration_;
  Counter& config_reloads_;
  Gauge& config_last_success_;
  Gauge& config_last_failed_;
  Counter& xid_events_;
};

}  // namespace aliquot::metrics
