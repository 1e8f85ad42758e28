// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/status.h"

namespace aliquot::agent {

// Brings something in the cluster to what it should be, level-triggered and rate limited: writes as
// long as it is not, at once the first time, then 1 s, 2 s, 4 s … up to five minutes apart, be it
// that writes fail or that somebody else changes it back. After as long a quiet time it is fresh
// again. Confined to the executor.
class RepeatedWrite {
 public:
  static constexpr std::chrono::seconds kFirstDelay{1};
  static constexpr std::chrono::seconds kLongestDelay{300};

  struct Dependencies {
    Executor& executor;
    const Clock& clock;
    // Whether what is there differs from what should be.
    std::function<bool()> needed;
    // Starts the write; `done` is called once, on the executor, or never.
    std::function<void(std::function<void(Status)> done)> write;
  };

  explicit RepeatedWrite(Dependencies dependencies)
      : dependencies_(std::move(dependencies)), alive_(std::make_shared<bool>(true)) {}
  ~RepeatedWrite() {
    *alive_ = false;
    dependencies_.executor.Cancel(timer_);
  }
  RepeatedWrite(const RepeatedWrite&) = delete;
  RepeatedWrite& operator=(const RepeatedWrite&) = delete;

  // What is there changed.
  void Check();
  // What should be changed: not more than one write a second, but no longer wait either, unless
  // writes fail.
  void Changed();

  // Of the newest write; empty if it succeeded.
  const std::string& error() const { return error_; }
  std::uint64_t writes() const { return writes_; }
  std::uint64_t failures() const { return failures_; }
  // How many writes did not last or failed since the last quiet time.
  unsigned in_vain() const { return in_vain_; }

 private:
  void OnWritten(const Status& status);

  const Dependencies dependencies_;
  const std::shared_ptr<bool> alive_;  // seen by late answers
  bool in_flight_ = false;
  Executor::TimerId timer_ = 0;
  Clock::Duration delay_{};
  Clock::TimePoint last_write_;
  std::string error_;
  std::uint64_t writes_ = 0;
  std::uint64_t failures_ = 0;
  unsigned in_vain_ = 0;
};

}  // namespace aliquot::agent
