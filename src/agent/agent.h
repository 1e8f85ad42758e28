// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/cluster_mode.h"
#include "agent/enforced_shares.h"
#include "agent/mig_mode.h"
#include "agent/recent_log.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "config/settings.h"
#include "gpu/driver_source.h"
#include "gpu/gpu_monitor.h"

namespace aliquot::agent {

struct AgentOptions {
  config::ConfigSources sources;  // flags and environment
  std::string state_dir;          // keeps the last good configuration; empty = not kept
  std::string cdi_root = "/var/run/cdi";
  ShareOptions shares;
  std::string listen_address = "127.0.0.1";  // of the status pages; empty = none
  std::uint16_t listen_port = 0;             // 0 = any free one
  // The cluster says what to serve; absent: the configuration file does.
  std::optional<ClusterOptions> cluster;
  // Follows the node label nvidia.com/mig.config, in a cluster; absent: it does not.
  std::optional<MigAgentOptions> mig;
  // In a cluster: do nothing while the PCI bus below cluster->host_root has no NVIDIA GPU.
  bool wait_for_gpu = false;
  // Of the kubelet's pod resources API; empty = who holds what is not asked.
  std::string pod_resources_socket;
  gpu::MonitorOptions monitor;  // its health policy is set from the environment
  // Makes the way to the driver that is installed below a root (config: containerDriverRoot).
  std::function<std::unique_ptr<gpu::DriverSource>(const std::string& driver_root)> open_driver;
};

// The node agent: everything it consists of, put together. One executor thread owns the state; the
// driver, the kubelet's calls, HTTP and file changes come from threads of their own and only post.
class Agent {
 public:
  // Starts serving. `clock`, `log` and `recent` must outlive the process's last use of them (see
  // GpuMonitor). Fails if the options cannot work: a status address that is taken, no inotify. A
  // bad configuration file, a missing driver or an absent kubelet are not failures but states.
  static Result<std::unique_ptr<Agent>> Start(AgentOptions options, const Clock& clock,
                                              const Logger& log, const RecentLog& recent);
  // Stops.
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Reads the configuration again, as after a change of the file. Thread-safe.
  void Reload();
  // Withdraws everything. False if a driver call hangs and its thread had to be left behind: then
  // leave the process by _exit. Idempotent.
  bool Stop();
  // Of the status pages; 0 if there are none.
  std::uint16_t port() const;

 private:
  class Impl;
  explicit Agent(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What /statusz and --version show.
inline constexpr char kVersion[] = "0.1.0";

}  // namespace aliquot::agent
