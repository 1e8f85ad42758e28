// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/status.h"

namespace aliquot::grants {

// A process, told from a later one with the same number.
struct ProcessIdentity {
  pid_t pid = 0;
  std::uint64_t start_time = 0;  // clock ticks since boot, from /proc/<pid>/stat

  friend auto operator<=>(const ProcessIdentity&, const ProcessIdentity&) = default;
};

// Which container and which grant a process of the host belongs to. Processes end while they are
// looked at, so a missing answer is never an error. Has no state; any thread.
class HostProcesses {
 public:
  virtual ~HostProcesses() = default;
  virtual std::optional<ProcessIdentity> Identify(pid_t pid) const = 0;
  // A text that all processes of one container have in common and no other process has: its
  // container id if the control group is named after one, else the path of the group. What a
  // process can't change without privileges.
  virtual std::optional<std::string> ContainerOf(pid_t pid) const = 0;
  // The UID of the pod that the process is in, from its control group.
  virtual std::optional<std::string> PodOf(pid_t pid) const = 0;
  // The id of the grant that the process, or a parent of it in the same container, has mounted.
  virtual std::optional<std::string> GrantOf(pid_t pid) const = 0;
  // Ids of all grants that any process has mounted: containers that exist. Looks at every process.
  virtual std::set<std::string> MountedGrants() const = 0;
  // Ends the process with SIGKILL; kNotFound if it is gone or its number belongs to another one.
  virtual Status Kill(const ProcessIdentity& process) const = 0;
};

// From a procfs of the host's PID namespace.
class ProcHostProcesses final : public HostProcesses {
 public:
  // `live`: the directory that holds those of all grants; what is mounted from another file system
  // is somebody's imitation.
  ProcHostProcesses(std::string proc, std::string live)
      : proc_(std::move(proc)), live_(std::move(live)) {}

  std::optional<ProcessIdentity> Identify(pid_t pid) const override;
  std::optional<std::string> ContainerOf(pid_t pid) const override;
  std::optional<std::string> PodOf(pid_t pid) const override;
  std::optional<std::string> GrantOf(pid_t pid) const override;
  std::set<std::string> MountedGrants() const override;
  Status Kill(const ProcessIdentity& process) const override;

 private:
  std::string Read(pid_t pid, const char* file) const;
  std::set<std::string> GrantsMountedBy(pid_t pid) const;

  const std::string proc_;
  const std::string live_;
};

// The container's name in the text of /proc/<pid>/cgroup. Exposed for tests.
std::optional<std::string> ContainerInCgroup(std::string_view text);
// The pod's UID in it, however the kubelet's cgroup driver spells it. Exposed for tests.
std::optional<std::string> PodInCgroup(std::string_view text);
// The grants whose directories a /proc/<pid>/mountinfo lists at the place where containers have
// theirs, and on the file system `device` ("<major>:<minor>"). Exposed for tests.
std::set<std::string> GrantsInMountInfo(std::string_view text, std::string_view device);

}  // namespace aliquot::grants
