// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/file.h"
#include "grants/host_processes.h"
#include "grants/share_server.h"

namespace aliquot::grants {

// Keeps what it is told. Not thread-safe.
class FakeShareServer final : public ShareServer {
 public:
  Status Add(const ServedGrant& grant) override {
    if (error) return *error;
    served[grant.id] = grant;
    ++added[grant.id];
    return WriteFileAtomically(grant.directory + "/socket", "");
  }
  Status Update(const ServedGrant& grant) override {
    if (!served.contains(grant.id)) return Error{Code::kNotFound, "no such grant"};
    served[grant.id] = grant;
    ++updates;
    return {};
  }
  void Remove(const std::string& id) override {
    served.erase(id);
    uses.erase(id);
  }
  std::map<std::string, GrantUse> Look() override { return uses; }
  void SetProcessMemory(const gpu::ProcessSnapshot&) override { ++memory_looks; }

  std::optional<Error> error;  // of Add
  std::map<std::string, ServedGrant> served;
  std::map<std::string, int> added;
  std::map<std::string, GrantUse> uses;
  int updates = 0;
  int memory_looks = 0;
};

// A host whose processes the test makes up. Not thread-safe.
class FakeHostProcesses final : public HostProcesses {
 public:
  struct Process {
    std::uint64_t start_time = 1;
    std::string container;
    std::optional<std::string> grant = std::nullopt;  // mounted
    std::string pod_uid = {};
  };

  std::optional<ProcessIdentity> Identify(pid_t pid) const override {
    const auto found = processes.find(pid);
    if (found == processes.end()) return std::nullopt;
    return ProcessIdentity{pid, found->second.start_time};
  }
  std::optional<std::string> ContainerOf(pid_t pid) const override {
    const auto found = processes.find(pid);
    if (found == processes.end()) return std::nullopt;
    return found->second.container;
  }
  std::optional<std::string> PodOf(pid_t pid) const override {
    const auto found = processes.find(pid);
    if (found == processes.end() || found->second.pod_uid.empty()) return std::nullopt;
    return found->second.pod_uid;
  }
  std::optional<std::string> GrantOf(pid_t pid) const override {
    const auto found = processes.find(pid);
    return found == processes.end() ? std::nullopt : found->second.grant;
  }
  std::set<std::string> MountedGrants() const override {
    std::set<std::string> grants;
    for (const auto& [pid, process] : processes) {
      if (process.grant) grants.insert(*process.grant);
    }
    return grants;
  }
  Status Kill(const ProcessIdentity& process) const override {
    if (Identify(process.pid) != process) return Error{Code::kNotFound, "gone"};
    killed.push_back(process.pid);
    return {};
  }

  std::map<pid_t, Process> processes;
  mutable std::vector<pid_t> killed;
};

}  // namespace aliquot::grants
