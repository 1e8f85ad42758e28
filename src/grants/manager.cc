// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "grants/manager.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "grants/promise.h"

namespace aliquot::grants {
namespace {

using Compute = config::Isolation::Compute;

// Of one grant: as many as the control page has room for.
constexpr std::size_t kMaxDevices = 16;

bool Overlap(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::any_of(a.begin(), a.end(), [&](const std::string& id) {
    return std::find(b.begin(), b.end(), id) != b.end();
  });
}

}  // namespace

std::string RandomId() {
  std::array<unsigned char, 16> bytes{};
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = ::getrandom(bytes.data() + filled, bytes.size() - filled, 0);
    if (got > 0) filled += static_cast<std::size_t>(got);
  }
  std::string id;
  for (const unsigned char byte : bytes) id += fmt::format("{:02x}", byte);
  return id;
}

std::string Describe(const Report& report) {
  const Violation& violation = report.violation;
  const std::string container =
      report.holder ? fmt::format("container {}", report.holder->container) : "the container";
  std::string text;
  switch (violation.kind) {
    case Violation::Kind::kUnmanagedProcess:
      text = fmt::format("process {} of {} uses {} without being under enforcement of its share",
                         violation.process.pid, container, violation.device);
      break;
    case Violation::Kind::kOverLimit:
      text = fmt::format("{} holds more memory of {} than its share of {} MiB", container,
                         violation.device, violation.limit_bytes >> 20);
      break;
    case Violation::Kind::kUncountedTime:
      text = fmt::format("{} keeps {} busy for longer than its processes tell", container,
                         violation.device);
      break;
  }
  if (report.killed) text += fmt::format("; process {} was killed", violation.process.pid);
  return text;
}

GrantManager::GrantManager(Dependencies dependencies)
    : dependencies_(std::move(dependencies)), audit_(dependencies_.processes) {}

Status GrantManager::Start() {
  Result<GrantStore::Loaded> loaded = dependencies_.store.Load();
  if (!loaded.ok()) {
    error_ = loaded.error().message;
    return loaded.error();
  }
  error_.clear();
  for (const std::string& problem : loaded->problems) {
    dependencies_.log.Error("grant cannot be read", {{"problem", problem}});
  }
  for (Grant& grant : loaded->grants) {
    const std::string id = grant.id;
    if (grants_.contains(id)) continue;
    Entry& entry = grants_.emplace(id, Entry{std::move(grant), {}, false, false}).first->second;
    Supersede(entry.grant);
    Retry(entry);
  }
  if (!loaded->orphans.empty()) {
    // Never answered, or the records were lost while containers run on.
    const std::set<std::string> mounted = dependencies_.processes.MountedGrants();
    for (const std::string& id : loaded->orphans) {
      if (mounted.contains(id)) {
        dependencies_.log.Error("container runs without the record of its grant", {{"grant", id}});
      } else if (Status erased = dependencies_.store.EraseLive(id); !erased.ok()) {
        dependencies_.log.Warning("left-over grant not removed",
                                  {{"error", erased.error().message}});
      }
    }
  }
  if (!grants_.empty()) {
    dependencies_.log.Info("grants taken up", {{"grants", fmt::to_string(grants_.size())}});
  }
  return {};
}

std::optional<std::uint64_t> GrantManager::Limit(const GrantDevice& device) const {
  return configured_ ? LimitNow(device, isolation_) : device.memory_bytes;
}

ServedGrant GrantManager::Served(const Grant& grant) const {
  ServedGrant served;
  served.id = grant.id;
  served.directory = dependencies_.store.LiveDirectory(grant.id);
  for (const GrantDevice& device : grant.devices) {
    const std::uint64_t ppm = 1'000'000ull * device.held / device.of;
    served.devices.push_back(
        {device.uuid, Limit(device), static_cast<std::uint32_t>(std::max<std::uint64_t>(1, ppm))});
  }
  if (!configured_ && grant.compute) served.compute = Compute::kFair;
  if (isolation_ && grant.compute) {
    served.compute = isolation_->compute;
    served.quantum = isolation_->quantum;
    served.tenant_class = ClassNow(grant, isolation_);
  }
  return served;
}

