// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/value.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/cluster_status.h"
#include "agent/config_keeper.h"
#include "agent/mig_status.h"
#include "agent/reconciler.h"
#include "deviceplugin/plugin_manager.h"
#include "gpu/gpu_observer.h"
#include "grants/manager.h"
#include "rpc/pod_resources_client.h"

namespace aliquot::agent {

// Everything the status page tells, as of one moment. A plain value made on the executor and
// formatted on the HTTP thread.
struct AgentStatus {
  std::string version;
  std::chrono::system_clock::time_point started_at;
  ConfigKeeper::View config;
  std::optional<ClusterStatus> cluster;             // absent in file mode
  std::shared_ptr<const gpu::Inventory> inventory;  // null until the driver answered
  std::shared_ptr<const gpu::HealthSnapshot> health;
  std::shared_ptr<const share::Plan> plan;
  bool idle = false;  // there is no GPU, so nothing is done
  // Who holds what; null while the kubelet does not say.
  std::shared_ptr<const std::vector<rpc::HeldDevices>> held;
  std::string held_error;               // why it does not
  std::string driver_error;             // empty while the driver answers
  std::optional<gpu::HangReport> hang;  // the driver call in progress that hangs
  std::string cdi_error;
  deviceplugin::ManagerStatus plugins;
  std::optional<MigStatus> mig;  // absent where no label of a Node is followed
  std::vector<grants::GrantRow> shares;
  std::string shares_error;  // why shares cannot be given out; empty if they can

  // Why the node is not ready to be used; empty if it is. For /readyz.
  std::string NotReady() const;
};

// The page as JSON. `recent` are the newest warnings and errors of the log.
boost::json::value ToJson(const AgentStatus& status, const std::vector<std::string>& recent);

}  // namespace aliquot::agent
