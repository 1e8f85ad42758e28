// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "arbiter/scheduler.h"
#include "arbiter/wire.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace aliquot::arbiter {

// What the agent tells one process about its memory on one GPU; see aliquot_memory.
struct MemorySnapshot {
  std::uint64_t limit = 0;
  std::uint64_t outside = 0;
  std::uint64_t held = 0;
  std::uint64_t physical_free = UINT64_MAX;
  std::uint64_t physical_total = 0;
  std::uint64_t credit_target = 0;
  std::uint64_t offline = 0;
  std::uint32_t process_count = 0;

  friend bool operator==(const MemorySnapshot&, const MemorySnapshot&) = default;
};

// A gate as written to a control page.
struct GateWord {
  bool shared = false;  // false: run freely, the rest does not count
  bool closed = false;
  bool ring = false;
  bool learn = false;
  std::uint32_t cap_us = 0;
  std::uint32_t duty_permille = 1000;

  friend bool operator==(const GateWord&, const GateWord&) = default;
};

// Both pages of one process, mapped into the agent. The control page is read-only for everybody
// else, by seals; the status page is the process's, and every word of it is a claim. Methods on
// different GPUs or different groups (gate; memory; heartbeat; reading) may be called from
// different threads; those of one group from one at a time.
class Pages {
 public:
  // Descriptors to send to the process; the mapping does not need them.
  struct Descriptors {
    UniqueFd control;
    UniqueFd status;
  };

  static Result<std::unique_ptr<Pages>> Create(std::uint64_t process_id, std::uint64_t agent_epoch,
                                               std::uint32_t gpu_count, std::uint32_t policy,
                                               Descriptors& descriptors);
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  // Writes the gate and wakes who waits at it, if anything changed. A change of `shared`, `closed`
  // or a `ring` that goes on raises the epoch, which lets every doorbell ring once more.
  void SetGate(std::uint32_t gpu, const GateWord& gate);
  void SetMemory(std::uint32_t gpu, const MemorySnapshot& memory);
  void Beat();

  // The process's clock was at `theirs` some time before ours was at `ours`: it may have a time
  // namespace of its own.
  void SetClock(Nanos theirs, Nanos ours);
  // When it last submitted work, by its clock; 0: never.
  Nanos LastSubmit(std::uint32_t gpu) const;
  // What LastSubmit returned is not in the future: `ours` is our clock after it was read. The hello
  // took a while to arrive, and without this the process's clock would seem to be late by that.
  void FollowClock(Nanos submitted, Nanos ours);
  // What it says about its work on a GPU. Totals are whatever it claims.
  ProcessSample Sample(std::uint32_t gpu, Nanos now);
  std::uint64_t Credit(std::uint32_t gpu) const;
  // Takes up to `bytes` of its unused credit; returns how much. It may take some at the same time.
  std::uint64_t TakeCredit(std::uint32_t gpu, std::uint64_t bytes);
  std::uint64_t Denied(std::uint32_t gpu) const;
  std::uint64_t HostPinned(std::uint32_t gpu) const;
  std::uint64_t Launches(std::uint32_t gpu) const;
  std::uint64_t WaitedNs(std::uint32_t gpu) const;

 private:
  Pages(aliquot_control* control, aliquot_status* status) : control_(control), status_(status) {}

  aliquot_control* const control_;
  aliquot_status* const status_;
  GateWord gates_[ALIQUOT_WIRE_GPUS];
  MemorySnapshot memory_[ALIQUOT_WIRE_GPUS];
  std::uint32_t attention_ = 0;  // GPUs whose gate is shared
  Nanos clock_offset_{0};
  Nanos most_offset_{0};
  Nanos marked_at_[ALIQUOT_WIRE_GPUS] = {};  // when a marker was last seen to be out
};

}  // namespace aliquot::arbiter
