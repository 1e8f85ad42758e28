// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace aliquot::sim::cuda {

// The live objects that programs hold handles of. A handle is the object's address; one that is
// not in the table was never valid or is no more, and is refused instead of followed. Thread-safe.
template <typename T>
class HandleTable {
 public:
  template <typename Handle>
  Handle Add(std::shared_ptr<T> object) {
    const std::lock_guard<std::mutex> lock(mutex_);
    T* key = object.get();
    objects_[key] = std::move(object);
    return reinterpret_cast<Handle>(key);
  }
  std::shared_ptr<T> Find(const void* handle) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto it = objects_.find(handle);
    return it == objects_.end() ? nullptr : it->second;
  }
  std::shared_ptr<T> Take(const void* handle) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto it = objects_.find(handle);
    if (it == objects_.end()) return nullptr;
    std::shared_ptr<T> object = std::move(it->second);
    objects_.erase(it);
    return object;
  }
  std::vector<std::shared_ptr<T>> All() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<std::shared_ptr<T>> all;
    for (const auto& [key, object] : objects_) all.push_back(object);
    return all;
  }
  // Takes out all that `wanted` says.
  template <typename Predicate>
  std::vector<std::shared_ptr<T>> TakeIf(Predicate wanted) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<std::shared_ptr<T>> taken;
    for (auto it = objects_.begin(); it != objects_.end();) {
      if (!wanted(*it->second)) {
        ++it;
        continue;
      }
      taken.push_back(std::move(it->second));
      it = objects_.erase(it);
    }
    return taken;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<const void*, std::shared_ptr<T>> objects_;
};

}  // namespace aliquot::sim::cuda
