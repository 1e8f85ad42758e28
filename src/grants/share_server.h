// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "config/config.h"
#include "gpu/process_reader.h"

namespace aliquot::grants {

struct ServedDevice {
  std::string uuid;
  std::optional<std::uint64_t> memory_bytes;  // limit; absent = none
  // The tenant's part of the device's time, in millionths, so that promises of different numbers
  // of replicas compare.
  std::uint32_t weight_ppm = 0;

  friend bool operator==(const ServedDevice&, const ServedDevice&) = default;
};

// A grant as the arbiter needs it.
struct ServedGrant {
  std::string id;
  std::string directory;  // gets the socket
  std::vector<ServedDevice> devices;
  config::Isolation::Compute compute = config::Isolation::Compute::kNone;
  std::optional<std::chrono::microseconds> quantum;
  config::Isolation::TenantClass tenant_class = config::Isolation::TenantClass::kNormal;

  friend bool operator==(const ServedGrant&, const ServedGrant&) = default;
};

// What a tenant did with one device so far. Counters start with the agent.
struct DeviceUse {
  std::string uuid;
  std::uint64_t charged_bytes = 0;
  std::uint64_t peak_bytes = 0;
  std::uint64_t denied = 0;             // allocations refused for the limit
  std::chrono::nanoseconds used{0};     // GPU time
  std::chrono::nanoseconds granted{0};  // time in which it could submit work it had
  std::chrono::nanoseconds waited{0};   // time in which it had work and was held back
  std::chrono::nanoseconds counted{0};  // time in which `used` was kept: others were about
};

struct GrantUse {
  std::vector<pid_t> processes;  // with a session, in the agent's PID namespace
  std::vector<DeviceUse> devices;
};

// Serves the sessions of containers: the arbiter, as far as grants go. Confined to the executor.
class ShareServer {
 public:
  virtual ~ShareServer() = default;
  // Makes the grant's socket; one that is there is replaced in its place, for a container may have
  // the directory mounted.
  virtual Status Add(const ServedGrant& grant) = 0;
  // Changes limits, weights and the mode of a grant in use.
  virtual Status Update(const ServedGrant& grant) = 0;
  // Ends its sessions. Unknown ids are ignored.
  virtual void Remove(const std::string& id) = 0;
  // By grant id.
  virtual std::map<std::string, GrantUse> Look() = 0;
  // What the driver says its processes hold.
  virtual void SetProcessMemory(const gpu::ProcessSnapshot& processes) = 0;
};

}  // namespace aliquot::grants
