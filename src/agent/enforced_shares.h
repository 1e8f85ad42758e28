// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "cdi/hooks.h"
#include "config/config.h"
#include "gpu/inventory.h"
#include "gpu/process_reader.h"
#include "grants/host_processes.h"
#include "grants/injection.h"
#include "grants/manager.h"
#include "grants/share_server.h"
#include "grants/store.h"
#include "metrics/grant_metrics.h"
#include "rpc/pod_resources_client.h"
#include "share/plan.h"

namespace aliquot::agent {

struct ShareOptions {
  // Records and libraries, on a disk that survives a reboot. On the host at the same path.
  std::string state_dir = "/var/lib/aliquot";
  // Sockets. On the host at the same path.
  std::string run_dir = "/run/aliquot";
  // Where the agent itself has the libraries for containers.
  std::string library_dir;
  std::string proc = "/proc";  // of the host's PID namespace
};

// Something its owner should hear of a pod: for an Event.
struct PodNews {
  grants::Holder holder;
  std::string pod_uid;  // may be empty
  std::string reason;   // "GpuShareViolated", "GpuShareTampered"
  std::string message;
};

// Shares of a GPU as a container gets them and as they are enforced: puts the libraries in place,
// makes a grant for each Allocate, holds them against what kubelet and driver say, and shows what
// it knows. Touches nothing on a node that never had `isolation` configured.
//
// Confined to the executor.
class EnforcedShares {
 public:
  struct Dependencies {
    const Clock& clock;
    const Logger& log;
    metrics::GrantMetrics& metrics;
    // Called when `process_interval`, `held_interval` or `rows` changed.
    std::function<void()> changed;
    std::function<void(const PodNews&)> tell;
    // Makes the arbiter when it is first needed.
    std::function<Result<std::unique_ptr<grants::ShareServer>>()> make_server;
  };

  EnforcedShares(ShareOptions options, Dependencies dependencies);
  EnforcedShares(const EnforcedShares&) = delete;
  EnforcedShares& operator=(const EnforcedShares&) = delete;

  // The configuration in force. Libraries are in place afterwards if it enforces shares; if they
  // cannot be, Issue and `error` say why.
  void SetConfig(const config::Config& config);
  // For CDI specs; absent while no shares are enforced.
  std::optional<cdi::ShareLibraries> libraries() const;

  // What the container gets that asked for `ids`; absent if these carry no share. `over_driver`:
  // its libraries are mounted over the driver's. An error's message reaches the pod.
  Result<std::optional<grants::Injection>> Issue(const share::PlannedResource& resource,
                                                 const std::vector<std::string>& ids,
                                                 const gpu::Inventory& inventory, bool over_driver);

  // How often SetProcesses wants to be called; zero = not at all.
  Clock::Duration process_interval() const;
  void SetProcesses(const gpu::ProcessSnapshot& snapshot);

  // How often SetHeld wants to be called; zero = no matter.
  Clock::Duration held_interval() const;
  // Who holds which GPUs. Never called, no grant ever ends.
  void SetHeld(const std::vector<rpc::HeldDevices>& held);

  // A process of the grant's container broke the protocol, as `detail` says, and was cut off.
  void OnMisbehaved(const std::string& grant, pid_t pid, const std::string& detail);

  std::vector<grants::GrantRow> rows() const;
  // Why shares cannot be given out; empty if they can, or none are configured.
  const std::string& error() const { return error_; }

 private:
  Status Prepare();
  Status StartManager();
  void OnViolation(const grants::Report& report);
  void Publish();

  const ShareOptions options_;
  const Dependencies dependencies_;
  bool wanted_ = false;  // the configuration enforces shares
  std::optional<config::Isolation> isolation_;
  std::string error_;
  grants::GrantStore store_;
  grants::ProcHostProcesses processes_;
  std::unique_ptr<grants::ShareServer> server_;
  std::unique_ptr<grants::GrantManager> manager_;  // null until first needed
};

}  // namespace aliquot::agent
