// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/enforced_shares.h"
#include "agent/mig_flow.h"
#include "base/log.h"
#include "base/status.h"
#include "cdi/build.h"
#include "cdi/writer.h"
#include "config/config.h"
#include "deviceplugin/plugin_manager.h"
#include "gpu/health.h"
#include "gpu/inventory.h"
#include "metrics/agent_metrics.h"
#include "share/plan.h"

namespace aliquot::agent {

// Observe, plan, act: holds what was last seen of configuration, inventory and health, and whenever
// one of them changes makes the plan again and brings the node to it: CDI files first, so that a
// container can start on anything the kubelet hands out, then the device plugins. Level-triggered:
// the same inputs change nothing. Confined to the executor.
class Reconciler {
 public:
  struct Dependencies {
    const Logger& log;
    deviceplugin::PluginManager& plugins;
    cdi::SpecWriter& cdi_files;
    metrics::AgentMetrics& metrics;
    EnforcedShares& shares;
  };

  explicit Reconciler(Dependencies dependencies) : dependencies_(std::move(dependencies)) {}

  void SetConfig(std::shared_ptr<const config::Config> config, cdi::Options cdi_options);
  // Nothing is advertised for this reason; empty: advertise.
  void SetWithdrawn(std::string why);
  void SetInventory(std::shared_ptr<const gpu::Inventory> inventory);
  // The driver was let go: what it showed may be wrong when it comes back. What is advertised now
  // stays until then.
  void ForgetDevices();
  void SetHealth(std::shared_ptr<const gpu::HealthSnapshot> health);
  // Keeps devices of GPUs that are being changed from the kubelet, until told otherwise: of these
  // GPUs only those that stay are offered. They vanish from the lists instead of turning unhealthy:
  // that is what will be true of them, the node's capacity then is what can be had, and the
  // devices that are created in their place come as any new ones. Nobody holds one at that time.
  void SetWithheld(WithheldGpus withheld);

  // Null until configuration and inventory are known.
  const std::shared_ptr<const share::Plan>& plan() const { return plan_; }
  // What would be advertised if nothing were withdrawn. Node labels tell of it.
  const std::shared_ptr<const share::Plan>& whole_plan() const { return whole_plan_; }
  const std::shared_ptr<const gpu::Inventory>& inventory() const { return inventory_; }
  const std::shared_ptr<const gpu::HealthSnapshot>& health() const { return health_; }
  // Why CDI files could not be written; empty if they could, or none are wanted.
  const std::string& cdi_error() const { return cdi_error_; }

 private:
  void Reconcile();
  cdi::PublishedDevices WriteCdiFiles(const cdi::HostDevices& host, const cdi::Roots& roots);
  deviceplugin::PluginSettings Answers(cdi::HostDevices host, cdi::Roots roots,
                                       cdi::PublishedDevices cdi_devices) const;
  void LogConditions(const share::Plan& plan);
  void PublishMetrics();

  const Dependencies dependencies_;
  std::shared_ptr<const config::Config> config_;
  cdi::Options cdi_options_;
  std::string withdrawn_;
  std::shared_ptr<const gpu::Inventory> inventory_;
  std::shared_ptr<const gpu::HealthSnapshot> health_;
  std::shared_ptr<const share::Plan> plan_;
  std::shared_ptr<const share::Plan> whole_plan_;
  std::shared_ptr<const gpu::Inventory> planned_inventory_;  // that plan_ was made from
  std::uint64_t inventory_generation_ = 0;
  WithheldGpus withheld_;
  std::string cdi_error_;
  std::vector<share::Condition> logged_conditions_;
};

}  // namespace aliquot::agent
