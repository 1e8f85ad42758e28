// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/health.h"

#include <fmt/format.h>

#include <algorithm>

namespace aliquot::gpu {
namespace {

std::string DescribeXid(const XidEvent& event) {
  std::string text = fmt::format("XID {}", event.xid);
  if (event.gi_id) text += fmt::format(" in GPU instance {}", *event.gi_id);
  if (event.gi_id && event.ci_id) text += fmt::format(", compute instance {}", *event.ci_id);
  return text;
}

}  // namespace

void HealthTracker::SetInventory(const Inventory& inventory, std::span<const LostDevice> lost) {
  std::map<std::string, Device> before = std::move(devices_);
  devices_.clear();
  const auto keep = [&](const std::string& uuid) -> Device& {
    const auto old = before.find(uuid);
    return devices_[uuid] = old == before.end() ? Device{} : std::move(old->second);
  };
  for (const Gpu& gpu : inventory.gpus) {
    Device& device = keep(gpu.uuid);
    device.gpu_uuid = gpu.uuid;
    device.mig_enabled = gpu.mig_enabled;
    device.lost = false;
    for (const MigDevice& mig : gpu.mig_devices) {
      Device& part = keep(mig.uuid);
      part.gpu_uuid = gpu.uuid;
      part.is_gpu = false;
      part.mig_enabled = true;
      part.gi_id = mig.gi_id;
      part.ci_id = mig.ci_id;
      part.lost = false;
    }
  }
  for (const LostDevice& entry : lost) {
    const auto found = devices_.find(entry.uuid);
    if (found == devices_.end()) continue;
    Mark(found->second, entry.reason);
    found->second.lost = true;
  }
}

void HealthTracker::SetDriverUnavailable(const std::string& reason) {
  for (auto& [uuid, device] : devices_) {
    Mark(device, reason);
    device.lost = true;
  }
}

void HealthTracker::Mark(Device& device, const std::string& cause) {
  const Clock::TimePoint now = clock_.Now();
  if (device.healthy) {
    const bool flaps = device.recovered_at && now - *device.recovered_at < options_.settle_cap;
    device.settle =
        flaps ? std::min(2 * device.settle, std::max(options_.settle_cap, options_.settle))
              : options_.settle;
    device.since = clock_.WallNow();
    device.healthy = false;
    device.needs_reset = false;
  }
  device.cause = cause;
  device.probe_failure.clear();
  device.last_bad = now;
}

bool HealthTracker::IsHit(const Device& device, const XidEvent& event) {
  if (device.gpu_uuid != event.gpu_uuid) return false;
  if (!device.mig_enabled || !event.gi_id) return true;
  if (device.is_gpu || device.gi_id != *event.gi_id) return false;
  return !event.ci_id || device.ci_id == *event.ci_id;
}

HealthTracker::XidOutcome HealthTracker::OnXid(const XidEvent& event) {
  if (!devices_.contains(event.gpu_uuid)) return XidOutcome::kUnknownDevice;
  if (!policy_.IsFatal(event.xid)) return XidOutcome::kIgnored;
  XidOutcome outcome = XidOutcome::kUnknownDevice;
  for (auto& [uuid, device] : devices_) {
    if (!IsHit(device, event)) continue;
    Mark(device, DescribeXid(event));
    device.needs_reset = device.needs_reset || NeedsReset(event.xid);
    outcome = XidOutcome::kMarked;
  }
  return outcome;
}

std::vector<std::string> HealthTracker::GpusToProbe() const {
  std::set<std::string> uuids;
  for (const auto& [uuid, device] : devices_) {
    if (!device.healthy && !device.lost) uuids.insert(device.gpu_uuid);
  }
  return {uuids.begin(), uuids.end()};
}

void HealthTracker::OnProbe(const std::string& gpu_uuid, const ProbeResult& result) {
  for (auto& [uuid, device] : devices_) {
    if (device.gpu_uuid == gpu_uuid && !device.healthy && !device.lost) Probe(device, result);
  }
}

void HealthTracker::Probe(Device& device, const ProbeResult& result) {
  const Clock::TimePoint now = clock_.Now();
  device.probe_failure = result.failure;
  if (device.probe_failure.empty() && result.wanted_action && !result.wanted_action->empty()) {
    device.probe_failure = "the driver asks for " + *result.wanted_action;
  }
  if (!device.probe_failure.empty()) {
    device.last_bad = now;
    return;
  }
  const bool doubtful = device.needs_reset && !result.wanted_action;
  const Clock::Duration wait =
      doubtful ? std::max(device.settle, options_.settle_cap) : device.settle;
  if (now - device.last_bad < wait) return;
  device.healthy = true;
  device.recovered_at = now;
}

HealthSnapshot HealthTracker::Snapshot() const {
  HealthSnapshot snapshot;
  snapshot.xid_events = xid_events_;
  for (const auto& [uuid, device] : devices_) {
    if (device.healthy) continue;
    std::string reason = device.cause;
    if (!device.probe_failure.empty()) reason += "; not recovered: " + device.probe_failure;
    snapshot.unhealthy[uuid] = {std::move(reason), device.since};
  }
  return snapshot;
}

}  // namespace aliquot::gpu
