// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "grants/audit.h"

#include <algorithm>
#include <utility>

namespace aliquot::grants {
namespace {

constexpr std::uint64_t kLeastMargin = 256ull << 20;

bool Governs(const AuditedGrants& grants, const std::string& device) {
  return std::any_of(grants.begin(), grants.end(),
                     [&](const auto& entry) { return entry.second.devices.contains(device); });
}

}  // namespace

const char* NameOf(Violation::Kind kind) {
  return kind == Violation::Kind::kUnmanagedProcess ? "unmanaged-process" : "over-limit";
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

std::vector<Violation> BackstopAudit::Observe(const gpu::ProcessSnapshot& snapshot,
                                              const AuditedGrants& grants) {
  using Kind = Violation::Kind;
  Forget(snapshot, grants);
  LearnContainers(grants);
  const Seen former = std::exchange(seen_, {});
  KeepUnread(snapshot, grants, former);
  std::vector<Violation> violations;
  for (const auto& [key, members] : Sort(snapshot, grants)) {
    const auto& [id, uuid] = key;
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
