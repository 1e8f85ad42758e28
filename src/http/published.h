// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace aliquot::http {

// The latest version of a value that one thread makes and another serves. The agent sets a new one
// after each change; a handler gets the last complete one, even while the agent is busy or stuck,
// which is when somebody looks. Thread-safe; the lock covers one pointer copy.
template <typename T>
class Published {
 public:
  void Set(T value) {
    auto next = std::make_shared<const T>(std::move(value));
    std::lock_guard lock(mutex_);
    value_.swap(next);
  }
  // Null until the first Set.
  std::shared_ptr<const T> Get() const {
    std::lock_guard lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

}  // namespace aliquot::http
