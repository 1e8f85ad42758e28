// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/call_tracker.h"

#include <utility>

namespace aliquot::gpu {

void CallTracker::Begin(const char* name) {
  const Clock::TimePoint now = clock_.Now();
  std::lock_guard lock(mutex_);
  ++calls_;
  name_ = name;
  since_ = now;
}

void CallTracker::End() {
  const Clock::TimePoint now = clock_.Now();
  std::lock_guard lock(mutex_);
  if (name_ != nullptr && now - since_ >= slow_) slow_call_ = Call{calls_, name_, now - since_};
  name_ = nullptr;
}

std::optional<CallTracker::Call> CallTracker::Current() const {
  const Clock::TimePoint now = clock_.Now();
  std::lock_guard lock(mutex_);
  if (name_ == nullptr) return std::nullopt;
  return Call{calls_, name_, now - since_};
}

std::optional<CallTracker::Call> CallTracker::TakeSlow() {
  std::lock_guard lock(mutex_);
  return std::exchange(slow_call_, std::nullopt);
}

NvmlApi CallTracker::Watch(const NvmlApi& api) {
  NvmlApi watched = api;
  VisitNvml(watched, [this]<typename R, typename... Args>(const char* symbol,
                                                          std::function<R(Args...)>& member, bool) {
    if (!member) return;
    member = [this, symbol, inner = std::move(member)](Args... args) -> R {
      Begin(symbol);
      const R result = inner(args...);
      End();
      return result;
    };
  });
  return watched;
}

}  // namespace aliquot::gpu
