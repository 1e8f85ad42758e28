// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace aliquot {

// Runs tasks one after another. State owned by an executor is touched only by tasks on it, which
// is the agent's whole locking discipline: callbacks from other threads only Post.
class Executor {
 public:
  using Task = std::function<void()>;
  using TimerId = std::uint64_t;  // 0 is never a valid id

  virtual ~Executor() = default;
  // Queues `task`; runs in order of posting. Thread-safe. Tasks posted after the executor stopped
  // are dropped.
  virtual void Post(Task task) = 0;
  // Runs `task` once, not before `delay` has passed. Thread-safe.
  virtual TimerId PostAfter(Clock::Duration delay, Task task) = 0;
  // Forgets a timer that has not fired; unknown ids are ignored. Thread-safe. Called from a task of
  // this executor it guarantees that the timer's task will not run.
  virtual void Cancel(TimerId id) = 0;
};

// One thread, real time. Destruction stops after the task in progress, drops the rest and joins.
class ThreadExecutor final : public Executor {
 public:
  ThreadExecutor();
  ~ThreadExecutor() override;
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;

  void Post(Task task) override;
  TimerId PostAfter(Clock::Duration delay, Task task) override;
  void Cancel(TimerId id) override;
  // Stops and joins; later Posts are dropped. Not to be called from a task.
  void Stop();

 private:
  void Run();

  std::mutex mutex_;  // guards everything below: posted to from any thread
  std::condition_variable wake_;
  std::multimap<std::pair<Clock::TimePoint, TimerId>, Task> queue_;
  TimerId next_id_ = 1;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace aliquot
