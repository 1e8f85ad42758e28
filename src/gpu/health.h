// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "gpu/health_policy.h"
#include "gpu/inventory.h"
#include "gpu/inventory_keeper.h"

namespace aliquot::gpu {

struct DeviceHealth {
  std::string reason;  // for people
  std::chrono::system_clock::time_point since;

  friend bool operator==(const DeviceHealth&, const DeviceHealth&) = default;
};

// Health of a node's devices at one moment. Immutable once published; any thread may read it.
struct HealthSnapshot {
  // By UUID of GPU or MIG device. A device that is not here is healthy; so are, or are not, all
  // replicas of it.
  std::map<std::string, DeviceHealth> unhealthy;
  // Critical XID events seen since start, ignored ones included, by GPU UUID and XID.
  std::map<std::pair<std::string, std::uint64_t>, std::uint64_t> xid_events;

  friend bool operator==(const HealthSnapshot&, const HealthSnapshot&) = default;
};

struct XidEvent {
  std::string gpu_uuid;
  std::uint64_t xid = 0;
  std::optional<unsigned> gi_id;  // absent if the driver could not attribute the event
  std::optional<unsigned> ci_id;
};

// What asking a GPU a few questions told (gpu_probe.h).
struct ProbeResult {
  std::string failure;  // empty: every question was answered
  // What the driver wants done before the GPU may be trusted ("a reset of the GPU"); empty if
  // nothing, absent if it cannot tell (before 565).
  std::optional<std::string> wanted_action;
};

struct HealthOptions {
  // How long a device must have been without cause, and answering, to be healthy again.
  Clock::Duration settle = std::chrono::seconds(30);
  // A device that fails again within `settle_cap` of its recovery has to wait twice as long as
  // the last time, up to `settle_cap`; one that lasts longer starts over with `settle`.
  Clock::Duration settle_cap = std::chrono::minutes(10);
};

// Decides which devices are unhealthy. Pure: events, probes and the clock in, a snapshot out.
//
// Causes: a fatal XID (HealthPolicy), a lost device (InventoryKeeper), an absent driver. What is
// hit: without MIG the GPU. With MIG the one device if the event names GPU and compute instance,
// all compute instances if it names only the GPU instance, and otherwise the GPU with all its MIG
// devices. Nothing else is ever marked: an event of an unknown GPU, or a failure to wait for
// events, says nothing about any device.
//
// Recovery: while a device is unhealthy its GPU is probed. When for the settle time there was no
// cause and no failed probe, the next good probe makes the device healthy. If the driver reports a
// pending recovery action (reset, reboot, drain), a probe has failed, whatever the XID; if it
// reports that none is needed, that is believed. A driver too old to report leaves doubt after
// XIDs of NeedsReset: those wait for settle_cap instead of settle.
//
// A MIG device that is destroyed and created again starts healthy, as does everything at start-up.
class HealthTracker {
 public:
  enum class XidOutcome {
    kIgnored,        // by policy
    kUnknownDevice,  // no such GPU, or no such instance on it
    kMarked,
  };

  HealthTracker(const Clock& clock, HealthPolicy policy, HealthOptions options)
      : clock_(clock), policy_(std::move(policy)), options_(options) {}

  // The devices there are, and those of them that cannot be reached.
  void SetInventory(const Inventory& inventory, std::span<const LostDevice> lost);
  // Every known device is unreachable until the next SetInventory.
  void SetDriverUnavailable(const std::string& reason);
  XidOutcome OnXid(const XidEvent& event);
  // Adds to the counters; apart from OnXid because that may be tried again for one event.
  void CountXid(const XidEvent& event) { ++xid_events_[{event.gpu_uuid, event.xid}]; }
  // UUIDs of GPUs with a device that may recover, in order.
  std::vector<std::string> GpusToProbe() const;
  void OnProbe(const std::string& gpu_uuid, const ProbeResult& result);

  HealthSnapshot Snapshot() const;

 private:
  struct Device {
    std::string gpu_uuid;
    bool is_gpu = true;
    bool mig_enabled = false;  // of the GPU
    unsigned gi_id = 0;        // of a MIG device
    unsigned ci_id = 0;
    bool healthy = true;
    bool lost = false;
    bool needs_reset = false;
    std::string cause;
    std::string probe_failure;  // why it has not recovered, of the last probe
    std::chrono::system_clock::time_point since;
    Clock::TimePoint last_bad;
    Clock::Duration settle{};
    std::optional<Clock::TimePoint> recovered_at;
  };

  static bool IsHit(const Device& device, const XidEvent& event);
  void Mark(Device& device, const std::string& cause);
  void Probe(Device& device, const ProbeResult& result);

  const Clock& clock_;
  HealthPolicy policy_;
  HealthOptions options_;
  std::map<std::string, Device> devices_;  // by UUID
  std::map<std::pair<std::string, std::uint64_t>, std::uint64_t> xid_events_;
};

}  // namespace aliquot::gpu
