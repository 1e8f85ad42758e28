// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "sim/model/node.h"
#include "sim/state/shared_state.h"

namespace aliquot::sim {

// What a process says of itself when it begins to use a device.
struct ProcessOptions {
  std::uint32_t pid = 0;
  std::uint32_t gpu = 0;
  std::uint32_t gi = kNobody;  // both set on a GPU with MIG on, neither without
  std::uint32_t ci = kNobody;
  ProcessKind kind = ProcessKind::kCompute;
  std::uint32_t sm_percent = 0;
  std::string name;
  // Stays when the registration is gone, until ForgetProcess: for scenes set up from outside.
  bool pinned = false;
};

// A process's use of one device, as NVML's process lists, memory figures and IN_USE answers show
// it. Ends with this object, or with the process however that ends. Thread-safe.
class ProcessRegistration {
 public:
  // kInvalidArgument for a device that does not exist, kFailedPrecondition for a GPU that is lost
  // or whose driver is unloaded, kResourceExhausted if too many processes are registered.
  static Result<std::unique_ptr<ProcessRegistration>> Register(std::shared_ptr<SharedState> state,
                                                               const NodeSpec& node,
                                                               const ProcessOptions& options);
  ~ProcessRegistration();
  ProcessRegistration(const ProcessRegistration&) = delete;
  ProcessRegistration& operator=(const ProcessRegistration&) = delete;

  // Adds to (or with a negative number takes from) the memory the process holds, in one step with
  // the check that the device has it. kResourceExhausted if it has not, kAborted if the driver was
  // unloaded since, kInvalidArgument below zero; then nothing changes.
  Status Charge(std::int64_t bytes);
  Status SetBusy(std::uint32_t sm_percent);

 private:
  ProcessRegistration(std::shared_ptr<SharedState> state, const NodeSpec& node, unsigned slot,
                      std::uint64_t serial, bool pinned);

  std::shared_ptr<SharedState> state_;
  NodeSpec node_;
  unsigned slot_;
  std::uint64_t serial_;
  bool pinned_;
};

// What utilisation calls say of the process now.
unsigned BusyPercent(const ProcessState& process);
// Removes pinned entries of `pid`; answers how many there were.
unsigned ForgetProcess(SharedState& state, std::uint32_t pid);
// Removes the entries of processes that ended without saying so. Cheap if there are none.
void ReapProcesses(SharedState& state);

}  // namespace aliquot::sim
