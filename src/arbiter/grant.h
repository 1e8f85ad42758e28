// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "arbiter/scheduler.h"

namespace aliquot::arbiter {

// One GPU or MIG device of a grant.
struct DeviceShare {
  std::string uuid;                // "GPU-…" or "MIG-…"
  std::uint64_t memory_limit = 0;  // bytes; 0 = not limited
  std::uint32_t weight = 1;        // replicas held
  std::uint32_t whole = 1;         // replicas the device has

  friend bool operator==(const DeviceShare&, const DeviceShare&) = default;
};

// What one container was promised.
struct GrantSpec {
  std::string id;                    // unique on the node
  std::string directory;             // exists; mounted into the container; the socket is made in it
  std::vector<DeviceShare> devices;  // in the order of the share file, at most 16
  TenantClass tenant_class = TenantClass::kNormal;
  ComputeMode compute = ComputeMode::kFair;
  Nanos quantum{0};  // 0 = Tuning::turn

  friend bool operator==(const GrantSpec&, const GrantSpec&) = default;
};

// What a container does with one of its devices, for metrics.
struct DeviceUsage {
  std::string uuid;
  std::uint64_t limit = 0;    // bytes
  std::uint64_t charged = 0;  // bytes, overhead and debts included
  std::uint64_t debts = 0;    // bytes of it that dead processes have not given back yet
  std::uint64_t peak = 0;     // most ever charged
  std::uint64_t denied = 0;   // reservations refused for the limit
  ComputeUse compute;
  bool active = false;  // has work, or had a moment ago
};

struct ProcessUsage {
  std::uint32_t pid = 0;            // as the agent sees it
  std::uint32_t container_pid = 0;  // as it says itself
  std::uint32_t uid = 0;
  std::string name;                 // as it says itself
  std::vector<std::uint64_t> used;  // bytes per device, as charged to it
};

struct GrantUsage {
  std::string id;
  std::vector<DeviceUsage> devices;
  std::vector<ProcessUsage> processes;
};

// Something worth telling about a grant.
struct GrantEvent {
  enum class Kind {
    kGateTimeOut,  // a launch passed a closed gate because nobody opened it for too long
    kRanFree,      // it took the agent for dead; value: ns
    kNoMarkers,    // its driver cannot report progress; shares are rougher
    kMisbehaved,   // broke the protocol and was cut off
    kTurnedAway,   // connected, but does not belong to the container
  };
  Kind kind = Kind::kMisbehaved;
  std::string grant;
  std::uint32_t pid = 0;
  std::uint32_t device = 0;
  std::uint64_t value = 0;
  std::string detail;
};

// One look of NVML at one device.
struct DeviceMemory {
  std::string uuid;
  std::uint64_t total = 0;  // bytes
  std::uint64_t free = 0;
  std::map<std::uint32_t, std::uint64_t> used_by_pid;  // bytes; pids as the agent sees them
  Nanos taken{0};                                      // CLOCK_MONOTONIC before NVML was asked
};

// The text of the share file for a grant; see docs/wire-protocol.md. Empty paths are left out.
std::string ShareFile(const GrantSpec& spec, std::string_view driver, std::string_view nvml);

// The 16 bytes in a UUID's text, whatever stands before them; zeros if there are not 32 digits.
std::array<std::uint8_t, 16> UuidBytes(std::string_view uuid);

}  // namespace aliquot::arbiter
