// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "base/executor.h"

namespace aliquot {

// A clock that moves only when told. Thread-safe.
class FakeClock final : public Clock {
 public:
  TimePoint Now() const override {
    std::lock_guard lock(mutex_);
    return TimePoint(elapsed_);
  }
  std::chrono::system_clock::time_point WallNow() const override {
    std::lock_guard lock(mutex_);
    return std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000)) +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(elapsed_);
  }
  void Advance(Duration by) {
    std::lock_guard lock(mutex_);
    elapsed_ += by;
  }

 private:
  mutable std::mutex mutex_;
  Duration elapsed_ = std::chrono::hours(1);
};

// Runs tasks on the thread that calls RunReady or Advance. Post is thread-safe.
class FakeExecutor final : public Executor {
 public:
  explicit FakeExecutor(FakeClock& clock) : clock_(clock) {}

  void Post(Task task) override {
    std::lock_guard lock(mutex_);
    queue_.emplace(std::make_pair(Clock::TimePoint::min(), next_id_++), std::move(task));
  }
  TimerId PostAfter(Clock::Duration delay, Task task) override {
    std::lock_guard lock(mutex_);
    queue_.emplace(std::make_pair(clock_.Now() + delay, next_id_), std::move(task));
    return next_id_++;
  }
  void Cancel(TimerId id) override {
    std::lock_guard lock(mutex_);
    std::erase_if(queue_, [id](const auto& entry) { return entry.first.second == id; });
  }
  // Runs everything that is due, including what those tasks post; returns how many ran.
  int RunReady() {
    int ran = 0;
    while (true) {
      Task task;
      {
        std::lock_guard lock(mutex_);
        if (queue_.empty() || queue_.begin()->first.first > clock_.Now()) return ran;
        task = std::move(queue_.begin()->second);
        queue_.erase(queue_.begin());
      }
      task();
      ++ran;
    }
  }
  // Moves the clock to each timer that falls due within `by`, in order, and runs it.
  void Advance(Clock::Duration by) {
    const Clock::TimePoint end = clock_.Now() + by;
    RunReady();
    while (true) {
      Clock::TimePoint next;
      {
        std::lock_guard lock(mutex_);
        if (queue_.empty() || queue_.begin()->first.first > end) break;
        next = queue_.begin()->first.first;
      }
      if (next > clock_.Now()) clock_.Advance(next - clock_.Now());
      RunReady();
    }
    if (end > clock_.Now()) clock_.Advance(end - clock_.Now());
  }

 private:
  FakeClock& clock_;
  std::mutex mutex_;
  std::map<std::pair<Clock::TimePoint, TimerId>, Task> queue_;
  TimerId next_id_ = 1;
};

}  // namespace aliquot
