// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "gpu/process_reader.h"
#include "grants/host_processes.h"

namespace aliquot::grants {

// What the backstop found: the interposer was gone around.
struct Violation {
  enum class Kind {
    kUnmanagedProcess,  // uses a device of the grant without a session
    kOverLimit,         // the container's processes together hold more than the limit and margin
    kUncountedTime,     // they keep the GPU busy for longer than the arbiter knows of
  };
  Kind kind = Kind::kUnmanagedProcess;
  std::string grant;
  std::string device;
  // The process itself, or of several the one to end: the largest without a session, else the
  // largest. For kUncountedTime, which is only told, the busiest likewise.
  ProcessIdentity process;
  std::uint64_t bytes = 0;  // the driver's figure for process or container; 0 if it cannot tell
  std::uint64_t limit_bytes = 0;  // kOverLimit
  // kUncountedTime: of the last kTimeWindow.
  std::chrono::milliseconds busy{0};     // as the driver says
  std::chrono::milliseconds counted{0};  // as the arbiter does

  friend bool operator==(const Violation&, const Violation&) = default;
};

// "unmanaged-process", "over-limit", "uncounted-time": as metrics and logs call it.
const char* NameOf(Violation::Kind kind);

// A grant as the audit sees it.
struct AuditedDevice {
  std::string gpu_uuid;
  std::optional<std::uint64_t> limit_bytes;
  // GPU time used so far, and time in which that was kept; absent: time is not divided.
  struct Time {
    std::chrono::nanoseconds used{0};
    std::chrono::nanoseconds counted{0};
  };
  std::optional<Time> time = {};
};
struct AuditedGrant {
  std::map<std::string, AuditedDevice> devices;  // by UUID
  std::set<pid_t> sessions;
};
using AuditedGrants = std::map<std::string, AuditedGrant>;  // by id

// Compares what the driver says about processes with the grants they belong to. What the interposer
// cannot prevent is noticed here: programs that reach the driver without it, and memory that was
// never charged. Remembers how long something has been so; confined to one thread.
class BackstopAudit {
 public:
  // A state that lasts this long is a violation. Between a process's start and its session, or an
  // agent's restart and the sessions' return, less passes.
  static constexpr Clock::Duration kPatience = std::chrono::seconds(5);
  // GPU time is compared over this long; two in a row have to be wrong. Only while it is counted: a
  // container that has the GPU for itself tells nothing about its work.
  static constexpr Clock::Duration kTimeWindow = std::chrono::seconds(5);
  // A container may hold this much more than its limit: what a context takes beyond what was
  // charged for it settles within seconds, and the driver rounds up.
  static std::uint64_t Margin(std::uint64_t limit_bytes);

  explicit BackstopAudit(const HostProcesses& processes) : processes_(processes) {}

  // One look. Returns what has become a violation, and again every kPatience while it lasts.
  std::vector<Violation> Observe(const gpu::ProcessSnapshot& snapshot, const AuditedGrants& grants);

  struct Seen {
    std::map<std::pair<std::string, std::string>, std::uint64_t> held;  // by grant and device
    // Memory on devices of grants that is held by processes of no grant: the host's, or of pods
    // that were given the device otherwise. By device.
    std::map<std::string, std::uint64_t> foreign;
  };
  // Sums of the last look, for metrics. Devices that could not be read keep their former figures.
  const Seen& seen() const { return seen_; }

 private:
  struct Member {
    ProcessIdentity process;
    std::uint64_t bytes = 0;
    bool session = false;
  };
  using Subject = std::tuple<Violation::Kind, std::string, std::string, ProcessIdentity>;

  using DeviceKey = std::pair<std::string, std::string>;  // grant, device

  std::optional<std::string> GrantOf(const ProcessIdentity& process, const AuditedGrants& grants);
  void LearnContainers(const AuditedGrants& grants);
  void Forget(const gpu::ProcessSnapshot& snapshot, const AuditedGrants& grants);
  // Carries over what is known of devices that could not be read this time.
  void KeepUnread(const gpu::ProcessSnapshot& snapshot, const AuditedGrants& grants,
                  const Seen& former);
  std::map<DeviceKey, std::vector<Member>> Sort(const gpu::ProcessSnapshot& snapshot,
                                                const AuditedGrants& grants);
  void CompareTime(const DeviceKey& key, const std::vector<Member>& members,
                   const gpu::ProcessSnapshot& snapshot, const AuditedGrants& grants,
                   std::vector<Violation>& violations);
  // Whether `subject` has lasted and is due to be told.
  bool Lasted(const Subject& subject, Clock::TimePoint now);

  const HostProcesses& processes_;
  std::map<std::string, std::string> grant_of_container_;
  std::map<ProcessIdentity, std::optional<std::string>> grant_of_process_;
  struct Episode {
    Clock::TimePoint due;
    bool current = true;
  };
  std::map<Subject, Episode> episodes_;
  // GPU time of a container while others are about.
  struct TimeWindow {
    Clock::TimePoint since, last;
    AuditedDevice::Time time;  // at `since`
    std::map<ProcessIdentity, double> busy_ms;
    int wrong = 0;  // windows in a row
  };
  std::map<DeviceKey, TimeWindow> windows_;
  Seen seen_;
};

}  // namespace aliquot::grants