Status GrantManager::Serve(const Grant& grant) {
  const bool capped = isolation_ && isolation_->compute == Compute::kCapped;
  if (Status live = dependencies_.store.MakeLive(grant, ShareText(grant, capped)); !live.ok()) {
    return live;
  }
  return dependencies_.server.Add(Served(grant));
}

void GrantManager::Retry(Entry& entry) {
  const Status status = Serve(entry.grant);
  entry.served = status.ok();
  if (status.ok()) return;
  dependencies_.log.Error("grant not served",
                          {{"grant", entry.grant.id}, {"error", status.error().message}});
}

void GrantManager::SetIsolation(const std::optional<config::Isolation>& isolation) {
  if (configured_ && isolation == isolation_) return;
  std::map<std::string, ServedGrant> before;
  for (const auto& [id, entry] : grants_) before[id] = Served(entry.grant);
  isolation_ = isolation;
  configured_ = true;
  for (auto& [id, entry] : grants_) {
    for (GrantDevice& device : entry.grant.devices) {
      const std::optional<std::uint64_t> limit = Limit(device);
      if (!limit || *limit == *device.memory_bytes) continue;
      device.memory_bytes = limit;  // promised from now on
      if (Status saved = dependencies_.store.Save(entry.grant); !saved.ok()) {
        dependencies_.log.Warning("grant not kept", {{"error", saved.error().message}});
      }
    }
    Update(entry, before[id]);
  }
}

void GrantManager::Update(const Entry& entry, const ServedGrant& before) {
  const ServedGrant now = Served(entry.grant);
  if (now == before || !entry.served) return;
  if (Status updated = dependencies_.server.Update(now); !updated.ok()) {
    dependencies_.log.Error("grant not changed",
                            {{"grant", now.id}, {"error", updated.error().message}});
  }
}

Result<std::optional<Grant>> GrantManager::Allocate(const Request& request) {
  if (!isolation_) return std::optional<Grant>();
  Grant grant;
  grant.devices = PromiseFor(request.resource, request.ids, request.inventory, *isolation_);
  if (grant.devices.empty()) return std::optional<Grant>();
  if (!error_.empty()) return Error{Code::kUnavailable, error_}.In("enforced shares");
  if (grant.devices.size() > kMaxDevices) {
    return Error{Code::kInvalidArgument,
                 fmt::format("one container can hold shares of {} devices, {} were asked for",
                             kMaxDevices, grant.devices.size())};
  }
  grant.id = dependencies_.new_id();
  grant.resource = request.resource.name;
  for (const share::PlannedDevice& device : request.resource.devices) {
    const bool asked =
        std::find(request.ids.begin(), request.ids.end(), device.id) != request.ids.end();
    if (asked && device.share != share::Share{}) grant.replica_ids.push_back(device.id);
  }
  std::sort(grant.replica_ids.begin(), grant.replica_ids.end());
  grant.memory = isolation_->memory != config::Isolation::Memory::kNone;
  grant.compute = isolation_->compute != Compute::kNone;
  grant.driver_library = request.driver_library;
  grant.nvml_library = request.nvml_library;
  grant.created_at = std::chrono::floor<std::chrono::milliseconds>(dependencies_.clock.WallNow());

  std::vector<const Grant*> others;
  for (const auto& [id, entry] : grants_) {
    if (!entry.dead && !entry.free_since) others.push_back(&entry.grant);
  }
  if (Status room = CheckRoom(grant, others, *isolation_); !room.ok()) return room.error();
  // The record before anything a container could see, and before the answer: whatever happens
  // next, the next start finds it.
  Status status = dependencies_.store.Save(grant);
  if (status.ok()) status = Serve(grant);
  if (!status.ok()) {
    dependencies_.server.Remove(grant.id);
    if (Status erased = dependencies_.store.Erase(grant.id); !erased.ok()) {
      dependencies_.log.Warning("left-over grant not removed", {{"error", erased.error().message}});
    }
    return status.error().In("enforced shares");
  }
  Supersede(grant);
  dependencies_.log.Info("grant made", {{"grant", grant.id},
                                        {"resource", grant.resource},
                                        {"replicas", Join(grant.replica_ids, ",")}});
  grants_.emplace(grant.id, Entry{grant, {}, false, true});
  return std::optional<Grant>(std::move(grant));
}

