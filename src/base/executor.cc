// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/executor.h"

#include <algorithm>

namespace aliquot {

ThreadExecutor::ThreadExecutor() : thread_([this] { Run(); }) {}

ThreadExecutor::~ThreadExecutor() { Stop(); }

void ThreadExecutor::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  std::lock_guard lock(mutex_);
  queue_.clear();
}

// Immediate tasks are timers that are due since the epoch: they keep posting order by id and go
// before any timer.
void ThreadExecutor::Post(Task task) {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  queue_.emplace(std::make_pair(Clock::TimePoint::min(), next_id_++), std::move(task));
  // Under the lock: the task may be what makes somebody destroy this executor.
  wake_.notify_one();
}

Executor::TimerId ThreadExecutor::PostAfter(Clock::Duration delay, Task task) {
  std::lock_guard lock(mutex_);
  if (stopping_) return 0;
  const TimerId id = next_id_++;
  queue_.emplace(std::make_pair(std::chrono::steady_clock::now() + delay, id), std::move(task));
  wake_.notify_one();
  return id;
}

void ThreadExecutor::Cancel(TimerId id) {
  std::lock_guard lock(mutex_);
  auto it = std::find_if(queue_.begin(), queue_.end(),
                         [id](const auto& entry) { return entry.first.second == id; });
  if (it != queue_.end()) queue_.erase(it);
}

void ThreadExecutor::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (queue_.empty()) {
      wake_.wait(lock);
      continue;
    }
    auto first = queue_.begin();
    if (const auto due = first->first.first; due > std::chrono::steady_clock::now()) {
      wake_.wait_until(lock, due);
      continue;
    }
    Task task = std::move(first->second);
    queue_.erase(first);
    lock.unlock();
    task();
    task = nullptr;  // destroy captured state outside the lock
    lock.lock();
  }
}

}  // namespace aliquot
