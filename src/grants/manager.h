// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "config/config.h"
#include "gpu/inventory.h"
#include "gpu/process_reader.h"
#include "grants/audit.h"
#include "grants/grant.h"
#include "grants/host_processes.h"
#include "grants/share_server.h"
#include "grants/store.h"
#include "share/plan.h"

namespace aliquot::grants {

// The devices of one resource that one container holds, as the kubelet says.
struct HeldIds {
  Holder holder;
  std::string resource;
  std::vector<std::string> ids;
};

// A violation and who is responsible, as told to metrics, logs and events.
struct Report {
  Violation violation;
  std::optional<Holder> holder;
  std::string pod_uid;  // empty if the process is in no pod's control group, or gone
  bool killed = false;
};
// One sentence for people, the same as long as the violation lasts.
std::string Describe(const Report& report);

// One device of one grant, for metrics and the status page.
struct GrantRow {
  Grant grant;
  GrantDevice device;
  std::optional<std::uint64_t> limit_bytes;  // now in force
  config::Isolation::TenantClass tenant_class = config::Isolation::TenantClass::kNormal;
  DeviceUse use;
  std::uint64_t seen_bytes = 0;  // held by the container's processes, says the driver
  std::size_t sessions = 0;
};

// Owns the node's grants from Allocate to the end of their containers. Grants are files (store.h),
// served by the arbiter (share_server.h), held against the kubelet's word about who holds what and
// against the driver's about processes.
//
// A grant ends when the kubelet lists none of its replicas as held for kGrace, or lists them as
// another container's, and no process is connected or has its directory mounted. The last two are
// the truth about a container that the kubelet has forgotten, as after a restart without its API
// server; only all of them together end a grant. A failed question ends nothing.
//
// Allocate for replicas of an earlier grant supersedes it: the kubelet never gives a device to two
// containers at once, except in turn to an init container and the containers after it. Those are
// allocated in one go when the pod is admitted, so grants made within kAdmission of each other
// live and end together.
//
// Confined to the executor.
class GrantManager {
 public:
  static constexpr Clock::Duration kGrace = std::chrono::seconds(60);
  static constexpr std::chrono::seconds kAdmission{60};

  struct Dependencies {
    const Clock& clock;
    const Logger& log;
    GrantStore& store;
    ShareServer& server;
    const HostProcesses& processes;
    std::function<std::string()> new_id;        // 32 random hexadecimal digits
    std::function<void(const Report&)> report;  // of violations; may be empty
  };

  explicit GrantManager(Dependencies dependencies);

  // Takes up the grants of a former run: their sockets are made anew and wait for the containers'
  // processes to come back. Must succeed before Allocate; may be tried again.
  Status Start();
  // The isolation in force; absent = none. Running containers follow by the rules of promise.h;
  // until the first call they have what they were promised.
  void SetIsolation(const std::optional<config::Isolation>& isolation);

  struct Request {
    const share::PlannedResource& resource;
    const std::vector<std::string>& ids;
    const gpu::Inventory& inventory;
    // See Grant; empty unless our libraries are mounted over the driver's.
    std::string driver_library;
    std::string nvml_library;
  };
  // The grant of a container, kept, served and ready; absent if it needs none. On an error nothing
  // stays behind that could hinder the next attempt. The message reaches the pod.
  Result<std::optional<Grant>> Allocate(const Request& request);

  // The kubelet's answer; may end grants.
  void SetHeld(const std::vector<HeldIds>& held);
  // The driver's answer; may report and kill.
  void SetProcesses(const gpu::ProcessSnapshot& snapshot);

  // Nobody needs to ask the kubelet or the driver while there are none.
  bool empty() const { return grants_.empty(); }
  // Some grant's container is not known yet.
  bool HasUnidentified() const;
  std::string LiveDirectory(const std::string& id) const {
    return dependencies_.store.LiveDirectory(id);
  }
  std::vector<GrantRow> Rows() const;
  // Memory on shared devices held by processes of no grant, by device.
  const std::map<std::string, std::uint64_t>& foreign_bytes() const {
    return audit_.seen().foreign;
  }
  // Why grants cannot be made; empty if they can.
  const std::string& error() const { return error_; }

 private:
  struct Entry {
    Grant grant;
    std::optional<Clock::TimePoint> free_since;  // the kubelet lists its replicas as nobody's
    bool dead = false;    // superseded, or its replicas are another container's
    bool served = false;  // else it is tried again whenever the kubelet answers
  };

  std::optional<std::uint64_t> Limit(const GrantDevice& device) const;
  ServedGrant Served(const Grant& grant) const;
  Status Serve(const Grant& grant);
  void Retry(Entry& entry);
  // Tells the server if the grant is not served any more as it was before.
  void Update(const Entry& entry, const ServedGrant& before);
  void Supersede(const Grant& fresh);
  bool SameAdmission(const Grant& a, const Grant& b) const;
  void Identify(Entry& entry, const std::vector<HeldIds>& held);
  void Collect();
  void SetHolder(Entry& entry, const Holder& holder);
  AuditedGrants Audited(const std::map<std::string, GrantUse>& uses) const;
  void Tell(const Violation& violation);

  const Dependencies dependencies_;
  bool configured_ = false;  // SetIsolation was called
  std::optional<config::Isolation> isolation_;
  std::map<std::string, Entry> grants_;  // by id
  BackstopAudit audit_;
  std::string error_ = "grants of a former run have not been read yet";
};

// 32 hexadecimal digits from the kernel's random source.
std::string RandomId();

}  // namespace aliquot::grants
