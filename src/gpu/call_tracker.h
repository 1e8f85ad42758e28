// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "gpu/nvml_api.h"

namespace aliquot::gpu {

// Knows which driver call is in progress and since when, so that another thread can tell a thread
// stuck in the driver from an idle one. Thread-safe; one thread makes the calls.
class CallTracker {
 public:
  struct Call {
    std::uint64_t id = 0;  // counts calls from 1
    std::string name;
    Clock::Duration duration{};  // so far, or in all
  };

  // Calls that took at least `slow` are remembered when they return.
  CallTracker(const Clock& clock, Clock::Duration slow) : clock_(clock), slow_(slow) {}

  // `name` must be a literal.
  void Begin(const char* name);
  void End();
  // The call in progress.
  std::optional<Call> Current() const;
  // The last slow call that returned; each is given once.
  std::optional<Call> TakeSlow();

  // A table whose functions do the same as `api`'s and report to this tracker, which must outlive
  // it.
  NvmlApi Watch(const NvmlApi& api);

 private:
  const Clock& clock_;
  const Clock::Duration slow_;
  // Guards the rest: written by the driver thread at each call, read by the agent's watchdog.
  mutable std::mutex mutex_;
  std::uint64_t calls_ = 0;
  const char* name_ = nullptr;  // null between calls
  Clock::TimePoint since_;
  std::optional<Call> slow_call_;
};

}  // namespace aliquot::gpu