bool GrantManager::SameAdmission(const Grant& a, const Grant& b) const {
  const auto apart =
      a.created_at < b.created_at ? b.created_at - a.created_at : a.created_at - b.created_at;
  return apart <= kAdmission;
}

void GrantManager::Supersede(const Grant& fresh) {
  for (auto& [id, entry] : grants_) {
    if (id == fresh.id || SameAdmission(entry.grant, fresh)) continue;
    if (entry.grant.created_at > fresh.created_at) continue;
    if (Overlap(entry.grant.replica_ids, fresh.replica_ids)) entry.dead = true;
  }
}

void GrantManager::SetHolder(Entry& entry, const Holder& holder) {
  if (entry.grant.holder == holder) return;
  const ServedGrant before = Served(entry.grant);
  entry.grant.holder = holder;
  Update(entry, before);
  dependencies_.log.Info("grant identified", {{"grant", entry.grant.id},
                                              {"namespace", holder.pod_namespace},
                                              {"pod", holder.pod},
                                              {"container", holder.container}});
  if (Status saved = dependencies_.store.Save(entry.grant); !saved.ok()) {
    dependencies_.log.Warning("grant not kept", {{"error", saved.error().message}});
  }
}

void GrantManager::Identify(Entry& entry, const std::vector<HeldIds>& held) {
  const auto found = std::find_if(held.begin(), held.end(), [&](const HeldIds& one) {
    return one.resource == entry.grant.resource && Overlap(one.ids, entry.grant.replica_ids);
  });
  if (found == held.end()) {
    if (!entry.free_since) entry.free_since = dependencies_.clock.Now();
    return;
  }
  entry.free_since.reset();
  const bool same_pod = entry.grant.holder &&
                        entry.grant.holder->pod_namespace == found->holder.pod_namespace &&
                        entry.grant.holder->pod == found->holder.pod;
  if (entry.dead || (entry.grant.holder && !same_pod)) {
    entry.dead = true;
    return;
  }
  // Of several grants of one admission the newest is the container's that the kubelet lists.
  const bool newest = std::none_of(grants_.begin(), grants_.end(), [&](const auto& other) {
    return other.second.grant.created_at > entry.grant.created_at &&
           Overlap(other.second.grant.replica_ids, entry.grant.replica_ids);
  });
  Holder holder = found->holder;
  if (!newest) holder.container.clear();
  SetHolder(entry, holder);
}

void GrantManager::SetHeld(const std::vector<HeldIds>& held) {
  bool ends = false;
  for (auto& [id, entry] : grants_) {
    if (!entry.served) Retry(entry);
    Identify(entry, held);
    ends = ends || entry.dead || entry.free_since;
  }
  if (ends) Collect();
}

void GrantManager::Collect() {
  const Clock::TimePoint now = dependencies_.clock.Now();
  std::set<std::string> ending;
  for (const auto& [id, entry] : grants_) {
    if (entry.dead || (entry.free_since && now - *entry.free_since >= kGrace)) ending.insert(id);
  }
  if (ending.empty()) return;
  for (const auto& [id, use] : dependencies_.server.Look()) {
    if (!use.processes.empty()) ending.erase(id);
  }
  if (ending.empty()) return;
  for (const std::string& id : dependencies_.processes.MountedGrants()) ending.erase(id);
  for (const std::string& id : ending) {
    dependencies_.server.Remove(id);
    if (Status erased = dependencies_.store.Erase(id); !erased.ok()) {
      dependencies_.log.Warning("ended grant not removed", {{"error", erased.error().message}});
      continue;
    }
    dependencies_.log.Info("grant ended", {{"grant", id}});
    grants_.erase(id);
  }
}

