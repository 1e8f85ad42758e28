// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "base/unique_fd.h"
#include "sim/model/node.h"
#include "sim/state/layout.h"

namespace aliquot::sim {

// The state of one simulated node, either private to this object or shared by all processes that
// name the same directory. Every operation sees a consistent state and changes it in one step: a
// process killed at any point of an update leaves the state as it was before. Thread-safe.
class SharedState {
 public:
  // State in memory of this process, filled by `initial`.
  static Result<std::unique_ptr<SharedState>> CreatePrivate(const std::string& node_text,
                                                            const NodeState& initial);
  // State in `directory` (created if missing). The first opener of all processes fills it from
  // `initial`; later ones must bring the same node text, else kFailedPrecondition.
  static Result<std::unique_ptr<SharedState>> Open(const std::string& directory,
                                                   const std::string& node_text,
                                                   const NodeState& initial);
  // The node file that the state in `directory` was made from. kNotFound if there is no state.
  static Result<std::string> NodeText(const std::string& directory);

  ~SharedState();
  SharedState(const SharedState&) = delete;
  SharedState& operator=(const SharedState&) = delete;

  // Calls `look` with the state locked. `look` must not call back into this object.
  void Read(const std::function<void(const NodeState&)>& look);
  // Calls `change` with a copy that becomes the state if `change` returns true, and then wakes
  // every waiter of every process. Returns what `change` did.
  bool Write(const std::function<bool(NodeState&)>& change);

  // A number that changes with every committed Write and every Poke.
  std::uint32_t ChangeCount() const;
  // Blocks until ChangeCount() differs from `seen`, or `timeout` has passed (nothing: no limit).
  // May wake without reason.
  void WaitForChange(std::uint32_t seen, std::optional<std::chrono::nanoseconds> timeout);
  // Wakes all waiters of this state, also in other processes.
  void Poke();

  // Marks process entry `slot` as owned by this process, until released or the process ends,
  // however it ends. False if another process owns it.
  bool AcquireSlot(unsigned slot);
  void ReleaseSlot(unsigned slot);
  // Whether some process, this one included, owns `slot`.
  bool SlotOwned(unsigned slot);

 private:
  struct Region;
  SharedState(Region* region, bool shared, UniqueFd slots);
  class Lock;

  Region* region_;
  bool shared_;
  UniqueFd slots_;  // byte n is locked while entry n has an owner; invalid for private state
  std::array<bool, kMaxProcesses> own_{};  // guarded by the region's lock
};

}  // namespace aliquot::sim
