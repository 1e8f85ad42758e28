// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "sim/model/node.h"
#include "sim/state/process.h"
#include "sim/state/shared_state.h"

namespace aliquot::sim {

// The hand that lets things happen to a simulated node: faults, events, the driver's coming and
// going. All programs that use the same state directory see them at once. Thread-safe.
class Control {
 public:
  // The state in `directory`. `node` (a bundled name or a path) creates it if it is missing, and
  // must be the same node if it is not; empty means whatever node is there.
  static Result<std::unique_ptr<Control>> Open(const std::string& directory,
                                               const std::string& node);

  const NodeSpec& node() const { return node_; }
  const std::shared_ptr<SharedState>& state() const { return state_; }
  NodeState Snapshot() const;

  // An XID event, of the whole GPU or of an instance.
  Status RaiseXid(unsigned gpu, std::uint64_t code, std::optional<unsigned> gi,
                  std::optional<unsigned> ci);
  // The GPU falls off the bus (with XID 79), or is back.
  Status Lose(unsigned gpu);
  Status Restore(unsigned gpu);
  // As a reset by the administrator: instances are gone, a pending MIG mode takes effect.
  // kFailedPrecondition while a process uses the GPU.
  Status ResetGpu(unsigned gpu);
  // Calls of `call` ("nvmlDeviceGetMemoryInfo", or "*") fail with NVML's code `code`: the next
  // `count`, or all with 0. Without `gpu`, for every GPU.
  Status FailCall(const std::string& call, int code, std::optional<unsigned> gpu, unsigned count);
  // Calls of `call` take `delay_ms`; with 0 they hang until the faults are cleared.
  Status DelayCall(const std::string& call, unsigned delay_ms, std::optional<unsigned> gpu);
  // Memory errors: the counts grow, and an event of each kind that is not 0 is raised.
  Status AddEccErrors(unsigned gpu, std::uint64_t corrected, std::uint64_t uncorrected);
  // The driver leaves, comes, or both in one step. Sessions from before stay broken until they
  // are opened again; an empty `version` keeps the driver's.
  void Unload();
  Status Load(const std::string& version);
  Status Reload(const std::string& version);
  // A process that exists only for NVML, until RemoveProcess.
  Status AddProcess(ProcessOptions options, std::uint64_t memory_bytes);
  Status RemoveProcess(std::uint32_t pid);
  // Ends all faults; instances, processes and the driver stay as they are.
  void Reset();

 private:
  Control(NodeSpec node, std::shared_ptr<SharedState> state);
  Status CheckGpu(unsigned gpu) const;
  Status CheckVersion(const std::string& version) const;

  NodeSpec node_;
  std::shared_ptr<SharedState> state_;
};

}  // namespace aliquot::sim
