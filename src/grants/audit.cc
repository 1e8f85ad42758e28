// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "grants/audit.h"

#include <algorithm>
#include <utility>

namespace aliquot::grants {
namespace {

constexpr std::uint64_t kLeastMargin = 256ull << 20;
// What the driver says may exceed what was counted by half, and by this part of the time there was:
// both sides sample, and charges shift a little among those who overlap.
constexpr double kTimeFactor = 1.5;
constexpr double kTimeMargin = 0.1;

// Of a window, in which time was counted: the rest is the distance between the two looks.
constexpr double kLeastCounted = 0.9;

double Milliseconds(Clock::Duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

bool Governs(const AuditedGrants& grants, const std::string& device) {
  return std::any_of(grants.begin(), grants.end(),
                     [&](const auto& entry) { return entry.second.devices.contains(device); });
}

}  // namespace

const char* NameOf(Violation::Kind kind) {
  switch (kind) {
    case Violation::Kind::kUnmanagedProcess:
      return "unmanaged-process";
    case Violation::Kind::kOverLimit:
      return "over-limit";
    case Violation::Kind::kUncountedTime:
      break;
  }
  return "uncounted-time";
}

std::uint64_t BackstopAudit::Margin(std::uint64_t limit_bytes) {
  return std::max(limit_bytes / 20, kLeastMargin);
}

// A session tells for certain whose container a process is in: nobody else reaches that socket.
void BackstopAudit::LearnContainers(const AuditedGrants& grants) {
  std::erase_if(grant_of_container_,
                [&](const auto& entry) { return !grants.contains(entry.second); });
  for (const auto& [id, grant] : grants) {
    for (const pid_t pid : grant.sessions) {
      const std::optional<ProcessIdentity> process = processes_.Identify(pid);
      if (!process) continue;
      const auto known = grant_of_process_.find(*process);
      if (known != grant_of_process_.end() && known->second == id) continue;
      grant_of_process_[*process] = id;
      if (const auto container = processes_.ContainerOf(pid)) grant_of_container_[*container] = id;
    }
  }
}

std::optional<std::string> BackstopAudit::GrantOf(const ProcessIdentity& process,
                                                  const AuditedGrants& grants) {
  const auto known = grant_of_process_.find(process);
  if (known != grant_of_process_.end()) return known->second;
  std::optional<std::string> grant = processes_.GrantOf(process.pid);
  if (grant && !grants.contains(*grant)) grant.reset();
  if (const auto container = processes_.ContainerOf(process.pid)) {
    // One that hid its mounts is still in the container of those that did not.
    const auto owner = grant_of_container_.find(*container);
    if (grant) {
      grant_of_container_[*container] = *grant;
    } else if (owner != grant_of_container_.end()) {
      grant = owner->second;
    }
  }
  grant_of_process_[process] = grant;
  return grant;
}

bool BackstopAudit::Lasted(const Subject& subject, Clock::TimePoint now) {
  Episode& episode = episodes_.try_emplace(subject, Episode{now + kPatience, true}).first->second;
  episode.current = true;
  if (now < episode.due) return false;
  episode.due = now + kPatience;
  return true;
}

// Drops what is remembered of processes that are gone, and ends episodes that ended.
void BackstopAudit::Forget(const gpu::ProcessSnapshot& snapshot, const AuditedGrants& grants) {
  std::set<pid_t> alive;
  for (const gpu::GpuProcess& process : snapshot.processes) {
    alive.insert(static_cast<pid_t>(process.pid));
  }
  for (const auto& [id, grant] : grants) alive.insert(grant.sessions.begin(), grant.sessions.end());
  std::erase_if(grant_of_process_,
                [&](const auto& entry) { return !alive.contains(entry.first.pid); });
  std::erase_if(episodes_, [](const auto& entry) { return !entry.second.current; });
  for (auto& [subject, episode] : episodes_) episode.current = false;
}

void BackstopAudit::KeepUnread(const gpu::ProcessSnapshot& snapshot, const AuditedGrants& grants,
                               const Seen& former) {
  if (snapshot.unread_gpus.empty()) return;
  const std::set<std::string> unread(snapshot.unread_gpus.begin(), snapshot.unread_gpus.end());
  for (const auto& [id, grant] : grants) {
    for (const auto& [uuid, device] : grant.devices) {
      if (!unread.contains(device.gpu_uuid)) continue;
      const auto held = former.held.find({id, uuid});
      if (held != former.held.end()) seen_.held.insert(*held);
      const auto foreign = former.foreign.find(uuid);
      if (foreign != former.foreign.end()) seen_.foreign.insert(*foreign);
      for (auto& [subject, episode] : episodes_) {
        if (std::get<1>(subject) == id && std::get<2>(subject) == uuid) episode.current = true;
      }
    }
  }
}

std::map<BackstopAudit::DeviceKey, std::vector<BackstopAudit::Member>> BackstopAudit::Sort(
    const gpu::ProcessSnapshot& snapshot, const AuditedGrants& grants) {
  std::map<DeviceKey, std::vector<Member>> members;
  for (const gpu::GpuProcess& seen : snapshot.processes) {
    if (!Governs(grants, seen.device_uuid)) continue;
    const auto process = processes_.Identify(static_cast<pid_t>(seen.pid));
    if (!process) continue;
    const std::uint64_t bytes = seen.memory_bytes.value_or(0);
    const std::optional<std::string> id = GrantOf(*process, grants);
    const auto grant = id ? grants.find(*id) : grants.end();
    if (grant == grants.end() || !grant->second.devices.contains(seen.device_uuid)) {
      seen_.foreign[seen.device_uuid] += bytes;
      continue;
    }
    const bool session = grant->second.sessions.contains(process->pid);
    members[{*id, seen.device_uuid}].push_back({*process, bytes, session});
  }
  return members;
}

void BackstopAudit::CompareTime(const DeviceKey& key, const std::vector<Member>& members,
                                const gpu::ProcessSnapshot& snapshot, const AuditedGrants& grants,
                                std::vector<Violation>& violations) {
  const auto& [id, uuid] = key;
  const AuditedDevice& device = grants.at(id).devices.at(uuid);
  const auto busy = snapshot.busy_percent.find(uuid);
  if (!device.time || busy == snapshot.busy_percent.end()) {
    windows_.erase(key);
    return;
  }
  const Clock::TimePoint now = snapshot.taken_at;
  const auto [entry, fresh] = windows_.try_emplace(key);
  TimeWindow& window = entry->second;
  if (fresh) {
    window = {now, now, *device.time, {}, 0};
    return;
  }
  const double span_ms = Milliseconds(now - std::exchange(window.last, now));
  for (const Member& member : members) {
    const auto percent = busy->second.find(static_cast<std::uint32_t>(member.process.pid));
    if (percent == busy->second.end()) continue;
    window.busy_ms[member.process] += percent->second / 100.0 * span_ms;
  }
  if (now - window.since < kTimeWindow) return;
  double sum_ms = 0;
  for (const auto& [process, ms] : window.busy_ms) sum_ms += ms;
  const double all_ms = Milliseconds(now - window.since);
  const double counted_ms = Milliseconds(device.time->used - window.time.used);
  const bool counting =
      Milliseconds(device.time->counted - window.time.counted) >= kLeastCounted * all_ms;
  const bool wrong =
      counting && sum_ms > kTimeFactor * counted_ms && sum_ms - counted_ms > kTimeMargin * all_ms;
  if (wrong && window.wrong > 0) {
    Violation violation{Violation::Kind::kUncountedTime, id, uuid, {}, 0, 0};
    violation.busy = std::chrono::milliseconds(static_cast<std::int64_t>(sum_ms));
    violation.counted = std::chrono::milliseconds(static_cast<std::int64_t>(counted_ms));
    const auto worth = [&](const auto& one) {
      return std::tuple(!grants.at(id).sessions.contains(one.first.pid), one.second);
    };
    violation.process =
        std::max_element(window.busy_ms.begin(), window.busy_ms.end(),
                         [&](const auto& a, const auto& b) { return worth(a) < worth(b); })
            ->first;
    violations.push_back(std::move(violation));
  }
  window = {now, now, *device.time, {}, wrong ? window.wrong + 1 : 0};
}

std::vector<Violation> BackstopAudit::Observe(const gpu::ProcessSnapshot& snapshot,
                                              const AuditedGrants& grants) {
  using Kind = Violation::Kind;
  Forget(snapshot, grants);
  LearnContainers(grants);
  const Seen former = std::exchange(seen_, {});
  KeepUnread(snapshot, grants, former);
  std::vector<Violation> violations;
  const auto sorted = Sort(snapshot, grants);
  std::erase_if(windows_, [&](const auto& entry) { return !sorted.contains(entry.first); });
  for (const auto& [key, members] : sorted) {
    const auto& [id, uuid] = key;
    CompareTime(key, members, snapshot, grants, violations);
    std::uint64_t held = 0;
    for (const Member& member : members) {
      held += member.bytes;
      if (member.session) continue;
      if (!Lasted({Kind::kUnmanagedProcess, id, uuid, member.process}, snapshot.taken_at)) continue;
      violations.push_back({Kind::kUnmanagedProcess, id, uuid, member.process, member.bytes, 0});
    }
    seen_.held[key] = held;
    const std::optional<std::uint64_t> limit = grants.at(id).devices.at(uuid).limit_bytes;
    if (!limit || held <= *limit + Margin(*limit)) continue;
    if (!Lasted({Kind::kOverLimit, id, uuid, {}}, snapshot.taken_at)) continue;
    const auto worst =
        std::max_element(members.begin(), members.end(), [](const Member& a, const Member& b) {
          return std::tuple(!a.session, a.bytes) < std::tuple(!b.session, b.bytes);
        });
    violations.push_back({Kind::kOverLimit, id, uuid, worst->process, held, *limit});
  }
  return violations;
}

}  // namespace aliquot::grants