AuditedGrants GrantManager::Audited(const std::map<std::string, GrantUse>& uses) const {
  AuditedGrants audited;
  for (const auto& [id, entry] : grants_) {
    AuditedGrant& grant = audited[id];
    for (const GrantDevice& device : entry.grant.devices) {
      grant.devices[device.uuid] = {device.gpu_uuid, Limit(device), std::nullopt};
    }
    const auto use = uses.find(id);
    if (use == uses.end()) continue;
    grant.sessions.insert(use->second.processes.begin(), use->second.processes.end());
    if (Served(entry.grant).compute == config::Isolation::Compute::kNone) continue;
    for (const DeviceUse& device : use->second.devices) {
      const auto audited_device = grant.devices.find(device.uuid);
      if (audited_device == grant.devices.end()) continue;
      audited_device->second.time = {device.used, device.counted};
    }
  }
  return audited;
}

void GrantManager::SetProcesses(const gpu::ProcessSnapshot& snapshot) {
  dependencies_.server.SetProcessMemory(snapshot);
  const auto uses = dependencies_.server.Look();
  for (const Violation& violation : audit_.Observe(snapshot, Audited(uses))) Tell(violation);
}

void GrantManager::Tell(const Violation& violation) {
  // Isolation that was switched off forbids nothing any more.
  if (!isolation_) return;
  Report report{violation, grants_.at(violation.grant).grant.holder,
                dependencies_.processes.PodOf(violation.process.pid).value_or(std::string()),
                false};
  std::string outcome = "reported";
  // The driver only samples who is busy: no proof to end a process on.
  const bool proven = violation.kind != Violation::Kind::kUncountedTime;
  if (proven && isolation_->on_violation == config::Isolation::OnViolation::kKill) {
    const Status killed = dependencies_.processes.Kill(violation.process);
    report.killed = killed.ok();
    outcome = killed.ok() ? "killed" : killed.error().message;
  }
  const Holder holder = report.holder.value_or(Holder{});
  dependencies_.log.Warning("share violated",
                            {{"kind", NameOf(violation.kind)},
                             {"grant", violation.grant},
                             {"namespace", holder.pod_namespace},
                             {"pod", holder.pod},
                             {"container", holder.container},
                             {"device", violation.device},
                             {"pid", fmt::to_string(violation.process.pid)},
                             {"bytes", fmt::to_string(violation.bytes)},
                             {"limit_bytes", fmt::to_string(violation.limit_bytes)},
                             {"busy_ms", fmt::to_string(violation.busy.count())},
                             {"counted_ms", fmt::to_string(violation.counted.count())},
                             {"outcome", outcome}});
  if (dependencies_.report) dependencies_.report(report);
}

bool GrantManager::HasUnidentified() const {
  return std::any_of(grants_.begin(), grants_.end(), [](const auto& entry) {
    return !entry.second.grant.holder && !entry.second.free_since;
  });
}

std::vector<GrantRow> GrantManager::Rows() const {
  std::vector<GrantRow> rows;
  const auto uses = dependencies_.server.Look();
  const auto& held = audit_.seen().held;
  for (const auto& [id, entry] : grants_) {
    const auto use = uses.find(id);
    for (const GrantDevice& device : entry.grant.devices) {
      GrantRow row;
      row.grant = entry.grant;
      row.device = device;
      row.limit_bytes = Limit(device);
      row.tenant_class = ClassNow(entry.grant, isolation_);
      row.use.uuid = device.uuid;
      if (const auto seen = held.find({id, device.uuid}); seen != held.end()) {
        row.seen_bytes = seen->second;
      }
      if (use != uses.end()) {
        row.sessions = use->second.processes.size();
        for (const DeviceUse& of : use->second.devices) {
          if (of.uuid == device.uuid) row.use = of;
        }
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace aliquot::grants
