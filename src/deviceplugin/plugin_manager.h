// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/log.h"
#include "base/status.h"
#include "deviceplugin/directory_watch.h"
#include "rpc/plugin_transport.h"
#include "share/plan.h"

namespace aliquot::deviceplugin {

// How requests are answered. Pure functions, called on the executor; what they need of the
// configuration and the topology they bring along.
struct PluginSettings {
  // The answer for one container; `ids` are valid, distinct and in the kubelet's order.
  std::function<Result<rpc::ContainerAllocation>(const share::PlannedResource& resource,
                                                 const std::vector<std::string>& ids)>
      allocate;
  // Which of `request.available` to take.
  std::function<Result<std::vector<std::string>>(const share::PlannedResource& resource,
                                                 const rpc::PreferredRequest& request)>
      preferred;
  // What the kubelet is told per resource; empty = the defaults of PluginOptions.
  std::function<rpc::PluginOptions(const share::PlannedResource& resource)> options;
};

// Told of what happens, for metrics. Called on the executor.
class PluginObserver {
 public:
  virtual ~PluginObserver() = default;
  // `duration` is from the arrival of the call to its answer.
  virtual void OnAllocate(const std::string& resource, const std::vector<std::string>& ids,
                          Clock::Duration duration, bool ok) = 0;
  virtual void OnPreferredAllocation(const std::string& resource, Clock::Duration duration,
                                     bool ok) = 0;
  virtual void OnListSent(const std::string& resource, std::size_t devices,
                          std::size_t unhealthy) = 0;
  virtual void OnRegistration(const std::string& resource, bool ok) = 0;
};

class Plugin;
struct PluginContext;

using WallTime = std::chrono::system_clock::time_point;

struct PluginStatus {
  std::string name;
  std::string socket;                     // empty while it cannot be served
  std::optional<WallTime> registered_at;  // with the kubelet that runs now
  std::string registration_error;         // of the last attempt
  std::string error;                      // why it is not served, or served with a former list
  int streams = 0;                        // the kubelet's ListAndWatch calls
  std::size_t devices = 0;
  std::size_t unhealthy = 0;
  std::optional<WallTime> last_sent;
};

struct ManagerStatus {
  bool registration_enabled = false;
  bool kubelet_present = false;
  std::vector<PluginStatus> plugins;  // sorted by name

  // Every resource is served and, unless registration is off, registered.
  bool ready() const;
};

// kResourceExhausted if some resource's list is larger than the kubelet takes (3 MiB). For refusing
// a configuration as a whole; Apply checks each resource again.
Status CheckListSizes(const share::Plan& plan);

// Keeps the kubelet's view of this node equal to the plan: one plugin per resource, started,
// changed and stopped as the plan changes, each on its own. Registers, and registers again when the
// kubelet came back, our socket is gone or nobody reads our list. Reads no clock and opens no file
// itself.
//
// Confined to the executor: constructed, used and destroyed in its tasks (or before it runs).
class PluginManager {
 public:
  struct Dependencies {
    Executor& executor;
    const Clock& clock;
    const Logger& log;
    rpc::PluginTransport& transport;
    rpc::KubeletRegistrar* registrar;  // null = never register
    KubeletDirectory& directory;
    PluginObserver* observer = nullptr;
  };

  explicit PluginManager(Dependencies dependencies);
  // Withdraws all resources.
  ~PluginManager();
  PluginManager(const PluginManager&) = delete;
  PluginManager& operator=(const PluginManager&) = delete;

  // Makes `plan` the one to serve. Resources that are equal in both plans see nothing of it. A
  // resource whose list is too large, or that cannot be served, keeps what it had and says so in
  // the status.
  void Apply(std::shared_ptr<const share::Plan> plan, PluginSettings settings);
  // Replaces the health of all devices: `unhealthy` maps UUIDs of devices, or of GPUs for
  // everything on them, to reasons. Absent means healthy. A device that turned unhealthy is told at
  // once, anything else at most once a second per resource.
  void SetHealth(std::map<std::string, std::string> unhealthy);

  ManagerStatus status() const;
  // Whether the newest list of every resource was sent: a list may wait for its turn.
  bool lists_sent() const;

 private:
  void Check();
  void SchedulePeriodicCheck();

  const std::unique_ptr<PluginContext> context_;
  std::map<std::string, std::shared_ptr<Plugin>> plugins_;  // by resource name
  Executor::TimerId periodic_ = 0;
  // Seen by late tasks, which find it expired once the manager is gone.
  std::shared_ptr<PluginManager*> self_;
};

}  // namespace aliquot::deviceplugin
